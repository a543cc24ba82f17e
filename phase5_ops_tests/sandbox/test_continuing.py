"""A served sandbox goes on: an hour later there is an hour more of traffic and executions, and it is as healthy as it was."""

from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.checklist import ROWS
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.blueprint import NAMESPACE
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS
from phase5_ops.sandbox.state.records import table_specs
from phase5_ops.sandbox.state.traffic import rows_between, rows_of
from phase5_ops.settings import Tables, load_settings
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.recorded_calls import recorded_calls
from phase5_ops_tests.without_dagster import judged

pytestmark = pytest.mark.slow

BEGAN = datetime.fromisoformat(NOW)
CRM = {"tool_name": "crm.create_task", "connector_id": "crm_salesforce"}


@pytest.fixture
def served(monkeypatch):
    """Starts a sandbox of a scenario at a fixed moment, and lets time pass in it."""
    running = []

    def begin(scenario: str) -> Sandbox:
        monkeypatch.setenv("PHASE5_NOW", NOW)
        sandbox = Sandbox(scenario)
        running.append(sandbox)
        sandbox.start()
        return sandbox

    yield begin
    for sandbox in reversed(running):
        sandbox.stop()


def pass_time(sandbox: Sandbox, **delta) -> datetime:
    """The platform's time so much after its beginning."""
    sandbox.clock.advance(BEGAN + timedelta(**delta) - sandbox.clock.now())
    return sandbox.clock.now()


def client(sandbox: Sandbox, service: str):
    return sandbox.session().client(service, endpoint_url=sandbox.endpoint)


def calls(sandbox: Sandbox, since: datetime, until: datetime, dimensions=CRM) -> list[float]:
    """Calls that succeeded, a minute each."""
    answer = client(sandbox, "cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="tool_success",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=since,
        EndTime=until,
        Period=60,
        Statistics=["Sum"],
    )
    return [point["Sum"] for point in sorted(answer["Datapoints"], key=lambda each: each["Timestamp"])]


def test_an_hour_later_every_minute_has_its_calls_once(served):
    sandbox = served("healthy")
    before = calls(sandbox, BEGAN - timedelta(minutes=30), BEGAN)
    for minute in (0.5, 1, 1, 7, 59, 60):  # asked at odd times, and twice
        pass_time(sandbox, minutes=minute, seconds=1)
        calls(sandbox, BEGAN, BEGAN + timedelta(hours=1))
    after = calls(sandbox, BEGAN, BEGAN + timedelta(hours=2))
    assert len(after) == 60
    assert set(after) <= {count + off for count in set(before) for off in (-1, 0, 1)}


def test_the_minute_that_is_not_over_has_no_points(served):
    sandbox = served("healthy")
    pass_time(sandbox, seconds=59)
    assert calls(sandbox, BEGAN, BEGAN + timedelta(hours=1)) == []


def test_every_tenant_has_an_execution_an_hour_with_its_lines_and_entries(served):
    sandbox = served("healthy")
    logs, dynamodb = client(sandbox, "logs"), client(sandbox, "dynamodb")

    def seen() -> tuple[int, int]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/cc-native-execution-starter")
        lines = [
            event["message"] for page in pages for event in page["events"] if "Execution starter invoked" in event["message"]
        ]
        ledger = dynamodb.get_paginator("scan").paginate(TableName="cc-native-ledger", Select="COUNT")
        return len(lines), sum(page["Count"] for page in ledger)

    lines, entries = seen()
    pass_time(sandbox, minutes=59)
    assert seen() == (lines, entries)
    pass_time(sandbox, hours=3, minutes=1)
    more = seen()
    tenants = len(sandbox_tenants(sandbox))
    assert more == (lines + 3 * tenants, entries + 9 * tenants)
    assert seen() == more


def sandbox_tenants(sandbox: Sandbox) -> list[str]:
    items = client(sandbox, "dynamodb").scan(TableName="cc-native-tenants")["Items"]
    return sorted({item["tenantId"]["S"] for item in items} - {tenant.tenant_id for tenant in PROBE_TENANTS})


def test_a_table_that_is_gone_takes_no_entries_and_breaks_nothing(served):
    sandbox = served("healthy")
    sandbox.inside.dynamodb.delete_table(TableName="cc-native-ledger")
    pass_time(sandbox, hours=2, minutes=1)
    assert len(calls(sandbox, BEGAN, BEGAN + timedelta(hours=1))) == 60


