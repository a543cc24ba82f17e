"""What the gate finds in the evidence folder: manifest, run.json, histories.json, results, tables; partial results."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.engines.partials import Partial, PartialUnusable
from phase5_ops.evidence.histories import Head, Standing
from phase5_ops.evidence.result import CheckResult, RowEntry
from phase5_ops.evidence.store import Ended, EvidenceStore, Origin
from phase5_ops.evidence.table import NoFacts
from phase5_ops.files import sha256_of
from phase5_ops.gate.inputs.dagster_records import stored_bundle
from phase5_ops.gate.records import ReadinessRun, RunFacts, RunState
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.test_store import NOW, NUMBERS, READ, Number
from phase5_ops_tests.fuzz.source import Source

READS = "an evidence folder: manifest, run.json, results, tables; partial results (`evidence/store`, `engines/partials`)"
MALFORMED = (
    "`ValueError`, no bundle (the evidence is not there), or a stored verdict without a verdict; an altered file never as sealed"
)

RUN = ReadinessRun(RunFacts("run-1", "readiness", RunState.FINISHED, "production", None), None, 1, 1, NOW, None)
CHECK = ROW_OF_ID["1.2"].check
FINDING = {"code": "c", "verdict": "WARN", "subject": "s", "expected": "e", "seen": "x", "link": None}
RESULT = {
    "id": "1.2",
    "section": "s",
    "title": "t",
    "check": CHECK,
    "asset": "slo_alarms",
    "verdict": "PASS",
    "waived": False,
    "summary": "x",
    "facts": {"n": 1},
    "observed_at": "2026-11-23T12:00:00.000Z",
    "findings": [FINDING],
    "evidence": [],
    "tables": {"slo_alarms": "sha256:" + "a" * 64},
    "policy_digest": "sha256:" + "b" * 64,
}
PARTIAL = Partial("log_scan", "hour", {"code": "sha256:x"}, "2026-11-23T12:00:00.000Z", (READ,), b"content" * 20)
PIECES = ("{", "}", "[", "]", '"', ":", ",", "null", "NaN", "[" * 2000, "\\ud800", '{"a":' * 950)


@cache
def _folder() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        store = EvidenceStore(Path(folder))
        store.write_origin("run-1", Origin("readiness", "production", False, None, NOW))
        store.write_table("run-1", "slo_alarms", NUMBERS.gathered([Number(1)], NoFacts()).with_reads([READ], NOW))
        store.write_verdict("run-1", CHECK, RESULT)
        store.write_ended("run-1", Ended("production", NOW, Standing(heads={"history.sqlite": Head("a", 1, "b")}), ()))
        store.seal("run-1")
        root = Path(folder) / "run-1"
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fuzz(data: bytes) -> None:
    """Reads an evidence folder with one altered file; the alteration always shows in the digests."""
    source = Source(data)
    name = source.one_of(sorted(_folder()))
    before = _folder()[name]
    if name.endswith(".json") and source.chance(2):
        altered = source.spliced(source.json_text(source.changed(json.loads(before))), PIECES).encode("utf-8", "surrogatepass")
    else:
        altered = source.spliced_bytes(before)
    with TemporaryDirectory() as folder:
        for path, content in {**_folder(), name: altered}.items():
            file = Path(folder) / "run-1" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        store = EvidenceStore(Path(folder))
        sealed = store.digest_of({path: sha256_of(content) for path, content in _folder().items() if path != "manifest.json"})
        assert altered == before or store.differences("run-1", sealed), "an altered file is as sealed"
        bundle = stored_bundle(store, RUN)
        if not data:
            assert bundle is not None, "the sound folder cannot be read"
            assert bundle.verdicts[CHECK].verdict is Verdict.PASS, "the sound result cannot be read"
        for read in (store.origin, store.ended, store.sealed_verdicts, lambda run: store.read_verdict(run, CHECK)):
            try:
                read("run-1")
            except (OSError, ValueError) as error:
                assert altered != before, f"the sound folder cannot be read: {error}"
        try:
            store.read_table("run-1", "slo_alarms", NUMBERS)
        except (OSError, KeyError, ValueError):
            assert altered != before, "the sound table cannot be read"
    for kind in (CheckResult, RowEntry):
        try:
            kind.model_validate(source.changed(RESULT))
        except ValueError as error:
            assert str(error), "does not say why"
    kept = source.spliced_bytes(PARTIAL.packed())
    try:
        found = Partial.unpacked(kept, scan="log_scan", part="hour", depends_on={"code": "sha256:x"})
    except PartialUnusable as error:
        assert str(error), "does not say why"
        assert kept != PARTIAL.packed(), "a whole one is refused"
    else:
        assert found.content == PARTIAL.content, "another result is taken for this one"
