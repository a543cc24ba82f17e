"""Rolling back and breaking the glass, from the person's command to the run: once, or not at all and why."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from uuid import uuid4

import boto3
import dagster as dg
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS, build_defs
from phase5_ops.checklist import ROLES
from phase5_ops.commands import override as override_command
from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.override import OverrideRequest
from phase5_ops.commands.promote import wait
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import read_envelope
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override, override_of
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.defs.override_watch import watch_overrides
from phase5_ops.gate.defs.promotion_job import open_door
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, OVERRIDE_FILE
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.promotion.override_promotion import promote_override
from phase5_ops.gate.promotion.publication import Ending, PromotionOutcome
from phase5_ops.gate.state.items import Candidate, Fate, Lock, Promotion, Registered
from phase5_ops.gate.state.table import StateTable
from phase5_ops.settings import ConfigurationError, ReadingSettings, Settings, load_settings
from phase5_ops_tests.gate.own_aws import RELEASE
from phase5_ops_tests.gate.people import TRUSTED, Desk, begun_once

pytestmark = pytest.mark.slow(30)

NEWER = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
WHY = {"reason": "customers cannot log in", "ticket": "INC-1"}


@dataclass
class Incident:
    """A gate with a candidate, people, a target that keeps count, and a topic that keeps what people were told."""

    desk: Desk
    settings: Settings
    instance: dg.DagsterInstance
    become: Callable[[str], None]
    aws: boto3.Session
    queue: str

    @cached_property
    def state(self) -> StateTable:
        """The state table, as the test itself reads and writes it."""
        reader = AwsReader(ReadingSettings(max_attempts=1), session=self.aws)
        return StateTable(reader, self.desk.settings.tables.readiness)

    @property
    def candidate(self) -> Candidate:
        return self.state.candidate(RELEASE)

    def keys(self) -> KeySet:
        return self.desk.open().keys

    def asks(self, person: str, kind: OrderKind, role: str = "ops-sre", confirm=lambda _question: True, **given) -> int:
        if kind is OrderKind.BREAK_GLASS and "reason" in given:
            self.desk.states()
        self.become(person)
        return override_command.run_override(self.settings, OverrideRequest(kind, RELEASE.name, role, **given), confirm)

    def tick(self, now: datetime | None = None) -> Tick:
        sources = DecidingSession(open_run(self.settings, "tick"), instance=self.instance)
        return run_tick(sources, None, now or datetime.now(UTC), WORDS)

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        job = build_defs(settings=self.settings).resolve_job_def(PROMOTION_JOB)
        config = {**request.run_config, **QUIET}
        return job.execute_in_process(config, instance=self.instance, tags=request.tags, raise_on_error=False)

    def at(self, moment: datetime) -> DecidingSession:
        """What a tick at this moment reads from."""
        settings = self.settings.model_copy(update={"now": moment})
        return DecidingSession(open_run(settings, "tick"), instance=self.instance)

    def half_ordered(self) -> None:
        """One person has signed to break the glass."""
        self.desk.ready(fate=Fate.PENDING)
        assert self.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", **WHY) == 0

    def ordered(self) -> dg.RunRequest:
        """Two people have signed to break the glass, and the sensor asks for the run."""
        self.half_ordered()
        assert self.asks("bob", OrderKind.BREAK_GLASS) == 0
        [request] = self.tick().requests
        return request

    def carries_out(
        self, override: str | dg.RunRequest, *, run: str = "run-1", later: timedelta = timedelta(0)
    ) -> PromotionOutcome:
        """What the job does, without Dagster around it."""
        name = override if isinstance(override, str) else override.tags["phase5/override"]
        platform = open_run(self.settings, run)
        door = replace(open_door(self.instance, platform), wall=lambda: datetime.now(UTC) + later)
        return promote_override(door, name)

    def effects(self) -> list[dict[str, object]]:
        ssm = self.aws.client("ssm")
        try:
            history = ssm.get_parameter_history(Name=self.settings.promotion.ssm_parameter)["Parameters"]
        except ssm.exceptions.ParameterNotFound:
            return []
        return [json.loads(each["Value"]) for each in history]

    def told(self) -> list[str]:
        messages = self.aws.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(each["Body"])["Subject"] for each in messages]


@pytest.fixture
def incident(aws, tmp_path, monkeypatch) -> Incident:
    desk = Desk.on(aws, tmp_path / "state")
    topic = aws.client("sns").create_topic(Name=f"told-{uuid4().hex[:8]}")["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName=f"told-{uuid4().hex[:8]}")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    settings = {
        "PHASE5_ENVIRONMENT": RELEASE.environment,
        "PHASE5_STATE_DIR": str(tmp_path / "state"),
        "PHASE5_TABLES__READINESS": desk.settings.tables.readiness,
        "PHASE5_SIGNING__TRUSTED_ROLES": json.dumps([TRUSTED]),
        "PHASE5_PROMOTION__TARGET": "ssm",
        "PHASE5_PROMOTION__SSM_PARAMETER": f"/phase5/{uuid4().hex[:8]}",
        "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN": topic,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def become(person: str) -> None:
        role = "arn:aws:iam::123456789012:role/phase5-signer-x"
        given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName=person)["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])

    become("nobody")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Incident(desk, load_settings(), instance, become, aws, queue)


@pytest.fixture(scope="module")
def two_promotions(tmp_path_factory) -> Callable[[Desk], None]:
    def make(desk: Desk) -> None:
        desk.promoted(datetime.now(UTC))
        desk.promoted(datetime.now(UTC), release=NEWER)

    return begun_once(tmp_path_factory.mktemp("two-promotions"), make)


@pytest.fixture(scope="module")
def half_an_order(tmp_path_factory) -> Callable[[Desk, Incident], None]:
    return begun_once(tmp_path_factory.mktemp("half-an-order"), lambda _, incident: incident.half_ordered())


@pytest.fixture(scope="module")
def an_order(tmp_path_factory) -> Callable[[Desk, Incident], dg.RunRequest]:
    return begun_once(tmp_path_factory.mktemp("an-order"), lambda _, incident: incident.ordered())


@pytest.fixture
def half_ordered(incident, half_an_order) -> Incident:
    """One person has signed to break the glass."""
    half_an_order(incident.desk, incident)
    incident.become("nobody")
    return incident


@pytest.fixture
def ordered(incident, an_order) -> dg.RunRequest:
    """Two people have signed to break the glass, and the sensor asked for this run."""
    request = an_order(incident.desk, incident)
    incident.become("nobody")
    return request


@pytest.fixture
def promoted(incident, two_promotions) -> Incident:
    """The candidate was promoted through the open gate, and then a newer one, which is live."""
    two_promotions(incident.desk)
    return incident


def test_a_rollback_takes_effect_once_and_is_attested_as_one(promoted, capsys):
    assert promoted.asks("bob", OrderKind.ROLLBACK, **WHY) == 0
    assert "takes effect at the next tick" in capsys.readouterr().out
    [request] = promoted.tick().requests
    assert promoted.launch(request).success
    assert promoted.carries_out(request).ending is Ending.ALREADY_PROMOTED
    [effect] = promoted.effects()
    assert (effect["kind"], effect["release"], effect["digest"]) == ("ROLLBACK", RELEASE.name, RELEASE.digest)
    assert promoted.tick().requests == []
    assert promoted.candidate.fate is Fate.PROMOTED
    assert promoted.told() == [f"phase5: ROLLBACK of {RELEASE.name} in production takes effect now"]


def test_what_a_rollback_leaves_verifies_offline_for_who_accepts_it(promoted):
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    [request] = promoted.tick().requests
    assert promoted.carries_out(request, run="run-9").promoted
    folder = promoted.settings.state_dir / "evidence" / "run-9" / "attestations"
    files = {name: (folder / name).read_bytes() for name in (OVERRIDE_FILE, DECISION_FILE)}
    keys, now = promoted.desk.open().keys, datetime.now(UTC)
    given = {
        "digest": RELEASE.digest,
        "keys": keys,
        "now": now,
        "max_age": timedelta(hours=1),
        "environment": RELEASE.environment,
    }
    assert verify(files, **given, accept=[OrderKind.ROLLBACK]).problems == ()
    assert not verify(files, **given).ok


def test_an_incident_does_not_block_its_own_cure(promoted, aws_faults):
    """No readiness run, no evidence, SLO rows, alarms, functions: nothing of the platform is asked."""
    for service in ("cloudwatch", "lambda", "logs"):
        aws_faults.add("denied", service=service)
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    [request] = promoted.tick().requests
    assert promoted.carries_out(request).promoted
    assert len(promoted.effects()) == 1


def test_a_rollback_of_what_this_gate_never_promoted_is_refused(incident, capsys):
    incident.desk.ready()
    assert incident.asks("bob", OrderKind.ROLLBACK, **WHY) == 1
    assert "a rollback goes back only to a release that this gate promoted" in capsys.readouterr().err
    assert incident.state.overrides("production") == []


def test_a_rollback_to_an_attestation_that_was_replaced_or_forged_has_no_effect(promoted):
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    [request] = promoted.tick().requests
    table, key = promoted.settings.tables.readiness, {"pk": f"RELEASE#production#{RELEASE.name}", "sk": "PROMOTION#000001"}
    item = promoted.aws.resource("dynamodb").Table(table).get_item(Key=key)["Item"]
    content = json.loads(item["decision_envelope"])
    content["signatures"][0]["sig"] = content["signatures"][0]["sig"][::-1]
    promoted.aws.resource("dynamodb").Table(table).put_item(Item={**item, "decision_envelope": json.dumps(content)})
    outcome = promoted.carries_out(request)
    assert outcome.ending is Ending.BLOCKED
    assert "attestation_invalid" in outcome.reasons[0]
    assert promoted.effects() == []
    promoted.become("bob")
    assert promoted.asks("bob", OrderKind.ROLLBACK, **WHY) == 1  # nor is it asked for again


@pytest.mark.parametrize("role", [role for role in ROLES if role != "ops-sre"])
def test_a_rollback_signed_for_another_role_has_no_effect(promoted, role):
    assert promoted.asks("bob", OrderKind.ROLLBACK, role=role, **WHY) == 0
    tick = promoted.tick()
    assert tick.requests == []
    assert any("override_not_signed" in line for line in tick.lines)


def test_an_old_order_has_no_effect(promoted):
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    [request] = promoted.tick().requests
    later = datetime.now(UTC) + timedelta(minutes=61)
    assert watch_overrides(promoted.at(later), later) == ([], [])
    assert request.tags["phase5/override"].startswith("rollback-")


def test_glass_is_broken_by_two_people_who_are_told_of_and_never_attested_as_open(incident, capsys):
    incident.desk.ready(fate=Fate.PENDING)
    assert incident.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", **WHY) == 0
    shown = capsys.readouterr().out
    assert "no_readiness_run" in shown  # what is gone past stands in what is signed
    assert "waits for another person" in shown
    assert incident.tick().requests == []
    assert incident.asks("bob", OrderKind.BREAK_GLASS) == 0
    [request] = incident.tick().requests
    assert request.job_name == PROMOTION_JOB
    assert incident.launch(request).success
    [effect] = incident.effects()
    assert effect["kind"] == "BREAK_GLASS"
    assert incident.candidate.fate is Fate.BREAK_GLASS
    record = incident.state.promotion(RELEASE, 1, override=request.tags["phase5/override"])
    decided = decision_facts(read_statement(read_envelope(record.decision_envelope.encode()).payload))
    assert (decided.result, decided.levels) == ("FAILED", ("FAILED", "PHASE5_BREAK_GLASS"))
    assert incident.state.promotion(RELEASE, 1) is None  # the gate itself promoted nothing
    ends = [wait(incident.desk.open, RELEASE, 1, timeout=0, tell=print, accept_break_glass=taken) for taken in (False, True)]
    assert [end.exit_code for end in ends] == [1, 0]
    subjects = [subject for _ in range(3) for subject in incident.told()]
    assert [name.release for name, _ in incident.state.open_candidates("production")] == [RELEASE]  # what is older gives way
    assert [subject.partition(": ")[2].partition(" ")[0] for subject in subjects] == [RELEASE.name, RELEASE.name, "BREAK_GLASS"]
    assert "alice signs" in subjects[0]
    assert "takes effect now" in subjects[2]
    assert incident.tick().requests == []


def test_glass_is_not_broken_by_one_person_or_one_role(half_ordered, capsys):
    incident = half_ordered
    assert incident.asks("ALICE", OrderKind.BREAK_GLASS, role="ops-sre") == 1
    assert "takes two people" in capsys.readouterr().err
    assert incident.asks("bob", OrderKind.BREAK_GLASS, role="eng-reliability") == 1
    assert "another role must" in capsys.readouterr().err
    assert incident.tick().requests == []


def test_glass_is_not_broken_in_silence(incident, aws_faults, monkeypatch, capsys):
    incident.desk.ready(fate=Fate.PENDING)
    aws_faults.add("denied", service="sns")
    assert incident.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", **WHY) == 1
    assert "nobody could be told" in capsys.readouterr().err
    assert incident.state.overrides("production") == []
    aws_faults.clear()
    incident.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", **WHY)
    incident.asks("bob", OrderKind.BREAK_GLASS)
    [request] = incident.tick().requests
    aws_faults.add("denied", service="sns")
    outcome = incident.carries_out(request)
    assert (outcome.ending, incident.effects()) == (Ending.BLOCKED, [])
    assert "nobody was told" in outcome.reasons[0]
    aws_faults.clear()
    assert incident.carries_out(request, run="run-2").promoted
    assert len(incident.effects()) == 1
    monkeypatch.delenv("PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN")
    incident.settings = load_settings()
    with pytest.raises(ConfigurationError, match="needs a topic on which people are told"):
        incident.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", **WHY)


def test_glass_that_is_broken_closes_the_series_and_the_release_may_pass_the_gate_later(incident, ordered):
    incident.carries_out(ordered)
    how, again = incident.state.register(replace(incident.candidate, fate=Fate.PENDING, registered_at=datetime.now(UTC)))
    assert (how, again.series, again.fate) == (Registered.NEW, 2, Fate.PENDING)
    assert incident.carries_out(ordered).ending is Ending.STOPPED  # the order was for the series before
    assert len(incident.effects()) == 1


@pytest.mark.parametrize(
    "given",
    [{"reason": "x"}, {"ticket": "x"}, {"reason": "x", "ticket": "x", "context": ("broken",)}, {"context": ("a=b",)}],
)
def test_usage_errors_of_overrides(incident, given):
    incident.desk.ready()
    with pytest.raises(ConfigurationError):
        incident.asks("bob", OrderKind.BREAK_GLASS, **given)
    with pytest.raises(ConfigurationError):
        incident.asks("bob", OrderKind.ROLLBACK, **given)


def test_who_says_no_signs_nothing_and_nobody_is_told(incident):
    incident.desk.ready(fate=Fate.PENDING)
    assert incident.asks("alice", OrderKind.BREAK_GLASS, role="eng-reliability", confirm=lambda _question: False, **WHY) == 1
    assert (incident.state.overrides("production"), incident.told()) == ([], [])


def test_an_override_that_somebody_wrote_into_the_table_has_no_effect(promoted):
    """Without the role's key there is no signature, and an order of another shape is none."""
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    [stored] = promoted.state.overrides("production")
    order = override_of(stored.payload)
    forged = replace(order, id="rollback-forged", reason="because")
    promoted.state.add_override("production", forged.id, forged.payload)
    promoted.state.add_override_signature("production", forged.id, stored.signatures[0])  # signed another
    promoted.state.add_override("production", "rollback-odd", b"{}")
    tick = promoted.tick()
    assert [request.tags["phase5/override"] for request in tick.requests] == [order.id]
    said = " ".join(tick.lines)
    assert "signature_of_another_statement" in said
    assert "override rollback-odd: the item in the state table is no order" in said
    for name in (forged.id, "rollback-odd", "rollback-none"):
        assert not promoted.carries_out(name).promoted
    assert promoted.effects() == []


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


