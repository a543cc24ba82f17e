"""`phase5 promote`: what is registered, what is refused, and what waiting ends with."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from phase5_ops.checklist import ROLES
from phase5_ops.commands.promote import RegistrationRequest, ask, to_instance, wait
from phase5_ops.commands.status import open_candidates
from phase5_ops.context import RunContext
from phase5_ops.gate.attestation.orders import idempotency_key
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.inputs.promotion_records import record_problems
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import ConfigurationError
from phase5_ops_tests.commands.test_status import judged
from phase5_ops_tests.gate.own_aws import DIGEST, NOW
from phase5_ops_tests.gate.own_aws import RELEASE as RELEASE_OF_DESK
from phase5_ops_tests.gate.people import Desk

ALONE = DagsterNames()

pytestmark = pytest.mark.slow

OTHER = "sha256:" + "0" * 64
RELEASE = Release("r-1", DIGEST, "production")


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path)


@pytest.fixture
def state(desk) -> StateTable:
    return desk.open().state


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


def tick(desk: Desk, instance) -> sensor.Tick:
    from phase5_ops.build import WORDS
    from phase5_ops.context import open_run

    platform: RunContext = open_run(desk.settings, "gate")
    return sensor.run_tick(DecidingSession(platform, instance=instance), None, datetime.now(UTC), WORDS)


def test_what_is_registered_by_command_is_what_the_sensor_takes(desk, state, instance):
    wish = RegistrationRequest("r-1", DIGEST, supersede=True, context=("pipeline_execution_id=e-1",))
    answer, series = ask(desk.settings, to_instance(instance, ALONE), state, wish)
    assert (answer.exit_code, series) == (0, 1)
    assert len(tick(desk, instance).requests) == 1
    found = state.candidate(RELEASE)
    assert found.release == RELEASE
    assert found.context == {"pipeline_execution_id": "e-1", "supersede": "true"}
    assert open_candidates(desk.settings, 120).startswith("r-1 ")


def test_a_name_that_is_taken_is_refused_before_anything_is_posted(desk, state, instance):
    ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST))
    tick(desk, instance)
    with pytest.raises(ConfigurationError, match="CONFLICT"):
        ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", OTHER))
    assert len(instance.fetch_materializations(dg.AssetKey(candidates.ASSET), limit=9).records) == 1


@pytest.mark.parametrize(
    "wish",
    [
        RegistrationRequest("../x", DIGEST),
        RegistrationRequest("r-1", "sha256:1"),
        RegistrationRequest("r-1", DIGEST, context=("novalue",)),
        RegistrationRequest("r-1", DIGEST, abort=True),
    ],
)
def test_what_may_not_be_asked_for_is_a_usage_error(desk, state, instance, wish):
    with pytest.raises(ConfigurationError):
        ask(desk.settings, to_instance(instance, ALONE), state, wish)
    assert instance.get_dynamic_partitions(DagsterNames().releases) == []


def test_nothing_is_registered_under_a_fixed_clock(desk, state, instance):
    fixed = desk.settings.model_copy(update={"now": datetime.now(UTC)})
    with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
        ask(fixed, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST))


def test_a_candidate_under_way_says_that_it_keeps_the_context_it_was_registered_with(desk, state, instance):
    first = RegistrationRequest("r-1", DIGEST, context=("execution=1",), supersede=True)
    ask(desk.settings, to_instance(instance, ALONE), state, first)
    tick(desk, instance)
    for again, said in (
        (first, ""),
        (replace(first, context=("execution=2",)), "; it keeps the context that it was registered with first: execution=1"),
    ):
        answer, _ = ask(desk.settings, to_instance(instance, ALONE), state, again)
        assert answer.text == f"r-1 {DIGEST}: registered, series 1{said}"


def test_an_aborted_candidate_reports_its_end_again_and_is_the_next_series_where_that_is_asked_for(desk, state, instance):
    ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST))
    tick(desk, instance)
    ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST, abort=True))
    tick(desk, instance)
    assert state.candidate(RELEASE).fate is Fate.ABORTED
    answer, series = ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST))
    assert (answer.exit_code, series) == (1, 1)
    assert "ABORTED" in answer.text
    assert "--new-series" in answer.text
    assert ask(desk.settings, to_instance(instance, ALONE), state, RegistrationRequest("r-1", DIGEST, new_series=True))[1] == 2
    tick(desk, instance)
    assert (state.candidate(RELEASE).series, state.candidate(RELEASE).fate) == (2, Fate.PENDING)


def test_a_new_series_that_the_sensor_has_not_seen_yet_is_aborted_with_the_rest(desk, state, instance):
    post, asked = to_instance(instance, ALONE), RegistrationRequest("r-1", DIGEST)
    ask(desk.settings, post, state, asked)
    tick(desk, instance)
    state.set_fate(state.candidate(RELEASE), Fate.REJECTED, "a row fails")
    for wanted, code in (("new_series", 0), ("abort", 1)):
        assert ask(desk.settings, post, state, replace(asked, **{wanted: True}))[0].exit_code == code
    tick(desk, instance)
    assert (state.candidate(RELEASE).series, state.candidate(RELEASE).fate) == (2, Fate.ABORTED)


def waited(desk: Desk, release: Release, series: int = 1, **given):
    clock = iter(range(100))
    given = {"timeout": 3, "tell": lambda _: None, "monotonic": lambda: next(clock), "sleep": lambda _: None, **given}
    return wait(desk.open, release, series, **given)


@pytest.mark.parametrize("fate", [Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED, Fate.PENDING])
def test_waiting_ends_with_the_candidates_fate_or_with_its_time(desk, state, fate):
    now = datetime.now(UTC)
    candidate = Candidate(RELEASE, 1, Fate.PENDING, now, now + timedelta(days=1), "p")
    state.register(candidate)
    state.set_fate(candidate, fate, "because")
    answer = waited(desk, RELEASE)
    assert answer.exit_code == 1
    assert str(fate) in answer.text


def test_what_the_gate_promoted_is_promoted(desk):
    promoted = desk.promoted()
    answer = waited(desk, promoted.release)
    assert (answer.exit_code, "PROMOTED" in answer.text) == (0, True)


@pytest.mark.parametrize("fate", [Fate.PROMOTED, Fate.BREAK_GLASS])
def test_a_fate_that_somebody_wrote_into_the_table_is_not_taken_for_a_promotion(desk, state, fate):
    candidate = desk.ready()
    state.set_fate(candidate, fate)
    answer = waited(desk, candidate.release, accept_break_glass=True)
    assert answer.exit_code == 2
    assert "there is no record" in answer.text


@pytest.mark.parametrize("forged", ["readiness_envelope", "decision_envelope", "idempotency_key"])
def test_a_record_that_somebody_wrote_into_the_table_is_not_taken_for_a_promotion(desk, state, forged):
    candidate = desk.promoted()
    record = state.promotion(candidate.release, 1)
    again = replace(candidate, release=replace(candidate.release, name="forged"))
    state.register(replace(again, fate=Fate.PENDING))
    state.set_fate(replace(again, fate=Fate.PENDING), Fate.PROMOTED)
    state.record_promotion(again.release, 1, record)  # a good record of another release
    assert waited(desk, again.release).exit_code == 2
    again = replace(candidate, release=replace(candidate.release, name="edited"))
    state.register(replace(again, fate=Fate.PENDING))
    state.set_fate(replace(again, fate=Fate.PENDING), Fate.PROMOTED)
    state.record_promotion(again.release, 1, replace(record, **{forged: "{}"}))
    answer = waited(desk, again.release)
    assert (answer.exit_code, "not known whether it was promoted" in answer.text) == (2, True)


@pytest.mark.parametrize("series", [1, 2])
def test_what_was_prepared_or_belongs_to_another_series_is_no_record_of_a_promotion(desk, state, series):
    """Copied by somebody who can write items and sign nothing: the gate's own signature is over this series' publication."""
    candidate = desk.promoted()
    record = state.promotion(candidate.release, 1)
    if series == 1:
        record = replace(record, key_id="", signature="")
    else:
        record = replace(record, idempotency_key=idempotency_key(candidate.release, 2))
    problems = record_problems(record, candidate.release, series, keys=desk.open().keys, now=record.promoted_at)
    of_another = () if series == 1 else (f"it is about series 1, not {series}",)
    assert problems == ("the gate has not signed that it was published", *of_another)


def test_broken_glass_is_promoted_only_for_who_accepts_it(desk, state):
    candidate = desk.ready()
    state.set_fate(candidate, Fate.BREAK_GLASS)
    answer = waited(desk, candidate.release)
    assert answer.exit_code == 1
    assert "the gate was not open" in answer.text


def test_waiting_does_not_take_an_earlier_series_for_its_own(desk, state):
    now = datetime.now(UTC)
    candidate = Candidate(RELEASE, 1, Fate.PENDING, now, now + timedelta(days=1), "p")
    state.register(candidate)
    state.set_fate(candidate, Fate.REJECTED, "old")
    pauses: list[float] = []

    def register_again(seconds: float) -> None:
        pauses.append(seconds)
        state.register(candidate)
        state.set_fate(replace(candidate, series=2), Fate.ABORTED)

    answer = waited(desk, RELEASE, 2, timeout=60, sleep=register_again)
    assert (answer.exit_code, len(pauses)) == (1, 1)
    assert "series 2 ABORTED" in answer.text


# --- what is told while it waits ---------------------------------------------------------------------------------------------


def told(desk: Desk, release: Release, changes=(), *, looks: int | None = None, seconds: float = 10.0) -> list[str]:
    """What waiting tells, without its times: a change is made after each look, and the looks are `seconds` apart."""
    lines: list[str] = []
    steps, clock = iter(changes), [0.0]

    def sleep(_: float) -> None:
        clock[0] += seconds
        next(steps, lambda: None)()

    wait(
        desk.open,
        release,
        1,
        timeout=(looks if looks is not None else len(changes)) * seconds,
        tell=lines.append,
        monotonic=lambda: clock[0],
        sleep=sleep,
        clock=lambda: datetime(2026, 11, 29, 12, tzinfo=UTC),
    )
    assert all(each.startswith("2026-11-29T12:00:00.000Z r-1.2.3") for each in lines)
    return [each.removeprefix("2026-11-29T12:00:00.000Z ") for each in lines]


def test_each_change_is_told_with_blockers_and_who_has_still_to_sign_how(desk):
    candidate = desk.ready(fate=Fate.PENDING)
    reason = GateReason.ALARM_FIRING_NOW.closes("release", "latency", "ALARM since\n::error::12:00")
    again = GateReason.ALARM_FIRING_NOW.closes("release", "latency", "ALARM since 12:01")
    complete = judged(desk, signed=False)
    lines = told(
        desk,
        candidate.release,
        [
            lambda: desk.states(replace(complete, closing=(reason,)), now=NOW),
            lambda: desk.states(replace(complete, closing=(again,)), now=NOW),
            lambda: desk.states(complete, now=NOW),
            lambda: desk.open().state.set_fate(candidate, Fate.READY_TO_SIGN),
            lambda: desk.states(judged(desk), now=NOW),
        ],
    )
    first, unknown, *rest = lines
    assert first == f"r-1.2.3 {DIGEST} series 1 PENDING"
    assert "not known yet: the gate has said nothing of" in unknown
    head = "r-1.2.3: the gate is {}, by run run-of-the-drill: see phase5 status r-1.2.3"
    asked = [f"r-1.2.3: {role} has still to sign: phase5 sign-off r-1.2.3 --role {role}" for role in ROLES]
    assert rest[:-3] == [
        head.format("BLOCKED"),
        "r-1.2.3: blocked by release BLOCKED alarm_firing_now latency: ALARM since\\n::error::12:00",
        head.format("READY_TO_SIGN"),
        "r-1.2.3: no longer blocked by release BLOCKED alarm_firing_now latency",
        f"r-1.2.3 {DIGEST} series 1 READY_TO_SIGN",
        *asked,
        head.format("OPEN"),
    ]
    assert [line.split(": ")[1].split()[:3] for line in rest[-3:]] == [[role, "has", "signed"] for role in ROLES]


def test_while_nothing_changes_there_is_a_line_now_and_then_alone(desk):
    desk.ready()
    desk.states(now=NOW)
    lines = told(desk, RELEASE_OF_DESK, looks=7, seconds=100)
    blockers = sum(" blocked by " in line for line in lines)
    assert blockers
    beats = [line for line in lines if "still waiting after" in line]
    assert beats == [f"r-1.2.3: still waiting after {n} min, nothing has changed, {blockers} blockers" for n in (5, 10)]
    assert len(lines) == len(set(lines)) == blockers + 1 + 1 + len(ROLES) + 2


def test_a_gate_whose_document_cannot_be_read_is_waited_for_all_the_same(desk, aws_faults):
    candidate = desk.ready()
    desk.open().state.set_fate(candidate, Fate.REJECTED, "late")
    desk.open().state.renew(replace(candidate, fate=Fate.REJECTED))
    item = {"pk": "RELEASE#production#r-1.2.3", "sk": "STATED#000002", "packed": b"x", "key_id": "k", "signature": b"s"}
    desk.session.resource("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).Table(desk.settings.tables.readiness).put_item(
        Item=item
    )
    lines = told(desk, candidate.release, looks=3)
    assert len(lines) == 2
    assert "what keeps the gate closed is not known yet: " in lines[1]


def test_the_attestation_of_a_promotion_is_kept_for_whoever_deploys(desk, tmp_path):
    candidate = desk.promoted(now=datetime.now(UTC))
    answer = waited(desk, candidate.release)
    answer.keep(tmp_path / "out" / "attestation")
    files = {path.name: path.read_bytes() for path in (tmp_path / "out" / "attestation").iterdir()}
    assert sorted(files) == ["decision.dsse.json", "readiness.dsse.json"]
    given = {"keys": desk.open().keys, "now": datetime.now(UTC), "max_age": timedelta(hours=1), "environment": "production"}
    assert verify(files, digest=DIGEST, **given).problems == ()
    assert not verify(files, digest=OTHER, **given).ok
    assert waited(desk, Release("r-none", DIGEST, "production")).attestation == {}
