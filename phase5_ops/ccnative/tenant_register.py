"""The tenants table as a register: who is a tenant, in which state, since when. Pure.

Key: `tenantId` (bare). `status` is free text; `createdAt` is ISO-8601. An item that does not name its tenant or has a status of
another type is a `MalformedRecord`; an unreadable `createdAt` only means that the tenant's age is not known.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.ccnative.attributes import AttributeProblem, MalformedRecord, as_item, required, shown, text
from phase5_ops.ccnative.tenants import is_active
from phase5_ops.clock import parse_iso


@dataclass(frozen=True, slots=True)
class RegisteredTenant:
    """One tenant; `status` is "" where the item has none, which counts as active."""

    tenant: str
    status: str
    created_at: datetime | None

    def active(self, inactive_statuses: Collection[str]) -> bool:
        """True if its status is none of `inactive_statuses`, see `tenants.is_active`."""
        return is_active(self.status, inactive_statuses)


def parse_tenants(items: Iterable[object], table: str) -> tuple[dict[str, RegisteredTenant], list[MalformedRecord]]:
    """The tenants of a scan by their id, and the items that could not be read.

    Args:
        items: items in DynamoDB JSON.
        table: the table's name, for the malformed records.
    """
    tenants: dict[str, RegisteredTenant] = {}
    malformed = []
    for entry in items:
        key = shown(entry)
        try:
            item = as_item(entry)
            key = shown(item.get("tenantId"))
            tenant = required(text(item, "tenantId") or None, "tenantId")
            tenants[tenant] = RegisteredTenant(tenant, text(item, "status") or "", _moment(item.get("createdAt")))
        except AttributeProblem as problem:
            malformed.append(MalformedRecord(table, key, problem.attribute, problem.problem))
    return tenants, malformed


def _moment(value: object) -> datetime | None:
    written = value.get("S") if isinstance(value, dict) else None
    try:
        return parse_iso(written) if isinstance(written, str) else None
    except ValueError:
        return None
