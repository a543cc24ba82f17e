"""How `execution_outcomes` is gathered: what other assets of a run read is taken, and what is missing of it is read."""

import pytest

from phase5_ops.aws.ledger import ReadPlan
from phase5_ops.context import open_run
from phase5_ops.evidence.table import Tables
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.reads import ReadStatus
from phase5_ops.run_reads import ledger
from phase5_ops.sandbox.state.records import ATTEMPTS, LEDGER, OUTCOMES
from phase5_ops.sections.costs.budgets.assets import gather_autonomy_budget
from phase5_ops.sections.executions.assets import describe_executions, gather_execution_outcomes
from phase5_ops.sections.replay.audit.assets import gather_replay_audit
from phase5_ops.settings import load_settings
from phase5_ops_tests.conftest import NOW, clean, standing
from phase5_ops_tests.recorded_calls import recorded_calls

pytestmark = pytest.mark.slow

NOTHING: Tables = {}


@pytest.fixture(scope="module")
def sandbox():
    with standing("healthy") as running:
        yield running


@pytest.fixture
def run(sandbox, monkeypatch, tmp_path):
    """A run on the healthy platform."""
    clean(monkeypatch)
    for name, value in {**sandbox.exports(), "PHASE5_NOW": NOW, "PHASE5_STATE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return open_run(load_settings(), "run", look_back)


def test_nothing_is_read_again_that_another_asset_of_the_run_has_read(run):
    gather_replay_audit(run, NOTHING)
    gather_autonomy_budget(run, NOTHING)
    before = dict(run.reader.meter.calls)
    table = gather_execution_outcomes(run, NOTHING)
    assert run.reader.meter.calls == before
    assert {read.resource.split(" ")[0] for read in table.reads} >= {LEDGER, OUTCOMES, ATTEMPTS}
    assert not any(kept.startswith("run_reads/") for kept in run.shared)  # they are let go of


def test_alone_it_reads_each_table_once_and_finds_the_same(run):
    with recorded_calls() as calls:
        alone = gather_execution_outcomes(run, NOTHING)
    assert calls.repeated_reads() == set()
    assert set(calls.by_operation(polled=())) == {"DescribeTable", "Scan"}
    assert {read.resource.split(" ")[0] for read in alone.reads} == {LEDGER, OUTCOMES, ATTEMPTS}
    gather_replay_audit(run, NOTHING)
    gather_autonomy_budget(run, NOTHING)
    shared = gather_execution_outcomes(run, NOTHING)
    assert (shared.rows, shared.facts.executions, shared.facts.calls) == (alone.rows, alone.facts.executions, alone.facts.calls)
    shown = describe_executions(shared)["calls_by_tool"].value
    assert len(shared.facts.calls.by_tool) == 3
    assert all(f"| `{tool}` |" in shown for tool in shared.facts.calls.by_tool)


@pytest.mark.parametrize("table", [LEDGER, OUTCOMES, ATTEMPTS])
def test_what_another_asset_could_not_read_is_not_taken_from_it(run, sandbox, table):
    sandbox.faults.add(operation="Scan", kind="denied", match=table)
    try:
        gather_replay_audit(run, NOTHING)
        gather_autonomy_budget(run, NOTHING)
        denied = gather_execution_outcomes(run, NOTHING)
    finally:
        sandbox.faults.clear()
    assert {read.resource.split(" ")[0] for read in denied.reads if read.status is ReadStatus.DENIED} == {table}
    again = gather_execution_outcomes(run, NOTHING)
    assert all(read.status is ReadStatus.OK for read in again.reads)


def test_the_outcome_of_a_replay_may_be_older_than_the_window(run, sandbox):
    dynamodb = sandbox.inside.dynamodb
    (item,) = dynamodb.query(
        TableName=OUTCOMES,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "TENANT#initech#ACCOUNT#initech-1"}},
    )["Items"]
    ledger = dynamodb.scan(TableName=LEDGER)["Items"]
    of_first = [entry for entry in ledger if entry["traceId"] == item["trace_id"]]
    try:
        dynamodb.put_item(TableName=OUTCOMES, Item={**item, "completed_at": {"S": "2026-11-03T12:00:00.000Z"}})
        for entry in of_first:
            dynamodb.delete_item(TableName=LEDGER, Key={"pk": entry["pk"], "sk": entry["sk"]})
        table = gather_execution_outcomes(run, NOTHING)
    finally:
        for entry in of_first:
            dynamodb.put_item(TableName=LEDGER, Item=entry)
        dynamodb.put_item(TableName=OUTCOMES, Item=item)
    assert table.rows == []
    assert [read.operation for read in table.reads].count("dynamodb:BatchGetItem") == 1


def test_a_partition_that_only_outcomes_name_is_read_too(run, sandbox, monkeypatch):
    """Where the ledger was read by query, of the tenants that the tenants table names."""
    monkeypatch.setattr(ledger, "plan_reading", lambda *_, **__: ReadPlan("query", 1, 9, 1))
    dynamodb = sandbox.inside.dynamodb
    tenant = dynamodb.get_item(TableName="cc-native-tenants", Key={"tenantId": {"S": "globex"}})["Item"]
    dynamodb.delete_item(TableName="cc-native-tenants", Key={"tenantId": {"S": "globex"}})
    try:
        gather_replay_audit(run, NOTHING)
        gather_autonomy_budget(run, NOTHING)
        table = gather_execution_outcomes(run, NOTHING)
    finally:
        dynamodb.put_item(TableName="cc-native-tenants", Item=tenant)
    assert table.rows == []
    assert "1 more partitions" in table.facts.read_by
