"""What a table's own policy grants, and to whom. Pure.

Within one account, what a table's policy allows a role counts as if the role's own policy allowed it. A principal that is none of
the judged roles (another account, a service, a session, a role elsewhere) is judged as a role of its own. The own account as a
principal grants nothing by itself: the roles' policies decide.

Source: IAM User Guide, "Policy evaluation for requests within a single account", "AWS JSON policy elements: Principal"; DynamoDB
Developer Guide, "Resource-based policies".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phase5_ops.aws.resource_policy import fits
from phase5_ops.sections.isolation.roles.templates.documents import EVERYBODY
from phase5_ops.sections.isolation.roles.templates.grants import Granted, Grants, together
from phase5_ops.sections.isolation.roles.templates.patterns import ARN_PARTS, OWN_ACCOUNT, overlap
from phase5_ops.sections.isolation.roles.templates.values import branches_of, function_of

ANYBODY = "any principal (*)"
_ROLE = re.compile(r"arn:[^:]*:iam::([^:]*):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:[^:]*:sts::([^:]*):assumed-role/([^/]+)/.*")
_TOKEN = re.compile(r"\$\{role-of-template ([^}]+)\}")
_STREAM = "/stream/*"
_ON_TABLE = ("", "/index/*")


@dataclass(frozen=True, slots=True)
class KnownRoles:
    """The judged roles: key -> patterns of the names that each may have; and the account, if known."""

    names: Mapping[str, Sequence[str]]
    account: str = OWN_ACCOUNT

    def meant(self, principal: str) -> tuple[list[str], list[str]]:
        """The keys of roles that a principal may mean, and the principals to judge as roles of their own."""
        if principal == EVERYBODY:
            return list(self.names), [ANYBODY]
        if self._is_own_account(principal):
            return [], []
        token = _TOKEN.search(principal)
        if token:
            return ([token.group(1)], []) if token.group(1) in self.names else ([], [principal])
        role, session = _ROLE.fullmatch(principal), _SESSION.fullmatch(principal)
        found = role or session
        if found and self._may_be_own(found.group(1)):
            keys = [key for key, names in self.names.items() if any(overlap(name, found.group(2)) for name in names)]
            return keys, [principal] if session or not keys else []
        return (list(self.names) if _is_vague(principal) else []), [principal]

    def surely(self, principal: str) -> list[str]:
        """The keys of roles that a principal surely means."""
        if principal == EVERYBODY or self._is_own_account(principal):
            return list(self.names)
        keys, others = self.meant(principal)
        if _TOKEN.search(principal):
            return keys
        certain = not others and not _is_vague(principal.replace(OWN_ACCOUNT, ""))
        return [key for key in keys if certain and len(self.names[key]) == 1 and not _is_vague(self.names[key][0])]

    def _is_own_account(self, principal: str) -> bool:
        return principal == self.account or re.fullmatch(rf"arn:[^:]*:iam::{re.escape(self.account)}:root", principal) is not None

    def _may_be_own(self, account: str) -> bool:
        return self.account in (account, OWN_ACCOUNT) or _is_vague(account)


def role_token(logical: str) -> str:
    """The text that stands for the name of a template's role."""
    return f"${{role-of-template {logical}}}"


def held(table: str, grants: Grants, roles: KnownRoles, *, of_stream: bool = False) -> dict[str, Grants]:
    """What a table's policy grants, by the key of a role or the principal's own name.

    Args:
        table: the table's name.
        grants: of the policy, as `PolicyReader(of_resource=True)` reads it.
        roles: the judged roles.
        of_stream: whether the policy is the stream's.
    """
    forms = [f"table/{table}{suffix}" for suffix in ((_STREAM,) if of_stream else _ON_TABLE)]
    found: dict[str, list[Grants]] = {}
    for one in grants.allows:
        narrowed = _on(one, _allowed_on(one, forms))
        for principal in one.statement["Principal"]:
            for holder in (part for parts in roles.meant(principal) for part in parts):
                found.setdefault(holder, []).append(Grants(allows=(narrowed,)))
    for one in grants.denies:
        covered = _denied_on(one, forms)
        for holder in {key for principal in one.statement["Principal"] for key in roles.surely(principal)} if covered else ():
            found.setdefault(holder, []).append(Grants(denies=(_on(one, covered),)))
    return {holder: together(parts) for holder, parts in found.items()}


def resource_policies(value: object, *, certain: bool, of_stream: bool = False) -> Iterator[tuple[object, bool, bool]]:
    """Policies at any depth of a table's properties: (policy, whether it is a stream's, whether it is surely there)."""
    branches = branches_of(value)
    if branches is not None:
        for branch in branches:
            yield from resource_policies(branch, certain=False, of_stream=of_stream)
    elif isinstance(value, list):
        for entry in value:
            yield from resource_policies(entry, certain=False, of_stream=of_stream)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "ResourcePolicy":
                yield from _one_policy(entry, of_stream, certain)
            else:
                yield from resource_policies(entry, certain=certain, of_stream=of_stream or "Stream" in str(key))


def _one_policy(value: object, of_stream: bool, certain: bool) -> Iterator[tuple[object, bool, bool]]:
    branches = branches_of(value)
    if branches is not None:
        for branch in branches:
            yield from _one_policy(branch, of_stream, False)
    elif function_of(value) != ("Ref", "AWS::NoValue"):
        yield value, of_stream, certain


def _on(one: Granted, forms: Sequence[str]) -> Granted:
    kept = {name: value for name, value in one.statement.items() if name not in ("Principal", "Resource", "NotResource")}
    return Granted(one.policy, one.version, {**kept, "Resource": [f"arn:aws:dynamodb:*:*:{form}" for form in forms]})


def _allowed_on(one: Granted, forms: Sequence[str]) -> Sequence[str]:
    """The forms of the table that an Allow may mean; all forms if its resources as written fit none."""
    patterns = [_tail(str(pattern)) for pattern in one.statement.get("Resource", [])]
    return [form for form in forms if any(overlap(pattern, form) for pattern in patterns)] or forms


def _denied_on(one: Granted, forms: Sequence[str]) -> Sequence[str]:
    """The forms that a Deny surely covers."""
    patterns = [_tail(str(pattern)) for pattern in one.statement.get("Resource", []) if "${" not in str(pattern)]
    return [form for form in forms if any(fits(pattern, form) for pattern in patterns)]


def _tail(pattern: str) -> str:
    return pattern.split(":", ARN_PARTS - 1)[-1]


def _is_vague(text: str) -> bool:
    return "${" in text or "{{resolve:" in text
