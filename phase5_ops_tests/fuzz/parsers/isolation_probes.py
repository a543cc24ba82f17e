"""What the Control Center and the decision API answer to the probes of row 4.1, and the test tenants' items around them."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from phase5_ops.aws.reader import Answer
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.forge import ODD_CLAIMS
from phase5_ops.probing.request import HttpAnswer, Request
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.harness import cross_probes
from phase5_ops.sections.isolation.harness.cross_probes import CrossProbing
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Result
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe, own_requests
from phase5_ops.sections.isolation.harness.probe_routes import DECISIONS
from phase5_ops.settings import Tables
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.parsers.replay_probes import drawn_answer
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sandbox.control_center.memory_platform import MemoryReader, MemoryTables
from phase5_ops_tests.sections.isolation.harness.test_planted_faults import MARKER, PLAN, TOKENS, Probed, findings, targets

READS = "answers to the cross-tenant probes, and the test tenants' items (`harness/cross_probes`, `probe_effects`)"
MALFORMED = "`Obstructed` (no probe is tried), a probe that is not judged, or a finding; B's marker in an answer is one"

_OPERATIONS = {"query": "Query", "get_item": "GetItem"}
_SOME = 12  # every so many of the probes: each input asks all of them


@dataclass
class AlteredReader(MemoryReader):
    """Its answers have a few places changed."""

    tables: MemoryTables
    source: Source = field(default_factory=lambda: Source(b""))

    def __post_init__(self) -> None:
        super().__init__(self.tables)

    def call(self, service: str, operation: str, resource: str, **parameters: Any) -> Answer:
        """The answer of the tables, now and then altered."""
        whole = super().call(service, operation, resource, **parameters)
        if operation not in _OPERATIONS or not whole.pages[0] or not self.source.chance(8):
            return whole
        page = whole.pages[0]
        items = page["Items"] if operation == "query" else [page["Item"]]
        # a table has no item without the attributes of its key
        altered = [{**_mapping(self.source.changed(item, attributes=True)), **_key(resource, item)} for item in items]
        changed = {"Items": altered} if operation == "query" else {"Item": altered[0]}
        try:
            return replace(whole, pages=[answered("dynamodb", _OPERATIONS[operation], json.dumps(changed))])
        except UNREADABLE as error:
            return Answer([], replace(whole.read, status=ReadStatus.INVALID, error=str(error)[:200]))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(table: str, item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in (("tenantId",) if table == Tables().tenants else ("pk", "sk"))}


@cache
def _plan() -> tuple[CrossProbe, ...]:
    """Some of the probes, of reads and of writes, of both APIs."""
    odd = [probe for probe in PLAN if probe.reads and probe.who in ODD_CLAIMS]
    return (*PLAN[::_SOME], *odd[::_SOME])


def fuzz(data: bytes) -> None:
    """Probes a platform whose answers and items are altered; an answer that shows B's data is found whatever stands beside it."""
    source = Source(data)
    leaks = source.one_of([probe for probe in _plan() if MARKER in probe.shown_marks]) if source.chance(3) else None
    probed, asked = Probed(), 0
    probed.context.reader = AlteredReader(probed.platform.tables, source)

    def send(request: Request) -> HttpAnswer:
        nonlocal asked
        asked += 1
        if leaks is not None and request.target == leaks.request(TOKENS.get(leaks.who)).target:
            return HttpAnswer(200, None, "", f"{source.text()[:400]}{MARKER}{source.text()[:400]}", 1.0)
        return drawn_answer(source) if source.chance(12) else probed.platform.send(request)

    probing = CrossProbing(probed.context, targets(), SimpleNamespace(send=send), TOKENS, sleep=lambda _: None)
    probing.plan = _plan  # type: ignore[method-assign]
    families = {probe.family for probe in _plan()} | {DECISIONS}
    own = {family: probe for family, probe in own_requests(targets()).items() if family in families}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_probes, "own_requests", lambda _: own)
        patch.setattr(cross_probes, "_READERS", 1)
        try:
            rows = probing.run()
        except Obstructed as stop:
            assert data, f"the sound platform is not probed: {stop.obstacle}"
            assert stop.obstacle, "does not say why"
            return
    found = findings(rows)
    assert data or not found, f"the sound platform does not pass: {found}"
    sent = [row for row in rows if row.kind is AccessKind.PROBE and leaks is not None and row.key == leaks.name]
    unjudged = {Result.NOT_JUDGED, Result.LISTED}
    assert all(row.result is Result.VIOLATION or row.result in unjudged for row in sent), "B's data in an answer is passed over"
