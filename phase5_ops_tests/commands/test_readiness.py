"""Runs against a platform that misbehaves: the right rows close, the others are still judged, and nothing hangs.

Where Dagster has no part in what is shown, the rows are gathered and judged without it.
"""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import dagster as dg
import pytest

from phase5_ops.build import build_defs
from phase5_ops.checklist import ALL_CHECKS, ROWS
from phase5_ops.commands.readiness import run_readiness
from phase5_ops.context import open_run
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ConfigurationError, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, run, standing
from phase5_ops_tests.documentation.test_summaries import says_what_was_not_judged
from phase5_ops_tests.without_dagster import judged

pytestmark = pytest.mark.slow(30)

SECTIONS = ["1.1", "1.2", "1.3", "2.1", "2.2"]  # what is shown here holds for every row, and these are quickly gathered


def judge(*rows: str) -> ReadinessDocument:
    """What a run of these rows says, by default of all quickly gathered ones; without Dagster."""
    return judged(load_settings(), rows or SECTIONS).document


def verdicts(document: ReadinessDocument) -> dict[str, str]:
    return {row.id: str(row.verdict) for row in document.rows if row.id in SECTIONS}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Sandbox]:
    """A healthy platform, for tests that only read of it."""
    with standing("healthy") as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("fault", "closed"),
    [
        ({"operation": "ListMetrics", "kind": "denied"}, {"1.1": "ERROR", "1.2": "ERROR", "2.2": "ERROR"}),
        ({"operation": "GetMetricData", "kind": "error500"}, {"1.1": "ERROR", "1.2": "ERROR", "2.2": "ERROR"}),
        ({"operation": "GetMetricData", "kind": "html"}, {"1.1": "ERROR", "1.2": "ERROR", "2.2": "ERROR"}),
        ({"operation": "GetMetricData", "kind": "forbidden"}, {"1.1": "ERROR", "1.2": "ERROR", "2.2": "ERROR"}),
        ({"operation": "GetMetricData", "kind": "internal_error"}, {"1.1": "ERROR", "1.2": "ERROR", "2.2": "ERROR"}),
        (
            {"operation": "GetMetricData", "kind": "message"},
            {"1.1": "INCONCLUSIVE", "1.2": "INCONCLUSIVE", "2.2": "INCONCLUSIVE"},
        ),
        ({"operation": "Scan", "kind": "denied", "match": "cc-native-resilience"}, {"2.1": "ERROR", "2.2": "ERROR"}),
        ({"operation": "Scan", "kind": "throttle", "match": "cc-native-tenants"}, {"2.2": "ERROR"}),
        ({"operation": "GetTopicAttributes", "kind": "error500"}, {"1.2": "ERROR"}),
        ({"operation": "GetDashboard", "kind": "denied"}, {"1.1": "ERROR"}),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if "kind" in value else "",
)
def test_a_fault_of_reading_closes_only_the_rows_that_need_it(
    fault: dict[str, str],
    closed: dict[str, str],
    healthy: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "1")
    monkeypatch.setenv("PHASE5_NOW", NOW)
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
    for name, value in healthy.exports().items():
        monkeypatch.setenv(name, value)
    healthy.faults.add(**fault)
    document = judge()
    healthy.faults.clear()
    assert verdicts(document) == {"1.1": "PASS", "1.2": "PASS", "1.3": "PASS", "2.1": "PASS", "2.2": "PASS"} | closed
    assert document.exit_code == 2
    for row, verdict in closed.items():
        entry = next(entry for entry in document.rows if entry.id == row)
        blocking = [finding for finding in entry.findings if finding.verdict == verdict]
        assert any(fault["operation"] in finding.subject for finding in blocking)


def test_a_platform_that_does_not_answer_ends_with_the_deadline(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHASE5_READING__DEADLINE_SECONDS", "2")
    start("healthy").faults.add(kind="slow", service="monitoring", seconds=60)
    started = time.monotonic()
    document = run(rows=SECTIONS)
    assert time.monotonic() - started < 30
    assert {row: verdict for row, verdict in verdicts(document).items() if verdict == "ERROR"}.keys() >= {"1.1", "1.2", "1.3"}
    assert document.exit_code == 2


def test_without_credentials_nothing_is_read_and_there_is_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="AWS did not identify the caller"):
        run()
    assert list(tmp_path.rglob("*.parquet")) == list(tmp_path.rglob("readiness.json")) == []


