"""What is told of waivers: in force, needed, in vain, and for how many releases in a row."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.waiver_report import in_words, matching_nothing, releases_in_a_row, waiver_uses
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.records import Waiver
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import NOW

COMPLETE = complete_inputs(GatePolicy(), NOW)
X, Z = ("alarm_missing", "x"), ("alarm_missing", "z")
GOOD = Waiver(
    "w", "1.2", COMPLETE.release.digest, frozenset({X}), "known", "T-1", NOW, NOW + timedelta(days=1), "ops-sre", "carol"
)
CHECK = "slo_alarms_defined"


def failing(*waivers, policy=None):
    verdict = {"verdict": Verdict.FAIL, "findings": (Finding(X[0], Verdict.FAIL, X[1], "", ""),)}
    result = replace(COMPLETE.results[CHECK], passed=False, **verdict)
    stored = replace(COMPLETE.bundle.verdicts[CHECK], **verdict)
    bundle = replace(COMPLETE.bundle, verdicts={**COMPLETE.bundle.verdicts, CHECK: stored})
    return replace(COMPLETE, results={**COMPLETE.results, CHECK: result}, bundle=bundle, waivers=waivers)


def uses(inputs, promotions=()):
    return {use.waiver.id: use for use in waiver_uses(inputs, decide(inputs), promotions)}


def test_a_waiver_that_the_release_needs_is_used_and_one_in_vain_is_named():
    found = uses(failing(GOOD, replace(GOOD, id="v", pairs=frozenset({X, Z}))))
    assert (found["w"].problem, found["w"].used, found["w"].unmatched) == (None, True, ())
    assert found["v"].unmatched == (Z,)
    assert matching_nothing(found.values()) == ("waiver v of row 1.2 matches nothing: alarm_missing@z",)


def test_a_waiver_that_does_not_count_says_why_and_is_not_reported_as_in_vain():
    found = uses(failing(replace(GOOD, until=NOW, pairs=frozenset({Z}))))
    assert "it ended" in found["w"].problem
    assert matching_nothing(found.values()) == ()


def test_of_a_row_without_a_result_nothing_is_known_to_be_in_vain():
    found = uses(replace(failing(GOOD), results={}))
    assert (found["w"].unmatched, found["w"].used) == ((), False)


def test_without_a_release_there_are_no_waivers():
    assert uses(replace(COMPLETE, release=None, waivers=(GOOD,))) == {}


def test_of_several_findings_the_one_that_was_waived_longest_counts_and_none_is_none():
    noted = [(name, frozenset(("1.2", pair) for pair in pairs)) for name, pairs in (("a", {X}), ("b", {Z}), ("c", {X, Z}))]
    assert [releases_in_a_row("1.2", pairs, noted, "drill") for pairs in ({X}, {Z}, {X, Z}, ())] == [2, 3, 3, 0]


@pytest.mark.parametrize(
    ("promotions", "count"),
    [
        ([], 1),
        ([("a", {X}), ("b", {X})], 3),
        ([("a", {X}), ("b", set())], 1),
        ([("a", {X}), ("b", {Z})], 1),
        ([("a", {X}), ("drill", {X})], 2),  # the release at hand counts once
        ([("a", {X}), ("b", {X}), ("a", {X})], 3),  # rolled back to a: two releases before this one, not three
    ],
)
def test_releases_are_counted_back_from_this_one(promotions, count):
    noted = [(name, frozenset(("1.2", pair) for pair in pairs)) for name, pairs in promotions]
    assert releases_in_a_row("1.2", {X}, noted, "drill") == count
    assert uses(failing(GOOD), noted)["w"].in_a_row == count


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (23, "23rd")]
)
def test_numbers_are_said_as_people_say_them(count, said):
    assert in_words(count) == f"{said} release in a row"
