"""Row 3.2 against the sandbox: each scenario of the ledger, the two ways of reading it, and what runs remember of it."""

from datetime import datetime
from uuid import uuid4

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.aws.ledger import ReadPlan, read_window
from phase5_ops.aws.reader import AwsReader
from phase5_ops.ccnative.ledger import SORT_PREFIX
from phase5_ops.context import open_run
from phase5_ops.reads import ReadStatus
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.sandbox.seed import items_of, put_items
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS
from phase5_ops.sections.replay.audit.assets import gather_replay_audit
from phase5_ops.sections.replay.audit.judge import AuditCode, judge_replay_audit
from phase5_ops.settings import ReadingSettings, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, run
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_judgements

pytestmark = pytest.mark.slow

LEDGER = "cc-native-ledger"
SCENARIOS = [each for each in all_scenarios() if each.change.__module__.endswith(".replay_audit")]


@pytest.fixture
def audited(start, monkeypatch):
    """Row 3.2 of a run against a scenario, without probes."""
    monkeypatch.setenv("PHASE5_PROBE_MODE", "off")

    def judged(scenario=None):
        if scenario is not None:
            start(scenario)
            monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
        return next(row for row in run(rows=["3.2"]).rows if row.id == "3.2")

    return judged


@pytest.fixture(scope="module")
def sandbox():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            yield running


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_of_the_ledger_turns_its_row(scenario, sandbox, monkeypatch, tmp_path):
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)
    for table in dynamodb_backends[ACCOUNT][sandbox.region].tables.values():
        table.items.clear()
    for table, items in items_of(scenario.blueprint(datetime.fromisoformat(NOW), sandbox.region)).items():
        put_items(sandbox.inside.client("dynamodb"), table, items)
    platform = open_run(load_settings(state_dir=tmp_path), str(uuid4()))
    table = gather_replay_audit(platform, {})
    row = judge_replay_audit(table, policy=platform.settings.replay, now=platform.now(), links=platform.links)
    verdict, code = scenario.turns["3.2"]
    assert (row.verdict, code in {finding.code for finding in row.findings}) == (verdict, True)
    assert all(finding.link for finding in row.findings)
    assert_gate_says(of_judgements({"3.2": row}), scenario.turns)


def test_the_scenarios_cover_every_code_that_one_run_can_find():
    shown = {code for scenario in SCENARIOS for _, code in scenario.turns.values()}
    needs_two_runs = {"ledger_entry_missing", "ledger_entry_changed", "ledger_history_broken"}
    assert {code.code for code in AuditCode.all()} - needs_two_runs - {"no_replay_in_window"} == shown


def test_an_empty_platform_has_no_replay_to_show(audited):
    row = audited("empty")
    assert (row.verdict, {finding.code for finding in row.findings}) == (Verdict.INCONCLUSIVE, {"no_replay_in_window"})


def test_later_runs_see_what_was_taken_from_the_ledger_and_what_was_rewritten(audited, tmp_path):
    first = audited("healthy")
    assert (first.verdict, first.facts["history_runs"]) == (Verdict.PASS, 1)
    second = audited()
    assert (second.verdict, second.facts["history_entries_compared"]) == (Verdict.PASS, first.facts["ledger_items"])
    table = boto3.resource("dynamodb").Table(LEDGER)
    signals = sorted((i for i in table.scan()["Items"] if i["eventType"] == "SIGNAL"), key=lambda item: item["sk"])
    table.delete_item(Key={"pk": signals[0]["pk"], "sk": signals[0]["sk"]})
    table.put_item(Item={**signals[1], "traceId": "another"})
    third = audited()
    found = {finding.code: finding.subject for finding in third.findings}
    assert third.verdict is Verdict.FAIL
    assert found == {
        "ledger_entry_missing": f"{signals[0]['pk']} / {signals[0]['sk']}",
        "ledger_entry_changed": f"{signals[1]['pk']} / {signals[1]['sk']}",
    }
    (tmp_path / "state" / "ledger_history.sqlite").unlink()
    assert {finding.code for finding in audited().findings} == {"ledger_history_broken", "history_starts_anew"}


def test_queries_and_a_parallel_scan_read_the_same_entries(start):
    start("healthy")
    found = {}
    for method in ("query", "scan"):
        keys = []
        reads, units = read_window(
            AwsReader(ReadingSettings()),
            LEDGER,
            plan=ReadPlan(method, 1, 1, 3),
            tenants=["acme", "globex", "initech", "nobody", *(tenant.tenant_id for tenant in PROBE_TENANTS)],
            since=f"{SORT_PREFIX}2026-11-20",
            take=lambda item, keys=keys: keys.append((item["pk"]["S"], item["sk"]["S"])),
        )
        assert [(read.status, read.resource) for read in reads] == [(ReadStatus.OK, LEDGER)]
        assert units > 0
        found[method] = sorted(keys)
    assert found["query"] == found["scan"]
    assert len(found["query"]) == len(set(found["query"])) > 10


def test_a_ledger_that_may_not_be_read_is_an_error(audited, start):
    sandbox = start("healthy")
    sandbox.faults.add("denied", operation="Scan", match=LEDGER)
    row = audited()
    assert (row.verdict, {finding.code for finding in row.findings}) == (Verdict.ERROR, {"read_failed"})
