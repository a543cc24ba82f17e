"""The commands that the documents show of readiness runs and of what they left, run as they stand there on a healthy platform.

The whole checklist is judged once: what is printed and written of a run in one form or another is that of the first `check`.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from phase5_ops.commands import readiness
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import FORMATS, Format
from phase5_ops.sandbox.server import Sandbox
from phase5_ops_tests.documentation.shown import Step, walk
from phase5_ops_tests.places import FIELD_CASES
from phase5_ops_tests.report.documents import document, keep

pytestmark = pytest.mark.slow

EARLIER = "6d04b7f3-earlier"  # a run before, of which a document is left
BUCKET = "phase5-evidence"


@dataclass
class World:
    """The platform, and the machine that the runs are made on."""

    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    known: dict[str, str]
    made: list[ReadinessDocument] = field(default_factory=list)
    asked_to_refresh: list[bool] = field(default_factory=list)

    @property
    def evidence(self) -> Path:
        return self.folder / ".phase5" / "evidence"

    def become(self, name: str) -> None:
        """Takes the session of a person whom the identity provider calls so."""
        sts = self.sandbox.session().client("sts")
        arn = "arn:aws:iam::123456789012:role/phase5-signer-ops-sre"
        given = sts.assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        for variable, part in (
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ):
            self.monkeypatch.setenv(variable, given[part])


def _judged_once(world: World) -> None:
    """Runs of the whole checklist are made once, by the command itself; the next ones are given what that came to.

    A tool has no latency alarm by then, so that there is something to mend.
    """
    cloudwatch = world.sandbox.session().client("cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    cloudwatch.delete_alarms(
        AlarmNames=[next(each["AlarmName"] for each in alarms if each.get("MetricName") == "tool_latency_ms")]
    )
    run = readiness.run_readiness

    def once(settings, rows=None):
        if rows is not None:
            return run(settings, rows)
        world.asked_to_refresh.append(settings.refresh_costs)
        if not world.made:
            world.made.append(run(settings))
        return world.made[0]

    world.monkeypatch.setattr(readiness, "run_readiness", once)


def _runs_known(world: World, _out: str) -> None:
    run_id = world.made[0].run_id
    world.known |= {"RUN": run_id, "2b57038c": run_id[:8], "6d04b7f3": EARLIER[:8], "RUN_ID": run_id}
    keep(
        world.evidence,
        document(EARLIER, at="2026-11-22T06:00:00.000Z", environment="sandbox"),
        started_at="2026-11-22T06:00:00.000Z",
    )


def _is_json(world: World, out: str) -> None:
    assert json.loads(out or (world.folder / "readiness.json").read_text())


def _every_format(world: World, _out: str) -> None:
    names = {FORMATS[each].file_name for each in (Format.table, Format.junit, Format.sarif)}
    assert {path.name for path in (world.folder / "reports").iterdir()} == names


def _history_lost(world: World) -> None:
    (world.folder / ".phase5" / "history.sqlite").unlink()


def _files_of_ledger_and_logs(world: World) -> None:
    pages = world.sandbox.session().client("dynamodb").get_paginator("scan").paginate(TableName="cc-native-ledger")
    scan = pages.build_full_result()
    (world.folder / "ledger.json").write_text(json.dumps({"Items": scan["Items"]}))
    for name in ("good.log", "tenants.txt"):
        shutil.copy(FIELD_CASES / "logs" / name, world.folder)


def _elsewhere(world: World) -> None:
    """All is gone but the copy of the evidence that the run made on S3: Dagster's storage, and the whole state folder."""
    s3 = world.sandbox.session().client("s3")
    (copied,) = [
        each["Key"]
        for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        if each["Key"].endswith(f"{world.known['RUN']}/readiness.json")
    ]
    for name in ("readiness.json", "run.json"):
        kept = (world.evidence / EARLIER / name).read_bytes()
        s3.put_object(Bucket=BUCKET, Key=copied.replace(f"{world.known['RUN']}/readiness.json", f"{EARLIER}/{name}"), Body=kept)
    shutil.rmtree(world.folder / ".phase5")


def _policy(*actions: str):
    def look(_world: World, out: str) -> None:
        allowed = {action for each in json.loads(out)["Statement"] for action in each["Action"] if each["Effect"] == "Allow"}
        assert set(actions) <= allowed, sorted(allowed)

    return look


def _written(name: str, kind: str):
    def look(world: World, _out: str) -> None:
        text = (world.folder / name).read_text()
        assert json.loads(text)
        assert kind in text

    return look


def _report_beside_the_run(world: World, _out: str) -> None:
    page = world.evidence / world.known["RUN"] / "report.html"
    assert "<title>" in page.read_text()


ROW_FACTS = ("Alarms defined", "slo_alarms_defined", "latency_alarm_missing")

