"""How a row went: its line of verdicts, and every change of it with what made the difference."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.report.past_runs import PastRun
from phase5_ops.report.verdict_history import row_histories
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import document, finding, row

OTHER_POLICY = "sha256:" + "1" * 64


def past(run_id: str, *found: Verdict, partial: bool = False, policy: str = OTHER_POLICY) -> PastRun:
    about = row("2.1", *(finding(verdict=each, seen=run_id) for each in found))
    return PastRun(run_id, document(run_id, about, partial=partial, policy=policy))


def test_the_last_change_names_the_run_and_the_findings():
    runs = [past("r4", Verdict.FAIL, policy="sha256:" + "2" * 64), past("r3"), past("r2"), past("r1", Verdict.WARN)]
    (about,) = row_histories(runs, ["2.1"])
    assert about.verdicts == (Verdict.WARN, Verdict.PASS, Verdict.PASS, Verdict.FAIL)
    assert about.now is Verdict.FAIL
    last, first = about.changes
    assert (last.run.run_id, last.since_run, last.before, last.after) == ("r4", "r3", Verdict.PASS, Verdict.FAIL)
    assert ([each.seen for each in last.came], last.went, last.policy_changed) == (["r4"], (), True)
    assert (first.run.run_id, [each.seen for each in first.went], first.policy_changed) == ("r2", ["r1"], False)


def test_a_run_without_a_document_or_without_the_row_is_a_gap():
    only_other = PastRun("part", document("part", row("1.1"), partial=True))
    runs = [past("r3", Verdict.FAIL), only_other, PastRun("broken", None, "it left none"), past("r1", Verdict.FAIL)]
    (about,) = row_histories(runs, ["2.1"])
    assert about.verdicts == (Verdict.FAIL, None, None, Verdict.FAIL)
    assert about.changes == ()
    assert [each.row for each in row_histories([only_other])] == ["1.1"]
    assert row_histories([PastRun("broken", None, "it left none")]) == []


def test_rows_come_in_the_order_of_the_checklist():
    assert [each.row for each in row_histories([past("r1")])][:3] == ["1.1", "1.2", "1.3"]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=6))
def test_each_step_to_another_verdict_is_a_change_and_no_other_is(verdicts: list[Verdict]):
    runs = [past(f"r{number}", *([] if each is Verdict.PASS else [each])) for number, each in enumerate(verdicts)]
    (about,) = row_histories(runs, ["2.1"])
    steps = [(after, before) for after, before in pairwise(verdicts) if after is not before]
    assert [(change.after, change.before) for change in about.changes] == steps
    assert all(change.came or change.went for change in about.changes)
