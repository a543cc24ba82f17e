"""Ticks of the sensor on a real Dagster instance, state table and keys: what is registered, asked for, frozen and closed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import pytest

from phase5_ops.build import WORDS
from phase5_ops.checklist import ROLES
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import ATTEMPT_TAG, DIGEST_TAG, PROMOTION_JOB, READINESS_JOB, RELEASE_TAG, SERIES_TAG
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.candidates.next_step import Queue
from phase5_ops.gate.decision.alarm_rules import STORED_ALARMS, StoredAlarm
from phase5_ops.gate.decision.deployed_rules import DEPLOYED_IDENTITY
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.defs.notification_watch import watch_notices
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.candidate_events import candidate_events, database_of
from phase5_ops.gate.inputs.read import DecidingSession, as_promoted
from phase5_ops.gate.records import ReadinessRun, Release, RunFacts, RunState, Waiver
from phase5_ops.gate.signing.kms import load_key
from phase5_ops.gate.state.items import Fate, Promotion, StateError, Written
from phase5_ops.gate.state.notice_box import NoticeBox
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.policy import GatePolicy, NotificationPolicy
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def sources(aws, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        yield DecidingSession(open_run(desk.settings, "gate"), instance=instance)


def register(sources: DecidingSession, name: str | None = "r-1", digest: object = DIGEST, **metadata) -> None:
    given = {**({"digest": digest} if digest else {}), **metadata}
    sources.instance.report_runless_asset_event(dg.AssetMaterialization(candidates.ASSET, partition=name, metadata=given))


def tick(sources: DecidingSession, cursor: str | None = None, now: datetime | None = None) -> sensor.Tick:
    return sensor.run_tick(sources, cursor, now or datetime.now(UTC), WORDS)


def fate(sources: DecidingSession, name: str = "r-1") -> Fate | None:
    found = sources.state.candidate(Release(name, "", "production"))
    return found.fate if found else None


def judged(monkeypatch: pytest.MonkeyPatch, *, signed: bool = False, closed: bool = False, ended: datetime | None = None) -> None:
    """The candidate's run is over, and everything in it opens."""

    def inputs(sources, candidate, *, runs=None):
        complete = complete_inputs(GatePolicy(), sources.run.now())
        release = candidate.release
        owned = RunFacts("run-1", READINESS_JOB, RunState.FINISHED, release.environment, release.digest)
        results = {name: replace(result, run=owned) for name, result in complete.results.items()}
        bundle = replace(complete.bundle, run_id="run-1")
        frozen = sources.state.statement(release, candidate.series)
        facts = facts_of(frozen.payload) if frozen else None
        offs = tuple(
            replace(off, release=release, statement_digest=facts.statement_digest)
            for off in (complete.sign_offs if signed and facts else ())
        )
        return replace(
            complete,
            release=release,
            run_id="run-1",
            results={} if closed else {n: replace(r, target_run_id="run-1") for n, r in results.items()},
            bundle=bundle,
            statement=facts,
            sign_offs=offs,
        )

    def runs(_found, release, _series, job):
        facts = RunFacts("run-1", job, RunState.FINISHED, release.environment, release.digest)
        return [ReadinessRun(facts, release.name, 1, 1, ended or datetime.now(UTC), None)] if job == READINESS_JOB else []

    monkeypatch.setattr(sensor, "read_inputs", inputs)
    monkeypatch.setattr(check_state.CandidateRuns, "of", runs)


def recorded(sources: DecidingSession, *, alarm: str = "OK") -> None:
    """What the candidate's run kept of the platform: no function, one alarm."""
    store = sources.run.store
    store.write_table("run-1", "slo_alarms", STORED_ALARMS.gathered([StoredAlarm("t", "slo-a", alarm)], NoFacts()))
    store.write_table("run-1", "deployed_identity", DEPLOYED_IDENTITY.gathered([], NoFacts()))


def alarm_is(aws, state: str) -> None:
    client = aws.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="slo-a",
        Namespace="n",
        MetricName="m",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    client.set_alarm_state(AlarmName="slo-a", StateValue=state, StateReason="test")


def deployed(sources: DecidingSession, **functions: str) -> DecidingSession:
    """A tick's sources on a platform where these functions (name -> code) run."""
    fresh = DecidingSession(sources.run, instance=sources.instance)
    fresh.present.deployed = ({("function", name): ("1", code) for name, code in functions.items()}, ())
    return fresh


