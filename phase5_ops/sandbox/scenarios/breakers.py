"""Scenarios of section 2: circuit breakers."""

from datetime import timedelta
from typing import Any

from phase5_ops.sandbox.scenarios.registry import CRM, ERROR, FAIL, INCONCLUSIVE, WARN, scenario
from phase5_ops.sandbox.state import blueprint as bp
from phase5_ops.sandbox.state.autonomy import record_change
from phase5_ops.sandbox.state.blueprint import Blueprint


def _set_breaker(state: Blueprint, item: dict[str, Any]) -> None:
    state.breakers = [b for b in state.breakers if (b["pk"], b["sk"]) != (item["pk"], item["sk"])] + [item]


@scenario("breaker-open", "A breaker opened ten seconds ago.", {"2.2": (WARN, "breaker_open")})
def _breaker_open(state: Blueprint) -> None:
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=10))


@scenario("breaker-open-idle", "A breaker is past its deadline, and nobody calls.", {"2.2": (WARN, "open_idle")})
def _breaker_open_idle(state: Blueprint) -> None:
    crm = state.traffic_of(CRM)
    crm.until_minutes = 12
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=11 * 60))


@scenario(
    "breaker-open-under-traffic",
    "A breaker has been open for eleven minutes while calls go on, and no kill switch is set.",
    {"2.2": (FAIL, "open_breaker_without_operator_action")},
)
def _breaker_open_under_traffic(state: Blueprint) -> None:
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=11 * 60))


@scenario(
    "breaker-open-disabled",
    "A breaker is open, and every tenant's kill switch covers its action types.",
    {"2.2": (WARN, "breaker_open")},
)
def _breaker_open_disabled(state: Blueprint) -> None:
    _breaker_open_under_traffic(state)
    for tenant in state.tenants:
        tenant |= {"execution_enabled": True, "disabled_action_types": ["CREATE_CRM_TASK"]}
        record_change(state, tenant, state.now - timedelta(minutes=5))


@scenario("breaker-half-open", "A breaker's probe is under way.", {})
def _breaker_half_open(state: Blueprint) -> None:
    _set_breaker(state, bp.half_open(state, "crm_salesforce", seconds_ago=5))


@scenario("breaker-half-open-stuck", "A probe has been in flight for ten minutes.", {"2.2": (FAIL, "half_open_stuck")})
def _breaker_half_open_stuck(state: Blueprint) -> None:
    _set_breaker(state, bp.half_open(state, "crm_salesforce", seconds_ago=600))


@scenario(
    "breaker-state-invalid",
    "A breaker's state is none of the three.",
    {"2.1": (FAIL, "breaker_state_invalid"), "2.2": (FAIL, "breaker_state_invalid")},
)
def _breaker_state_invalid(state: Blueprint) -> None:
    state.breaker("crm_salesforce")["state"] = "BROKEN"


@scenario(
    "breaker-record-malformed",
    "A breaker's count is not a number.",
    {"2.1": (ERROR, "breaker_record_malformed"), "2.2": (ERROR, "breaker_record_malformed")},
)
def _breaker_record_malformed(state: Blueprint) -> None:
    state.breaker("crm_salesforce")["failure_count"] = "many"


@scenario("breaker-ttl-missing", "A breaker's state never expires.", {"2.1": (FAIL, "breaker_ttl_missing")})
def _breaker_ttl_missing(state: Blueprint) -> None:
    del state.breaker("crm_salesforce")["ttl_epoch_sec"]


@scenario("breaker-ttl-short", "A breaker's state expires after a day.", {"2.1": (FAIL, "breaker_ttl_out_of_range")})
def _breaker_ttl_short(state: Blueprint) -> None:
    item = state.breaker("crm_salesforce")
    item["ttl_epoch_sec"] = item["window_start_epoch_sec"] + bp.DAY


@scenario(
    "breaker-without-deadline",
    "A breaker is open without a deadline.",
    {"2.1": (FAIL, "open_without_deadline"), "2.2": (WARN, "open_idle")},
)
def _breaker_without_deadline(state: Blueprint) -> None:
    _breaker_open(state)
    del state.breaker("crm_salesforce")["open_until_epoch_sec"]


@scenario("connector-unknown", "The table has a breaker of a connector that nobody knows.", {"2.1": (FAIL, "connector_unknown")})
def _connector_unknown(state: Blueprint) -> None:
    _set_breaker(state, bp.closed(state, "billing", seconds_ago=60))


@scenario(
    "connector-gateway-form",
    "The table has a breaker under a gateway name.",
    {"2.1": (FAIL, "connector_not_canonical")},
)
def _connector_gateway_form(state: Blueprint) -> None:
    _set_breaker(state, bp.closed(state, "internal-create-note___internal", seconds_ago=60))


@scenario("connector-not-observed", "A registered connector has neither item.", {"2.1": (INCONCLUSIVE, "breaker_not_observed")})
def _connector_not_observed(state: Blueprint) -> None:
    # not the internal one: the canary replay of the same run takes a slot of it
    state.breakers = [b for b in state.breakers if b["pk"] != "CONNECTOR#crm_salesforce"]


@scenario(
    "slot-leaked", "A connector's slot is taken, and it has had no call for twenty minutes.", {"2.2": (FAIL, "slot_leaked")}
)
def _slot_leaked(state: Blueprint) -> None:
    state.traffic_of(CRM).until_minutes = 20
    state.breaker("crm_salesforce", "CONCURRENCY")["in_flight_count"] = 1


@scenario("slots-over-limit", "More slots are taken than a connector has.", {"2.2": (FAIL, "slot_leaked")})
def _slots_over_limit(state: Blueprint) -> None:
    state.breaker("crm_salesforce", "CONCURRENCY")["in_flight_count"] = 21
