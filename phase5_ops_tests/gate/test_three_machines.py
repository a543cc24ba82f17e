"""Gate, pipeline and signer, each with a state folder of its own and one state table: every command says the same on each."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from phase5_ops.build import WORDS, build_defs
from phase5_ops.cli import app as cli
from phase5_ops.commands.in_process import QUIET
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.items import Fate
from phase5_ops.settings import load_settings
from phase5_ops_tests.commands.test_status import judged
from phase5_ops_tests.gate.own_aws import RELEASE
from phase5_ops_tests.gate.people import TRUSTED, Desk

pytestmark = pytest.mark.slow

NEWER = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
MACHINES = ("gate", "pipeline", "signer")
WHY = ("--reason", "customers cannot log in", "--ticket", "INC-1", "--yes")


@dataclass
class Machines:
    """Three machines; a command is run on one of them, as its process would."""

    desk: Desk
    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @contextmanager
    def on(self, machine: str) -> Iterator[None]:
        with self.monkeypatch.context() as patch:
            patch.setenv("PHASE5_STATE_DIR", str(self.root / machine))
            yield

    def runs(self, machine: str, *arguments: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        with self.on(machine):
            self.monkeypatch.setattr("sys.argv", ["phase5", *arguments])
            with pytest.raises(SystemExit) as end:
                cli.main()
        out = self.capsys.readouterr()
        return end.value.code, out.out, out.err

    def everywhere(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a command that says the same on every machine, but for the seconds that pass between them."""
        found = {machine: self.runs(machine, *arguments) for machine in MACHINES}
        said = {(code, re.sub(r"\d+ s ago", "N s ago", out), err) for code, out, err in found.values()}
        assert len(said) == 1, found
        return found["gate"][0], found["gate"][1]

    def status(self, release: str = RELEASE.name) -> dict:
        code, out = self.everywhere("status", release, "--format", "json")
        document = json.loads(out)
        assert document["exit_code"] == code
        return document

    def live(self) -> tuple[str, str] | None:
        code, out = self.everywhere("releases", "--format", "json")
        live = json.loads(out)["live"]
        assert code == 0
        return live and (live["release"], live["by"])

    def tick(self, instance: dg.DagsterInstance) -> Tick:
        with self.on("gate"):
            return run_tick(DecidingSession(open_run(load_settings(), "tick"), instance=instance), None, datetime.now(UTC), WORDS)

    def launch(self, instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
        with self.on("gate"):
            job = build_defs(settings=load_settings()).resolve_job_def(PROMOTION_JOB)
            config = {**request.run_config, **QUIET}
            return job.execute_in_process(config, instance=instance, tags=request.tags, raise_on_error=False).success

    def envelopes(self) -> list[str]:
        """Files of the promotion, as the state table holds them."""
        record = self.desk.open().state.promotion(RELEASE, 1)
        files = {"readiness.dsse.json": record.readiness_envelope, "decision.dsse.json": record.decision_envelope}
        for name, content in files.items():
            (self.root / name).write_text(content)
        return [str(self.root / name) for name in files]

    def keys(self) -> str:
        """The keys that the gate pinned, as they are given to who verifies."""
        return str(self.root / "gate" / "keys.json")

    def become(self, name: str) -> None:
        given = self.desk.session.client("sts").assume_role(
            RoleArn="arn:aws:iam::123456789012:role/phase5-signer-x", RoleSessionName=name
        )["Credentials"]
        for variable, part in (
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ):
            self.monkeypatch.setenv(variable, given[part])


@pytest.fixture
def machines(aws, tmp_path, monkeypatch, capsys) -> Machines:
    desk = Desk.on(aws, tmp_path / "gate")
    topic = aws.client("sns").create_topic(Name=f"told-{uuid4().hex[:8]}")["TopicArn"]
    for name, value in {
        "PHASE5_ENVIRONMENT": RELEASE.environment,
        "PHASE5_TABLES__READINESS": desk.settings.tables.readiness,
        "PHASE5_SIGNING__TRUSTED_ROLES": json.dumps([TRUSTED]),
        "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN": topic,
        "PHASE5_PROMOTION__SSM_PARAMETER": f"/phase5/{uuid4().hex[:8]}",
    }.items():
        monkeypatch.setenv(name, value)
    found = Machines(desk, tmp_path, monkeypatch, capsys)
    found.become("gate")
    session = desk.open()
    pin_keys(session.reader, desk.settings, session.state, datetime.now(UTC))
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


def test_a_candidate_that_waits_for_signatures_waits_for_them_everywhere(machines):
    machines.desk.ready()
    code, _, err = machines.runs("pipeline", "status", RELEASE.name)
    assert code == 2
    assert "the gate has said nothing" in err
    machines.desk.states(judged(machines.desk, signed=False))
    document = machines.status()
    assert (document["exit_code"], document["candidate"]["gate"]) == (1, "READY_TO_SIGN")
    code, shown = machines.everywhere("sign-off", RELEASE.name, "--role", "ops-sre", "--show")
    assert (code, RELEASE.digest in shown, "the gate is READY_TO_SIGN" in shown) == (0, True, True)


def test_what_is_promoted_rolled_back_from_and_back_to_says_so_everywhere(machines, instance):
    machines.desk.promoted(datetime.now(UTC))
    machines.desk.states(judged(machines.desk))
    assert machines.status()["decision"] == "OPEN"
    assert machines.live() == (RELEASE.name, "OPEN")
    forged = (replace(RELEASE, digest="sha256:" + "9" * 64), 1, datetime.now(UTC) + timedelta(hours=1))
    machines.desk.open().state.note_promotion(*forged, ())
    assert machines.live() == (RELEASE.name, "OPEN")  # a note says nothing of a record that is about something else
    waited = machines.everywhere("promote", RELEASE.name, "--digest", RELEASE.digest, "--local", "--wait", "--timeout", "1")
    assert (waited[0], "PROMOTED" in waited[1]) == (0, True)
    assert machines.everywhere("verify", *machines.envelopes(), "--digest", RELEASE.digest, "--policy", machines.keys())[0] == 0
    code, _, err = machines.runs("signer", "rollback", RELEASE.name, *WHY)
    assert code == 1
    assert "the release is live since" in err
    machines.desk.promoted(datetime.now(UTC), release=NEWER)
    machines.desk.states(judged(machines.desk, release=NEWER), release=NEWER)
    assert machines.live() == (NEWER.name, "OPEN")
    assert (machines.status()["decision"], machines.status()["candidate"]["replaced"][:8]) == ("OPEN", "replaced")
    machines.become("bob")
    assert machines.runs("signer", "rollback", RELEASE.name, *WHY)[0] == 0
    [request] = machines.tick(instance).requests
    assert machines.launch(instance, request)
    assert machines.live() == (RELEASE.name, "ROLLBACK")
    rolled_back = machines.status(NEWER.name)
    assert (rolled_back["decision"], rolled_back["exit_code"]) == ("BLOCKED", 1)
    assert "rolled back from" in rolled_back["blockers"][0]
    assert machines.status()["decision"] == "OPEN"
    assert "rollback" in machines.everywhere("releases")[1]


def test_glass_that_is_broken_names_what_the_gate_said_and_repeating_the_pipeline_reports_the_same_end(machines, instance):
    machines.desk.ready(fate=Fate.PENDING)
    machines.become("alice")
    order = ("break-glass", RELEASE.name, "--role", "eng-reliability", *WHY)
    code, _, err = machines.runs("signer", *order)
    assert code == 1
    assert "the gate has said nothing" in err
    machines.desk.states()
    reasons = machines.status()["blockers"]
    code, out, _ = machines.runs("signer", *order)
    assert code == 0
    assert f"goes past  {len(reasons)} reasons" in out
    assert all(reason in out for reason in reasons)
    machines.become("bob")
    assert machines.runs("signer", "break-glass", RELEASE.name, "--role", "ops-sre", "--yes")[0] == 0
    [request] = machines.tick(instance).requests
    assert machines.launch(instance, request)
    assert machines.live() == (RELEASE.name, "BREAK_GLASS")
    document = machines.status()
    assert (document["decision"], document["exit_code"], document["candidate"]["fate"]) == ("BLOCKED", 1, "BREAK_GLASS")
    assert document["blockers"][0].startswith("release BREAK_GLASS: promoted by break-glass, past the closed gate, at ")
    again = ("promote", RELEASE.name, "--digest", RELEASE.digest, "--local", "--wait", "--timeout", "1")
    for accepted, expected in (((), 1), (("--accept-break-glass",), 0)):
        code, out, _ = machines.runs("pipeline", *again, *accepted)
        assert (code, "BREAK_GLASS" in out) == (expected, True)
    assert machines.desk.open().state.candidate(RELEASE).series == 1


def test_broken_glass_that_was_rolled_back_from_says_so_and_what_was_promoted_is_not_shown_as_under_way(machines, instance):
    machines.desk.promoted(datetime.now(UTC))
    machines.desk.states(judged(machines.desk))
    machines.desk.ready(release=NEWER, fate=Fate.PENDING)
    machines.desk.states(release=NEWER)
    for name, given in (("alice", ("--role", "eng-reliability", *WHY)), ("bob", ("--role", "ops-sre", "--yes"))):
        machines.become(name)
        assert machines.runs("signer", "break-glass", NEWER.name, *given)[0] == 0
    assert all(machines.launch(instance, request) for request in machines.tick(instance).requests)
    assert machines.live() == (NEWER.name, "BREAK_GLASS")
    assert machines.runs("signer", "rollback", RELEASE.name, *WHY)[0] == 0
    assert all(machines.launch(instance, request) for request in machines.tick(instance).requests)
    assert machines.live() == (RELEASE.name, "ROLLBACK")
    document = machines.status(NEWER.name)
    assert (document["exit_code"], document["candidate"]["replaced"][:16]) == (1, "rolled back from")
    table = machines.desk.session.resource("dynamodb").Table(machines.desk.settings.tables.readiness)
    table.delete_item(Key={"pk": f"RELEASE#{RELEASE.environment}#{RELEASE.name}", "sk": "PROMOTION#000001"})
    state = machines.desk.open().state
    state.set_fate(state.candidate(RELEASE), Fate.READY_TO_SIGN)
    document = machines.status()
    assert (document["exit_code"], document["decision"]) == (1, "BLOCKED")
    assert "the record of that is gone" in document["blockers"][0]
