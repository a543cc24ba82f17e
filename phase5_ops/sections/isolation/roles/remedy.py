"""What code can mend of iam_is_tenant_scoped: one more inline policy for each role, which binds it to its caller's tenant. Pure.

The evidence says what a role may do beyond its tenant, not how its policies are written. So the policy denies what goes beyond:
requests whose partition keys are neither the caller's nor tenant-less by the platform's contract, and those without any key.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from phase5_ops.ccnative.keys import APPROVED
from phase5_ops.remedies.model import CannotMend, MendingCase, Remedy, RolePolicy
from phase5_ops.sections.isolation.roles.evidence import KEYED_ACTIONS, RoleAccess, Roles

_POLICY = "phase5-tenant-scope"
_TAG = "aws:PrincipalTag/tenant_id"
_TENANT = f"${{{_TAG}}}"
_OWN = (f"TENANT#{_TENANT}", f"TENANT#{_TENANT}#*", f"ACCOUNT#{_TENANT}#*", _TENANT)
#: Tenant-less keys by contract: whole, or with anything after their prefix.
_SHARED = tuple(dict.fromkeys(form.prefix if form.reference_in else f"{form.prefix}*" for form in APPROVED if form.prefix))

_MOST_CHARACTERS = 10_240  # of all inline policies of a role together, white space not counted
_ROLE = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_KEYLESS = "iam_keyless_access"
_CAUTIONS = (
    "a session without the tag tenant_id reaches no tenant's items any more: whoever assumes the role must pass it",
    "queries of an index by a bare id (account_id, action_intent_id, decision_id) are refused, too: except them first, if needed",
    "so are keys without a tenant that are no form of the platform's contract, such as USER# and AGENT#",
)


def mend_roles(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """The policy of every deployed role that goes beyond its tenant."""
    table: Roles = case.tables["role_access"]
    stored = {(finding.code, finding.subject) for finding in case.findings}
    beyond = [row for row in table.rows if row.result == "violation" and row.table]  # a way around is about no table
    for role in dict.fromkeys(row.role for row in beyond):
        rows = [row for row in beyond if row.role == role]
        answers = tuple(dict.fromkeys((row.code, f"{row.role} {row.table}") for row in rows))
        answers = tuple(pair for pair in answers if pair in stored)
        if not answers:
            continue
        document = {"Version": "2012-10-17", "Statement": list(_statements(rows, case))}
        if case.settings.isolation.iam_template is not None:
            yield CannotMend(answers, "it is judged from a template: write the condition there")
        elif not _ROLE.fullmatch(role) or any(row.table == role for row in rows):
            yield CannotMend(answers, "it is no role that a policy can be added to")
        elif len(re.sub(r"\s", "", json.dumps(document))) > _MOST_CHARACTERS:
            yield CannotMend(answers, f"its policy would have more than the {_MOST_CHARACTERS} characters that IAM takes")
        else:
            yield Remedy(answers, RolePolicy(role, _POLICY, document), _CAUTIONS)


def _statements(rows: Sequence[RoleAccess], case: MendingCase) -> Iterator[dict[str, Any]]:
    keyed: dict[tuple[str, ...], list[str]] = {}
    keyless: dict[tuple[str, ...], list[str]] = {}
    for table in dict.fromkeys(row.table for row in rows):
        for found, codes in ((keyed, {row.code for row in rows} - {_KEYLESS}), (keyless, {_KEYLESS})):
            mine = {action for row in rows if row.table == table and row.code in codes for action in row.actions}
            if mine:
                found.setdefault(tuple(sorted(mine)), []).append(table)
    for actions, tables in keyed.items():
        bound = [action for action in actions if action in KEYED_ACTIONS]
        where = list(_resources(tables, case))
        foreign = {"ForAnyValue:StringNotLike": {"dynamodb:LeadingKeys": [*_OWN, *_SHARED]}}
        untagged = {"Null": {_TAG: "true"}, "ForAnyValue:StringNotLike": {"dynamodb:LeadingKeys": [*_SHARED]}}
        for condition in (foreign, untagged):
            yield _denied(bound, where, condition)
    for actions, tables in keyless.items():
        where = list(_resources(tables, case))
        if others := [action for action in actions if action != "PartiQLSelect"]:
            yield _denied(others, where, None)
        if "PartiQLSelect" in actions:
            yield _denied(["PartiQLSelect"], where, {"Bool": {"dynamodb:FullTableScan": "true"}})


def _denied(actions: Sequence[str], resources: Sequence[str], condition: dict[str, Any] | None) -> dict[str, Any]:
    named = [f"dynamodb:{action}" for action in actions]
    found: dict[str, Any] = {"Effect": "Deny", "Action": named, "Resource": list(resources)}
    return found if condition is None else {**found, "Condition": condition}


def _resources(tables: Iterable[str], case: MendingCase) -> Iterator[str]:
    """The tables with their indexes and streams, in every region, since a policy has to be short."""
    for table in tables:
        arn = f"arn:{case.partition}:dynamodb:*:*:table/{table}"
        yield from (arn, f"{arn}/*")
