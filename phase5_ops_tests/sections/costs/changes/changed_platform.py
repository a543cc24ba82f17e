"""A small CCNative whose configuration was changed, in the shapes that the platform's own code writes, and its ledger."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.configuration_changes import ConfigurationRecords
from phase5_ops.clock import iso
from phase5_ops.policy import ChangePolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.state.records import configuration_change, ledger_entry
from phase5_ops.sections.costs.changes.evidence import ChangeAudit, Changes
from phase5_ops.sections.costs.changes.judge import judge_changes
from phase5_ops.verdict import Judgement
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import dynamo

NOW = datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC)
LINKS = ConsoleLinks("us-west-2")
CONFIG, BUDGETS, TENANTS, LEDGER = (
    f"cc-native-{name}" for name in ("autonomy-config", "autonomy-budget-state", "tenants", "ledger")
)
WHO, WHY = "dana.reyes@example.com", "Quarterly review"

Item = dict[str, Any]

MODE = {
    "pk": "TENANT#acme#ACCOUNT#eu",
    "sk": "AUTONOMY#CREATE_CRM_TASK",
    "tenant_id": "acme",
    "account_id": "eu",
    "action_type": "CREATE_CRM_TASK",
    "mode": "AUTO_EXECUTE",
    "updated_by": WHO,
}
DEFAULT_MODE = {"pk": "TENANT#acme", "sk": "AUTONOMY#DEFAULT", "tenant_id": "acme", "mode": "PROPOSE_ONLY", "updated_by": WHO}
ALLOWLIST = {"pk": "TENANT#acme", "sk": "ALLOWLIST#AUTO_EXEC", "tenant_id": "acme", "action_types": ["CREATE_CRM_TASK", "B"]}
BUDGET = {
    "pk": "TENANT#acme#ACCOUNT#eu",
    "sk": "BUDGET#CONFIG",
    "tenant_id": "acme",
    "account_id": "eu",
    "max_autonomous_per_day": 5,
    "max_per_action_type": {"CREATE_CRM_TASK": 3},
}
SWITCHES = {"tenantId": "acme", "status": "active", "execution_enabled": False, "disabled_action_types": ["CREATE_CRM_TASK"]}
TABLE_OF = {"AUTONOMY": CONFIG, "ALLOWLIST": CONFIG, "BUDGET": BUDGETS}


@dataclass
class Platform:
    """What the tables and the ledger hold; nothing unless added. Items are plain values, to be changed freely."""

    records: list[Item] = field(default_factory=list)
    entries: list[Item] = field(default_factory=list)
    statuses: dict[str, ReadStatus] = field(default_factory=dict)
    policy: ChangePolicy = field(default_factory=ChangePolicy)
    canaries: frozenset[str] = frozenset()

    def changed(self, record: Item, *, days_ago: float = 3, told: bool = True, **values: Any) -> tuple[Item, Item]:
        """A record that was changed, and its ledger entry; both are returned."""
        at = NOW - timedelta(days=days_ago)
        item = deepcopy(record) | {"updated_at": iso(at)} | values
        entry = ledger_entry(**configuration_change(item, at=at, who=WHO, why=WHY), at=at, unique=f"u{len(self.entries)}")
        self.records.append(item)
        if told:
            self.entries.append(entry)
        return item, entry

    def table(self) -> Changes:
        """The table as it is gathered: of the ledger only what is asked for."""
        read = ConfigurationRecords()
        for item in self.records:
            name = TENANTS if "tenantId" in item else TABLE_OF.get(str(item.get("sk")).split("#")[0], CONFIG)
            (read.add_tenants if name == TENANTS else read.add)([item_of(item)], name)
        audit = ChangeAudit(read, NOW, NOW, self.policy, self.canaries)
        for pk, least, greatest in audit.spans():
            entries = [item_of(each) for each in self.entries]
            audit.take(LEDGER, [each for each in entries if _text(each, "pk") == pk and least <= _text(each, "sk") <= greatest])
        reads = [self._read(name) for name in (CONFIG, BUDGETS, TENANTS)] + [self._read(LEDGER, "dynamodb:Query")]
        return audit.table(LEDGER, (CONFIG, BUDGETS, TENANTS)).with_reads(reads, NOW)

    def _read(self, name: str, operation: str = "dynamodb:Scan") -> Read:
        status = self.statuses.get(name, ReadStatus.OK)
        return Read(operation, name, status, None if status is ReadStatus.OK else "no", 1, iso(NOW), iso(NOW))

    def judged(self) -> Judgement:
        """The judgement of the table."""
        return judge_changes(self.table(), policy=self.policy, links=LINKS)

    def codes(self) -> list[str]:
        """The codes that are found."""
        return sorted(finding.code for finding in self.judged().findings)


def item_of(plain: Item) -> Item:
    """The item in DynamoDB JSON."""
    return {name: value.raw if isinstance(value, Raw) else dynamo(value) for name, value in plain.items()}


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    return str(value.get("S", "")) if isinstance(value, dict) else ""


@dataclass(frozen=True)
class Raw:
    """An attribute as DynamoDB JSON, for what no serializer would write."""

    raw: Any


def audited() -> Platform:
    """Every kind of record was changed, each at a time of its own, and the ledger tells of each."""
    platform = Platform()
    for number, record in enumerate((MODE, DEFAULT_MODE, ALLOWLIST, BUDGET, SWITCHES)):
        platform.changed(record, days_ago=3 + number / 100)
    return platform
