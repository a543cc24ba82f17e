"""`phase5 promote`: what is registered, what is refused, and what waiting ends with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from phase5_ops.commands.promote import RegistrationRequest, ask, to_instance, wait
from phase5_ops.commands.status import open_candidates
from phase5_ops.context import RunContext
from phase5_ops.gate.attestation.orders import idempotency_key
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.inputs.promotion_records import record_problems
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.gate.state.table import StateTable
from phase5_ops.settings import ConfigurationError
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.gate.people import Desk

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
    answer, series = ask(desk.settings, to_instance(instance), state, wish)
    assert (answer.exit_code, series) == (0, 1)
    assert len(tick(desk, instance).requests) == 1
    found = state.candidate(RELEASE)
    assert found.release == RELEASE
    assert found.context == {"pipeline_execution_id": "e-1", "supersede": "true"}
    assert open_candidates(desk.settings).startswith("r-1 ")


def test_a_name_that_is_taken_is_refused_before_anything_is_posted(desk, state, instance):
    ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", DIGEST))
    tick(desk, instance)
    with pytest.raises(ConfigurationError, match="CONFLICT"):
        ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", OTHER))
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
        ask(desk.settings, to_instance(instance), state, wish)
    assert instance.get_dynamic_partitions(candidates.PARTITIONS) == []


def test_nothing_is_registered_under_a_fixed_clock(desk, state, instance):
    fixed = desk.settings.model_copy(update={"now": datetime.now(UTC)})
    with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
        ask(fixed, to_instance(instance), state, RegistrationRequest("r-1", DIGEST))


def test_an_aborted_candidate_reports_its_end_again_and_is_the_next_series_where_that_is_asked_for(desk, state, instance):
    ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", DIGEST))
    tick(desk, instance)
    ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", DIGEST, abort=True))
    tick(desk, instance)
    assert state.candidate(RELEASE).fate is Fate.ABORTED
    answer, series = ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", DIGEST))
    assert (answer.exit_code, series) == (1, 1)
    assert "ABORTED" in answer.text
    assert "--new-series" in answer.text
    assert ask(desk.settings, to_instance(instance), state, RegistrationRequest("r-1", DIGEST, new_series=True))[1] == 2
    tick(desk, instance)
    assert (state.candidate(RELEASE).series, state.candidate(RELEASE).fate) == (2, Fate.PENDING)


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
    assert problems == ("the gate has not signed that it was published",)


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