def test_where_all_but_the_caller_is_denied_every_judged_row_is_an_error(
    start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "1")
    faults = start("healthy").faults
    for service in (
        "monitoring",
        "dynamodb",
        "logs",
        "iam",
        "ce",
        "lambda",
        "sns",
        "s3",
        "events",
        "secretsmanager",
        "cognito-idp",
    ):
        faults.add(kind="denied", service=service)
    document = judge(*(row.id for row in ALL_CHECKS if not row.is_sign_off))
    assert set(verdicts(document).values()) == {"ERROR"}
    undecided = [entry for entry in (*document.rows, *document.extra_checks) if entry.verdict in ("INCONCLUSIVE", "ERROR")]
    assert len(undecided) > len(SECTIONS)
    assert [entry.id for entry in undecided if not says_what_was_not_judged(entry.summary)] == []
    assert document.exit_code == 2


def test_an_asset_that_crashes_leaves_its_rows_as_errors_that_name_the_step(
    start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch
):
    start("healthy")
    monkeypatch.setattr("phase5_ops.sections.breakers.assets.breaker_snapshot", lambda **_: 1 / 0)
    document = run(rows=SECTIONS)
    rows = {row.id: row for row in document.rows}
    assert verdicts(document) == {"1.1": "PASS", "1.2": "PASS", "1.3": "PASS", "2.1": "ERROR", "2.2": "ERROR"}
    assert rows["2.1"].findings[0].code == "check_not_evaluated"
    assert "breaker_snapshot" in rows["2.1"].findings[0].seen
    assert "division by zero" in rows["2.1"].findings[0].seen


def test_a_judge_that_crashes_is_an_error_of_its_own_row_only(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    start("healthy")
    monkeypatch.setattr("phase5_ops.sections.breakers.assets.judge_state_observable", lambda *_, **__: 1 / 0)
    document = run(rows=SECTIONS)
    rows = {row.id: row for row in document.rows}
    assert verdicts(document)["2.2"] == "PASS"
    assert (rows["2.1"].verdict, rows["2.1"].findings[0].code) == (Verdict.ERROR, "judge_crashed")


def test_results_target_the_materialization_of_their_own_run(start: Callable[[str], Sandbox]):
    start("healthy")
    with dg.DagsterInstance.ephemeral() as instance:
        document = run_readiness(load_settings(), SECTIONS, instance=instance)
        for row in ROWS[:5]:
            record = instance.event_log_storage.get_latest_asset_check_execution_by_key(
                [dg.AssetCheckKey(dg.AssetKey(row.asset), row.check)]
            )
            (latest,) = record.values()
            target = latest.event.dagster_event.event_specific_data.target_materialization_data
            assert target.run_id == latest.run_id == document.run_id
        tags = instance.get_run_by_id(document.run_id).tags
    assert tags["phase5/evidence_digest"] == document.evidence_digest
    assert tags["phase5/policy_digest"] == document.policy_digest
    assert int(tags["phase5/aws_calls"]) > 0


def test_dagster_does_not_record_a_run_of_single_rows_as_failed(start: Callable[[str], Sandbox]):
    """The runbook that row 2.1 needs has checks that read alarms, which no row asked for."""
    start("healthy")
    with dg.DagsterInstance.ephemeral() as instance:
        document = run_readiness(load_settings(), ["2.1"], instance=instance)
        assert instance.get_run_by_id(document.run_id).status is dg.DagsterRunStatus.SUCCESS


def test_a_breaker_closed_by_hand_between_two_runs_is_found(start: Callable[[str], Sandbox]):
    sandbox = start("breaker-open")
    assert verdicts(judge("2.2"))["2.2"] == "WARN"
    table = boto3.resource("dynamodb", endpoint_url=sandbox.endpoint).Table("cc-native-resilience")
    key = {"pk": "CONNECTOR#crm_salesforce", "sk": "STATE"}
    table.update_item(
        Key=key,
        UpdateExpression="SET #s = :closed, failure_count = :zero REMOVE open_until_epoch_sec",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":closed": "CLOSED", ":zero": 0},
    )
    edited = next(row for row in judge("2.2").rows if row.id == "2.2")
    assert (edited.verdict, edited.findings[0].code) == (Verdict.FAIL, "closed_by_hand")
    table.delete_item(Key=key)
    deleted = next(row for row in judge("2.2").rows if row.id == "2.2")
    assert (deleted.verdict, deleted.findings[0].code) == (Verdict.FAIL, "closed_by_hand")


