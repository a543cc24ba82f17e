"""A small part of the campaign, by fixed seeds; that each kind of fault is what it is called; and that the campaign can fail."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from phase5_ops.aws import reader
from phase5_ops.orchestration import wiring
from phase5_ops.reads import ReadStatus
from phase5_ops.verdict import Verdict
from phase5_ops_tests.faults import campaign, runs, ticks
from phase5_ops_tests.faults.injection import Kind, Plan, injected
from phase5_ops_tests.gate.real_candidate import opened_candidate

pytestmark = pytest.mark.slow(20)


def silent(_: str) -> None:
    """The campaign says each run on stderr."""


def cheap(count: int) -> list[int]:
    """The first groups of seed 1 of few rows that a scenario fails, and no probe."""
    return [number for number in range(100) if not set(runs.chosen(1, number)[1]) & {"3.1", "3.3", "4.1"}][:count]


@pytest.mark.parametrize("number", cheap(1))
def test_runs_under_faults_open_nothing_and_one_without_is_as_before(number):
    outcome = runs.Outcome()
    runs.group(1, number, outcome, silent, size=3)
    assert outcome.problems == []
    assert (outcome.runs, outcome.struck, outcome.clean) == (3, 3, 1)


def test_a_run_through_a_proxy_that_breaks_connections_opens_nothing():
    outcome = runs.Outcome()
    runs.group(1, cheap(1)[0], outcome, silent, size=1, sockets=True)
    assert outcome.problems == []
    assert outcome.struck == 1


def test_candidates_under_faults_open_only_where_they_would_without(tmp_path):
    outcome = ticks.Outcome()
    with opened_candidate(tmp_path / "made", ticks.SETTINGS) as again:
        kept = ticks.Candidates(again, tmp_path)
        for name in ("open", "a signature forged"):
            ticks.looks(kept, 1, 0, outcome, silent, name=name, count=2)
    assert outcome.problems == []
    assert (outcome.ticks, outcome.candidates) == (4, {"open": 1, "a signature forged": 1})


def test_a_product_that_passes_what_it_could_not_read_is_found(monkeypatch):
    judge = wiring._judge

    def lenient(*given):
        judgement, rest = judge(*given)
        unread = judgement.verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE)
        return (replace(judgement, verdict=Verdict.PASS) if unread else judgement), rest

    number = next(each for each in range(1000) if runs.chosen(1, each)[0] == "log-foreign-tenant-in-message")
    runs.fault_free(*runs.chosen(1, number))
    monkeypatch.setattr(wiring, "_judge", lenient)
    monkeypatch.setattr(Plan, "drawn", lambda *_: Plan("all", 1.0, (Kind.ERROR_500,), frozenset({"logs"})))
    outcome = runs.Outcome()
    runs.group(1, number, outcome, silent, size=1)
    assert any("row 4.2 is PASS, without faults FAIL" in problem for problem in outcome.problems), outcome


def test_the_command_says_its_figures_as_json(monkeypatch, capsys):
    monkeypatch.setattr(campaign, "bench", nullcontext)  # the session has it
    monkeypatch.setattr("sys.argv", ["faults", "--runs", "0", "--sockets", "0", "--ticks", "0", "--seed", "7"])
    assert campaign.main() == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["seed"], said["runs"]["problems"], said["ticks"]["ticks"]) == (7, [], 0)


@pytest.mark.parametrize(
    ("expected", "found", "wrong"),
    [
        (Verdict.FAIL, Verdict.PASS, True),
        (Verdict.FAIL, Verdict.WARN, True),
        (Verdict.INCONCLUSIVE, Verdict.WARN, True),
        (Verdict.WARN, Verdict.PASS, True),
        (Verdict.PASS, Verdict.WARN, False),
        (Verdict.PASS, Verdict.ERROR, False),
        (Verdict.FAIL, Verdict.ERROR, False),
    ],
)
def test_a_row_opens_wrongly_where_it_would_not_without_faults(expected, found, wrong):
    assert runs.opens_wrongly(expected, found) is wrong


#: Kind -> how the reading of a table ends, and whether the service was asked. A time of another zone is the answer's own.
ENDS = {
    Kind.LATENCY: (ReadStatus.OK, True),
    Kind.DATE: (ReadStatus.OK, True),
    Kind.TIMEOUT: (ReadStatus.TIMEOUT, None),
    Kind.THROTTLED: (ReadStatus.THROTTLED, False),
    Kind.THROUGHPUT: (ReadStatus.THROTTLED, False),
    Kind.RESET_BEFORE: (ReadStatus.UNREACHABLE, False),
    Kind.RESET_AFTER: (ReadStatus.UNREACHABLE, True),
    Kind.TRUNCATED: (ReadStatus.INVALID, True),
    Kind.ERROR_500: (ReadStatus.FAILED, False),
    Kind.ERROR_500_DONE: (ReadStatus.FAILED, True),
    Kind.GATEWAY: (ReadStatus.FAILED, False),
    Kind.SKEWED: (ReadStatus.FAILED, False),
    Kind.EXPIRED: (ReadStatus.DENIED, False),
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_of_fault_is_what_it_is_called(aws, aws_server, monkeypatch, kind):
    asked = []
    monkeypatch.setattr(aws_server, "before", lambda: asked.append(1))
    answers = reader.AwsReader(
        runs.load_settings().reading.model_copy(update={"max_attempts": 1, "read_timeout_seconds": 0.1}), session=aws
    )
    plan = Plan("1", 1.0, (kind,), expires_after=0 if kind is Kind.EXPIRED else None)
    with injected(plan):
        found = answers.call("dynamodb", "list_tables", "tables").read
    status, passed_on = ENDS[kind]
    assert found.status is status, found
    assert passed_on in (None, bool(asked))
    assert plan.injected == {kind: 1}
