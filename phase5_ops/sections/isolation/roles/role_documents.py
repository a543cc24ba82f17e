"""Builds deployed roles from what AWS has: their own and managed policies, and what tables' policies grant them. Pure.

IAM and DynamoDB accept no policy with wrong grammar; what this module still does not understand is named as not judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from phase5_ops.aws.role_policies import Document, RoleAnswer, TablePolicy
from phase5_ops.sections.isolation.roles.evidence import RolePolicies, statements_of
from phase5_ops.sections.isolation.roles.managed_policies import known_policy
from phase5_ops.sections.isolation.roles.table_policies import KnownRoles, held
from phase5_ops.sections.isolation.roles.templates.documents import PolicyReader
from phase5_ops.sections.isolation.roles.templates.values import Values


def deployed_role(role: RoleAnswer, documents: Mapping[str, Document]) -> RolePolicies:
    """A role with the documents of its managed policies; a policy in neither `documents` nor this project is `unknown`."""
    attached = {arn: documents.get(arn) or known_policy(arn) for arn in role.attached}
    named = [(arn.rsplit("/", 1)[-1], document) for arn, document in attached.items() if document is not None]
    policies = (*role.inline, *named)
    unknown = [arn for arn, document in attached.items() if document is None]
    boundary = None if role.boundary is None else documents.get(role.boundary) or known_policy(role.boundary)
    odd = [name for policy, document in policies for name in _not_understood(policy, document)]
    return RolePolicies(role.name, policies, boundary, has_boundary=role.boundary is not None, unknown=(*unknown, *odd))


def with_documents(
    role: RolePolicies, documents: Mapping[str, Document], failures: Mapping[str, str], *, attached: bool = True
) -> RolePolicies:
    """A role with the documents of policies that were unknown before; for the rest, why they could not be read.

    With `attached` False it is not certain that they are attached (a template with conditions), so their Denies do not count.
    """
    had = [(name.rsplit("/", 1)[-1], documents[name]) for name in role.unknown if name in documents]
    found = had if attached else [(name, _allowing(document)) for name, document in had]
    odd = [name for policy, document in found for name in _not_understood(policy, document)]
    left = [f"{name} ({failures[name]})" if name in failures else name for name in role.unknown if name not in documents]
    return replace(role, policies=(*role.policies, *found), unknown=(*left, *odd))


def with_table_policies(roles: Sequence[RolePolicies], policies: Iterable[TablePolicy], account: str) -> list[RolePolicies]:
    """The roles with what tables' policies grant them; then other principals, as roles of their own."""
    known = KnownRoles({role.role: (role.role,) for role in roles}, account)
    found = {role.role: role for role in roles}
    reader = PolicyReader(Values(), of_resource=True)
    for policy in policies:
        name = f"resource policy of {policy.table}"
        granted = reader.document(policy.text, name)
        if granted.not_judged:
            place = found.setdefault(f"table {policy.table}", RolePolicies(f"table {policy.table}", ()))
            found[place.role] = replace(place, unknown=(*place.unknown, *granted.not_judged))
        for holder, part in held(policy.table, granted, known, of_stream=policy.of_stream).items():
            role = found.setdefault(holder, RolePolicies(holder, ()))
            found[holder] = replace(role, policies=(*role.policies, *part.documents()))
    return list(found.values())


def _allowing(document: Document) -> Document:
    return {**document, "Statement": [one for one in statements_of(document) if str(one.get("Effect")).lower() != "deny"]}


def _not_understood(policy: str, document: Document) -> tuple[str, ...]:
    return PolicyReader(Values()).document(document, policy).not_judged if document.get("Statement") else ()
