"""The commands that the documents show of the gate, run as they stand there: from `init` to glass that is broken.

One release is promoted by them, one is gone back to, one goes past the gate. Everything is as `phase5` and the gate's own code
make it (keys, items, signatures, orders, attestations), but for the evidence: it is the drill's, under which every row passes.
"""

import json
import shutil
import webbrowser
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from phase5_ops.build import WORDS, build_defs
from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.clock import iso
from phase5_ops.commands import override, promote
from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.state_folder import open_dagster
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.defs.sensor import run_tick
from phase5_ops.gate.drill.cases import GATE_DRILL
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import GateInputs, Release
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.commands.test_status import judged
from phase5_ops_tests.documentation.shown import Step, walk
from phase5_ops_tests.gate.own_aws import readiness_payload
from phase5_ops_tests.gate.people import TRUSTED, Desk
from phase5_ops_tests.report.documents import document
from phase5_ops_tests.report.test_release import stored_entry

pytestmark = pytest.mark.slow

PRODUCTION = "production"
OLDER, RELEASE, NEWER = (Release(f"2026.11.{number}", f"sha256:{str(number) * 64}", PRODUCTION) for number in (2, 3, 4))
RUN = "run-of-the-drill"
UNTIL = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
WHY = f"--reason x --ticket O-1 --until {UNTIL}"


@dataclass
class World:
    """The gate's machine, and the people at it."""

    desk: Desk
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    known: dict[str, str]
    sealed: str = ""
    opened: list[str] = field(default_factory=list)
    closing: dict[str, Finding] = field(default_factory=dict)

    def become(self, name: str) -> None:
        """Takes the session of a person whom the identity provider calls so."""
        arn = "arn:aws:iam::123456789012:role/phase5-signer-x"
        given = self.desk.session.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        for variable, part in (
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ):
            self.monkeypatch.setenv(variable, given[part])

    def tick(self) -> None:
        """A look of the sensor, and the runs of promotion_job that it asks for."""
        with open_dagster(self.folder / ".phase5") as instance:
            sources = DecidingSession(open_run(load_settings(), "tick"), instance=instance)
            requests = run_tick(sources, None, datetime.now(UTC), WORDS).requests
            job = build_defs(settings=load_settings()).resolve_job_def(PROMOTION_JOB)
            for request in requests:
                if request.job_name == PROMOTION_JOB:
                    job.execute_in_process({**request.run_config, **QUIET}, instance=instance, tags=request.tags)

    def inputs(self, release: Release, *, signed: bool = False) -> GateInputs:
        """What the gate finds of a release: the drill's evidence, and what keeps rows closed here."""
        found = judged(self.desk, signed=signed, release=release)
        if self.sealed:
            found = replace(found, bundle=replace(found.bundle, digest=self.sealed, sealed_digest=self.sealed))
        results, verdicts = dict(found.results), dict(found.bundle.verdicts)
        for row, finding in self.closing.items():
            check = ROW_OF_ID[row].check
            failing = {"verdict": Verdict.FAIL, "findings": (finding,)}
            results[check] = replace(results[check], passed=False, **failing)
            verdicts[check] = replace(verdicts[check], **failing, entry=stored_entry(ROW_OF_ID[row], results[check]))
        return replace(found, results=results, bundle=replace(found.bundle, verdicts=verdicts))


def _older(world: World) -> None:
    """A release before it was promoted."""
    world.desk.promoted(datetime.now(UTC), release=OLDER)


def _ready(world: World) -> None:
    """The readiness run of the release is over: its evidence is sealed, its statement frozen, and the gate says so."""
    store = EvidenceStore(world.folder / ".phase5" / "evidence")
    store.write_table(RUN, "gate_drill", GATE_DRILL.gathered([], NoFacts()))
    world.sealed = store.seal(RUN)
    (store.run_folder(RUN) / "readiness.json").write_text(json.dumps(document(RUN, environment=PRODUCTION).to_json()))
    world.desk.ready(readiness_payload(RELEASE, now=datetime.now(UTC), evidence_digest=world.sealed, run_id=RUN), release=RELEASE)
    world.desk.states(world.inputs(RELEASE), release=RELEASE)


def _missing(world: World) -> None:
    """Rows are closed by what a person may waive."""
    world.closing = {
        "1.2": Finding("latency_alarm_missing", Verdict.FAIL, "crm.write", "an alarm", "none"),
        "tool_slo_met": Finding("latency_slo_missed", Verdict.FAIL, "crm.write", "99 %", "98 %"),
    }
    world.desk.states(world.inputs(RELEASE), release=RELEASE)
    world.become("dora")


def _mended(world: World) -> None:
    world.closing = {}
    world.desk.states(world.inputs(RELEASE), release=RELEASE)


def _as(person: str):
    return lambda world: world.become(person)


def _promoted_while_it_waits(world: World) -> None:
    world.monkeypatch.setitem(promote.wait.__kwdefaults__, "sleep", lambda _: world.desk.promotes(datetime.now(UTC), RELEASE))


