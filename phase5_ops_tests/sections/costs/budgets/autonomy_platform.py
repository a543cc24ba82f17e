"""A small CCNative as its autonomy budgets show it, in the shapes that the platform's own code wrote."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.named_accounts import NAMING_TABLES, NamedAccounts
from phase5_ops.clock import iso
from phase5_ops.policy import BudgetPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.costs.budgets.evidence import BudgetNaming, Budgets, BudgetScans, Scan, autonomy_budget
from phase5_ops.sections.costs.budgets.judge import judge_budget_visible
from phase5_ops.verdict import Judgement

NOW = datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC)
TODAY = "2026-11-23"
LINKS = ConsoleLinks("us-west-2")
NOTE, TASK, CRM = "CREATE_INTERNAL_NOTE", "CREATE_INTERNAL_TASK", "CREATE_CRM_TASK"
TABLES = {
    "tenants": "cc-native-tenants",
    "autonomy_config": "cc-native-autonomy-config",
    "budget_state": "cc-native-autonomy-budget-state",
    "decision_budget": "cc-native-decision-budget",
    "action_intent": "cc-native-action-intent",
    "execution_outcomes": "cc-native-execution-outcomes",
}
NAMING = {table.role: f"cc-native-{table.role.replace('_', '-')}" for table in NAMING_TABLES}

Item = dict[str, Any]


def dynamo(value: Any) -> Any:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, dict):
        return {"M": {name: dynamo(each) for name, each in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [dynamo(each) for each in value]}
    return {"S": value}


def item(**values: Any) -> Item:
    return {name: dynamo(value) for name, value in values.items()}


def key(tenant: str, account: str = "") -> str:
    return f"TENANT#{tenant}#ACCOUNT#{account}" if account else f"TENANT#{tenant}"


def at(text: str) -> datetime:
    """`2026-11-22T23:59:59.999` or a time of today such as `08:00:00`."""
    return datetime.fromisoformat(text if "T" in text else f"{TODAY}T{text}").replace(tzinfo=UTC)


@dataclass
class Platform:
    """What the tables hold; nothing unless added. Items are DynamoDB JSON, to be changed freely."""

    tables: dict[str, list[Any]] = field(default_factory=lambda: {role: [] for role in TABLES})
    statuses: dict[str, ReadStatus] = field(default_factory=dict)
    policy: BudgetPolicy = field(default_factory=BudgetPolicy)
    naming: dict[str, list[Any]] = field(default_factory=lambda: {role: [] for role in NAMING})
    chosen: frozenset[str] = frozenset()  # roles whose table name is set
    canaries: frozenset[str] = frozenset()
    now: datetime = NOW
    made: int = 0

    def tenant(self, name: str, **more: Any) -> None:
        self.tables["tenants"].append(item(tenantId=name, name=name, status="active", **more))

    def mode(self, tenant: str, account: str, mode: str, action_type: str = "DEFAULT") -> Item:
        owner = {"tenant_id": tenant, **({"account_id": account} if account else {})}
        made = item(
            pk=key(tenant, account), sk=f"AUTONOMY#{action_type}", mode=mode, updated_at="2026-11-01T00:00:00.000Z", **owner
        )
        self.tables["autonomy_config"].append(made)
        return made

    def allow(self, tenant: str, account: str, *action_types: str) -> None:
        owner = {"tenant_id": tenant, **({"account_id": account} if account else {})}
        self.tables["autonomy_config"].append(
            item(pk=key(tenant, account), sk="ALLOWLIST#AUTO_EXEC", action_types=list(action_types), **owner)
        )

    def cap(self, tenant: str, account: str, cap: int, updated_at: str = "2026-11-01T00:00:00.000Z", **per_type: int) -> Item:
        more = {"max_per_action_type": per_type} if per_type else {}
        made = item(
            pk=key(tenant, account),
            sk="BUDGET#CONFIG",
            tenant_id=tenant,
            account_id=account,
            max_autonomous_per_day=cap,
            updated_at=updated_at,
            **more,
        )
        self.tables["budget_state"].append(made)
        return made

    def state(
        self, tenant: str, account: str, day: str, counts: dict[str, int], *, total: int | None = None, updated: str = "23:00:00"
    ) -> Item:
        if day == TODAY and updated == "23:00:00":
            updated = "09:00:00"
        made = item(
            pk=key(tenant, account),
            sk=f"BUDGET_STATE#{day}",
            tenant_id=tenant,
            account_id=account,
            date_key=day,
            total=sum(counts.values()) if total is None else total,
            counts=counts,
            updated_at=updated if "T" in updated else f"{day}T{updated}.000Z",
        )
        self.tables["budget_state"].append(made)
        return made

    def decisions(self, tenant: str, account: str, daily: float = 10, monthly: float = 100) -> None:
        self.tables["decision_budget"].append(
            item(
                pk=key(tenant, account),
                sk="BUDGET",
                daily_decisions_remaining=daily,
                monthly_cost_remaining=monthly,
                last_reset_date=TODAY,
                updated_at=iso(NOW),
            )
        )

    def approval(
        self,
        tenant: str,
        account: str,
        approved: datetime,
        action_type: str = NOTE,
        *,
        gate_ms: int = 60,
        status: str = "PUBLISHED",
        outcome: bool | None = True,
        state: bool = True,
        intent: bool = True,
    ) -> str:
        """An approval by policy. `outcome`: True says so, False is the failure recorder's, None is in flight."""
        self.made += 1
        made = f"ai_{int(approved.timestamp() * 1000)}_{self.made:06d}"
        written = approved + timedelta(milliseconds=gate_ms)
        owner = {"tenant_id": tenant, "account_id": account}
        if intent:
            self.tables["action_intent"].append(
                item(
                    pk=key(tenant, account),
                    sk=f"ACTION_INTENT#{made}",
                    action_type=action_type,
                    approval_timestamp=iso(approved),
                    **owner,
                )
            )
        if state:
            self.tables["autonomy_config"].append(
                item(pk="AUTO_EXEC_STATE", sk=made, action_intent_id=made, status=status, updated_at=iso(written), ttl=1803200886)
            )
        if outcome is not None:
            said = {"approval_source": "POLICY", "auto_executed": True} if outcome else {}
            self.outcome(tenant, account, made, written + timedelta(milliseconds=20), **said)
        return made

    def outcome(self, tenant: str, account: str, intent: str, started: datetime, **said: Any) -> Item:
        made = item(
            pk=key(tenant, account),
            sk=f"OUTCOME#{intent}",
            status="SUCCEEDED",
            started_at=iso(started),
            completed_at=iso(started + timedelta(milliseconds=90)),
            tenant_id=tenant,
            account_id=account,
            **said,
        )
        self.tables["execution_outcomes"].append(made)
        return made

    def found(self, role: str, sort_key: str) -> Item:
        return next(each for each in self.tables[role] if each["sk"]["S"].startswith(sort_key))

    def table(self) -> Budgets:
        scans = BudgetScans(**{role: Scan(TABLES[role], items) for role, items in self.tables.items()})
        named = {role: BudgetNaming(NAMING[role], NamedAccounts(), chosen=role in self.chosen) for role in NAMING}
        for role, items in self.naming.items():
            named[role].accounts.take(items)
        table = autonomy_budget(scans, now=self.now, policy=self.policy, named=named, canary_tenants=self.canaries)
        reads = []
        for role, name in (TABLES | NAMING).items():
            status = self.statuses.get(role, ReadStatus.OK)
            error = None if status is ReadStatus.OK else "AccessDeniedException: no"
            reads.append(Read("dynamodb:Scan", name, status, error, 1, iso(self.now), iso(self.now)))
        return table.with_reads(reads, self.now)

    def judged(self) -> Judgement:
        return judge_budget_visible(self.table(), links=LINKS)

    def codes(self) -> list[str]:
        return sorted(finding.code for finding in self.judged().findings)


def healthy() -> Platform:
    """One tenant whose account acts alone within its budget, on three days; another without autonomy."""
    platform = Platform()
    platform.tenant("acme")
    platform.tenant("globex")
    platform.mode("acme", "eu", "AUTO_EXECUTE", NOTE)
    platform.allow("acme", "", NOTE, TASK)
    platform.cap("acme", "eu", 5, **{NOTE: 3})
    platform.decisions("acme", "eu", 7, 97)
    for day, notes, tasks in (("2026-11-20", 2, 0), ("2026-11-22", 3, 1), (TODAY, 1, 1)):
        counts = {name: number for name, number in ((NOTE, notes), (TASK, tasks)) if number}
        platform.state("acme", "eu", day, counts)
        for name, number in counts.items():
            for minute in range(number):
                platform.approval("acme", "eu", at(f"{day}T08:{minute:02d}:00"), name)
    return platform