STEPS = (
    # without a run
    Step("--help", says=("check", "promote")),
    Step("sandbox --list", says=("breaker-open", "scenarios, ")),
    Step("explain 1.2", says=ROW_FACTS),
    Step("explain ROW", given={"ROW": "1.2"}, says=ROW_FACTS),
    Step("explain breaker_open", says=("breaker_open", "2.2")),
    Step("explain CODE", given={"CODE": "breaker_open"}, says=("breaker_open",)),
    Step("iam-policy", after=_policy("cloudwatch:GetMetricData")),
    Step("iam-policy --for gate", after=_policy("kms:Sign", "sns:Publish")),
    Step("iam-policy --for pipeline", after=_policy("dynamodb:GetItem")),
    Step("iam-policy --for signer --role ops-sre", after=_policy("kms:Sign")),
    Step("iam-policy --for doctor", after=_policy("iam:SimulatePrincipalPolicy", "kms:DescribeKey")),
    Step("iam-policy --for auditor", after=_policy("s3:ListBucket", "s3:GetObject")),
    # the checklist is judged; a tool has no latency alarm, and no probe is sent
    Step(
        "check",
        code=1,
        before=_judged_once,
        after=_runs_known,
        says=("BLOCKED (exit code 1)", "latency_alarm_missing", "probes_off"),
    ),
    Step("check --quiet", code=1, says=("BLOCKED (exit code 1)",)),
    Step("check --refresh", code=1, after=lambda world, _: [world.asked_to_refresh[-1]].remove(True)),
    Step("check --format json --output readiness.json", code=1, after=_is_json),
    Step("check --format oscal", code=1, after=lambda _, out: json.loads(out)["assessment-results"]),
    Step("check --format table --format junit --format sarif --output reports", code=1, after=_every_format),
    Step("report", says=("report of sandbox, run ",), after=_report_beside_the_run),
    Step("report RUN", says=("report of sandbox, run ",), after=_report_beside_the_run),
    Step("report 6d04b7f3 --output readiness.html", says=(EARLIER,)),
    Step("history", says=("Alarms defined",)),
    Step("history --row 1.2", says=("1.2",)),
    Step("history --row 1.2 --last 50", says=("1.2",)),
    Step("diff", says=("6d04b7f3",)),
    Step("diff 2b57038c", says=("6d04b7f3",)),
    Step("diff 6d04b7f3 2b57038c", says=("6d04b7f3",)),
    Step("remedy", says=("applies nothing", "put-metric-alarm")),
    Step("remedy [ROW...]", given={"[ROW...]": ""}),
    Step("remedy 1.2"),
    Step("remedy 1.2 1.3"),
    Step("remedy 1.2 --format cloudformation --output alarms.json", after=_written("alarms.json", "AWS::CloudWatch::Alarm")),
    Step("remedy --format terraform-json --output main.tf.json", after=_written("main.tf.json", "aws_cloudwatch_metric_alarm")),
    # files that people hand over
    Step("audit-ledger PATH...", given={"PATH...": "ledger.json"}, before=_files_of_ledger_and_logs, says=("PASS",)),
    Step("scan-logs PATH... --tenants FILE", given={"PATH...": "good.log", "FILE": "tenants.txt"}, says=("PASS",)),
    # rows by their id or the name of their check, on a history that was lost, and a person who accepts that
    Step("init", says=("pinned in",)),
    Step(
        "history accept --role ROLE ...",
        given={"ROLE": "ops-sre", "...": "--reason x --ticket O-1"},
        code=1,
        before=lambda world: world.become("alice"),
        says=("there, every history continues the earlier ones",),
    ),
    Step(
        "check --row 1.2 --row tool_slo_met",
        code=1,
        before=_history_lost,
        says=("NOT DECIDED", "Alarms defined", "Tool SLO met"),
    ),
    Step(
        'history accept --role ops-sre --reason "the volume was lost on Sunday" --ticket OPS-7',
        before=lambda world: world.become("alice"),
        says=("history_starts_anew", "the volume was lost on Sunday (OPS-7)", "accepted as"),
    ),
    Step(
        "history accept --run RUN_ID ...",
        given={"...": "--role ops-sre --reason x --ticket O-1"},
        code=1,  # that run found nothing lost
    ),
    Step("--debug COMMAND ...", given={"COMMAND": "explain", "...": "breaker_open"}, says=("breaker_open",)),
    # from a copy, after everything else is gone
    Step("history", before=_elsewhere, says=("Alarms defined",)),
    Step("diff 6d04b7f3 2b57038c", says=("6d04b7f3",)),
    Step("report 6d04b7f3 --output readiness.html", says=(EARLIER,)),
)


@pytest.fixture
def world(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A healthy platform, and a machine that no run was made on."""
    monkeypatch.chdir(tmp_path)
    sandbox = start("healthy")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / ".phase5"))
    monkeypatch.setenv("PHASE5_EVIDENCE_S3_URI", f"s3://{BUCKET}/runs")
    monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
    place = {"LocationConstraint": sandbox.region}
    sandbox.session().client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    return World(sandbox, monkeypatch, tmp_path, {})


def test_what_the_documents_show_of_runs_is_run_as_they_show_it(world, monkeypatch, capsys):
    walk(STEPS, world, world.known, monkeypatch, capsys)