def _attested(world: World, _out: str) -> None:
    """The files of the promotion lie beside `keys.json`, as an auditor has them."""
    record = world.desk.open(now=datetime.now(UTC)).state.promotion(RELEASE, 1)
    (world.folder / "readiness.dsse.json").write_text(record.readiness_envelope)
    (world.folder / "decision.dsse.json").write_text(record.decision_envelope)
    (world.folder / "keys.json").write_bytes((world.folder / ".phase5" / "keys.json").read_bytes())
    (world.folder / "evidence").symlink_to(world.folder / ".phase5" / "evidence")
    world.known["2026-11-24T10:00:00Z"] = iso(record.promoted_at)
    world.desk.states(world.inputs(RELEASE, signed=True), release=RELEASE)


def _rolled_back_while_it_waits(world: World) -> None:
    world.become("bob")
    world.monkeypatch.setitem(override._wait.__kwdefaults__, "sleep", lambda _: world.tick())


def _live(release: Release, by: str):
    def look(_world: World, out: str) -> None:
        first = " ".join(out.split("history, newest first:", maxsplit=1)[0].split())
        assert first.startswith(f"live in {PRODUCTION}: {release.name} {release.digest} since ")
        assert f", by {by}" in first

    return look


def _registered(world: World) -> None:
    world.tick()
    world.become("ann")


def _evidence_on_s3_alone(world: World) -> None:
    """Of the run that a release rests on there is the copy alone."""
    bucket, folder = f"evidence-{uuid4().hex[:8]}", world.folder / ".phase5" / "evidence" / RUN
    s3 = world.desk.session.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket=bucket, Key=f"runs/{RUN}/{path.relative_to(folder)}", Body=path.read_bytes())
    shutil.rmtree(folder)
    world.monkeypatch.setenv("PHASE5_EVIDENCE_S3_URI", f"s3://{bucket}/runs")


