"""The routes of the Control Center and of the decision API as data: how each is asked, and what it shows or changes. Pure.

Source: the platform's HTTP routes. `POST /replay` is not among them: rows 3.1 and 3.3 have probes of their own for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request names besides a tenant.

    Attributes:
        account: an account's id.
        intent: id of an execution, or of an intent that the ledger has.
        export, decision, action: ids.
        mark: a text in what the request would write, by which it is recognised; begins with the run's mark.
        period: of an audit export, from and to; as distinctive as the mark.
    """

    account: str
    intent: str
    export: str
    decision: str
    action: str
    mark: str
    period: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Attributes:
        name: stable name; part of the names of probes.
        family: routes whose refusals count only if one request for A's own data, the same for all, succeeds.
        method, path: `{account}`, `{intent}`, `{export}`, `{decision}` and `{action}` stand for attributes of `Asked`.
        query: pairs of a query field and the attribute of `Asked` that it holds.
        role: setting of the table that the route changes; "" for a route that reads.
        by_account: whether it names an account besides its tenant.
        by_object: whether it names an execution, export or decision that only one tenant has.
        starts_work: whether the platform does something lasting for an allowed request.
    """

    name: str
    family: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    role: str = ""
    by_account: bool = False
    by_object: bool = False
    starts_work: bool = False

    @property
    def reads(self) -> bool:
        """True for a route that changes nothing."""
        return not self.role

    @property
    def of_decisions(self) -> bool:
        """Whether it belongs to the decision API, which may have another address."""
        return self.family == DECISIONS

    def path_of(self, asked: Asked) -> str:
        """The path of a request."""
        return self.path.format(
            account=asked.account, intent=asked.intent, export=asked.export, decision=asked.decision, action=asked.action
        )

    def is_path(self, path: str) -> bool:
        """Whether a path is this route's, with any ids."""
        parts, own = path.split("/"), self.path.split("/")
        return len(parts) == len(own) and all(part == of or (of[:1] == "{" and part) for part, of in zip(parts, own, strict=True))

    def query_of(self, asked: Asked) -> dict[str, str]:
        """The query of a request."""
        return {field: str(getattr(asked, name)) for field, name in self.query}

    def body_of(self, asked: Asked) -> dict[str, Any] | None:
        """The body of a request; None for a route that reads."""
        return _BODIES[self.name](asked) if self.name in _BODIES else None


DECISIONS = "decisions"
_ACCOUNT = ("account_id", "account")

ROUTES = (
    Route(
        "ledger_explanation",
        "explanation",
        "GET",
        "/ledger/explanation",
        (("action_intent_id", "intent"), _ACCOUNT),
        by_account=True,
        by_object=True,
    ),
    Route("budget", "budget", "GET", "/budget", (_ACCOUNT,), by_account=True),
    Route("budget_state", "budget", "GET", "/budget/state", (_ACCOUNT,), by_account=True),
    Route("config", "config", "GET", "/config"),
    Route("kill_switches", "kill_switches", "GET", "/kill-switches"),
    Route("export", "export", "GET", "/audit/exports/{export}", by_object=True),
    Route("execution_status", "status", "GET", "/executions/{intent}/status", (_ACCOUNT,), by_account=True, by_object=True),
    Route("executions", "executions", "GET", "/accounts/{account}/executions", by_account=True),
    Route("decision_status", DECISIONS, "GET", "/decisions/{decision}/status", by_object=True),
    Route("decisions", DECISIONS, "GET", "/accounts/{account}/decisions", by_account=True),
    Route("write_config", "config", "PUT", "/config", role="autonomy_config"),
    Route("write_budget", "budget", "PUT", "/budget", role="autonomy_budget_state", by_account=True),
    Route("write_kill_switches", "kill_switches", "PUT", "/kill-switches", role="tenants"),
    Route("create_export", "export", "POST", "/audit/exports", role="audit_export", starts_work=True),
    Route("evaluate", DECISIONS, "POST", "/decisions/evaluate", role="decision_budget", by_account=True, starts_work=True),
    Route("approve", DECISIONS, "POST", "/actions/{action}/approve", role="decision_proposal", by_object=True, starts_work=True),
    Route("reject", DECISIONS, "POST", "/actions/{action}/reject", role="decision_proposal", by_object=True, starts_work=True),
)

_BODIES: Mapping[str, Any] = {
    "write_config": lambda asked: {"mode": "PROPOSE_ONLY", "action_type": asked.mark},
    "write_budget": lambda asked: {
        "account_id": asked.account,
        "max_autonomous_per_day": 0,
        "max_per_action_type": {asked.mark: 0},
    },
    "write_kill_switches": lambda asked: {"execution_enabled": True, "disabled_action_types": [asked.mark]},
    "create_export": lambda asked: {"from": asked.period[0], "to": asked.period[1], "format": "json"},
    "evaluate": lambda asked: {"account_id": asked.account, "trigger_type": "EXPLICIT_USER_REQUEST"},
    "approve": lambda asked: {"decision_id": asked.decision},
    "reject": lambda asked: {"decision_id": asked.decision, "reason": asked.mark},
}
