"""Events of the platform's bus as a rule leaves them in a log group."""

import json

import pytest

from phase5_ops.sections.isolation.harness.events import BusEvent, parse_event

EVENT = {"version": "0", "source": "cc-native", "detail-type": "ACTION_APPROVED", "detail": {"data": {"tenant_id": "a"}}}


def test_an_event_is_its_source_its_type_and_its_detail():
    assert parse_event(json.dumps(EVENT)) == BusEvent("cc-native", "ACTION_APPROVED", EVENT["detail"])


@pytest.mark.parametrize("line", ["", "START RequestId: 1", "[]", '{"detail": "text"}', "{", "[" * 100_000])
def test_a_line_that_is_no_event_is_none(line):
    assert parse_event(line) is None
