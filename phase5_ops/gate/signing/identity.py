"""Who signs: the person behind AWS credentials, or why nobody is known. Pure.

A person is known by the SourceIdentity of the session, which cannot be changed once set, or by the session name of a role whose
sessions an identity provider names (IAM Identity Center, a SAML or OIDC federation). A session name that the caller chose says
nothing, nor does an access key of an IAM user or the account's root.

GetCallerIdentity does not return the SourceIdentity; it stands in CloudTrail's record of the call (`sessionContext`), see
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_ASSUMED_ROLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[A-Za-z0-9_+=,.@-]{1,64})/"
    r"(?P<session>[A-Za-z0-9_+=,.@-]{2,64})"
)
_PERSON = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """The person who signs.

    Attributes:
        person: lower case; the same person through another role is the same.
        arn: of the session.
        source: `source identity` or `session of ROLE`.
    """

    person: str
    arn: str
    source: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody is known to sign, and what to do."""

    reason: str


def identify(
    caller: Mapping[str, object], *, trusted_roles: Sequence[str], source_identity: str | None = None
) -> SessionIdentity | Refusal:
    """The person behind an answer of GetCallerIdentity.

    Args:
        caller: the answer, with Arn, Account and UserId.
        trusted_roles: `signing.trusted_roles`: ACCOUNT/NAME, the name perhaps with a * at its end.
        source_identity: of the session, where CloudTrail told it; it goes before the session's name.
    """
    arn, user_id, account = (str(caller.get(name) or "") for name in ("Arn", "UserId", "Account"))
    found = _ASSUMED_ROLE.fullmatch(arn)
    if found is None:
        return Refusal(f"{arn or 'no caller'} is not a session of an assumed role; sign in through your identity provider")
    role, session = found["role"], found["session"]
    if account != found["account"] or user_id.rpartition(":")[2] != session:
        return Refusal(f"the caller's identity does not fit together: {arn}, {user_id}, {account}")
    if source_identity is not None:
        if not _PERSON.fullmatch(source_identity):
            return Refusal(f"not a source identity: {source_identity!r}")
        return SessionIdentity(source_identity.casefold(), arn, "source identity")
    if not any(_matches(entry, account, role) for entry in trusted_roles):
        return Refusal(
            f"the session name of {account}/{role} may be chosen by the caller; sign in through a role of"
            " PHASE5_SIGNING__TRUSTED_ROLES, or with a source identity"
        )
    return SessionIdentity(session.casefold(), arn, f"session of {role}")


def _matches(entry: str, account: str, role: str) -> bool:
    trusted_account, _, name = entry.partition("/")
    if account != trusted_account or not name.rstrip("*"):
        return False
    return role.startswith(name[:-1]) if name.endswith("*") else role == name


def repeated_role(person: str, role: str, signed: Iterable[tuple[str, str]]) -> str | None:
    """The other role that this person has signed for already, if any.

    Args:
        person: who wants to sign.
        role: for which role.
        signed: (role, person) of the signatures there are.
    """
    return next((other for other, who in signed if other != role and who.casefold() == person.casefold()), None)