def test_a_registered_candidate_gets_one_run_with_its_tags(sources):
    register(sources)
    first = tick(sources)
    (request,) = first.requests
    assert request.job_name == READINESS_JOB
    assert request.tags[DIGEST_TAG] == DIGEST
    assert (request.tags[SERIES_TAG], request.tags[ATTEMPT_TAG]) == ("1", "1")
    assert sources.instance.get_dynamic_partitions(DagsterNames().releases) == ["r-1"]
    again = tick(sources, first.cursor)
    assert [each.run_key for each in again.requests] == [request.run_key]  # Dagster makes one run of a key


@pytest.mark.parametrize(
    ("name", "digest"), [(None, DIGEST), ("../x", DIGEST), ("r-1", None), ("r-1", "sha256:1"), ("$(id)", DIGEST)]
)
def test_what_is_no_registration_is_refused_and_said_and_leaves_no_trace(sources, name, digest):
    register(sources, name, digest)
    found = tick(sources)
    assert found.requests == []
    assert found.lines[0].startswith("refused an event")
    assert sources.instance.get_dynamic_partitions(DagsterNames().releases) == []
    assert sources.state.open_candidates("production") == []


#: Dagster stores these and cannot read them again.
UNREADABLE = ({"__class__": "AssetKey", "x": 1}, {"__class__": "Foo"}, {"__mapping_items__": 5})


@pytest.mark.parametrize("count", [1, 2, 11])
def test_events_that_dagster_cannot_read_again_are_said_and_hide_no_registration(sources, count):
    register(sources, "r-0")
    for n in range(count):
        register(sources, f"x-{n}", UNREADABLE[n % len(UNREADABLE)])
    register(sources, "r-2")
    found = tick(sources)
    lines = found.lines
    if count > 10:  # what one look finds
        found = tick(sources, found.cursor)
        lines += found.lines
    assert sum("cannot read event" in line for line in lines) == count
    assert fate(sources, "r-2") is Fate.PENDING
    assert sources.instance.get_dynamic_partitions(DagsterNames().releases) == ["r-0", "r-2"]
    assert not any("event" in line for line in tick(sources, found.cursor).lines)


def test_a_cursor_that_stands_on_an_unreadable_event_is_no_reason_to_read_all_again(sources):
    register(sources, "r-0")
    register(sources, "x", UNREADABLE[0])
    cursor = tick(sources).cursor
    assert candidate_events(sources.instance, DagsterNames().key(candidates.ASSET), cursor, 9, datetime.now(UTC))[0] == []
    register(sources, "r-2")
    (event,), _ = candidate_events(sources.instance, DagsterNames().key(candidates.ASSET), cursor, 9, datetime.now(UTC))
    assert event.partition == "r-2"


def test_a_state_table_that_was_put_back_has_the_aborts_since_then_applied_before_anything_is_worked_on(sources, monkeypatch):
    register(sources)
    before = tick(sources).cursor
    register(sources, abort="true")
    settled = tick(sources, before, datetime.now(UTC) + timedelta(minutes=5)).cursor
    state, aborted = sources.state, sources.state.candidate(Release("r-1", "", "production"))
    assert (aborted.fate, state.applied_events("production", database_of(sources.instance))) == (Fate.ABORTED, settled)
    # the table as of before the abort
    state.set_fate(aborted, Fate.PENDING)
    state.note_applied_events("production", database_of(sources.instance), before, instead_of=settled)
    judged(monkeypatch, signed=True)  # all has signed what would open now
    found = tick(sources, settled, datetime.now(UTC) + timedelta(minutes=6))
    assert (fate(sources), found.requests) == (Fate.ABORTED, [])
    assert "the state table does not know of events that were applied" in found.lines[0]
    again = tick(sources, found.cursor, datetime.now(UTC) + timedelta(minutes=6))
    assert not any("does not know" in line for line in again.lines)


def test_what_another_dagster_has_applied_to_the_table_says_nothing_of_this_ones_events(sources):
    register(sources)
    cursor = tick(sources, None, datetime.now(UTC) + timedelta(minutes=5)).cursor
    with dg.DagsterInstance.ephemeral() as other:
        noted = database_of(other)
        assert noted != database_of(sources.instance) == database_of(sources.instance)
        sources.state.note_applied_events("production", noted, "0", instead_of=None)
    found = tick(sources, cursor, datetime.now(UTC) + timedelta(minutes=6))
    assert not any("does not know" in line for line in found.lines)


