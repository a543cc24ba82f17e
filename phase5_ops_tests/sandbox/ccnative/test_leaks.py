"""What the sandbox's platform leaks is really there; leaks of executions are judged by the harness's own scenarios."""

import gzip
import json
import re

import pytest

from phase5_ops.sandbox.ccnative.audit_export import EXPORTS
from phase5_ops.sandbox.control_center.admin import BUDGETS, CONFIG
from phase5_ops.sandbox.control_center.named_tenant import FAULT_OF_ROUTE
from phase5_ops.sandbox.state import records
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A, B
from phase5_ops.sandbox.state.records import ATTEMPTS
from phase5_ops_tests.sandbox.ccnative.stored_items import FOREIGN, OWN

OF_ROUTES = {*FAULT_OF_ROUTE.values(), PlatformFault.CONFIG_KEY_FROM_BODY}


def test_the_trail_is_delivered_in_cloudtrails_form_once_it_is_listed(ccnative):
    intent, trail = ccnative.intent(), ccnative.platform.trail
    bucket, _, prefix = trail.location.removeprefix("s3://").partition("/")
    s3 = ccnative.client("s3")
    earlier = {each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])}
    ccnative.approve(intent)
    (listed,) = [each for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"] if each["Key"] not in earlier]
    day = f"{ccnative.sandbox.clock.now():%Y/%m/%d}"
    assert listed["Key"].startswith(f"{prefix}/{day}/")
    assert listed["Key"].endswith(".json.gz")
    found = json.loads(gzip.decompress(s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read()))["Records"]
    put = next(each for each in found if each["eventName"] == "PutItem" and "execution-outcomes" in str(each["resources"]))
    assert put["userIdentity"]["arn"].endswith("/cc-native-execution-recorder")
    assert put["requestParameters"]["key"] == {"pk": f"TENANT#{A.tenant_id}#ACCOUNT#{OWN}", "sk": f"OUTCOME#{intent}"}
    assert "status" in put["requestParameters"]["items"]
    assert put["additionalEventData"]["executionTrace"] == ccnative.item(ATTEMPTS, intent, "EXECUTION")["trace_id"]
    assert re.fullmatch(r"[-\dT:]{19}Z", put["eventTime"])
    assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == len(earlier) + 1  # nothing new, no new file


def test_an_execution_can_leave_out_its_outcome_or_its_end(ccnative):
    ccnative.platform_faults.add(PlatformFault.OUTCOME_NOT_WRITTEN)
    first = ccnative.intent()
    ccnative.approve(first)
    assert ccnative.events(first) == ["EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"]
    assert ccnative.item(records.OUTCOMES, first, "OUTCOME") is None
    ccnative.platform_faults.clear()
    ccnative.platform_faults.add(PlatformFault.LEDGER_END_MISSING)
    second = ccnative.intent()
    ccnative.approve(second)
    assert ccnative.events(second) == ["EXECUTION_STARTED", "SIGNAL"]


# The Control Center

EXPORT, EXECUTED = "exp-of-tenant-b", "ai_1_of_tenant_b"
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}
READS = {
    PlatformFault.FOREIGN_EXPLANATION_READABLE: ("/ledger/explanation", {"action_intent_id": EXECUTED, "account_id": FOREIGN}),
    PlatformFault.FOREIGN_BUDGET_READABLE: ("/budget", {"account_id": FOREIGN}),
    PlatformFault.FOREIGN_BUDGET_STATE_READABLE: ("/budget/state", {"account_id": FOREIGN}),
    PlatformFault.FOREIGN_CONFIG_READABLE: ("/config", {"tenant_id": B.tenant_id}),
    PlatformFault.FOREIGN_KILL_SWITCHES_READABLE: ("/kill-switches", {"tenantId": B.tenant_id}),
    PlatformFault.FOREIGN_EXPORT_READABLE: (f"/audit/exports/{EXPORT}", {}),
    PlatformFault.FOREIGN_EXECUTION_STATUS_READABLE: (f"/executions/{EXECUTED}/status", {"account_id": FOREIGN}),
    PlatformFault.FOREIGN_EXECUTIONS_READABLE: (f"/accounts/{FOREIGN}/executions", {}),
}
KEY_OF_B = {"pk": records.tenant_key(B.tenant_id), "sk": "AUTONOMY#mark"}
WRITES = {
    PlatformFault.FOREIGN_BUDGET_WRITABLE: ("PUT", "/budget", {"account_id": FOREIGN, "max_autonomous_per_day": 1}, BUDGETS),
    PlatformFault.FOREIGN_CONFIG_WRITABLE: ("PUT", "/config", {"mode": "DISABLED"}, CONFIG),
    PlatformFault.CONFIG_KEY_FROM_BODY: ("PUT", "/config", {"mode": "DISABLED", **KEY_OF_B}, CONFIG),
    PlatformFault.FOREIGN_KILL_SWITCHES_WRITABLE: ("PUT", "/kill-switches", {"disabled_action_types": ["mark"]}, records.TENANTS),
    PlatformFault.FOREIGN_EXPORT_WRITABLE: ("POST", "/audit/exports", PERIOD, EXPORTS),
}
OF_B = "mark-of-tenant-b"


@pytest.fixture
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


def shown(ccnative, fault):
    """The text of the answer that tenant A's user gets to a request that names what is tenant B's."""
    path, query = READS[fault]
    return json.dumps(ccnative.request("GET", path, token=ccnative.token, query=query)[1])


@pytest.mark.parametrize("fault", READS, ids=str)
def test_a_route_shows_another_tenants_data_with_its_hole_alone(fault, ccnative, data_of_b):
    assert OF_B not in shown(ccnative, fault)
    ccnative.platform_faults.update(OF_ROUTES - {fault})
    assert OF_B not in shown(ccnative, fault)
    ccnative.platform_faults.add(fault)
    assert OF_B in shown(ccnative, fault)


def of_b(ccnative, table):
    """Everything of tenant B in a table."""
    return [
        item for item in ccnative.aws.dynamodb.scan(TableName=table)["Items"] if B.tenant_id in str(next(iter(item.values())))
    ]


@pytest.mark.parametrize("fault", WRITES, ids=str)
def test_a_route_writes_for_another_tenant_with_its_hole_alone(fault, ccnative, data_of_b):
    method, path, body, table = WRITES[fault]
    before = of_b(ccnative, table)

    def write():
        return ccnative.request(method, path, {"tenant_id": B.tenant_id, **body}, token=ccnative.token)[0]

    assert write() == 403
    ccnative.platform_faults.update(
        OF_ROUTES - {fault, PlatformFault.FOREIGN_CONFIG_WRITABLE, PlatformFault.CONFIG_KEY_FROM_BODY}
    )
    assert write() == 403
    assert of_b(ccnative, table) == before
    ccnative.platform_faults.add(fault)
    assert write() in (200, 202)
    assert of_b(ccnative, table) != before


@pytest.mark.parametrize("fault", READS, ids=str)
def test_a_healthy_route_shows_a_tenant_its_own_data(fault, ccnative, data_of_b):
    path, query = READS[fault]
    own = {
        name: {"account_id": OWN, "tenant_id": A.tenant_id, "tenantId": A.tenant_id}.get(name, value)
        for name, value in query.items()
    }
    status, answer = ccnative.request("GET", path.replace(FOREIGN, OWN), token=ccnative.token, query=own)
    only_b = EXPORT in path or EXECUTED in str((path, query))
    assert (status, OF_B in json.dumps(answer)) == (404 if only_b else 200, False)
