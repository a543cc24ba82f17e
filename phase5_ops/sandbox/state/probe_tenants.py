"""The two dedicated test tenants of the sandbox's platform, and the users that probes sign in with. Plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbeTenant:
    """A test tenant.

    Attributes:
        letter: what the settings call it, `A` or `B`.
        tenant_id: its id in every table.
        accounts: all its accounts.
        scope: the accounts that its user's claim `custom:account_ids` names.
    """

    letter: str
    tenant_id: str
    accounts: tuple[str, ...]
    scope: tuple[str, ...]

    @property
    def username(self) -> str:
        """The name its user signs in with."""
        return f"{self.tenant_id}-probe"

    @property
    def email(self) -> str:
        """The e-mail address in its user's id token."""
        return f"{self.username}@example.com"

    @property
    def claims(self) -> dict[str, str]:
        """The custom claims of its user."""
        return {"custom:tenant_id": self.tenant_id, "custom:account_ids": ",".join(self.scope)}


A = ProbeTenant("A", "phase5-canary-a", ("canary-a-1", "canary-a-2"), ("canary-a-1",))
B = ProbeTenant("B", "phase5-canary-b", ("canary-b-1",), ("canary-b-1",))
PROBE_TENANTS = (A, B)


@dataclass(frozen=True, slots=True)
class FurtherUser:
    """A user of the pool whose token is genuine and names no tenant exactly, or (unscoped) no account.

    Attributes:
        setting: what the settings call it.
        claim: its custom:tenant_id; None for a user without one. None of them has custom:account_ids.
    """

    setting: str
    claim: str | None

    @property
    def username(self) -> str:
        """The name it signs in with."""
        return f"phase5-probe-{self.setting.lower().replace('_', '-')}"

    @property
    def email(self) -> str:
        """The e-mail address in its id token."""
        return f"{self.username}@example.com"

    @property
    def claims(self) -> dict[str, str]:
        """Its custom claims."""
        return {} if self.claim is None else {"custom:tenant_id": self.claim}


FURTHER_USERS = (
    FurtherUser("UNSCOPED", A.tenant_id),
    FurtherUser("UNCLAIMED", None),
    FurtherUser("CLAIM_EMPTY", ""),
    FurtherUser("CLAIM_BLANKS", f" {A.tenant_id} "),
    FurtherUser("CLAIM_CASE", A.tenant_id.upper()),
    FurtherUser("CLAIM_LIST", f'["{A.tenant_id}", "{B.tenant_id}"]'),
)


def other_tenant(tenant_id: str) -> str:
    """The test tenant that is not `tenant_id`."""
    return A.tenant_id if tenant_id == B.tenant_id else B.tenant_id
