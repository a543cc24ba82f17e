"""What changed between two documents is named whole, and nothing else is."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.report.changes import (
    Changes,
    FigureChange,
    FindingChange,
    RowChange,
    changes_between,
    figures_of,
    judged_otherwise,
    tells_all,
)
from phase5_ops.report.document import Judged, ReadinessDocument
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import AT, document, finding, row

_FOUND = st.builds(
    finding,
    st.sampled_from(["breaker_open", "alarm_missing"]),
    st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.PASS]),
    st.sampled_from(["crm", "<script>alert(1)</script>", "a\n\x1b[31mb"]),
    st.text(max_size=3),
)
_FACTS = st.dictionaries(
    st.sampled_from(["open", "cost", "share"]),
    st.one_of(
        st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.sampled_from(["707.50", "-1", "x", ""])
    ),
)
_ROWS = st.lists(
    st.tuples(st.sampled_from([each.id for each in ALL_CHECKS]), st.lists(_FOUND, max_size=3), _FACTS),
    unique_by=lambda each: each[0],
    min_size=1,
    max_size=4,
)


@st.composite
def documents(draw: st.DrawFn) -> ReadinessDocument:
    rows = [row(row_id, *found, **facts) for row_id, found, facts in draw(_ROWS)]
    return document(draw(st.sampled_from(["run-1", "run-2"])), *rows, partial=draw(st.booleans()))


def verdicts(of: ReadinessDocument) -> dict[str, Verdict]:
    return {entry.id: entry.verdict for entry in (*of.rows, *of.extra_checks)}


@settings(max_examples=40)
@given(documents())
def test_nothing_changes_from_a_document_to_itself(one: ReadinessDocument):
    assert changes_between(one, one) == Changes(one.run_id, one.evaluated_at)
    assert changes_between(one, one).nothing


def known_to_be_gone(found: Sequence[FindingChange], later: ReadinessDocument) -> tuple[FindingChange, ...]:
    entries = {entry.id: entry for entry in (*later.rows, *later.extra_checks)}
    return tuple(each for each in found if tells_all(entries.get(each.row)))


@settings(max_examples=40)
@given(documents(), documents())
def test_what_came_one_way_went_the_other_way(one: ReadinessDocument, other: ReadinessDocument):
    there, back = changes_between(one, other), changes_between(other, one)
    assert (known_to_be_gone(there.came, one), there.went) == (back.went, known_to_be_gone(back.came, other))
    assert {(each.row, each.before, each.after) for each in there.rows} == {(e.row, e.after, e.before) for e in back.rows}
    moved = {(each.row, each.fact, each.before, each.after) for each in there.figures}
    assert moved == {(each.row, each.fact, each.after, each.before) for each in back.figures}


@settings(max_examples=40)
@given(documents(), documents())
def test_every_change_of_a_verdict_is_named_with_a_finding_that_came_or_went(one: ReadinessDocument, other: ReadinessDocument):
    changes, before, after = changes_between(one, other), verdicts(one), verdicts(other)
    both = before.keys() & after.keys()
    assert {each.row for each in changes.rows} == {each for each in both if before[each] is not after[each]}
    assert {each.row for each in changes.rows} <= {each.row for each in (*changes.came, *changes.went)}


@settings(max_examples=40)
@given(documents(), documents())
def test_figures_come_with_the_farthest_move_first(one: ReadinessDocument, other: ReadinessDocument):
    moved = [each.relative for each in changes_between(one, other).figures]
    assert moved == sorted(moved, reverse=True)
    assert all(0 <= each <= 2 for each in moved)


def test_verdict_findings_and_figures_are_told():
    before = document("run-1", row("2.1", open=0, cost="707.50", share=0.5, ok=True, head="9f"))
    opened = finding(seen="open since 12:00")
    after = document("run-2", row("2.1", opened, open=2, cost="700.00", ok=False, head="8a"))
    changes = changes_between(before, after)
    assert (changes.since_run, changes.since_at, changes.went) == ("run-1", AT, ())
    assert changes.rows == (RowChange("2.1", "Breaker state observable", Verdict.PASS, Verdict.FAIL),)
    assert changes.came == (FindingChange("2.1", "breaker_open", "crm", Verdict.FAIL, "open since 12:00"),)
    assert changes.figures == (
        FigureChange("2.1", "open", 0.0, 2.0),
        FigureChange("2.1", "share", 0.5, None),
        FigureChange("2.1", "cost", 707.5, 700.0),
    )


def test_a_finding_that_grows_worse_went_and_came():
    worse = changes_between(
        document("run-1", row("2.1", finding(verdict=Verdict.WARN))), document("run-2", row("2.1", finding(verdict=Verdict.FAIL)))
    )
    assert ([each.verdict for each in worse.went], [each.verdict for each in worse.came]) == ([Verdict.WARN], [Verdict.FAIL])


def test_without_an_earlier_run_nothing_is_said_to_have_changed():
    assert changes_between(None, document("run-1", row("2.1", finding()))) == Changes(None, None)


def test_a_partial_run_is_compared_by_the_rows_that_both_cover():
    whole, part = document("run-1", row("1.1", finding())), document("run-2", row("2.1", finding()), partial=True)
    assert [each.row for each in changes_between(whole, part).rows] == ["2.1"]
    assert [each.row for each in changes_between(part, whole).rows] == ["2.1"]


def test_a_row_that_a_whole_run_does_not_have_is_a_change():
    whole = document("run-1")
    without = whole.model_copy(update={"extra_checks": whole.extra_checks[1:]})
    gone = whole.extra_checks[0]
    assert changes_between(whole, without).rows == (RowChange(gone.id, gone.title, Verdict.PASS, None),)


def test_runs_of_different_environments_are_not_compared():
    with pytest.raises(ValueError, match="'test' cannot be compared with one of 'production'"):
        changes_between(document("run-1"), document("run-2", environment="production"))


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
def test_a_figure_that_is_no_finite_number_is_refused(value: float):
    with pytest.raises(ValueError, match=r"the fact open of row 2\.1 is no finite number"):
        figures_of(row("2.1", open=value))


def test_runs_that_were_judged_by_something_else_are_told_apart():
    here = Judged(account="1", region="eu-west-1", identity="a")
    one = document("run-1").model_copy(update={"judged": here})
    assert judged_otherwise(one, one) == []
    there = one.model_copy(
        update={"judged": Judged(account="2", region="us-west-2", identity="a"), "policy_digest": "sha256:other"}
    )
    assert judged_otherwise(one, there) == [
        "the settings that judge are not those of the earlier run (policy digest)",
        "they judged different platforms: account 1, then 2",
        "they judged different platforms: region eu-west-1, then us-west-2",
    ]