WRITES = ("add_override", "add_override_signature")
PROMOTION_WRITES = ("take_lock", "prepare_promotion", "record_promotion", "list_open", "set_fate")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", WRITES)
def test_an_order_killed_at_any_write_has_no_effect_or_its_own(half_ordered, monkeypatch, write, after):
    incident = half_ordered
    with monkeypatch.context() as dying:
        _kill_at(dying, write, after=after)
        with pytest.raises(Killed):
            incident.asks("bob", OrderKind.BREAK_GLASS)
    done = write == "add_override_signature" and after
    asked = incident.tick().requests
    assert len(asked) == done
    if not done:
        assert incident.asks("bob", OrderKind.BREAK_GLASS) == 0
        asked = incident.tick().requests
    assert incident.carries_out(asked[0]).promoted
    assert len(incident.effects()) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", PROMOTION_WRITES)
def test_a_run_of_an_order_killed_at_any_write_leaves_exactly_one_effect(incident, ordered, monkeypatch, write, after):
    with monkeypatch.context() as dying:
        _kill_at(dying, write, after=after)
        with pytest.raises(Killed):
            incident.carries_out(ordered)
    done = (write, after) == ("set_fate", True)
    again = [each for each in incident.tick().requests if each.job_name == PROMOTION_JOB]
    assert len(again) == (not done)  # the sensor has it finished
    assert incident.carries_out(ordered, run="run-2", later=timedelta(minutes=6)).promoted
    assert len(incident.effects()) == 1
    assert incident.candidate.fate is Fate.BREAK_GLASS
    assert incident.tick().requests == []