STEPS = (
    Step("init", says=("pinned in", "give this file to everybody who signs or verifies")),
    Step("init --check"),
    Step("doctor", code=1, says=("is not known to have ever looked", "every setting is known and valid")),
    Step("status", says=("no open candidate in production",)),
    Step("releases", says=("nothing was ever promoted to production through this gate",)),
    # a release pipeline registers; the gate looks, and a readiness run is made
    Step("promote RELEASE --digest sha256:...", before=_older, says=("registered, series 1",)),
    Step("status RELEASE", code=2, before=World.tick, says=("PENDING", "no_readiness_run run: no readiness run")),
    Step(
        "status [RELEASE]",
        given={"[RELEASE]": RELEASE.name},
        code=1,
        before=_ready,
        says=("BLOCKED, READY TO SIGN (exit code 1)", "READY_TO_SIGN"),
    ),
    Step("status", says=(f"{RELEASE.name} {RELEASE.digest} series 1 READY_TO_SIGN",)),
    # two rows are closed, and waived
    Step(
        "waive 1.2 --release 2026.11.3 --finding latency_alarm_missing@crm.write --role security-compliance "
        '--reason "tool is retired on Friday" --ticket OPS-7 --until 2026-12-01',
        before=_missing,
        says=("row 1.2 Alarms defined", "latency_alarm_missing", "tool is retired on Friday", "OPS-7"),
    ),
    Step(
        "waive tool_slo_met ...",
        given={"...": f"--release 2026.11.3 --finding latency_slo_missed --role security-compliance {WHY}"},
        says=("row tool_slo_met Tool SLO met",),
    ),
    Step(
        "waive ROW ...",
        given={
            "ROW": "1.2",
            "...": f"--release 2026.11.3 --finding latency_alarm_missing --role eng-reliability {WHY}",
        },
        code=1,  # its owner
        says=("eng-reliability",),
    ),
    # three people sign
    Step("sign-off 2026.11.3 --role ops-sre --show", before=_mended, says=(RELEASE.digest, "READY_TO_SIGN")),
    Step("sign-off 2026.11.3 --role ops-sre", before=_as("alice"), says=("signed for ops-sre as alice", "still missing")),
    Step(
        "sign-off RELEASE --role ROLE",
        given={"ROLE": "eng-reliability"},
        before=_as("bob"),
        says=("signed for eng-reliability as bob",),
    ),
    Step(
        "sign-off RELEASE --role ROLE",
        given={"ROLE": "security-compliance"},
        before=_as("carol"),
        says=("signed for security-compliance as carol",),
    ),
    Step("audit-signatures RELEASE", code=2, says=("UNREADABLE",)),
    Step("audit-signatures 2026.11.3 --format json", code=2, after=lambda _, out: json.loads(out)),
    # the pipeline waits, and the gate promotes
    Step(
        "promote 2026.11.3 --digest sha256:... --wait --timeout 7200",
        before=_promoted_while_it_waits,
        after=_attested,
        says=("registered, series 1", "ops-sre has still to sign: phase5 sign-off 2026.11.3 --role ops-sre", "PROMOTED"),
    ),
    Step("status 2026.11.3", says=("OPEN (exit code 0)",)),
    Step("releases", after=_live(RELEASE, "the gate")),
    Step("report --release 2026.11.3 --open", says=(f"report of 2026.11.3 in production, run {RUN}",)),
    Step("verify readiness.dsse.json decision.dsse.json --digest sha256:... --environment production", says=("verified",)),
    Step("verify", code=3),  # sentences name it so; it needs files
    Step("audit-export --from DATE --to DATE", given={"DATE": "2020-01-01"}, says=("5 files, 0 missing",)),
    Step(
        "audit-export --from 2026-10-01 --to 2026-12-31 --output audit.tar.gz",
        given={"2026-10-01": "2020-01-01", "2026-12-31": "2099-12-31"},
        says=("audit.tar.gz: ",),
    ),
    # the evidence is the drill's, so that no run has recorded it: all else verifies
    Step(
        "verify audit.tar.gz --policy keys.json", code=1, says=("NOT VERIFIED: 3 missing,", "the record of run run-of-the-drill")
    ),
    Step("verify ARCHIVE", given={"ARCHIVE": "audit.tar.gz"}, code=1),
    Step(
        "verify FILE... --digest sha256:... --environment NAME",
        given={"FILE...": "readiness.dsse.json decision.dsse.json", "NAME": PRODUCTION},
        says=("verified",),
    ),
    Step(
        "verify readiness.dsse.json decision.dsse.json --digest sha256:... --environment production"
        " --policy keys.json --at 2026-11-24T10:00:00Z --evidence evidence/RUN",
        says=("verified", "signed for ops-sre by: alice", "decided at", f"of run: {RUN}"),
    ),
    # back to the release before it
    Step(
        'rollback 2026.11.2 --reason "2026.11.3 loses orders" --ticket INC-42 --wait',
        before=_rolled_back_while_it_waits,
        says=("signed for ops-sre as bob", "took effect at"),
    ),
    Step("releases", after=_live(OLDER, "rollback")),
    Step("status 2026.11.3", code=1, says=("rolled back from",)),
    Step(
        "rollback RELEASE ...",
        given={"RELEASE": OLDER.name, "...": "--reason again --ticket INC-42"},
        code=1,  # it is live already
        says=("the release is live since",),
    ),
    # past the closed gate
    Step(
        "promote RELEASE --digest sha256:...",
        given={"RELEASE": NEWER.name, "sha256:...": NEWER.digest},
        says=("registered, series 1",),
    ),
    Step(
        'break-glass 2026.11.4 --role ops-sre --reason "hotfix, probes are down" --ticket INC-43',
        before=_registered,
        says=("signed for ops-sre as ann", "waits for another person", "phase5 break-glass 2026.11.4 --role ROLE"),
    ),
    Step(
        "break-glass 2026.11.4 --role eng-reliability",
        before=_as("ben"),
        says=("hotfix, probes are down", "signed for eng-reliability as ben", "takes effect at the next tick"),
        after=lambda world, _: world.tick(),
    ),
    Step("releases", after=_live(NEWER, "break-glass")),
    Step("status RELEASE", given={"RELEASE": NEWER.name}, code=1, says=("promoted by break-glass, past the closed gate",)),
)


@pytest.fixture
def world(aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine without a state folder; an older release was promoted from it."""
    monkeypatch.chdir(tmp_path)
    desk = Desk.on(aws, tmp_path / ".phase5")
    topic = aws.client("sns").create_topic(Name=f"told-{uuid4().hex[:8]}")["TopicArn"]
    for name, value in {
        "PHASE5_ENVIRONMENT": PRODUCTION,
        "PHASE5_TABLES__READINESS": desk.settings.tables.readiness,
        "PHASE5_SIGNING__TRUSTED_ROLES": json.dumps([TRUSTED]),
        "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN": topic,
    }.items():
        monkeypatch.setenv(name, value)
    known = {
        "RELEASE": RELEASE.name,
        "sha256:...": RELEASE.digest,
        "RUN": RUN,
        "2026-12-01": UNTIL,
    }
    made = World(desk, monkeypatch, tmp_path, known)
    made.become("gate")
    monkeypatch.setattr(webbrowser, "open", lambda address: made.opened.append(address) or True)
    return made


def test_what_the_documents_show_of_the_gate_is_run_as_they_show_it(world, tmp_path, monkeypatch, capsys):
    walk(STEPS, world, world.known, monkeypatch, capsys)
    _evidence_on_s3_alone(world)
    elsewhere = (
        Step("report --release 2026.11.3", code=3, says=(f"the folder of run {RUN} is not on this machine: name a file with",)),
        Step(
            "report --release 2026.11.3 --output release.html",
            says=(f"report of 2026.11.3 in production, run {RUN}, evaluated at", "release.html"),
        ),
    )
    walk(elsewhere, world, world.known, monkeypatch, capsys)
    page = (tmp_path / "release.html").read_text()
    assert "rolled back from" in page  # what became of it since is shown
    assert "cannot be compared with its seal" not in page  # the copy's manifest was read
