"""Scenarios of row 5.2: cost per tenant."""

from datetime import timedelta

from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.bill import BillingLine
from phase5_ops.sandbox.scenarios.registry import CRM, ERROR, FAIL, INCONCLUSIVE, NOTE, WARN, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.execution_trail import add_execution
from phase5_ops.sandbox.state.healthy import executed
from phase5_ops.sandbox.state.records import OUTCOMES


def _add_tenant(state: Blueprint, tenant: str, **more: object) -> None:
    state.tenants.append({"tenantId": tenant, "name": tenant, "status": "active", "config": {}, "metadata": {}, **more})


@scenario(
    "cost-tenant-missing",
    "An active tenant has neither resources of its own nor executions.",
    {"5.2": (FAIL, "active_tenant_without_cost")},
)
def _cost_tenant_missing(state: Blueprint) -> None:
    _add_tenant(state, "umbrella", createdAt=iso(state.now - timedelta(days=20)))


@scenario(
    "cost-tenant-new",
    "A tenant was registered yesterday and has no cost yet.",
    {"5.2": (WARN, "active_tenant_without_cost")},
)
def _cost_tenant_new(state: Blueprint) -> None:
    _add_tenant(state, "umbrella", createdAt=iso(state.now - timedelta(days=1)))


@scenario("cost-tenant-shared-only", "A tenant uses shared resources only; its allocated part is its cost.", {})
def _cost_tenant_shared_only(state: Blueprint) -> None:
    _add_tenant(state, "umbrella")
    add_execution(state, executed(state, "umbrella", NOTE, days_ago=3))


@scenario(
    "cost-unallocated",
    "A resource of a connector that nobody executes through costs as much as a tenant.",
    {"5.2": (FAIL, "unallocated_share_too_high")},
)
def _cost_unallocated(state: Blueprint) -> None:
    state.billing.append(BillingLine("AWS Lambda", "9.50", {"connector": "calendar"}))


@scenario(
    "cost-tag-inactive",
    "The tenant tag is not active, so that nothing is billed to a tenant; executions still divide the costs.",
    {"5.2": (FAIL, "tag_not_active")},
)
def _cost_tag_inactive(state: Blueprint) -> None:
    state.cost_tags["tenant"] = "Inactive"


@scenario("cost-tags-denied", "A member account may not list cost allocation tags; the costs show that they are active.", {})
def _cost_tags_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "ListCostAllocationTags", "kind": "denied"})


@scenario(
    "cost-tag-inactive-denied",
    "A member account may not list cost allocation tags, and no cost carries one.",
    {"5.2": (FAIL, "tag_not_active")},
)
def _cost_tag_inactive_denied(state: Blueprint) -> None:
    state.cost_tags.clear()
    _cost_tags_denied(state)


@scenario("cost-data-stale", "Cost Explorer has nothing of the last four days.", {"5.2": (FAIL, "cost_data_stale")})
def _cost_data_stale(state: Blueprint) -> None:
    for line in state.billing:
        line.until_days = 5


@scenario("cost-denied", "Cost Explorer may not be read.", {"5.2": (ERROR, "cost_unreadable")})
def _cost_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "GetCostAndUsage", "kind": "denied"})


@scenario(
    "cost-does-not-reconcile",
    "The account's total has a cost that no tenant, connector or shared resource has.",
    {"5.2": (FAIL, "cost_does_not_reconcile")},
)
def _cost_does_not_reconcile(state: Blueprint) -> None:
    state.billing.append(BillingLine("Tax", "0.02", record_type="Tax", total_only=True))


@scenario(
    "cost-unknown-tenant",
    "A resource's tenant tag is spelled in another case.",
    {"5.2": (FAIL, "unknown_tenant_billed")},
)
def _cost_unknown_tenant(state: Blueprint) -> None:
    state.billing.append(BillingLine("AWS Lambda", "0.75", {"tenant": "Acme", "connector": "internal"}))


@scenario("cost-anomaly", "One tenant's cost was ten times as high for a day.", {"5.2": (WARN, "cost_anomaly")})
def _cost_anomaly(state: Blueprint) -> None:
    tags = {"tenant": "globex", "connector": "crm_salesforce"}
    state.billing.append(BillingLine("AWS Lambda", "60", tags, from_days=4, until_days=4))


@scenario("cost-budget-missing", "The account has a budget that tells nobody.", {"5.2": (WARN, "budget_alarm_missing")})
def _cost_budget_missing(state: Blueprint) -> None:
    state.cost_budgets = {"cc-native-monthly": []}


@scenario("cost-budgets-denied", "AWS Budgets may not be read.", {"5.2": (WARN, "budget_alarm_missing")})
def _cost_budgets_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "DescribeBudgets", "kind": "denied"})


@scenario("cost-currency-mixed", "A part of the bill is in euros.", {"5.2": (INCONCLUSIVE, "cost_currency_mixed")})
def _cost_currency_mixed(state: Blueprint) -> None:
    state.billing.append(BillingLine("AWS Lambda", "1.20", {"tenant": "acme", "connector": "internal"}, currency="EUR"))


@scenario("cost-credits", "A credit takes off more than the shared resources cost.", {})
def _cost_credits(state: Blueprint) -> None:
    state.billing.append(BillingLine("Amazon DynamoDB", "-4.00", record_type="Credit"))


@scenario(
    "cost-record-malformed",
    "An outcome's time of completion is no time.",
    {
        "5.2": (ERROR, "cost_record_malformed"),
        "executions_end": (ERROR, "execution_record_malformed"),
        "calls_are_measured": (ERROR, "execution_record_malformed"),
    },
)
def _cost_record_malformed(state: Blueprint) -> None:
    state.add(OUTCOMES, {**executed(state, "acme", CRM, days_ago=2), "completed_at": "yesterday"})