def test_an_effect_that_was_recorded_is_finished_although_the_order_has_ended(incident, ordered, monkeypatch):
    with monkeypatch.context() as dying:
        _kill_at(dying, "set_fate", after=False)
        with pytest.raises(Killed):
            incident.carries_out(ordered)
    later = datetime.now(UTC) + timedelta(hours=5)
    [again], _ = watch_overrides(incident.at(later), later)
    assert incident.carries_out(again).promoted
    assert (incident.candidate.fate, len(incident.effects())) == (Fate.BREAK_GLASS, 1)


def test_an_order_that_ended_with_an_effect_that_nobody_recorded_says_so(incident, ordered, monkeypatch):
    with monkeypatch.context() as dying:
        _kill_at(dying, "record_promotion", after=False)
        with pytest.raises(Killed):
            incident.carries_out(ordered)
    later = datetime.now(UTC) + timedelta(hours=5)
    requests, [line] = watch_overrides(incident.at(later), later)
    assert requests == []
    assert "the order may have reached the target" in line


def test_an_order_that_ends_while_it_is_carried_out_has_no_effect(incident, ordered):
    platform = open_run(incident.settings, "run-1")
    seconds = iter([0.0, 200.0])
    door = replace(open_door(incident.instance, platform), monotonic=lambda: next(seconds))
    soon = override_of(incident.state.overrides("production")[0].payload).until - timedelta(seconds=100)
    outcome = promote_override(replace(door, session=replace(door.session, at=soon)), ordered.tags["phase5/override"])
    assert (outcome.ending, incident.effects()) == (Ending.BLOCKED, [])
    assert "the order ended during the promotion" in outcome.reasons[0]


