"""Results of checks in Dagster's log: whoever reaches the webserver can post them."""

from datetime import UTC, datetime

import dagster as dg

from phase5_ops.gate.inputs.dagster_records import _result
from phase5_ops.gate.records import RunFacts, RunState
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.parsers.kept_evidence import CHECK, RESULT
from phase5_ops_tests.fuzz.source import Source

READS = "evaluations of checks in Dagster's records, with any metadata (`gate/inputs/dagster_records`, `evidence/result`)"
MALFORMED = "a stored result without a verdict, which closes its row; never the verdict that it does not say"

RUN = RunFacts("run-1", "readiness", RunState.FINISHED, "production", None)
METADATA = {
    "result": RESULT,
    "verdict": "PASS",
    "evidence_files": {"slo_alarms": "sha256:" + "a" * 64},
    "policy_digest": "sha256:" + "b" * 64,
    "verdict_file": "sha256:" + "c" * 64,
}


def fuzz(data: bytes) -> None:
    """Reads an altered evaluation."""
    source = Source(data)
    altered = source.changed(METADATA)
    metadata = {}
    for name, value in altered.items() if isinstance(altered, dict) else ():
        try:
            metadata[str(name)] = dg.MetadataValue.json(value) if isinstance(value, dict | list) else dg.MetadataValue.text(value)
        except Exception:  # noqa: BLE001 - Dagster itself does not take it
            continue
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("slo_alarms"),
        check_name=CHECK,
        passed=not source.chance(2),
        metadata=metadata,
        severity=dg.AssetCheckSeverity.ERROR,
        target_materialization_data=None,
        description=None,
        blocking=False,
    )
    found = _result(evaluation, RUN)
    said = metadata.get("verdict")
    assert found.check == CHECK, "another check"
    assert found.verdict is None or (said is not None and found.verdict == said.value), "a verdict that it does not say"
    if not data:
        assert found.verdict is Verdict.PASS, "the sound result is not read"
        assert found.observed_at == datetime(2026, 11, 23, 12, tzinfo=UTC), "another time"
