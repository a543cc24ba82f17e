"""A waiver is recorded only if it would open its row: bound to findings and release, short, signed by somebody else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.gate.approval.sign_off import registered
from phase5_ops.gate.approval.waive import WaiverRequest, checked_row, make_waiver, record_waiver
from phase5_ops.gate.decision.waivers import waive
from phase5_ops.gate.session import Refused
from phase5_ops.gate.signing.stored_signatures import verified_waivers
from phase5_ops.gate.state.items import Fate, StateError
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

A, B = (Finding("alarm_missing", Verdict.FAIL, subject, "", "") for subject in ("a", "b"))
ERROR = Finding("read_failed", Verdict.ERROR, "x", "", "")
WARNING = Finding("old", Verdict.WARN, "a", "", "")
REQUEST = WaiverRequest("1.2", ("alarm_missing@a",), "security-compliance", "known gap", "OPS-7", NOW + timedelta(days=14))


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path)


@pytest.fixture
def candidate(desk):
    return desk.ready(fate=Fate.PENDING)


def asked(desk, candidate, found, **changes):
    request = replace(REQUEST, **changes)
    return make_waiver(desk.open(), candidate, request, found, "carol")


def test_a_waiver_that_covers_the_row_is_signed_recorded_and_opens_it(desk, candidate):
    session = desk.person("carol")
    waiver = make_waiver(session, candidate, REQUEST, [A, WARNING], session.person.person)
    record_waiver(session, candidate, waiver)
    kept = verified_waivers(session.state.waivers(candidate.release), session.keys, environment=candidate.release.environment)
    assert kept == (waiver,)
    assert (waiver.identity, waiver.signed_by, waiver.pairs) == ("carol", "security-compliance", {("alarm_missing", "a")})
    outcome = waive(checked_row("1.2"), [A], kept, release_digest=DIGEST, policy=GatePolicy(), now=NOW)
    assert outcome.waived


def test_a_bare_code_stands_for_every_subject_found_now(desk, candidate):
    assert asked(desk, candidate, [A, B], findings=("alarm_missing",)).pairs == {("alarm_missing", "a"), ("alarm_missing", "b")}


def test_two_waivers_of_two_people_cover_a_row_together(desk, candidate):
    with pytest.raises(Refused, match="does not cover alarm_missing@b"):
        asked(desk, candidate, [A, B])
    session = desk.person("carol")
    record_waiver(session, candidate, make_waiver(session, candidate, REQUEST, [A], "carol"))
    assert asked(desk, candidate, [A, B], findings=("alarm_missing@b",)).pairs == {("alarm_missing", "b")}


@pytest.mark.parametrize(
    ("found", "changes", "said"),
    [
        ([A], {"role": "eng-reliability"}, "the row's owner"),
        ([A], {"role": "nobody"}, "no role's key"),
        ([A], {"until": NOW + timedelta(days=14, seconds=1)}, "longer than 14 days"),
        ([A], {"until": NOW}, "it ended"),
        ([A], {"reason": " "}, "no reason"),
        ([A], {"ticket": ""}, "no ticket"),
        ([A], {"findings": ("alarm_missing@z",)}, "what keeps it closed is alarm_missing@a"),
        ([A], {"findings": ()}, "names no finding"),
        ([WARNING], {}, "nothing to waive"),
        ([], {}, "nothing to waive"),
        ([A, ERROR], {"findings": ("alarm_missing", "read_failed")}, "never waived: read_failed@x"),
        ([A], {"row": "9.9"}, "no row 9.9"),
        *(([A], {"row": row}, "cannot be waived") for row in ("3.1", "3.3", "4.1", "4.2", "4.3", "S.1", "S.2", "S.3")),
    ],
)
def test_a_waiver_that_would_not_count_is_not_made(desk, candidate, found, changes, said):
    with pytest.raises(Refused, match=said):
        asked(desk, candidate, found, **changes)


@pytest.mark.parametrize("fate", [Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED, Fate.PROMOTED])
def test_nothing_is_waived_of_a_release_that_is_over(desk, fate):
    candidate = desk.ready(fate=fate)
    with pytest.raises(Refused, match=f"is {fate}"):
        asked(desk, candidate, [A])


def test_a_policy_that_is_stricter_than_fourteen_days_holds(desk, candidate):
    settings = desk.settings.model_copy(update={"gate": GatePolicy(waiver_days=2)})
    session = desk.open()
    with pytest.raises(Refused, match="longer than 2 days"):
        make_waiver(replace(session, run=replace(session.run, settings=settings)), candidate, REQUEST, [A], "carol")


def test_an_extra_check_is_waived_by_its_name(desk, candidate):
    waiver = asked(desk, candidate, [A], row="tool_slo_met")
    assert waiver.row == "tool_slo_met"


def test_nobody_waives_without_a_name_and_nothing_is_kept_that_could_not_be_signed(desk, candidate, aws_faults):
    with pytest.raises(Refused, match="not a session"):
        desk.open().person  # noqa: B018
    session = desk.person("carol")
    waiver = make_waiver(session, candidate, REQUEST, [A], "carol")
    aws_faults.add("denied", service="dynamodb")
    with pytest.raises(StateError):
        record_waiver(session, candidate, waiver)
    aws_faults.clear()
    assert session.state.waivers(registered(session, RELEASE.name).release) == []
    record_waiver(session, candidate, waiver)