def test_glass_is_not_broken_for_what_another_run_promotes_or_has_promoted(incident, ordered):
    incident.state.take_lock(RELEASE, 1, Lock("run-of-the-gate", datetime.now(UTC), "key"))
    assert incident.carries_out(ordered).ending is Ending.WAITING
    incident.state.record_promotion(RELEASE, 1, Promotion("run-of-the-gate", datetime.now(UTC), "key", "{}", "{}", "fine"))
    outcome = incident.carries_out(ordered, later=timedelta(minutes=6))
    assert (outcome.ending, incident.effects(), incident.candidate.fate) == (Ending.BLOCKED, [], Fate.PENDING)
    assert "recorded as promoted by the open gate" in outcome.reasons[0]


def override_of_nobody() -> Override:
    now = datetime.now(UTC)
    return Override("rollback-endless", OrderKind.ROLLBACK, RELEASE, 1, "why", "T-1", "nobody", now, now)


def test_what_somebody_wrote_among_the_orders_stops_nothing(promoted):
    table = promoted.aws.resource("dynamodb").Table(promoted.settings.tables.readiness)
    odd = {"until": "0001-01-01T00:00:00+14:00"}
    endless = replace(override_of_nobody(), until=datetime.max.replace(tzinfo=UTC, microsecond=0))
    bad = [
        {"sk": "OVERRIDE#a"},
        {"sk": "OVERRIDE#b", "payload": 1},
        {"sk": "OVERRIDE#c", "payload": "text"},
        {"sk": "OVERRIDE#d", "payload": json.dumps(odd).encode()},
        {"sk": "OVERRIDE#f\n", "payload": b"x"},
        {"sk": f"OVERRIDE#{endless.id}", "payload": endless.payload},
        {"sk": "OVERRIDE#e#SIGNATURE#ops-sre#1", "payload": b"x"},
    ]
    for item in bad:
        table.put_item(Item={"pk": "OVERRIDES#production", **item})
    promoted.asks("bob", OrderKind.ROLLBACK, **WHY)
    tick = promoted.tick()
    assert len(tick.requests) == 1
    assert sum("is no order; find out" in line for line in tick.lines) == 6
    assert promoted.carries_out(tick.requests[0]).promoted


def _kill_at(dying: pytest.MonkeyPatch, write: str, *, after: bool) -> None:
    real = getattr(StateTable, write)

    def killed(self, *arguments, **named):
        if after:
            real(self, *arguments, **named)
        raise Killed

    dying.setattr(StateTable, write, killed)
