"""The platform as observed: what CCNative's real code was seen to do, all of it at once.

Each part below is a behaviour of the public code, or of its records when it ran, not a fault that somebody thought of. The
healthy platform is what its plan wants; this one is what was there. `docs/case-study.md` is made from a run of it.
"""

from datetime import timedelta

from phase5_ops.clock import iso
from phase5_ops.sandbox.scenarios.registry import FAIL, INCONCLUSIVE, NOTE, TASK, scenario
from phase5_ops.sandbox.state import autonomy
from phase5_ops.sandbox.state.blueprint import Blueprint, half_open
from phase5_ops.sandbox.state.ordinary_logs import Said, invocation, ordinary_executions
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import (
    ATTEMPTS,
    LEDGER,
    attempt,
    gateway_name,
    ledger_entry,
    milliseconds,
)

OBSERVED = "observed"

#: How the Control Center behaves: the claim counts where there is one, and without it whatever the request names; accounts are
#: taken from the body, and PUT writes for the tenant, and under the key, that the body names. Nothing takes replays from the bus.
_FAULTS = frozenset(
    {
        PlatformFault.TENANT_FALLBACK_QUERY,
        PlatformFault.TENANT_FALLBACK_HEADER,
        PlatformFault.ACCOUNT_SCOPE_NOT_ENFORCED,
        PlatformFault.REQUESTER_FROM_BODY,
        PlatformFault.MALFORMED_JSON_500,
        PlatformFault.REPLAY_NOT_STARTED,
        PlatformFault.FOREIGN_CONFIG_WRITABLE,
        PlatformFault.FOREIGN_BUDGET_WRITABLE,
        PlatformFault.CONFIG_KEY_FROM_BODY,
        PlatformFault.EXPORT_FIRST_PAGE_ALONE,
    }
)

#: Of 33 attempts that were seen, ten stayed RUNNING for ever.
_ENDLESS = 10


@scenario(
    OBSERVED,
    "The platform as its real code was observed: what its own plan wants, and it does not do.",
    {
        "1.1": (FAIL, "tool_name_not_canonical"),
        "1.2": (FAIL, "latency_alarm_missing"),
        "1.3": (FAIL, "no_alarm_to_link"),
        "2.1": (FAIL, "connector_not_canonical"),
        "2.2": (FAIL, "half_open_stuck"),
        "3.1": (FAIL, "tenant_taken_from_query"),
        "3.2": (FAIL, "replay_not_started"),
        "3.3": (FAIL, "account_scope_not_enforced"),
        "4.1": (FAIL, "foreign_data_writable"),
        "4.2": (FAIL, "foreign_tenant_in_log"),
        "5.1": (FAIL, "budget_overspent"),
        "no_slo_alarm_firing": (INCONCLUSIVE, "no_slo_alarm"),
        "alarms_would_have_fired": (INCONCLUSIVE, "no_alarm_to_replay"),
        "executions_end": (FAIL, "execution_stuck"),
        "changes_are_audited": (FAIL, "change_not_audited"),
        "audit_export_is_whole": (FAIL, "export_entries_missing"),
    },
)
def _observed(state: Blueprint) -> None:
    state.platform_faults |= _FAULTS
    state.settings |= {"PHASE5_PROBES__REQUEST_TIMEOUT_SECONDS": "5", "PHASE5_PROBES__FOLLOW_SECONDS": "2"}
    _measure_under_other_names(state)
    _leave_the_breaker_half_open(state)
    _start_no_replay(state)
    _leave_attempts_running(state)
    _log_two_tenants(state)
    _overspend(state)
    _change_unaudited(state)


def _measure_under_other_names(state: Blueprint) -> None:
    """No alarm and no dashboard; metrics and breakers under the gateway's names, which the registry does not know."""
    state.alarms, state.dashboards = [], {}
    for tool in (NOTE, TASK):
        traffic = state.traffic_of(tool)
        traffic.tool, traffic.connector = gateway_name(tool), gateway_name(tool).partition(".")[0]
        state.breakers.append({"pk": f"CONNECTOR#{traffic.connector}", "sk": "CONCURRENCY", "in_flight_count": 0})


def _leave_the_breaker_half_open(state: Blueprint) -> None:
    """A probe was lost, and the flag that it is in flight stays: nothing gets through any more."""
    stuck = half_open(state, "crm_salesforce", seconds_ago=3600)
    state.breakers = [each for each in state.breakers if (each["pk"], each["sk"]) != (stuck["pk"], "STATE")] + [stuck]


def _start_no_replay(state: Blueprint) -> None:
    """Every replay was requested, and no rule delivers REPLAY_REQUESTED to anything; older attempts have expired."""
    replayed = {entry["traceId"] for entry in state.items[LEDGER] if entry["eventType"] == "REPLAY_STARTED"}
    state.items[LEDGER] = [entry for entry in state.items[LEDGER] if entry["traceId"] not in replayed]
    state.items[ATTEMPTS] = [each for each in state.items[ATTEMPTS] if each["trace_id"] not in replayed]


def _leave_attempts_running(state: Blueprint) -> None:
    """Executions whose failure nobody recorded: RUNNING for ever, and the ledger tells of a start alone."""
    for number in range(_ENDLESS):
        at = state.now - timedelta(hours=3 + 5 * number)
        intent_id, trace = f"ai_{milliseconds(at)}_endless", f"trace-{milliseconds(at)}-endless"
        intent = {"tenant_id": "globex", "account_id": "globex-1", "action_intent_id": intent_id}
        attempt_id = f"attempt_{milliseconds(at)}_endless"
        state.add(ATTEMPTS, attempt(intent, attempt_id=attempt_id, count=1, key=f"{number:064x}", trace_id=trace, at=at))
        data = {
            "action_intent_id": intent_id,
            "attempt_id": attempt_id,
            "attempt_count": 1,
            "idempotency_key": f"{number:064x}",
            "registry_version": 1,
            "decision_trace_id": f"{trace}-decision",
        }
        told = ledger_entry(
            "EXECUTION_STARTED", tenant="globex", account="globex-1", trace_id=trace, at=at, unique=f"endless-{number}", data=data
        )
        state.add(LEDGER, told)


def _log_two_tenants(state: Blueprint) -> None:
    """A line of one tenant's execution names another."""
    execution, *_ = ordinary_executions([tenant["tenantId"] for tenant in state.tenants], state.now_ms)
    own = {"action_intent_id": execution.intent, "trace_id": execution.trace, "tenant_id": execution.tenant}
    other = next(tenant["tenantId"] for tenant in state.tenants if tenant["tenantId"] != execution.tenant)
    said: list[Said] = [("INFO", "Tool invoker invoked", own), ("WARN", f"Cached connector of {other} used", own)]
    state.logs += invocation(execution, 20, "tool-invoker", said)


def _overspend(state: Blueprint) -> None:
    """More was approved than the cap allows, and a refusal took one from the total and left the counts."""
    for number in range(1, 5):
        autonomy.approve(state, autonomy.BUSY, autonomy.TASK_TYPE, state.now - timedelta(days=1, minutes=30, seconds=number))
    autonomy.state_of(state, days_ago=2)["total"] -= 1


def _change_unaudited(state: Blueprint) -> None:
    """Changes are `unknown`'s, and the ledger tells of none."""
    state.items[LEDGER] = [entry for entry in state.items[LEDGER] if "changed_by" not in entry["data"]]
    mode = autonomy.mode_of(state)
    mode |= {"updated_by": "unknown", "updated_at": iso(state.now - timedelta(days=2))}
