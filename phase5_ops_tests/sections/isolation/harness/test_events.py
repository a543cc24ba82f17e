"""Events of the platform's bus as a rule leaves them in a log group."""

import json
from datetime import UTC, datetime

import pytest

from phase5_ops.aws.logs import LogEvent
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness import events
from phase5_ops.sections.isolation.harness.events import BusEvent, parse_event, read_bus_events

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENT = {"version": "0", "source": "cc-native", "detail-type": "ACTION_APPROVED", "detail": {"data": {"tenant_id": "a"}}}


def test_an_event_is_its_source_its_type_and_its_detail():
    assert parse_event(json.dumps(EVENT)) == BusEvent("cc-native", "ACTION_APPROVED", EVENT["detail"])


@pytest.mark.parametrize("line", ["", "START RequestId: 1", "[]", '{"detail": "text"}', "{", "[" * 100_000])
def test_a_line_that_is_no_event_is_none(line):
    assert parse_event(line) is None


def read(monkeypatch, *lines: str, status: ReadStatus = ReadStatus.OK):
    """What a log group with these lines shows of execution `ai_1`."""

    def log(_reader, _groups, _window, take):
        take("group", [LogEvent("stream", 0, line) for line in lines])
        return [Read("logs:FilterLogEvents", "group", status, None, 1, "", "")]

    monkeypatch.setattr(events, "read_log_events", log)
    return read_bus_events(None, "group", NOW, NOW, ("ai_1",), calls_per_second=5)


@pytest.mark.parametrize("line", ['{"detail": "ai_1"}', "ai_1", '{"detail": {"id": "ai_1"}', '[{"detail": {"id": "ai_1"}}]'])
def test_a_line_that_names_the_execution_and_is_no_event_is_not_passed_over(line, monkeypatch):
    found, [shown] = read(monkeypatch, json.dumps(EVENT), line)
    assert len(found) == 1
    assert shown.status is ReadStatus.INVALID
    assert shown.error == "1 lines that name the execution are no events of EventBridge"


def test_lines_of_others_that_are_no_events_make_no_read_invalid(monkeypatch):
    found, [shown] = read(monkeypatch, json.dumps(EVENT), "START RequestId: 1", '{"detail": "ai_2"}')
    assert (len(found), shown.status) == (1, ReadStatus.OK)


def test_a_read_that_failed_stays_as_it_failed(monkeypatch):
    assert read(monkeypatch, "ai_1", status=ReadStatus.TIMEOUT)[1][0].status is ReadStatus.TIMEOUT
