"""Waivers excuse exactly the findings they name, for one release, for a while, signed by somebody else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.checklist import ALL_CHECKS, ROLES, ROW_OF_ID
from phase5_ops.gate.decision.waivers import pair_of, problem_of, unmatched, waive
from phase5_ops.gate.records import Waiver
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64
ROW = ROW_OF_ID["1.2"]
POLICY = GatePolicy()
X, Y = ("alarm_missing", "x"), ("alarm_missing", "y")
GOOD = Waiver("w", "1.2", DIGEST, frozenset({X}), "known", "OPS-7", NOW, NOW + timedelta(days=14), "security-compliance", "carol")


def finding(pair, verdict=Verdict.FAIL):
    return Finding(*pair[:1], verdict, pair[1], "", "")


def waived(findings, *waivers, policy=POLICY, now=NOW, row=ROW):
    return waive(row, findings, waivers, release_digest=DIGEST, policy=policy, now=now)


def test_a_waiver_excuses_the_finding_it_names():
    outcome = waived([finding(X)], GOOD)
    assert outcome.waived
    assert outcome.used == ("w",)


def test_every_closing_finding_must_be_covered():
    outcome = waived([finding(X), finding(Y)], GOOD)
    assert not outcome.waived
    assert [f.subject for f in outcome.uncovered] == ["y"]


def test_two_waivers_cover_a_row_together():
    assert waived([finding(X), finding(Y)], GOOD, replace(GOOD, id="v", pairs=frozenset({Y}))).used == ("v", "w")


def test_an_error_is_never_waived_even_beside_a_failure_of_the_same_name():
    assert not waived([finding(X), finding(X, Verdict.ERROR)], GOOD).waived


def test_an_undecided_row_can_be_waived():
    assert waived([finding(X, Verdict.INCONCLUSIVE)], GOOD).waived


def test_a_row_without_closing_findings_is_not_waived():
    assert not waived([], GOOD).waived
    assert not waived([finding(X, Verdict.WARN)], GOOD).waived


def test_where_warnings_block_they_must_be_covered_too():
    policy = GatePolicy(warn_blocks=("1.2",))
    found = [finding(X), finding(Y, Verdict.WARN)]
    assert waived(found, GOOD).waived
    assert not waived(found, GOOD, policy=policy).waived
    assert waived(found, replace(GOOD, pairs=frozenset({X, Y})), policy=policy).waived


@pytest.mark.parametrize("row", [row.id for row in ALL_CHECKS if not row.waivable])
def test_rows_that_may_not_be_waived_are_refused(row):
    assert "cannot be waived" in problem_of(replace(GOOD, row=row), release_digest=DIGEST, policy=POLICY, now=NOW)


def test_an_extra_check_is_waived_by_its_name():
    waiver = replace(GOOD, row="tool_slo_met")
    assert problem_of(waiver, release_digest=DIGEST, policy=POLICY, now=NOW) is None
    assert waived([finding(X)], waiver, row=ROW_OF_ID["tool_slo_met"]).waived


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"row": "9.9"}, "no row"),
        ({"release_digest": "sha256:" + "0" * 64}, "another release"),
        ({"pairs": frozenset()}, "no finding"),
        ({"reason": "\t"}, "no reason"),
        ({"ticket": ""}, "no ticket"),
        ({"signed_by": None}, "no role's key"),
        ({"signed_by": "gate"}, "no role's key"),
        ({"signed_by": ROW.owner}, "owner"),
        ({"identity": ""}, "nobody"),
        ({"until": NOW + timedelta(days=14, seconds=1)}, "longer than 14"),
        ({"issued_at": NOW - timedelta(days=20), "until": NOW + timedelta(days=1)}, "longer than 14"),
        ({"issued_at": NOW + timedelta(seconds=301)}, "future"),
        ({"issued_at": NOW - timedelta(days=2), "until": NOW}, "ended"),
        ({"until": NOW - timedelta(days=1)}, "ended"),
    ],
)
def test_what_makes_a_waiver_void_is_said(changes, said):
    assert said in problem_of(replace(GOOD, **changes), release_digest=DIGEST, policy=POLICY, now=NOW)


def test_either_of_the_two_other_roles_may_sign_a_waiver():
    for role in set(ROLES) - {ROW.owner}:
        assert problem_of(replace(GOOD, signed_by=role), release_digest=DIGEST, policy=POLICY, now=NOW) is None


def test_a_waiver_ends_by_itself():
    assert waived([finding(X)], GOOD, now=NOW + timedelta(days=14) - timedelta(seconds=1)).waived
    assert not waived([finding(X)], GOOD, now=NOW + timedelta(days=14)).waived


def test_the_policy_may_shorten_the_life_of_a_waiver_but_not_lengthen_it():
    assert not waived([finding(X)], GOOD, policy=GatePolicy(waiver_days=2)).waived
    with pytest.raises(ValueError, match="14"):
        GatePolicy(waiver_days=15)


def test_pairs_of_a_waiver_that_match_nothing_are_reported():
    both = replace(GOOD, pairs=frozenset({X, Y}))
    assert unmatched([both], {"1.2": [finding(X)]}) == [("w", Y)]
    assert unmatched([both], {}) == [("w", X), ("w", Y)]


def test_a_bare_code_stands_for_the_subjects_found_now():
    found = [finding(X), finding(Y), finding(("other", "x"))]
    assert pair_of("alarm_missing", found) == {X, Y}
    assert pair_of("alarm_missing@y", found) == {Y}
    assert pair_of("alarm_missing@a@b", [finding(("alarm_missing", "a@b"))]) == {("alarm_missing", "a@b")}
    with pytest.raises(ValueError, match="no finding"):
        pair_of("alarm_missing@z", found)
