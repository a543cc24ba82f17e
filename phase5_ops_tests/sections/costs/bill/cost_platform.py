"""A bill, tenants and executions in memory, and the report and judgement made of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from phase5_ops.aws.cost_answers import BudgetAlerts, CostAnswers, CostTag
from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.executions.usage import ExecutionUsage
from phase5_ops.ccnative.tenant_register import parse_tenants
from phase5_ops.clock import iso
from phase5_ops.policy import CostPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.costs.bill.cache import CostPull
from phase5_ops.sections.costs.bill.evidence import Scope, tenant_cost_report
from phase5_ops.sections.costs.bill.judge import judge_cost_report

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
TENANTS, OUTCOMES = "cc-native-tenants", "cc-native-execution-outcomes"
NOTE, CRM = "internal-create-note___internal.create_note", "crm-create-task___crm.create_task"


def read(operation, resource, status=ReadStatus.OK, error=None):
    return Read(operation, resource, status, error, 1, iso(NOW), iso(NOW))


def outcome(tenant, tool=NOTE, days_ago=3.0, **more):
    return {
        "pk": {"S": f"TENANT#{tenant}#ACCOUNT#a"},
        "sk": {"S": f"OUTCOME#{tenant}{days_ago}"},
        "tenant_id": {"S": tenant},
        "tool_name": {"S": tool},
        "completed_at": {"S": iso(NOW - timedelta(days=days_ago))},
        **more,
    }


def tenant(name, status="active", **more):
    return {"tenantId": {"S": name}, "status": {"S": status}, **more}


def amounts(amount, unit="USD", effective=None):
    return {
        "UnblendedCost": {"Amount": amount, "Unit": unit},
        "AmortizedCost": {"Amount": effective if effective is not None else amount, "Unit": unit},
    }


@dataclass
class Bill:
    """What is billed a day: (tenant, connector) -> amount, or a function of the day's number before today (1 is yesterday)."""

    lines: dict = field(default_factory=lambda: {("acme", "internal"): "6", ("globex", "internal"): "3", ("", ""): "1"})
    totals: dict = field(default_factory=dict)  # day number -> what the total says instead
    unit: str = "USD"
    tenants: list = field(default_factory=lambda: [tenant("acme"), tenant("globex")])
    outcomes: list = field(default_factory=lambda: [outcome("acme"), outcome("acme", CRM), outcome("globex")])
    tags: list = field(default_factory=lambda: [CostTag("connector", "Active", None), CostTag("tenant", "Active", None)])
    alerts: BudgetAlerts = field(default_factory=lambda: BudgetAlerts(1, "monthly"))
    canary: frozenset = frozenset()
    policy: CostPolicy = field(default_factory=CostPolicy)
    reads: dict = field(default_factory=dict)  # operation -> status
    final_before: str = "2026-11-01"
    change: object = None  # called with the pages (grouped, total) before they are parsed
    observed_at: datetime = NOW

    def pages(self, scope):
        grouped, total = [], []
        for day in scope.query.days():
            ago = (NOW.date() - datetime.fromisoformat(day).date()).days
            groups, whole = [], Decimal(0)
            for (name, connector), amount in self.lines.items():
                cost = amount(ago) if callable(amount) else amount
                if cost is None:
                    continue
                groups.append({"Keys": [f"tenant${name}", f"connector${connector}"], "Metrics": amounts(cost, self.unit)})
                whole += Decimal(cost)
            following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
            result = {"TimePeriod": {"Start": day, "End": following}, "Estimated": day >= self.final_before}
            grouped.append({**result, "Total": {}, "Groups": groups})
            total.append({**result, "Total": amounts(self.totals.get(ago, str(whole)), self.unit), "Groups": []})
        return [{"ResultsByTime": grouped}], [{"ResultsByTime": total}]

    def pull(self, scope):
        grouped, total = self.pages(scope)
        if self.change:
            self.change(grouped, total)
        answers = CostAnswers(scope.query)
        for page in grouped:
            answers.take_grouped(page)
        for page in total:
            answers.take_total(page)
        lines, totals = answers.finish()
        operations = ["ce:GetCostAndUsage", "ce:ListCostAllocationTags"]
        reads = [self._read(operation, "costs") for operation in operations]
        tags = self.tags if reads[1].status is ReadStatus.OK else []
        return CostPull(lines, tuple(totals), tuple(tags), tuple(answers.problems), tuple(reads), self.observed_at, 3)

    def _read(self, operation, resource):
        status = self.reads.get(operation, self.reads.get(resource, ReadStatus.OK))
        return read(operation, resource, status, None if status is ReadStatus.OK else "said by the test")

    def table(self):
        scope = Scope.of(self.policy, ACCOUNT, NOW)
        pull = self.pull(scope)
        tenants, malformed = parse_tenants(self.tenants, TENANTS)
        start = datetime.combine(scope.start, datetime.min.time(), UTC)
        usage = ExecutionUsage(start, NOW.replace(hour=0), OUTCOMES)
        usage.take(self.outcomes)
        table = tenant_cost_report(
            scope=scope,
            pull=pull,
            tenants=tenants,
            usage=usage,
            malformed=malformed,
            budget_alerts=self.alerts,
            canary_tenants=self.canary,
            policy=self.policy,
            now=NOW,
        )
        reads = [*pull.reads, self._read("dynamodb:Scan", TENANTS), self._read("dynamodb:Scan", OUTCOMES)]
        return table.with_reads([*reads, self._read("budgets:DescribeBudgets", ACCOUNT)], self.observed_at)

    def judged(self):
        return judge(self.table(), self.policy)


def judge(table, policy=None):
    return judge_cost_report(
        table,
        policy=policy or CostPolicy(),
        links=ConsoleLinks("us-west-2"),
        tenants_table=TENANTS,
        outcomes_table=OUTCOMES,
    )


def codes(judgement):
    return [(str(finding.verdict), finding.code, finding.subject) for finding in judgement.findings]
