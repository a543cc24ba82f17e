"""The tenants table seen as kill switches: which tenant may still execute which action type. Pure.

Key: `tenantId` (bare). A kill-switch write sets execution_enabled BOOL and disabled_action_types L; absent switches mean
enabled and nothing disabled. An item that cannot be read is a `MalformedRecord`, since its kill switch cannot be told.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from phase5_ops.ccnative.attributes import AttributeProblem, MalformedRecord, as_item, flag, required, shown, text, texts
from phase5_ops.ccnative.placeholders import visible


def is_active(status: str, inactive_statuses: Collection[str]) -> bool:
    """True if a tenant's status is none of `inactive_statuses`, compared without case and outer blanks; unknown is active."""
    return visible(status).casefold() not in {visible(each).casefold() for each in inactive_statuses}


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What one tenant may do; `status` is "" where the item has none, which counts as active."""

    tenant: str
    status: str
    execution_enabled: bool
    disabled_action_types: frozenset[str]

    def stops(self, action_types: Collection[str]) -> bool:
        """True if none of `action_types` runs for this tenant; without action types, only the tenant's whole switch stops it."""
        if not self.execution_enabled:
            return True
        return bool(action_types) and self.disabled_action_types.issuperset(action_types)


@dataclass(frozen=True, slots=True)
class KillSwitches:
    """The kill switches of all tenants, and the items that could not be read."""

    tenants: tuple[KillSwitch, ...]
    malformed: tuple[MalformedRecord, ...]

    def active(self, inactive_statuses: Collection[str]) -> list[KillSwitch]:
        """The tenants whose status is none of `inactive_statuses`, see `is_active`."""
        return [tenant for tenant in self.tenants if is_active(tenant.status, inactive_statuses)]


def parse_kill_switches(items: Iterable[object], table: str) -> KillSwitches:
    """The kill switches of a scan of the tenants table.

    Args:
        items: items in DynamoDB JSON.
        table: the table's name, for the malformed records.
    """
    tenants, malformed = [], []
    for entry in items:
        key = shown(entry)
        try:
            item = as_item(entry)
            key = shown(item.get("tenantId"))
            key = tenant = required(text(item, "tenantId") or None, "tenantId")
            enabled = flag(item, "execution_enabled")
            disabled = frozenset(texts(item, "disabled_action_types") or ())
            tenants.append(KillSwitch(tenant, text(item, "status") or "", enabled is not False, disabled))
        except AttributeProblem as problem:
            malformed.append(MalformedRecord(table, key, problem.attribute, problem.problem))
    return KillSwitches(tuple(sorted(tenants, key=lambda tenant: tenant.tenant)), tuple(malformed))
