"""The platform's tables around the canary of row 4.1: what an execution left, and what changed meanwhile."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from phase5_ops.aws.reader import Answer, CallMeter
from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.clock import iso
from phase5_ops.evidence.table import NoFacts
from phase5_ops.policy import IsolationPolicy, ProbePolicy
from phase5_ops.sections.isolation.harness.collecting import _HarnessCollecting
from phase5_ops.sections.isolation.harness.controls import control_rows
from phase5_ops.sections.isolation.harness.evidence import ISOLATION_HARNESS, exception_rows
from phase5_ops.sections.isolation.harness.judge import judge_harness
from phase5_ops.sections.isolation.harness.tables import ISOLATION_CANARY_STARTED, PlatformTable, StartedFacts, seen_items
from phase5_ops.settings import Tables
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.harness import support
from phase5_ops_tests.sections.isolation.harness.support import INTENT, KEYS, LINKS, NOW, READ, A, B

READS = "the platform's tables before and after the canary, its outcome and ledger (`harness/collecting`, `tables`, `evidence`)"
MALFORMED = "a row that is not judged or a violation; a foreign key among the items is one whatever stands beside it"

_TABLES = [PlatformTable(name, keys, True) for name, keys in KEYS.items()]
_LEDGER, _OUTCOMES = Tables().ledger, Tables().execution_outcomes
_CONTEXT: dict[str, Any] = {
    "since": iso(NOW - timedelta(minutes=5)),
    "known_tenants": [A, B],
    "targets": {"canary": INTENT},
    "tables": [
        {
            "name": table.name,
            "literal": table.keys.name,
            "key": list(table.keys.key),
            "indexes": {name: list(names) for name, names in table.keys.indexes.items()},
            "whole": True,
            "items": 0,
        }
        for table in _TABLES
    ],
}
_TARGETS = SimpleNamespace(
    canary=INTENT,
    tenant_a=A,
    tenant_b=B,
    account_a="canary-a-1",
    account_b="canary-b-1",
    told_b="ai_1_phase5told",
    intent_b="ai_1795435200000_phase5b",
)


def _sound() -> dict[str, list[dict[str, Any]]]:
    """Every item after a healthy execution, DynamoDB JSON, by table."""
    items = support.written()
    for outcome in items[_OUTCOMES]:
        outcome |= {"status": "SUCCEEDED", "tool_name": "internal-create-note___internal", "error_message": ""}
    for entry in items[_LEDGER]:
        entry |= {"timestamp": "2026-11-23T09:16:00.000Z"}
    return {name: [support.item(**entry) for entry in entries] for name, entries in items.items()}


class _Reader:
    """The altered tables, read by DynamoDB's Query and Scan."""

    region = "us-west-2"

    def __init__(self, items: dict[str, list[dict[str, Any]]]) -> None:
        self.items, self.meter = items, CallMeter()

    def paginate(self, service: str, operation: str, resource: str, **parameters: Any) -> Answer:
        """All items of a table, whatever is asked for: each of them is one that a faulty platform may have put there."""
        del service, operation, parameters
        return Answer([{"Items": self.items.get(resource, [])}], READ)


def fuzz(data: bytes) -> None:
    """Judges altered items; an item of this execution under a foreign tenant's key is a violation whatever stands beside it."""
    source = Source(data)
    leaks = source.chance(3)
    items = {}
    try:
        for name, entries in _sound().items():
            altered = [_altered(source, name, entry) for entry in entries]
            items[name] = answered("dynamodb", "Scan", json.dumps({"Items": altered}))["Items"]
    except UNREADABLE:
        assert data, "the sound items are refused"
        return
    if leaks:
        foreign = {"pk": f"TENANT#{B}#ACCOUNT#canary-b-1", "sk": "NOTE#note_9_x", "content": INTENT}
        items["cc-native-internal-notes"].append(support.item(**foreign))
    run = SimpleNamespace(
        reader=_Reader(items),
        run_id="run",
        shared={},
        now=lambda: NOW,
        settings=SimpleNamespace(tables=Tables(), isolation=IsolationPolicy(), probes=ProbePolicy()),
    )
    before = list(seen_items(_TABLES, {table.name: [] for table in _TABLES}, (A, B)))
    started = ISOLATION_CANARY_STARTED.gathered(before, StartedFacts(_CONTEXT)).with_reads([READ], NOW)
    collecting = _HarnessCollecting(run, started, _CONTEXT, lambda _: None)  # type: ignore[arg-type]
    collecting._look(_TARGETS, INTENT)  # type: ignore[arg-type]
    scope = collecting._scope(_TARGETS)  # type: ignore[arg-type]
    images = collecting._images(scope, _TARGETS)  # type: ignore[arg-type]
    rows = [*collecting._outcome_rows(scope), *collecting._footprint(images, scope, _TARGETS)]  # type: ignore[arg-type]
    begin, end = collecting._span()
    assert begin < end, "the execution ends before it begins"
    list(collecting._stray(_TARGETS, images))  # type: ignore[arg-type]
    rows += [*exception_rows(), *control_rows(ExecutionScope("control"), "control-b")]
    table = ISOLATION_HARNESS.gathered(rows, NoFacts()).with_reads([READ], NOW)
    judgement = judge_harness(table, production=True, links=LINKS)
    assert data or judgement.verdict is Verdict.PASS, f"the sound items do not pass: {judgement.findings}"
    assert not leaks or judgement.verdict is not Verdict.PASS, "an item under a foreign key passes"


def _altered(source: Source, table: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An item with a few places changed, now and then; a table has none without the attributes of its key."""
    if not source.chance(3):
        return entry
    changed = source.changed(entry, attributes=True)
    return {**(changed if isinstance(changed, dict) else {}), **{name: entry[name] for name in KEYS[table].key}}
