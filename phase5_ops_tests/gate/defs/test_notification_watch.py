"""Notices on their way to the channels: recorded once by two daemons, delivered after failures and restarts, in bounds."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.clock import iso
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.run_record import RunFound
from phase5_ops.gate.candidates.channels import IDEMPOTENCY_KEY
from phase5_ops.gate.candidates.notices import Look
from phase5_ops.gate.defs import notification_watch as watch
from phase5_ops.gate.defs.notification_watch import notification_watch, settings_of_tick, watch_notices
from phase5_ops.gate.defs.recording import record_changes
from phase5_ops.gate.records import Release, Waiver
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import Candidate, Fate, StateError
from phase5_ops.gate.state.notice_box import RUNS, NoticeBox, release_key
from phase5_ops.policy import NotificationPolicy
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.candidates.hook import Hook, hook, seconds_of
from phase5_ops_tests.gate.candidates.test_notices import firing, look
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.state.test_run_records import found, unsigned

pytestmark = pytest.mark.slow

KEY = release_key(RELEASE.name)


@pytest.fixture
def receiver() -> Iterator[Hook]:
    with hook() as made:
        yield made


@pytest.fixture
def desk(aws, tmp_path, monkeypatch, receiver) -> Desk:
    monkeypatch.setenv("GATE_SECRET", "s")
    made = Desk.on(aws, tmp_path)
    policy = NotificationPolicy(webhook_url=receiver.url, webhook_secret_variable="GATE_SECRET", webhook_timeout_seconds=0.5)
    made.settings = made.settings.model_copy(update={"notifications": policy})
    return made


def whole(run_id: str, **changes) -> RunFound:
    """A readiness run of the whole checklist that ended at NOW, in which every row passes."""
    return found(run_id, assets=None, verdicts={row.check: Verdict.PASS for row in ALL_CHECKS if not row.is_sign_off}, **changes)


@pytest.fixture
def session(desk) -> GateSession:
    session = desk.open()
    session.records.append(whole("run-1"), unsigned)
    return session


def box(session: GateSession) -> NoticeBox:
    return NoticeBox(session.reader, session.settings.tables.readiness)


def kinds(receiver: Hook) -> list[str]:
    return [json.loads(body)["kind"] for _, body in receiver.requests]


def test_of_two_daemons_that_see_a_change_one_records_it_and_one_delivers_it(desk, session, receiver, monkeypatch):
    other = desk.open()
    seen = []
    read = NoticeBox.watched

    def both_read_first(self, *given):  # the other daemon's whole tick lies between reading and writing of this one
        was = read(self, *given)
        if not seen:
            seen.append(was)
            assert record_changes(other, look(firing("latency")), NOW + timedelta(seconds=1)) is None
        return was

    monkeypatch.setattr(NoticeBox, "watched", both_read_first)
    assert "another daemon wrote" in record_changes(session, look(firing("latency")), NOW)
    assert record_changes(session, look(firing("latency")), NOW) is None
    assert len(box(session).watched("production", KEY).due) == 1
    leased = box(other).lease("production", box(other).watched("production", KEY), "other", NOW)
    assert watch_notices(session, NOW) == []  # the other one has the lease
    assert receiver.requests == []
    assert box(other).delivered("production", leased, {}, NOW)
    for daemon in (session, other, desk.open()):  # and one that was started anew
        assert watch_notices(daemon, NOW + timedelta(seconds=2)) == []
    assert kinds(receiver) == ["closed"]


def test_a_daemon_that_died_after_it_sent_is_followed_by_one_that_sends_again_under_the_same_key(
    desk, session, receiver, monkeypatch
):
    record_changes(session, look(firing("latency")), NOW)
    with monkeypatch.context() as killed:
        killed.setattr(NoticeBox, "delivered", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            watch_notices(session, NOW)
    assert watch_notices(desk.open(), NOW + timedelta(seconds=59)) == []
    assert len(receiver.requests) == 1
    assert watch_notices(desk.open(), NOW + timedelta(seconds=61)) == []
    assert kinds(receiver) == ["closed", "closed"]
    assert len({headers[IDEMPOTENCY_KEY] for headers, _ in receiver.requests}) == 1


def test_a_channel_that_fails_is_tried_again_later_and_gets_everything_in_order(session, receiver):
    receiver.statuses[:] = [500, 500, 200]
    record_changes(session, look(firing("latency")), NOW)
    record_changes(session, look(firing("latency"), firing("errors")), NOW)
    [line] = watch_notices(session, NOW)
    assert line == "nobody was told by webhook, try 1, tried again in 0:00:30: webhook: HTTP 500"
    assert watch_notices(session, NOW + timedelta(seconds=29)) == []
    assert len(receiver.requests) == 1
    [line] = watch_notices(session, NOW + timedelta(seconds=30))
    assert "try 2, tried again in 0:01:00" in line
    assert watch_notices(session, NOW + timedelta(seconds=90)) == []
    assert kinds(receiver) == ["closed", "closed", "closed", "new_blocker"]
    assert box(session).watched("production", KEY).due == ()


def test_a_channel_that_never_answers_bounds_the_tick_and_stops_no_other_channel(desk, session, receiver, aws):
    receiver.statuses[:] = [0]
    topic = aws.client("sns").create_topic(Name="told")["TopicArn"]
    policy = session.settings.notifications.model_copy(update={"sns_topic_arn": topic})
    session = replace(session, run=replace(session.run, settings=session.settings.model_copy(update={"notifications": policy})))
    for number in range(3):
        each = replace(RELEASE, name=f"r-{number}")
        record_changes(session, replace(look(firing("latency")), candidate=Candidate(each, 1, Fate.PENDING, NOW, NOW, "p")), NOW)
    lines: list[str] = []
    assert seconds_of(lambda: lines.extend(watch_notices(session, NOW))) < 10
    assert len(receiver.requests) == 1  # a channel that failed is not tried again in the same tick
    assert lines == ["nobody was told by webhook, try 1, tried again in 0:00:30: webhook: DeadlineExceeded"]
    waiting = [dict(due.waiting) for item in box(session).all_watched("production", pytest.fail) for due in item.due]
    assert waiting == [{"webhook": 1}, {"webhook": 0}, {"webhook": 0}]  # SNS took all three


def test_what_nobody_took_for_three_days_is_given_up_and_what_no_channel_is_set_for_is_dropped(session, receiver):
    record_changes(session, look(firing("latency")), NOW)
    [line] = [line for line in watch_notices(session, NOW + timedelta(days=3)) if "given up" in line]
    assert line.startswith("given up after 3 days: Mend ")
    assert box(session).watched("production", KEY).due == ()
    assert kinds(receiver) == ["no_run"]
    record_changes(session, look(), NOW)
    policy = NotificationPolicy(sns_topic_arn="arn:aws:sns:us-west-2:123456789012:none")
    other = replace(session, run=replace(session.run, settings=session.settings.model_copy(update={"notifications": policy})))
    watch_notices(other, NOW)
    assert box(session).watched("production", KEY).due == ()


def test_a_missing_readiness_run_is_told_once_and_a_part_of_one_is_none(session, receiver):
    assert watch_notices(session, NOW + timedelta(hours=23)) == []
    session.records.append(found("part", ended_at=NOW + timedelta(hours=23)), unsigned)
    for hours in (25, 26, 50):
        assert watch_notices(session, NOW + timedelta(hours=hours)) == []
    assert kinds(receiver) == ["no_run"]
    assert json.loads(receiver.requests[0][1])["release"] is None
    session.records.append(whole("run-2", ended_at=NOW + timedelta(hours=51)), unsigned)
    assert watch_notices(session, NOW + timedelta(hours=52)) == []
    assert watch_notices(session, NOW + timedelta(hours=76)) == []
    assert kinds(receiver) == ["no_run", "no_run"]


def test_a_release_that_is_over_leaves_an_item_that_expires_and_a_release_may_have_any_name(session, receiver, aws):
    over = Candidate(Release(RUNS, RELEASE.digest, "production"), 1, Fate.ABORTED, NOW, NOW, "p", "given up")
    assert record_changes(session, Look(over), NOW) is None
    assert record_changes(session, Look(over), NOW) is None
    watch_notices(session, NOW)
    assert kinds(receiver) == ["ended"]
    items = aws.client("dynamodb").scan(TableName=session.settings.tables.readiness)["Items"]
    [item] = [each for each in items if each["sk"]["S"] == "RELEASE#RUNS"]
    assert int(item["ttl"]["N"]) == int((NOW + timedelta(days=30)).timestamp())


def test_new_notices_that_come_while_others_are_delivered_are_not_lost(session):
    record_changes(session, look(firing("latency")), NOW)
    table = box(session)
    leased = table.lease("production", table.watched("production", KEY), "x", NOW)
    record_changes(session, look(firing("latency"), firing("errors")), NOW)
    assert table.delivered("production", leased, {leased.due[0].id: None}, NOW)
    left = table.watched("production", KEY)
    assert ([each.kind for each in left.due], left.leased_until) == (["new_blocker"], "")


@pytest.mark.parametrize("change", [{"due": "[{}]"}, {"seen": "x"}, {"version": "one"}, {"due": 7}])
def test_an_item_that_somebody_wrote_is_said_and_stops_no_other_releases_notices(session, receiver, aws, change):
    record_changes(session, look(firing("latency")), NOW)
    table = aws.resource("dynamodb").Table(session.settings.tables.readiness)
    item = table.get_item(Key={"pk": "NOTICES#production", "sk": KEY})["Item"]
    table.put_item(Item={**item, **change})
    record_changes(session, Look(Candidate(replace(RELEASE, name="r-2"), 1, Fate.ABORTED, NOW, NOW, "p")), NOW)
    [line] = watch_notices(session, NOW)
    assert f"NOTICES#production {KEY}" in line
    assert kinds(receiver) == ["ended"]  # of the other release
    assert f"NOTICES#production {KEY}" in record_changes(session, look(), NOW)


@pytest.mark.parametrize("seen", ['{"series": 1, "waivers": null}', '{"series": 1, "gate": "BLOCKED", "blockers": 7}'])
def test_what_was_seen_in_another_shape_is_said_and_raises_nothing(session, receiver, aws, seen):
    record_changes(session, look(firing("latency")), NOW)
    table = aws.resource("dynamodb").Table(session.settings.tables.readiness)
    item = table.get_item(Key={"pk": "NOTICES#production", "sk": KEY})["Item"]
    table.put_item(Item={**item, "seen": seen})
    assert "could not be recorded: TypeError" in record_changes(session, look(firing("errors")), NOW)
    assert watch_notices(session, NOW) == []
    assert kinds(receiver) == ["closed"]  # what was recorded before


@pytest.mark.parametrize("seen", ['{"looked_at": "x"}', '{"looked_at": 7}'])
def test_readiness_runs_that_cannot_be_looked_for_keep_no_release_from_its_notices(session, receiver, aws, seen):
    watch_notices(session, NOW)
    record_changes(session, look(firing("latency")), NOW)
    table = aws.resource("dynamodb").Table(session.settings.tables.readiness)
    item = table.get_item(Key={"pk": "NOTICES#production", "sk": RUNS})["Item"]
    table.put_item(Item={**item, "seen": seen})
    [line] = watch_notices(session, NOW)
    assert line.startswith("readiness runs could not be looked for")
    assert kinds(receiver) == ["closed"]


def test_a_record_that_is_none_keeps_no_release_from_its_notices(session, receiver, aws):
    aws.resource("dynamodb").Table(session.settings.tables.readiness).put_item(
        Item={"pk": "RUNS#production", "sk": "RUN#9999999999", "payload": "{}"}
    )
    record_changes(session, look(firing("latency")), NOW)
    [line] = watch_notices(session, NOW)
    assert "RUN#9999999999" in line
    assert kinds(receiver) == ["closed"]


def test_a_run_under_a_fixed_clock_is_no_news(session, receiver):
    watch_notices(session, NOW)
    failed = {row.check: Verdict.FAIL for row in ALL_CHECKS if not row.is_sign_off}
    later = NOW + timedelta(hours=1)
    session.records.append(whole("run-2", ended_at=later, fixed_now=True), unsigned)
    session.records.append(found("run-3", assets=None, ended_at=later, fixed_now=True, verdicts=failed), unsigned)
    assert watch_notices(session, later) == []
    assert kinds(receiver) == []
    assert watch_notices(session, NOW + timedelta(hours=25)) == []
    assert kinds(receiver) == ["no_run"]


def test_a_table_that_does_not_answer_is_a_line(session, aws_faults):
    aws_faults.add("denied", service="dynamodb")
    assert "dynamodb" in record_changes(session, look(), NOW)
    [line] = watch_notices(session, NOW)
    assert "dynamodb" in line
    with pytest.raises(StateError):
        box(session).watched("production", KEY)


def test_without_a_channel_only_that_the_daemon_looked_is_written(session, receiver):
    settings = session.settings.model_copy(update={"notifications": NotificationPolicy()})
    silent = replace(session, run=replace(session.run, settings=settings))
    said = ["no channel is set: nobody is told of changes"]
    assert record_changes(silent, look(firing("latency")), NOW) is None
    assert watch_notices(silent, NOW) == said
    assert box(session).watched("production", RUNS).seen == {"looked_at": iso(NOW)}
    before = dict(silent.reader.meter.calls)
    assert watch_notices(silent, NOW + timedelta(minutes=9)) == said
    assert silent.reader.meter.calls["dynamodb:PutItem"] == before["dynamodb:PutItem"]
    failed = {row.check: Verdict.FAIL for row in ALL_CHECKS if not row.is_sign_off}
    session.records.append(found("run-2", assets=None, ended_at=NOW + timedelta(minutes=9), verdicts=failed), unsigned)
    assert watch_notices(silent, NOW + timedelta(minutes=10)) == said
    assert watch_notices(session, NOW + timedelta(minutes=20)) == []  # a channel is set, and what has changed is told
    assert kinds(receiver) == ["closed"]


def test_a_waiver_under_which_what_is_live_was_promoted_is_told_once_when_it_ends(desk, session, receiver):
    ends = NOW + timedelta(days=3)
    waiver = Waiver("w-1", "1.2", RELEASE.digest, frozenset({("c", "s")}), "why", "T-1", NOW, ends, "ops-sre", "bob")
    desk.promoted(waivers=[waiver])
    assert watch_notices(session, ends - timedelta(hours=25)) == []
    assert "waiver_ends" not in kinds(receiver)
    for hours in (23, 22, -1):
        session.records.append(whole(f"run-{hours}", ended_at=ends - timedelta(hours=hours)), unsigned)
        assert watch_notices(session, ends - timedelta(hours=hours)) == []
    assert kinds(receiver).count("waiver_ends") == 1
    bodies = [json.loads(body) for _, body in receiver.requests]
    (told,) = [body for body in bodies if body["kind"] == "waiver_ends"]
    assert told["do"] == (
        f"Mend row 1.2 in production: waiver w-1, under which r-1.2.3 in production went live, ends at {iso(ends)}."
    )


def test_what_is_live_and_cannot_be_read_keeps_no_notice_of_runs_back(session, receiver, monkeypatch):
    def broken(*_arguments, **_named):
        raise KeysError("keys.json is gone")

    monkeypatch.setattr(watch, "released", broken)
    (line,) = watch_notices(session, NOW + timedelta(hours=25))
    assert "the waivers of what is live could not be looked for: KeysError: keys.json is gone" in line
    assert kinds(receiver) == ["no_run"]


def test_the_sensor_says_what_its_tick_did(desk, session, receiver):
    import dagster as dg

    receiver.statuses[:] = [404]
    record_changes(session, look(firing("latency")), datetime.now(UTC))
    with dg.build_sensor_context() as context:
        told = notification_watch(desk.open).evaluate_tick(context)
    assert "nobody was told by webhook" in told.skip_message
    assert settings_of_tick(desk.settings).reading.deadline_seconds < 60  # Dagster's daemon waits so long for a tick
