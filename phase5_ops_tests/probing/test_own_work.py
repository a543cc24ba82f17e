"""Which intents and traces are our own, from the history and from the ledger."""

from types import SimpleNamespace

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.history import History
from phase5_ops.probing.own_work import in_ledger, note, noted

NOON = parse_iso("2026-11-23T12:00:00Z")


def platform(tmp_path, now=NOON, environment="production"):
    return SimpleNamespace(
        account="123456789012",
        reader=SimpleNamespace(region="us-west-2"),
        settings=SimpleNamespace(environment=environment),
        history=History(tmp_path / "history.sqlite"),
        now=lambda: now,
    )


def entry(intent: str, trace: str) -> dict:
    return {"traceId": {"S": trace}, "data": {"M": {"action_intent_id": {"S": intent}}}}


def test_what_a_run_caused_is_known_to_later_ones_of_the_same_platform_for_some_days(tmp_path):
    note(platform(tmp_path), ["ai_1_phase5a", "trace-1"])
    assert noted(platform(tmp_path), days=2) == {"ai_1_phase5a", "trace-1"}
    assert noted(platform(tmp_path, environment="staging"), days=2) == frozenset()
    assert noted(platform(tmp_path, now=parse_iso("2026-11-30T12:00:00Z")), days=2) == frozenset()


def test_the_ledger_tells_canaries_of_any_run_with_their_traces_and_nothing_of_customers():
    entries = [
        entry("ai_1795424883915_phase5x", "trace-1"),
        entry("ai_1795424883915_x7k2", "trace-2"),
        {},
        {"data": {"S": "odd"}},
    ]
    assert in_ledger(entries) == {"ai_1795424883915_phase5x", "trace-1"}