def test_no_candidate_is_worked_on_before_all_events_are_read(sources, monkeypatch):
    monkeypatch.setattr(sensor, "_EVENTS_A_TICK", 2)
    register(sources)
    register(sources, "r-2")
    register(sources, abort="true")
    first = tick(sources)
    assert first.requests == []
    assert "no candidate before it" in first.lines[-1]
    second = tick(sources, first.cursor)
    assert [request.tags[RELEASE_TAG] for request in second.requests] == ["r-2"]
    assert fate(sources) is Fate.ABORTED


@pytest.mark.parametrize("failing", [{3}, range(99)], ids=["once", "all the time"])
def test_a_storage_that_does_not_answer_is_not_taken_for_an_unreadable_event(sources, monkeypatch, failing):
    register(sources)
    fetch, calls = type(sources.instance).fetch_materializations, []

    def down(*given, **options):
        calls.append(given)
        if len(calls) in failing:
            raise OSError("database is down")
        return fetch(*given, **options)

    with monkeypatch.context() as outage:
        outage.setattr(type(sources.instance), "fetch_materializations", down)
        with pytest.raises(OSError, match="database is down"):
            tick(sources)
    assert len(calls) < 5 or len(failing) == 1  # one that is down is not asked sixty times
    assert len(tick(sources).requests) == 1  # nothing was lost


def test_another_digest_under_the_same_name_is_a_conflict_and_the_first_stays(sources):
    register(sources)
    register(sources, digest=OTHER)
    found = tick(sources)
    assert any(line.startswith("CONFLICT") for line in found.lines)
    assert [request.tags[DIGEST_TAG] for request in found.requests] == [DIGEST]


@pytest.mark.parametrize("cursor", [None, "0", "x", "-1", "9" * 18, "9" * 5000])
def test_a_reset_or_forged_cursor_brings_no_closed_candidate_back(sources, cursor):
    register(sources)
    tick(sources)
    register(sources, abort=True)
    tick(sources)
    assert fate(sources) is Fate.ABORTED
    assert tick(sources, cursor).requests == []
    assert fate(sources) is Fate.ABORTED
    assert sources.state.candidate(Release("r-1", "", "production")).series == 1


def test_a_cursor_that_was_set_ahead_hides_no_registration(sources):
    tick(sources)
    register(sources)
    assert tick(sources, "9" * 12).lines
    assert fate(sources) is Fate.PENDING


def test_a_candidate_whose_rows_open_is_frozen_signed_by_the_gate_and_waits_without_runs(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)
    assert fate(sources) is Fate.READY_TO_SIGN
    frozen = sources.state.statement(Release("r-1", DIGEST, "production"), 1)
    key = load_key(sources.run.reader, sources.run.settings.signing, GATE)
    assert key.key_id == frozen.gate_key_id
    assert key.verifies(frozen.payload, frozen.gate_signature)
    waiting = tick(sources, cursor)
    assert waiting.requests == []
    assert sum("signature_missing" in line for line in waiting.lines) == len(ROLES)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, None),
        ({"evidence_s3_uri": "s3://evidence/phase5/"}, "s3://evidence/phase5/run-1/"),
        (
            {"evidence_s3_uri": "s3://evidence", "dagster_url": "https://dagster.example.com/x/"},
            "https://dagster.example.com/x/runs/run-1",
        ),
    ],
)
def test_what_is_frozen_names_what_was_not_tried_and_where_the_run_is(sources, monkeypatch, changes, url):
    settings = load_settings(**{**dict(sources.run.settings), **changes})
    sources = DecidingSession(replace(sources.run, settings=settings), instance=sources.instance)
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)
    payload = sources.state.statement(Release("r-1", DIGEST, "production"), 1).payload
    predicate = json.loads(payload)["predicate"]
    said = {part["name"]: part.get("annotations") for part in predicate["configuration"]}
    assert predicate.get("url") == url
    assert any("event_log_group" in line for line in said["evidence"]["not_tried"])


