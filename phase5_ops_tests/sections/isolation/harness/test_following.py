"""What the canary left is read whatever a faulty platform wrote: ids, times and references of any type."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.aws.reader import Answer, CallMeter
from phase5_ops.clock import iso
from phase5_ops.policy import IsolationPolicy, ProbePolicy
from phase5_ops.sections.isolation.harness.collecting import _HarnessCollecting
from phase5_ops.settings import Tables
from phase5_ops_tests.sections.isolation.harness.support import INTENT, NOW, READ, TRACE, A, B, db, item

TARGETS = SimpleNamespace(
    canary=INTENT, tenant_a=A, tenant_b=B, account_a="canary-a-1", account_b="canary-b-1", told_b="ai_1_phase5told", intent_b="b"
)
AT = iso(NOW + timedelta(seconds=3))


def followed(outcome: dict, *entries: dict) -> _HarnessCollecting:
    """After one look at an outcome and entries of the ledger."""
    items = {Tables().execution_outcomes: [outcome], Tables().ledger: list(entries)}
    reader = SimpleNamespace(meter=CallMeter(), paginate=lambda *given, **_: Answer([{"Items": items[given[2]]}], READ))
    settings = SimpleNamespace(tables=Tables(), isolation=IsolationPolicy(), probes=ProbePolicy())
    run = SimpleNamespace(reader=reader, run_id="run", now=lambda: NOW, settings=settings)
    found = _HarnessCollecting(run, None, {"since": iso(NOW), "targets": {"canary": INTENT}}, lambda _: None)
    assert found._look(TARGETS, INTENT)
    return found


def entry(**changes: object) -> dict:
    whole = {"pk": db(f"TENANT#{A}"), "traceId": db(TRACE), "timestamp": db(AT), "data": db({"action_intent_id": INTENT})}
    return {**whole, **changes}


def test_the_window_begins_and_ends_with_the_records():
    begin, end = followed(item(status="SUCCEEDED"), entry())._span()
    assert begin < NOW + timedelta(seconds=3) < end
    assert end - begin < timedelta(seconds=10)


@pytest.mark.parametrize(
    "written", [db("soon"), db({"a": 1}), db("0001-01-01T00:00:00Z"), db("9999-12-31T23:59:59Z"), {"N": "x"}]
)
def test_a_record_that_does_not_say_when_makes_the_window_wide_and_no_longer(written):
    begin, end = followed(item(status="SUCCEEDED"), entry(), entry(timestamp=written))._span()
    assert begin < NOW < end
    assert timedelta(minutes=1) < end - begin < timedelta(days=1)


@pytest.mark.parametrize("trace", [db({"a": 1}), db([]), {"NULL": True}, {"N": "1"}])
def test_a_trace_of_another_type_belongs_to_what_names_it(trace):
    found = followed(item(status="SUCCEEDED"), entry(), entry(traceId=trace))
    assert TRACE in found._scope(TARGETS).traces
    assert len(found._events_of(INTENT)) in (1, 2)


@pytest.mark.parametrize("references", [db("x"), db(5), db({"a": 1}), db([5, "x"]), db(True)])
def test_references_that_are_no_list_of_objects_name_none(references):
    found = followed({**item(status="SUCCEEDED"), "external_object_refs": references}, entry())
    assert found._scope(TARGETS).objects == frozenset()