def test_a_slot_that_stays_taken_without_calls_is_leaked(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    sandbox = start("healthy")
    boto3.resource("dynamodb", endpoint_url=sandbox.endpoint).Table("cc-native-resilience").update_item(
        Key={"pk": "CONNECTOR#crm_salesforce", "sk": "CONCURRENCY"},
        UpdateExpression="SET in_flight_count = :one",
        ExpressionAttributeValues={":one": 1},
    )
    assert verdicts(judge("2.2"))["2.2"] == "PASS"
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:05:30Z")
    later = next(row for row in judge("2.2").rows if row.id == "2.2")
    assert (later.verdict, later.findings[0].code) == (Verdict.FAIL, "slot_leaked")


def test_the_same_evidence_gives_the_same_verdicts_and_policy_digest(start: Callable[[str], Sandbox], monkeypatch):
    start("breaker-half-open-stuck")
    first, second = judge(), judge()
    assert [(row.id, row.verdict, row.findings) for row in first.rows] == [
        (row.id, row.verdict, row.findings) for row in second.rows
    ]
    assert first.policy_digest == second.policy_digest
    monkeypatch.setenv("PHASE5_BREAKERS__COOLDOWN_SECONDS", "31")
    assert judge().policy_digest != first.policy_digest


def test_evidence_is_copied_to_s3_where_the_settings_say_so(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    sandbox = start("healthy")
    s3 = boto3.client("s3", endpoint_url=sandbox.endpoint)
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": sandbox.region})
    monkeypatch.setenv("PHASE5_EVIDENCE_S3_URI", "s3://evidence/phase5")
    document = run(rows=["2.1"])
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="evidence")["Contents"]}
    prefix = f"phase5/{document.run_id}"
    assert {f"{prefix}/tables/breaker_snapshot.parquet", f"{prefix}/manifest.json", f"{prefix}/readiness.json"} <= keys


def test_a_runbook_in_s3_is_read(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    sandbox = start("healthy")
    s3 = boto3.client("s3", endpoint_url=sandbox.endpoint)
    s3.create_bucket(Bucket="books", CreateBucketConfiguration={"LocationConstraint": sandbox.region})
    s3.put_object(Bucket="books", Key="rel.md", Body=Path(load_settings().runbook).read_bytes())
    monkeypatch.setenv("PHASE5_RUNBOOK", "s3://books/rel.md")
    assert verdicts(judge("1.3"))["1.3"] == "PASS"
    monkeypatch.setenv("PHASE5_RUNBOOK", "s3://books/gone.md")
    assert verdicts(judge("1.3"))["1.3"] in ("FAIL", "ERROR")


def test_checks_run_alone_judge_the_latest_table(start: Callable[[str], Sandbox]):
    """As the UI's "Execute": such a result does not target a materialization of its own run, which the gate tells apart."""
    start("healthy")
    settings = load_settings()
    with dg.DagsterInstance.ephemeral() as instance:
        first = run_readiness(settings, SECTIONS, instance=instance)
        run_id = str(uuid4())
        alone = build_defs(settings=settings, run=open_run(settings, run_id, look_back))
        selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("breaker_snapshot"), "breaker_state_observable"))
        both = selection | dg.AssetSelection.checks(
            dg.AssetCheckKey(dg.AssetKey("breaker_snapshot"), "open_breaker_has_operator_action")
        )
        job = dg.define_asset_job("checks_alone", selection=both)
        merged = dg.Definitions.merge(alone, dg.Definitions(jobs=[job]))
        result = merged.resolve_job_def("checks_alone").execute_in_process(instance=instance, run_id=run_id)
    assert result.success
    for evaluation in result.get_asset_check_evaluations():
        assert evaluation.passed
        assert evaluation.target_materialization_data.run_id == first.run_id


def test_a_registry_item_that_cannot_be_read_closes_every_row_that_builds_on_the_registry(start: Callable[[str], Sandbox]):
    sandbox = start("breaker-open-disabled")
    boto3.client("dynamodb", endpoint_url=sandbox.endpoint).put_item(
        TableName="cc-native-action-type-registry",
        Item={"pk": {"S": "ACTION_TYPE#X"}, "sk": {"S": "REGISTRY_VERSION#1"}, "tool_name": {"N": "1"}},
    )
    found = verdicts(judge())
    assert (found["1.1"], found["1.2"], found["2.2"]) == ("ERROR", "ERROR", "ERROR")


def test_an_unknown_row_or_check_in_the_policy_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch):
    for name in ("PHASE5_GATE__WARN_BLOCKS", "PHASE5_GATE__EXTRA_CHECKS_WARN_ONLY"):
        monkeypatch.setenv(name, '["9.9"]')
        with pytest.raises(ConfigurationError, match=name):
            load_settings()
        monkeypatch.delenv(name)


def test_a_taken_port_is_a_configuration_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="cannot listen"), Sandbox("empty", port=taken.getsockname()[1]):
            pass