def test_a_waiver_that_matches_nothing_is_said_and_a_used_one_is_counted_in_the_statement(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    state, gap = sources.state, ("alarm_missing", "a")
    state.note_promotion(Release("r-0", OTHER, "production"), 1, datetime.now(UTC), {("1.2", gap)})
    now = sources.run.now()
    waiver = Waiver("w-1", "1.2", DIGEST, frozenset({gap}), "why", "T-1", now, now + timedelta(days=1), "ops-sre", "bob")
    vain = replace(waiver, id="w-2", pairs=frozenset({("alarm_missing", "z")}))
    judged(monkeypatch)
    inputs = sensor.read_inputs

    def waived(*arguments, **named):
        found = inputs(*arguments, **named)
        verdict = {"verdict": Verdict.FAIL, "findings": (Finding(gap[0], Verdict.FAIL, gap[1], "", ""),)}
        result = replace(found.results["slo_alarms_defined"], passed=False, **verdict)
        stored = replace(found.bundle.verdicts["slo_alarms_defined"], **verdict)
        bundle = replace(found.bundle, verdicts={**found.bundle.verdicts, "slo_alarms_defined": stored})
        return replace(found, results={**found.results, "slo_alarms_defined": result}, bundle=bundle, waivers=(waiver, vain))

    monkeypatch.setattr(sensor, "read_inputs", waived)
    assert "r-1: waiver w-2 of row 1.2 matches nothing: alarm_missing@z" in tick(sources, cursor).lines
    payload = state.statement(Release("r-1", DIGEST, "production"), 1).payload
    (shown,) = json.loads(payload)["predicate"]["configuration"][3]["annotations"]["waivers"]
    assert (shown["id"], shown["releases_in_a_row"]) == ("w-1", 2)


def test_a_signed_candidate_is_promoted_by_the_promotion_job(sources, aws, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch, signed=True)
    recorded(sources)
    alarm_is(aws, "OK")
    tick(sources, cursor)
    (request,) = tick(sources, cursor).requests
    assert request.job_name == PROMOTION_JOB
    assert request.run_config == sensor.promotion_run_config(Release("r-1", DIGEST, "production"))


def test_an_alarm_that_fires_when_all_is_signed_keeps_it_from_promotion_until_a_confirmation_run(sources, aws, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch, signed=True)
    recorded(sources)
    alarm_is(aws, "ALARM")
    tick(sources, cursor)
    assert fate(sources) is Fate.READY_TO_SIGN  # it may be over when all have signed
    waiting = tick(DecidingSession(sources.run, instance=sources.instance), cursor)
    assert waiting.requests == []
    assert any("alarm_firing_now slo-a" in line for line in waiting.lines)
    later = datetime.now(UTC) + timedelta(minutes=31)
    (request,) = tick(DecidingSession(sources.run, instance=sources.instance), cursor, later).requests
    assert (request.job_name, request.tags[ATTEMPT_TAG]) == (READINESS_JOB, "2")


def test_nothing_is_frozen_for_signing_on_evidence_about_something_else_than_what_runs(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    recorded(sources)
    waiting = tick(deployed(sources, **{"cc-native-a": "c2"}), cursor)
    assert (waiting.requests, fate(sources)) == ([], Fate.PENDING)
    assert any("platform_changed_since_evidence cc-native-a" in line for line in waiting.lines)
    later = datetime.now(UTC) + timedelta(minutes=31)
    assert [each.job_name for each in tick(deployed(sources, **{"cc-native-a": "c2"}), cursor, later).requests] == [READINESS_JOB]


def test_a_platform_that_was_changed_while_people_sign_is_said_and_gets_a_confirmation_run(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    recorded(sources)
    tick(deployed(sources), cursor)
    assert fate(sources) is Fate.READY_TO_SIGN
    later = datetime.now(UTC) + timedelta(minutes=31)
    found = tick(deployed(sources, **{"cc-native-a": "c2"}), cursor, later)
    assert [each.job_name for each in found.requests] == [READINESS_JOB]
    assert any("platform_changed_since_evidence cc-native-a" in line for line in found.lines)
    assert fate(sources) is Fate.READY_TO_SIGN  # what was signed may still hold


def test_what_is_deployed_is_asked_once_for_all_candidates_and_not_at_all_for_closed_ones(sources, monkeypatch):
    for name in ("r-1", "r-2", "r-3"):
        register(sources, name)
    monkeypatch.setattr(sensor, "in_order", lambda found, _: Queue(tuple(found), (), (), ()))  # all are worked on
    cursor = tick(sources).cursor
    calls = sources.run.reader.meter.calls
    judged(monkeypatch, closed=True)
    tick(DecidingSession(sources.run, instance=sources.instance), cursor)
    assert "lambda:ListFunctions" not in calls
    judged(monkeypatch)
    tick(DecidingSession(sources.run, instance=sources.instance), cursor)
    assert (calls["lambda:ListFunctions"], "cloudwatch:DescribeAlarms" in calls) == (1, False)


def test_what_is_read_beside_the_decision_is_read_at_once_for_all_candidates_that_wait_for_signatures(sources, monkeypatch):
    judged(monkeypatch)
    runs_of, asked = dg.DagsterInstance.get_run_records, []
    monkeypatch.setattr(dg.DagsterInstance, "get_run_records", lambda *given: asked.append(given) or runs_of(*given))
    calls, cursor = [], None
    for name in ("r-1", "r-2", "r-3"):
        register(sources, name)
        cursor = tick(deployed(sources), cursor).cursor
        tick(deployed(sources), cursor)
        assert fate(sources, name) is Fate.READY_TO_SIGN
        before, asked[:] = sum(sources.reader.meter.calls.values()), []
        tick(deployed(sources), cursor)
        assert len(asked) == 1
        calls.append(sum(sources.reader.meter.calls.values()) - before)
    # the inputs that are made up for each candidate read its statement
    assert calls[2] - calls[1] == calls[1] - calls[0] == 1


def test_a_tick_that_ended_between_freezing_and_saying_so_is_made_good(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    with monkeypatch.context() as crash:
        crash.setattr("phase5_ops.gate.state.table.StateTable.set_fate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tick(sources, cursor)
    assert fate(sources) is Fate.PENDING
    tick(sources, cursor)
    assert fate(sources) is Fate.READY_TO_SIGN


def test_a_closed_candidate_says_its_blockers_and_is_rejected_at_its_deadline(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch, closed=True)
    waiting = tick(sources, cursor)
    assert waiting.requests == []
    assert any("result_missing" in line for line in waiting.lines)
    tick(sources, cursor, datetime.now(UTC) + timedelta(days=8))
    found = sources.state.candidate(Release("r-1", "", "production"))
    assert found.fate is Fate.REJECTED
    assert "result_missing" in found.closed_because
    assert tick(sources, cursor).lines == []  # closed ones leave the list


def test_a_statement_that_no_longer_holds_starts_the_next_series(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)
    monkeypatch.setattr("phase5_ops.gate.decision.decide.differences", lambda *_, **__: ("row 1.1 is FAIL, signed PASS",))
    tick(sources, cursor)
    found = sources.state.candidate(Release("r-1", "", "production"))
    assert (found.series, found.fate) == (2, Fate.PENDING)


def test_a_newer_candidate_supersedes_a_pending_one(sources):
    register(sources)
    cursor = tick(sources).cursor
    register(sources, "r-2")
    found = tick(sources, cursor)
    assert [request.tags[RELEASE_TAG] for request in found.requests] == ["r-2"]
    assert (fate(sources), fate(sources, "r-2")) == (Fate.SUPERSEDED, Fate.PENDING)


def test_under_a_fixed_clock_nothing_is_done(sources):
    register(sources)
    settings = sources.run.settings.model_copy(update={"now": datetime.now(UTC)})
    found = tick(DecidingSession(replace(sources.run, settings=settings), instance=sources.instance))
    assert (found.requests, len(found.lines), fate(sources)) == ([], 1, None)
    assert "PHASE5_NOW" in found.lines[0]


def test_a_state_table_that_does_not_answer_starts_nothing_and_loses_no_event(sources, aws_faults):
    register(sources)
    aws_faults.add(operation="PutItem", kind="denied")
    broken = tick(sources)
    assert broken.requests == []
    assert broken.lines[-1].startswith("this tick stopped")
    aws_faults.clear()
    assert len(tick(sources, broken.cursor).requests) == 1


def told(aws, sources: DecidingSession) -> tuple[DecidingSession, Callable[[], list[str]]]:
    """The same sources, with a topic; and what it was told, by subject."""
    topic = aws.client("sns").create_topic(Name=f"told-{uuid4().hex[:8]}")["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName=f"told-{uuid4().hex[:8]}")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    settings = sources.run.settings.model_copy(update={"notifications": NotificationPolicy(sns_topic_arn=topic)})

    def subjects() -> list[str]:
        found = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(each["Body"])["Subject"] for each in found]

    return replace(sources, run=replace(sources.run, settings=settings)), subjects


def test_an_item_that_somebody_wrote_into_the_table_closes_its_candidate_and_stops_no_other(sources, monkeypatch, aws):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)  # r-1 waits for signatures, so that a newer one does not take its place
    register(sources, "r-2")
    table = aws.resource("dynamodb").Table(sources.run.settings.tables.readiness)
    table.put_item(Item={"pk": "RELEASE#production#r-1", "sk": "LOCK#000001", "holder": "x", "taken_at": "never"})
    found = tick(sources, cursor)
    assert any("r-1: the gate could not read or write what it needs" in line and "LOCK#000001" in line for line in found.lines)
    assert fate(sources, "r-2") is Fate.READY_TO_SIGN


def test_people_are_told_once_when_they_can_sign_and_of_each_end(sources, aws, monkeypatch):
    sources, subjects = told(aws, sources)
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)
    tick(sources, cursor)
    assert watch_notices(sources, datetime.now(UTC)) == []
    [said] = subjects()
    assert said.startswith("Sign off r-1 in production as eng-reliability, ops-sre, security-compliance: phase5 sign-off r-1 ")
    judged(monkeypatch, closed=True)
    late = datetime.now(UTC) + timedelta(days=8)
    tick(sources, cursor, late)
    tick(sources, cursor, late)
    assert sources.state.open_candidates("production") == []
    assert tick(sources, cursor, late).lines == []
    watch_notices(sources, late)
    closed, ended, no_run = subjects()
    assert closed.startswith("Mend what keeps the gate closed for r-1 in production: ")
    assert ended.startswith("Mend what kept r-1 in production closed and register it with --new-series")
    assert no_run.startswith("Start a readiness run in production")


def test_that_nobody_could_be_told_changes_nothing_and_is_tried_again(sources, aws, monkeypatch, aws_faults):
    sources, subjects = told(aws, sources)
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    aws_faults.add("denied", service="sns")
    tick(sources, cursor)
    now = datetime.now(UTC)
    assert any("nobody was told by sns" in line for line in watch_notices(sources, now))
    assert fate(sources) is Fate.READY_TO_SIGN
    aws_faults.clear()
    watch_notices(sources, now + timedelta(minutes=1))
    assert len(subjects()) == 1


def test_an_end_that_could_not_be_recorded_for_people_is_recorded_by_a_later_tick(sources, aws, monkeypatch):
    sources, subjects = told(aws, sources)
    register(sources)
    cursor = tick(sources).cursor
    register(sources, abort=True)
    with monkeypatch.context() as other_daemon:
        other_daemon.setattr(NoticeBox, "record", lambda *_, **__: Written.REFUSED)
        stopped = tick(sources, cursor)
        assert any("recorded at the next tick" in line for line in stopped.lines)
        assert [found.release.name for found, _ in sources.state.open_candidates("production")] == ["r-1"]
    tick(sources, stopped.cursor)
    assert sources.state.open_candidates("production") == []
    watch_notices(sources, datetime.now(UTC))
    assert subjects() == ["Nothing to do: r-1 in production was given up, it is ABORTED."]


def test_what_cannot_be_put_into_a_document_costs_no_run_and_no_other_candidate(sources, monkeypatch, aws_faults):
    register(sources)
    first = tick(sources)
    judged(monkeypatch)
    tick(sources, first.cursor)  # r-1 waits for signatures, so that r-2 does not take its place
    register(sources, "r-2")
    monkeypatch.setattr(check_state.CandidateRuns, "of", lambda *_: [])  # both want a run

    def unable(*_):
        raise ValueError("evidence that nobody thought of")

    found = sensor.run_tick(sources, first.cursor, datetime.now(UTC), replace(WORDS, describe=unable))
    assert {request.tags[RELEASE_TAG] for request in found.requests} == {"r-1", "r-2"}
    assert any(
        "r-2: the document of what the gate says could not be written: ValueError: evidence that nobody" in line
        for line in found.lines
    )


def test_an_error_that_nobody_thought_of_stops_no_other_candidate(sources, monkeypatch, caplog):
    register(sources)
    first = tick(sources)
    judged(monkeypatch)
    tick(sources, first.cursor)  # r-1 waits for signatures, so that r-2 does not take its place
    register(sources, "r-2")
    monkeypatch.setattr(check_state.CandidateRuns, "of", lambda *_: [])  # both want a run
    real = sensor.next_action

    def unable(candidate, **given):
        if candidate.release.name == "r-1":
            raise TypeError("a damaged file")
        return real(candidate, **given)

    monkeypatch.setattr(sensor, "next_action", unable)
    found = tick(sources, first.cursor)
    assert {request.tags[RELEASE_TAG] for request in found.requests} == {"r-2"}
    assert "r-1: the gate could not read or write what it needs: TypeError: a damaged file" in found.lines
    assert "in unable" in caplog.text


def test_what_is_deployed_and_cannot_be_recorded_takes_no_request_away(sources, monkeypatch):
    register(sources)
    monkeypatch.setattr(sensor, "observe", lambda *_: 1 / 0)
    found = tick(sources)
    assert [request.job_name for request in found.requests] == [READINESS_JOB]
    assert "what is deployed could not be recorded: ZeroDivisionError: division by zero" in found.lines


@pytest.mark.parametrize("digest", ["junk", "sha256:" + "D" * 64, ""])
def test_a_candidate_without_a_digest_is_none(sources, aws, digest):
    register(sources)
    cursor = tick(sources).cursor
    table = aws.resource("dynamodb").Table(sources.run.settings.tables.readiness)
    item = table.get_item(Key={"pk": "RELEASE#production#r-1", "sk": "CANDIDATE"})["Item"]
    table.put_item(Item={**item, "digest": digest})
    found = tick(sources, cursor)
    assert (found.requests, [line for line in found.lines if "a candidate is passed over" in line] != []) == ([], True)


def test_an_item_that_is_no_candidate_stops_no_other_and_takes_no_other_ones_word(sources, monkeypatch, aws):
    register(sources)
    cursor = tick(sources).cursor
    table = aws.resource("dynamodb").Table(sources.run.settings.tables.readiness)
    item = table.get_item(Key={"pk": "RELEASE#production#r-1", "sk": "CANDIDATE"})["Item"]
    table.put_item(Item={**item, "environment": "staging"})  # its document would be the one of staging
    register(sources)
    register(sources, "r-2")
    judged(monkeypatch)
    found = tick(sources, cursor)
    assert fate(sources, "r-2") is Fate.READY_TO_SIGN
    assert any("a candidate is passed over" in line and "it is about r-1 in staging" in line for line in found.lines)
    with pytest.raises(StateError, match="it is about r-1 in staging"):
        fate(sources)


def test_a_candidate_that_is_given_up_while_it_is_renewed_stays_given_up(sources, monkeypatch):
    register(sources)
    cursor = tick(sources).cursor
    judged(monkeypatch)
    tick(sources, cursor)
    state = sources.state

    def differ(*_, **__):
        state.set_fate(state.candidate(Release("r-1", "", "production")), Fate.ABORTED, "by a person")
        return ("row 1.1 is FAIL, signed PASS",)

    monkeypatch.setattr("phase5_ops.gate.decision.decide.differences", differ)
    tick(sources, cursor)
    found = state.candidate(Release("r-1", "", "production"))
    assert (found.series, found.fate) == (1, Fate.ABORTED)


def test_promoted_candidates_whose_document_cannot_be_kept_stay_listed_and_keep_no_other_from_being_unlisted(
    sources, monkeypatch
):
    for number in range(sensor._CLOSED_A_TICK + 5):
        register(sources, f"r-{number:02}")
    cursor = tick(sources).cursor
    for candidate, _ in sources.state.open_candidates("production"):
        sources.state.set_fate(candidate, Fate.REJECTED if candidate.release.name == "r-29" else Fate.PROMOTED)
    monkeypatch.setattr(sensor, "_said_on_what", lambda *_: False)
    for second in range(60):
        tick(sources, cursor, datetime.now(UTC) + timedelta(seconds=second))
        left = {candidate.release.name for candidate, _ in sources.state.open_candidates("production")}
        if "r-29" not in left:
            break
    assert left == {f"r-{number:02}" for number in range(29)}


def test_a_forged_record_of_a_promotion_does_not_choose_the_moment_that_is_judged(sources, monkeypatch):
    register(sources)
    tick(sources)
    now = complete_inputs(GatePolicy(), sources.run.now())
    monkeypatch.setattr("phase5_ops.gate.inputs.read.read_inputs", lambda *_, **__: now)
    candidate = sources.state.candidate(Release("r-1", "", "production"))
    forged = Promotion("run-1", now.now - timedelta(days=1), "key", "not an envelope", "not an envelope", "ok", "k", "zz")
    assert as_promoted(sources, candidate, forged) == now