def test_traffic_that_a_scenario_ended_stays_ended_and_what_goes_on_is_not_repeated():
    for name in ("healthy", "metrics-stale"):
        blueprint = named(name).blueprint(BEGAN, "us-west-2")
        since = blueprint.epoch // 60 * 60
        following = rows_between(blueprint, since, since + 600)
        assert rows_between(blueprint, since, since + 600) == following
        ended = {traffic.tool for traffic in blueprint.traffic if traffic.until_minutes > 0}
        assert not {dict(key.dimensions)["tool_name"] for key in following} & ended
        last = max(row.at for rows in rows_of(blueprint).values() for row in rows)
        assert all(row.at > last - 60 for rows in following.values() for row in rows)


@pytest.mark.parametrize("hours", [1, 5])
def test_an_hour_old_healthy_sandbox_is_healthy_and_nothing_is_read_twice_but_on_purpose(start, monkeypatch, hours):
    sandbox = start("healthy")
    moment = pass_time(sandbox, hours=hours, seconds=1)
    monkeypatch.setenv("PHASE5_NOW", moment.astimezone(UTC).isoformat().replace("+00:00", "Z"))
    extra = [
        "changes_are_audited",
        "audit_export_is_whole",
        "executions_end",
        "calls_are_measured",
        "alarms_would_have_fired",
    ]
    rows = [*(row.id for row in ROWS if not row.is_sign_off), *extra]
    with recorded_calls() as calls:
        document = judged(load_settings(), rows).document
    found = {row.id: str(row.verdict) for row in (*document.rows, *document.extra_checks)}
    assert found == dict.fromkeys(rows, "PASS")
    tables = {spec["name"] for spec in table_specs()} - {Tables().readiness}
    compared = {("Scan", name) for name in tables}
    assert calls.repeated_reads() == compared | READ_ANEW.keys()
    assert calls.by_operation(polled=POLLED) == CALLS | {
        "DescribeTable": len(tables) + 1,
        "Scan": 2 * len(compared) + 8 + 4,
    }  # the ledger has two pages


#: What a run reads again with the same parameters, beside all tables before and after the canary, and why (docs/operating.md).
READ_ANEW = {
    ("GetFunctionConfiguration", "cc-native-execution-starter"): "the global stop, each time before the platform is acted on",
    ("GetFunctionConfiguration", "cc-native-execution-validator"): "the same",
    ("GetItem", "cc-native-tenants"): "a test tenant's stops, likewise, and what the kill switch is put back to",
    ("GetItem", "phase5-readiness"): "the lease, and what is saved of the test tenants",
    ("Query", "cc-native-audit-export"): "watched before the probes, after each wave, and when they are undone",
    ("Query", "cc-native-autonomy-budget-state"): "the same",
    ("Query", "cc-native-autonomy-config"): "the same",
    ("Query", "cc-native-decision-budget"): "the same",
    ("Query", "cc-native-decision-proposal"): "the same",
    ("Query", "cc-native-tenants"): "the same",
    ("Query", "cc-native-internal-notes"): "what a canary wrote, when it is removed; two canaries share a partition",
    ("Query", "cc-native-ledger"): "waits for the end of replays, and what probes had decided before and after them",
}
#: Where a run looks until something is there.
POLLED = {("Query", "cc-native-ledger"), ("Query", "cc-native-execution-outcomes")}
#: The calls of a run on `healthy`, beside those that grow with the tables.
CALLS = {
    "AdminInitiateAuth": 9,
    "BatchGetItem": 2,
    "BatchWriteItem": 19,
    "DeleteItem": 2,
    "DescribeAlarmHistory": 1,
    "DescribeAlarms": 1,
    "DescribeBudgets": 1,
    "DescribeLogGroups": 1,
    "DescribeNotificationsForBudget": 1,
    "FilterLogEvents": 14,
    "GetCallerIdentity": 1,
    "GetCostAndUsage": 2,
    "GetDashboard": 1,
    "GetFunctionConfiguration": 6,
    "GetItem": 13,
    "GetMetricData": 4 + 4,  # of the SLO summary, and of the replay of alarms
    "GetObject": 1,
    "GetSubscriptionAttributes": 1,
    "GetTopicAttributes": 1,
    "ListAlarmMuteRules": 1,
    "ListCostAllocationTags": 1,
    "ListDashboards": 1,
    "ListMetrics": 1,
    "ListObjectsV2": 1,
    "ListSubscriptionsByTopic": 1,
    "ListTables": 1,
    "PutEvents": 1,
    "PutItem": 3,
    "UpdateItem": 8,
    "Query": 4 * 32 + 3 * 6 + 2,  # watched partitions, where canaries may be left over, and notes
}
