"""Every leak of the sandbox's platform is really there: in its tables, its trail, its events, or its answers."""

import json

import pytest

from phase5_ops.aws.data_trail import read_data_trail
from phase5_ops.aws.reader import AwsReader
from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.isolation.event_reading import read_bus_events
from phase5_ops.isolation.footprint_evidence import Result, TableImage, TableKeys, event_row, footprint
from phase5_ops.isolation.trail_evidence import TrailWindow, read_trail
from phase5_ops.policy import IsolationPolicy
from phase5_ops.sandbox import platform_records as records
from phase5_ops.sandbox.audit_export import EXPORTS
from phase5_ops.sandbox.blueprint import TENANTS
from phase5_ops.sandbox.control_center import BUDGETS, CONFIG
from phase5_ops.sandbox.execution_leaks import CACHE
from phase5_ops.sandbox.holes import Hole
from phase5_ops.sandbox.named_tenant import HOLE_OF_ROUTE
from phase5_ops.sandbox.platform_clock import PlatformClock
from phase5_ops.sandbox.probe_tenants import A, B
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.settings import Reading
from phase5_ops_tests.sandbox.ccnative import FOREIGN, OWN

LEAKS = {
    next(iter(state.holes)): each.turns["4.1"][1]
    for each in all_scenarios()
    if each.change.__module__.endswith(".isolation")
    for state in [each.blueprint(PlatformClock().now(), "us-west-2")]
}
TABLES = (
    records.ATTEMPTS,
    records.DEDUPE,
    records.INTENTS,
    records.LEDGER,
    records.NOTES,
    records.OUTCOMES,
    records.REGISTRY,
    records.RESILIENCE,
    records.SIGNALS,
    records.TENANTS,
    CACHE,
)
OF_ROUTES = {*HOLE_OF_ROUTE.values(), Hole.CONFIG_KEY_FROM_BODY}
OF_EXECUTIONS = {
    hole: code
    for hole, code in LEAKS.items()
    if hole not in OF_ROUTES | {Hole.TRAIL_NOT_DELIVERED, Hole.OUTCOME_NOT_WRITTEN, Hole.LEDGER_END_MISSING}
}


