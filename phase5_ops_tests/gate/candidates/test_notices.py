"""What people are told: each kind of change once, with a first line that says what to do; nothing where nothing changed."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.checklist import ALL_CHECKS, ROLES, ROW_OF_ID
from phase5_ops.gate.attestation.readiness_statement import StatedWaiver
from phase5_ops.gate.attestation.run_record import RunFound
from phase5_ops.gate.candidates.channels import body_of, whole_text
from phase5_ops.gate.candidates.notices import (
    Changed,
    Look,
    NoticeKind,
    changes_of_live,
    changes_of_release,
    changes_of_runs,
    is_due,
    look_at_runs,
    notices_of,
)
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Reason, Release, Waiver
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.gate.state.notice_box import NoticeItem
from phase5_ops.policy import GatePolicy, NotificationPolicy
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.state.test_run_records import found as run_found

ABOUT = "r-1.2.3 in production"
CANDIDATE = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=7), "pipeline")


def firing(subject: str, seen: str = "ALARM") -> Reason:
    return GateReason.ALARM_FIRING_NOW.closes("release", subject, seen)


def look(*closing: Reason, signed: bool = True, candidate: Candidate = CANDIDATE, **changes) -> Look:
    inputs: GateInputs = replace(complete_inputs(GatePolicy(), NOW), closing=closing)
    if not signed:
        inputs = replace(inputs, sign_offs=())
    inputs = replace(inputs, **changes)
    return Look(candidate, inputs, decide(inputs), signable=True, link="https://dagster.example.com/runs/run-1")


def after(*looks: Look) -> dict:
    """What is remembered after these looks, as it comes back from the table."""
    seen: dict = {}
    for each in looks:
        seen = json.loads(json.dumps(changes_of_release(seen, each).seen))
    return seen


def told(was: dict, now: Look) -> list[tuple[NoticeKind, str]]:
    return [(kind, do) for kind, do, _ in changes_of_release(was, now).told]


WITHOUT_RUN = Look(CANDIDATE)


@pytest.mark.parametrize(
    ("before", "now", "kind", "do"),
    [
        ([WITHOUT_RUN], look(), "opened", f"Nothing to do: the gate is open for {ABOUT}, and its promotion follows."),
        (
            [WITHOUT_RUN],
            look(firing("latency")),
            "closed",
            f"Mend what keeps the gate closed for {ABOUT}: release alarm_firing_now latency.",
        ),
        (
            [look()],
            look(*(firing(f"a-{n}") for n in range(5))),
            "closed",
            f"Mend what keeps the gate closed for {ABOUT}: release alarm_firing_now a-0, release alarm_firing_now a-1,"
            " release alarm_firing_now a-2 and 2 more.",
        ),
        (
            [look(firing("latency"))],
            look(firing("latency", "still"), firing("errors")),
            "new_blocker",
            f"Mend what is new against {ABOUT}: release alarm_firing_now errors.",
        ),
        (
            [look(firing("latency"), signed=False)],
            look(signed=False),
            "sign_off_needed",
            f"Sign off {ABOUT} as {', '.join(ROLES)}: phase5 sign-off r-1.2.3 --role eng-reliability",
        ),
    ],
    ids=["opened", "closed", "closed by many", "new blocker", "sign-off needed"],
)
def test_a_change_is_told_with_what_to_do_and_then_not_again(before, now, kind, do):
    assert told(after(*before), now) == [(kind, do)]
    assert told(after(*before, now), now) == []


def test_what_was_seen_of_a_blocker_or_that_it_went_is_no_news():
    was = after(look(firing("latency", "since 12:00"), firing("errors")))
    assert told(was, look(firing("latency", "since 12:01"))) == []


def test_more_blockers_than_are_remembered_are_told_by_row_and_code():
    many = [firing(f"a-{n}") for n in range(2001)]
    was = after(look(*many))
    assert was["blockers"] is None
    assert len(json.dumps(was)) < 1000
    assert told(was, look(*many, firing("one more"))) == []
    other = GateReason.NO_READINESS_RUN.closes("release", "r", "none")
    assert [kind for kind, _ in told(was, look(*many, other))] == ["new_blocker"]


def test_a_notice_of_ten_thousand_blockers_fits_into_every_channel():
    """SNS takes 262,144 bytes, Slack cuts a text behind 40,000 characters; a notice has no blocks, of which Slack takes 50."""
    release = look(*(firing(f"<&> tenant-{n}", "<&>" * 1_000) for n in range(10_000)))
    changed = changes_of_release({}, release)
    link, was = release.link, NoticeItem("release", 1, {})
    (notice,) = notices_of(changed, was, release=RELEASE, series=1, link=link, channels=("sns", "webhook"), now=NOW)
    text = whole_text(notice)
    assert "and 9990 more" in text
    assert len(text.encode()) < 10_000
    body = json.loads(body_of(NotificationPolicy(webhook_format="slack"), notice))
    assert list(body) == ["text", "mrkdwn"]
    assert len(body["text"]) < 40_000
    assert len(json.dumps(changed.seen)) < 1_000  # what the state table remembers of it


def test_nobody_is_asked_to_sign_what_is_not_frozen_and_a_role_that_signed_is_not_asked_again():
    ready = look(signed=False)
    assert ready.decision.outcome == Outcome.READY_TO_SIGN
    unfrozen = replace(ready, signable=False)
    assert told(after(WITHOUT_RUN), unfrozen) == []
    assert [kind for kind, _ in told(after(unfrozen), ready)] == ["sign_off_needed"]
    offs = complete_inputs(GatePolicy(), NOW).sign_offs
    some = look(sign_offs=offs[:1])
    assert told(after(ready), some) == []
    again = f"Sign off {ABOUT} as {offs[0].role}: phase5 sign-off r-1.2.3 --role {offs[0].role}"
    assert told(after(some), ready) == [("sign_off_needed", again)]  # a signature that no longer counts


def test_a_new_series_is_told_anew():
    again = replace(CANDIDATE, series=2)
    blocked = look(firing("latency"))
    assert [kind for kind, _ in told(after(blocked), replace(blocked, candidate=again))] == ["closed"]


@pytest.mark.parametrize(("left", "count"), [(timedelta(hours=25), 0), (timedelta(hours=23), 1)])
def test_a_waiver_that_is_needed_and_ends_within_a_day_is_told_once(left, count):
    waiver = Waiver("w-1", "1.2", RELEASE.digest, frozenset({("c", "s")}), "why", "T-1", NOW, NOW + left, "ops-sre", "bob")
    found = look(waivers=(waiver,), release=RELEASE)
    used: Decision = replace(found.decision, waivers_used=frozenset({"w-1"}))
    now = replace(found, decision=used)
    was = after(look(release=RELEASE))
    lines = [do for kind, do in told(was, now) if kind == "waiver_ends"]
    assert len(lines) == count
    assert all(do.startswith(f"Mend row 1.2 of {ABOUT}, or waive it anew, before 2026-11-24T11:00") for do in lines)
    assert [each for each in told(after(look(release=RELEASE), now), now) if each[0] == "waiver_ends"] == []
    unused = replace(found, decision=replace(found.decision, waivers_used=frozenset()))
    assert [each for each in told(was, unused) if each[0] == "waiver_ends"] == []


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate not in (Fate.PENDING, Fate.READY_TO_SIGN)])
def test_each_end_is_told_once(fate):
    over = Look(replace(CANDIDATE, fate=fate, closed_because="because\n<b>"))
    changed = changes_of_release(after(look()), over)
    [(kind, do, lines)] = changed.told
    assert (kind, changed.over) == ("ended", True)
    assert str(fate) in do
    assert do.startswith(("Nothing to do: ", "Mend what kept "))
    assert lines == ("because\n<b>", "phase5 status r-1.2.3")
    assert told(json.loads(json.dumps(changed.seen)), over) == []


def run(run_id: str, ended: timedelta = timedelta(0), **changes) -> RunFound:
    """A readiness run of the whole checklist, without a release, in which every row passes."""
    verdicts = {row.check: Verdict.PASS for row in ALL_CHECKS if not row.is_sign_off}
    given = {"verdicts": {**verdicts, **changes.pop("found", {})}, "assets": None, "ended_at": NOW + ended, **changes}
    return replace(run_found(run_id), **given)


def runs_told(was: dict, *runs: RunFound, now: timedelta = timedelta(0), policy: GatePolicy | None = None) -> tuple[dict, list]:
    """What is remembered after a look at these runs, as it comes back from the table, and what was told."""
    changed = changes_of_runs(was, "production", look_at_runs(runs, policy or GatePolicy()), NOW + now)
    return json.loads(json.dumps(changed.seen)), [(str(kind), do, lines) for kind, do, lines in changed.told]


def test_readiness_runs_that_are_missing_for_a_day_are_told_once_for_each_run():
    hours, part = timedelta(hours=1), run("part", timedelta(hours=24), assets=("a",))
    seen, told_first = runs_told({}, run("run-1"), now=23 * hours)
    missing, [(kind, do, lines)] = runs_told(seen, run("run-1"), part, now=24 * hours)
    assert told_first == []
    assert kind == "no_run"
    assert do == "Start a readiness run in production with phase5 check, and find out why none ended for a day."
    assert "run-1" in lines[0]
    assert runs_told(missing, run("run-1"), now=96 * hours)[1] == []
    found, nothing = runs_told(missing, run("run-1"), run("run-2", 25 * hours), now=25 * hours)
    assert nothing == []
    assert [kind for kind, _, _ in runs_told(found, run("run-2", 25 * hours), now=49 * hours)[1]] == ["no_run"]


def test_where_there_never_was_a_run_a_day_after_the_first_look_is_told():
    seen, last = {}, []
    for hours in (0, 12, 24, 48):
        seen, told_now = runs_told(seen, now=timedelta(hours=hours))
        last.append([kind for kind, _, _ in told_now])
    assert last == [[], [], ["no_run"], []]


def test_rows_that_close_or_open_from_one_run_without_a_release_to_the_next_are_told_once():
    latency, breakers = ROW_OF_ID["1.1"].check, ROW_OF_ID["2.1"].check
    begun = run("run-1", found={latency: Verdict.FAIL})
    seen, [(kind, do, lines)] = runs_told({}, begun)
    assert (kind, do) == ("closed", "Mend what would keep a gate closed in production: rows 1.1, by run run-1.")
    assert lines == (f"1.1 {ROW_OF_ID['1.1'].title}: FAIL",)
    assert runs_told(seen, begun)[1] == []
    more = run("run-2", timedelta(hours=1), found={latency: Verdict.FAIL, breakers: Verdict.ERROR})
    of_release = run("run-3", timedelta(hours=2), release_digest=RELEASE.digest)  # told of with its candidate
    seen, [(kind, do, _)] = runs_told(seen, begun, more, of_release)
    assert (kind, do) == ("new_blocker", "Mend what is new in production: rows 2.1, by run run-2.")
    seen, nothing = runs_told(seen, run("run-4", timedelta(hours=3), found={breakers: Verdict.INCONCLUSIVE}))
    assert nothing == []
    seen, [(kind, do, _)] = runs_told(seen, run("run-5", timedelta(hours=4), found={latency: Verdict.WARN}))
    assert (kind, do) == ("opened", "Nothing to do: every row opens again in production, by run run-5.")
    strict = GatePolicy(warn_blocks=("1.1",))
    warned = run("run-6", timedelta(hours=5), found={latency: Verdict.WARN})
    assert [kind for kind, _, _ in runs_told(seen, warned, policy=strict)[1]] == ["closed"]
    none = replace(warned, verdicts={})
    [(_, _, unread)] = runs_told(seen, none)[1]
    assert all(line.endswith(": no result") for line in unread)


@pytest.mark.parametrize(("left", "said"), [(25, None), (24, "ends"), (1, "ends"), (0, "ended"), (-5, "ended")])
def test_a_waiver_of_what_is_live_is_told_once_within_a_day_of_its_end(left, said):
    until = NOW + timedelta(hours=left)
    waiver = Waiver("w-1", "1.2", RELEASE.digest, frozenset({("c", "s")}), "why", "T-1", NOW, until, "ops-sre", "bob")
    known, told_now = changes_of_live({}, RELEASE, [StatedWaiver.of(waiver)], NOW)
    assert known == (["w-1"] if said else [])
    assert [kind for kind, _, _ in told_now] == ([NoticeKind.WAIVER_ENDS] if said else [])
    assert all(f"waiver w-1, under which {ABOUT} went live, {said} at " in do for _, do, _ in told_now)
    assert changes_of_live({"waivers": known}, RELEASE, [StatedWaiver.of(waiver)], NOW)[1] == ()


def test_runs_are_looked_for_every_ten_minutes():
    seen, _ = runs_told({})
    assert is_due({}, NOW)
    assert not is_due(seen, NOW + timedelta(minutes=9))
    assert is_due(seen, NOW + timedelta(minutes=10))


def test_a_change_has_one_id_whoever_sees_it_and_hostile_text_stays_in_its_line():
    hostile = Changed({}, ((NoticeKind.CLOSED, "do\x1b[31m\nnext", ("a\nb\u202e",)), (NoticeKind.ENDED, "x", ())))
    given = {"release": RELEASE, "series": 1, "link": "", "channels": ("sns",)}
    first, second = notices_of(hostile, NoticeItem("RELEASE#r", 3), now=NOW, **given)
    again, _ = notices_of(hostile, NoticeItem("RELEASE#r", 3), now=NOW + timedelta(seconds=9), **given)
    later, _ = notices_of(hostile, NoticeItem("RELEASE#r", 4), now=NOW, **given)
    assert first.id == again.id
    assert len({first.id, second.id, later.id}) == 3
    assert (first.do, first.text) == ("do\\x1b[31m\\nnext", "a\\nb\\u202e")
    other = notices_of(hostile, NoticeItem("RUNS", 3), now=NOW, **{**given, "release": Release("", "", "staging")})
    assert other[0].id != first.id
