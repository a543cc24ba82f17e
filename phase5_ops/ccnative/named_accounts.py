"""Accounts by name: which tenants and accounts the platform's tables name in their keys. Pure.

What lives here: which tables name accounts beside those of autonomy and its budgets, and how a key is read. Three forms:

    pk TENANT#<tenant>#ACCOUNT#<account>, or TENANT#<tenant> with the account in an attribute (`account_id` or `accountId`)
    pk ACCOUNT#<tenant>#<account>
    tenantId and accountId, bare

Ids may hold any character, also `#`. What must not: reading anything else of an item, or judging it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from phase5_ops.ccnative.attributes import AttributeProblem, as_item, required, shown, text
from phase5_ops.ccnative.autonomy import Owner, owner_of_key

_POSTURE = "ACCOUNT#"
_NULL = {"NULL": True}


@dataclass(frozen=True, slots=True)
class NamingTable:
    """A table that names accounts: what it is called in the settings, and what of an item has to be read.

    `entries` marks the ledger, which is read for the lookback only: its sort key begins with `ENTRY#<timestamp>`.
    """

    role: str
    description: str
    attributes: tuple[str, ...] = ("pk",)
    entries: bool = False


#: All tables that name accounts, but for those that hold autonomy, its budgets, intents and outcomes.
NAMING_TABLES = (
    NamingTable("accounts", "Accounts of every tenant.", ("tenantId", "accountId")),
    NamingTable("execution_attempts", "The latest execution of every action intent."),
    NamingTable("connector_config", "Connectors configured for accounts."),
    NamingTable("decision_proposal", "Proposed decisions."),
    NamingTable("internal_notes", "Notes written by actions."),
    NamingTable("internal_tasks", "Tasks written by actions."),
    NamingTable("signals", "Signals about accounts.", ("tenantId", "accountId")),
    NamingTable("account_posture_state", "The latest posture of every account."),
    NamingTable("audit_export", "Exports of the ledger.", ("pk", "account_id")),
    NamingTable("ledger", "What happened, entry by entry.", ("pk", "accountId"), entries=True),
)


@dataclass(slots=True)
class NamedAccounts:
    """The accounts that the items of one table name; memory grows with accounts, not with items.

    Attributes:
        owners: those that the key names without doubt.
        postures: `<tenant>#<account>` of keys that do not say where the tenant ends.
        odd: items whose key or account is of another form.
        example: the problem of the first of them.
    """

    owners: set[Owner] = field(default_factory=set)
    postures: set[str] = field(default_factory=set)
    odd: int = 0
    example: str = ""

    def take(self, items: Iterable[object]) -> None:
        """Adds the accounts of some items, DynamoDB JSON; an item of a tenant alone adds none."""
        for entry in items:
            try:
                self._add(as_item(entry))
            except AttributeProblem as problem:
                self.odd += 1
                self.example = self.example or str(problem)

    def _add(self, item: Mapping[str, Any]) -> None:
        pk = text(item, "pk")
        if pk is None:
            tenant, account = required(text(item, "tenantId") or None, "tenantId"), ""
        elif pk.startswith(_POSTURE):
            body = pk.removeprefix(_POSTURE)
            if not _splits(body):
                raise AttributeProblem("pk", f"expected ACCOUNT#<tenant>#<account>, found {shown(pk)}")
            self.postures.add(body)
            return
        else:
            tenant, account = owner_of_key(pk)
        account = account or _optional(item, "account_id") or _optional(item, "accountId") or ""
        if account:
            self.owners.add((tenant, account))


def all_owners(named: Collection[NamedAccounts], known: Collection[Owner]) -> set[Owner]:
    """The accounts of all these tables.

    A key that does not show where the tenant ends is read as an account that is named elsewhere, else as one of a known tenant
    (the longest that fits), else it is split at its first `#`.

    Args:
        named: by table.
        known: tenants (account "") and accounts that are known otherwise.
    """
    owners = {owner for each in named for owner in each.owners}
    sure = owners | set(known)
    tenants = {tenant for tenant, _ in sure}
    for body in {body for each in named for body in each.postures}:
        splits = _splits(body)
        certain = [split for split in splits if split in sure] or [split for split in splits if split[0] in tenants]
        owners.add(certain[-1] if certain else splits[0])
    return owners


def _splits(body: str) -> list[Owner]:
    """Every way to read `<tenant>#<account>`, the shortest tenant first."""
    return [(body[:at], body[at + 1 :]) for at, sign in enumerate(body) if sign == "#" and 0 < at < len(body) - 1]


def _optional(item: Mapping[str, Any], name: str) -> str | None:
    return None if item.get(name) == _NULL else text(item, name)