@pytest.fixture
def reader(ccnative, monkeypatch):
    """Reads the sandbox from outside."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ccnative.sandbox.endpoint)
    return AwsReader(Reading(), session=ccnative.sandbox.session())


@pytest.fixture(scope="module")
def keys(shared_platform):
    """Keys of the tables that executions have to do with."""
    described = {name: shared_platform.aws.dynamodb.describe_table(TableName=name)["Table"] for name in TABLES}
    return {name: TableKeys.from_description(name, description) for name, description in described.items()}


class Execution:
    """What one execution for tenant A touched, as the isolation harness would see it."""

    def __init__(self, ccnative, reader, keys):
        self._ccnative, self._reader, self._keys = ccnative, reader, keys

    def _items(self):
        pages = self._ccnative.aws.dynamodb.get_paginator("scan")
        return {name: [item for page in pages.paginate(TableName=name) for item in page["Items"]] for name in self._keys}

    def rows(self):
        clock, began = self._ccnative.sandbox.clock, self._ccnative.sandbox.clock.now()
        intent = self._ccnative.intent()
        before = self._items()
        self._ccnative.approve(intent)
        assert self._ccnative.platform.executor.wait_idle()
        after = self._items()
        traces = {
            access.actor.trace_id
            for access in self._ccnative.sandbox.trail.all()
            if intent in json.dumps(access.request, default=str)
        } - {""}
        scope = ExecutionScope(
            A.tenant_id,
            accounts=frozenset(A.accounts),
            intents=frozenset({intent}),
            traces=frozenset({*traces, "trace-decision"}),
            action_types=frozenset({"CREATE_INTERNAL_NOTE"}),
            connectors=frozenset({"internal"}),
            idempotency_keys=frozenset(
                {
                    records.idempotency_key(
                        A.tenant_id, intent, "internal.create_note", {"content": "a note", "title": "a title"}, 1
                    )
                }
            ),
            objects=frozenset(item["note_id"]["S"] for item in after[records.NOTES] if item not in before[records.NOTES]),
            other_tenants=frozenset({*TENANTS, B.tenant_id}),
            foreign_markers=frozenset({B.tenant_id, FOREIGN}),
        )
        images = [TableImage(keys, before[name], after[name]) for name, keys in self._keys.items()]
        found = footprint(images, scope, other_test_tenant=B.tenant_id)
        location, ended = self._ccnative.platform.trail.location, clock.now()
        trail = read_data_trail(self._reader, location, began, ended, now=ended)
        assert trail.delivered(ended) or Hole.TRAIL_NOT_DELIVERED in self._ccnative.holes
        window = TrailWindow(began, ended, IsolationPolicy().trail_functions)
        found += read_trail(trail.records, scope, window, self._keys, other_test_tenant=B.tenant_id).rows
        events = read_bus_events(self._reader, "/aws/events/cc-native-events", began, ended, calls_per_second=50)
        assert {str(read.status) for read in (*events.reads, *trail.reads)} == {"ok"}
        ours = [event for event in events.events if event.detail.get("traceId") in traces]
        return [*found, *(event_row(event.source, event.detail_type, event.detail, scope) for event in ours)]


@pytest.fixture
def execution(ccnative, reader, keys):
    """Executes intents and looks at what they touched."""
    return Execution(ccnative, reader, keys)


def test_a_healthy_execution_leaks_nothing_and_every_read_is_judged(execution):
    rows = execution.rows()
    assert {row.result for row in rows} == {Result.IN_SCOPE, Result.APPROVED}, [row for row in rows if row.codes]
    assert {str(row.kind) for row in rows} == {"write", "read", "event"}
    assert {row.operation for row in rows} >= {"GetItem", "PutItem", "UpdateItem", "Query", "written", "put"}


@pytest.mark.parametrize(("hole", "code"), OF_EXECUTIONS.items(), ids=str)
def test_a_leak_of_an_execution_can_be_seen(hole, code, execution, ccnative):
    ccnative.holes.add(hole)
    rows = execution.rows()
    codes = {found for row in rows for found in row.codes}
    expected = {"foreign_key_written"} if hole is Hole.EXECUTION_RECORDED_ELSEWHERE else {code}
    assert expected <= codes


def test_a_trail_that_is_not_delivered_comes_with_a_later_delivery(ccnative, execution, reader):
    ccnative.holes.add(Hole.TRAIL_NOT_DELIVERED)
    assert {str(row.kind) for row in execution.rows()} == {"write", "event"}


def test_an_execution_can_leave_out_its_outcome_or_its_end(ccnative):
    ccnative.holes.add(Hole.OUTCOME_NOT_WRITTEN)
    first = ccnative.intent()
    ccnative.approve(first)
    assert ccnative.events(first) == ["EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"]
    assert ccnative.item(records.OUTCOMES, first, "OUTCOME") is None
    ccnative.holes.clear()
    ccnative.holes.add(Hole.LEDGER_END_MISSING)
    second = ccnative.intent()
    ccnative.approve(second)
    assert ccnative.events(second) == ["EXECUTION_STARTED", "SIGNAL"]


# The Control Center

EXPORT, EXECUTED = "exp-of-tenant-b", "ai_1_of_tenant_b"
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}
READS = {
    Hole.FOREIGN_EXPLANATION_READABLE: ("/ledger/explanation", {"action_intent_id": EXECUTED, "account_id": FOREIGN}),
    Hole.FOREIGN_BUDGET_READABLE: ("/budget", {"account_id": FOREIGN}),
    Hole.FOREIGN_BUDGET_STATE_READABLE: ("/budget/state", {"account_id": FOREIGN}),
    Hole.FOREIGN_CONFIG_READABLE: ("/config", {"tenant_id": B.tenant_id}),
    Hole.FOREIGN_KILL_SWITCHES_READABLE: ("/kill-switches", {"tenantId": B.tenant_id}),
    Hole.FOREIGN_EXPORT_READABLE: (f"/audit/exports/{EXPORT}", {}),
    Hole.FOREIGN_EXECUTION_STATUS_READABLE: (f"/executions/{EXECUTED}/status", {"account_id": FOREIGN}),
    Hole.FOREIGN_EXECUTIONS_READABLE: (f"/accounts/{FOREIGN}/executions", {}),
}
KEY_OF_B = {"pk": records.tenant_key(B.tenant_id), "sk": "AUTONOMY#mark"}
WRITES = {
    Hole.FOREIGN_BUDGET_WRITABLE: ("PUT", "/budget", {"account_id": FOREIGN, "max_autonomous_per_day": 1}, BUDGETS),
    Hole.FOREIGN_CONFIG_WRITABLE: ("PUT", "/config", {"mode": "DISABLED"}, CONFIG),
    Hole.CONFIG_KEY_FROM_BODY: ("PUT", "/config", {"mode": "DISABLED", **KEY_OF_B}, CONFIG),
    Hole.FOREIGN_KILL_SWITCHES_WRITABLE: ("PUT", "/kill-switches", {"disabled_action_types": ["mark"]}, records.TENANTS),
    Hole.FOREIGN_EXPORT_WRITABLE: ("POST", "/audit/exports", PERIOD, EXPORTS),
}
OF_B = "mark-of-tenant-b"


@pytest.fixture(scope="module")
def data_of_b(shared_platform):
    """Something marked behind every route that tenant B has."""
    aws, partition, clock = shared_platform.aws, records.account_key(B.tenant_id, FOREIGN), shared_platform.sandbox.clock
    today = f"{clock.now():%Y-%m-%d}"
    aws.put(BUDGETS, {"pk": partition, "sk": "BUDGET#CONFIG", "max_autonomous_per_day": 3, "mark": OF_B})
    aws.put(BUDGETS, {"pk": partition, "sk": f"BUDGET_STATE#{today}", "total": 1, "mark": OF_B})
    aws.put(CONFIG, {"pk": records.tenant_key(B.tenant_id), "sk": "AUTONOMY#DEFAULT", "mark": OF_B})
    tenant = aws.get(records.TENANTS, tenantId=B.tenant_id)
    aws.put(records.TENANTS, tenant | {"disabled_action_types": [OF_B]})
    export = {"export_id": EXPORT, "tenant_id": B.tenant_id, "status": OF_B}
    aws.put(EXPORTS, {"pk": records.tenant_key(B.tenant_id), "sk": f"EXPORT#{EXPORT}", **export})
    outcome = {"action_intent_id": EXECUTED, "gsi1pk": f"ACTION_INTENT#{EXECUTED}", "gsi1sk": "x", "status": OF_B}
    done = {"tenant_id": B.tenant_id, "started_at": "2026-11-01", "completed_at": "2026-11-01", "attempt_count": 1}
    aws.put(records.OUTCOMES, {"pk": partition, "sk": f"OUTCOME#{EXECUTED}", **outcome, **done})
    shared_platform.platform.ledger.append(
        "ACTION_APPROVED",
        tenant=B.tenant_id,
        account=FOREIGN,
        trace_id="trace-of-b",
        data={"action_intent_id": EXECUTED, "mark": OF_B},
    )


def shown(ccnative, hole):
    """The text of the answer that tenant A's user gets to a request that names what is tenant B's."""
    path, query = READS[hole]
    return json.dumps(ccnative.request("GET", path, token=ccnative.token, query=query)[1])


@pytest.mark.parametrize("hole", READS, ids=str)
def test_a_route_shows_another_tenants_data_with_its_hole_alone(hole, ccnative, data_of_b):
    assert OF_B not in shown(ccnative, hole)
    ccnative.holes.update(OF_ROUTES - {hole})
    assert OF_B not in shown(ccnative, hole)
    ccnative.holes.add(hole)
    assert OF_B in shown(ccnative, hole)


def of_b(ccnative, table):
    """Everything of tenant B in a table."""
    return [
        item for item in ccnative.aws.dynamodb.scan(TableName=table)["Items"] if B.tenant_id in str(next(iter(item.values())))
    ]


@pytest.mark.parametrize("hole", WRITES, ids=str)
def test_a_route_writes_for_another_tenant_with_its_hole_alone(hole, ccnative, data_of_b):
    method, path, body, table = WRITES[hole]
    before = of_b(ccnative, table)

    def write():
        return ccnative.request(method, path, {"tenant_id": B.tenant_id, **body}, token=ccnative.token)[0]

    assert write() == 403
    ccnative.holes.update(OF_ROUTES - {hole, Hole.FOREIGN_CONFIG_WRITABLE, Hole.CONFIG_KEY_FROM_BODY})
    assert write() == 403
    assert of_b(ccnative, table) == before
    ccnative.holes.add(hole)
    assert write() in (200, 202)
    assert of_b(ccnative, table) != before


@pytest.mark.parametrize("hole", READS, ids=str)
def test_a_healthy_route_shows_a_tenant_its_own_data(hole, ccnative, data_of_b):
    path, query = READS[hole]
    own = {
        name: {"account_id": OWN, "tenant_id": A.tenant_id, "tenantId": A.tenant_id}.get(name, value)
        for name, value in query.items()
    }
    status, answer = ccnative.request("GET", path.replace(FOREIGN, OWN), token=ccnative.token, query=own)
    only_b = EXPORT in path or EXECUTED in str((path, query))
    assert (status, OF_B in json.dumps(answer)) == (404 if only_b else 200, False)
