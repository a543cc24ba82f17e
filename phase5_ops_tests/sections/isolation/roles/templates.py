"""Templates for tests: a table, a bound role, and whatever a test puts beside them or into a worker's role."""

import json
from typing import Any

from phase5_ops.sections.isolation.roles.evidence import RoleAccess, Universe, role_access
from phase5_ops.sections.isolation.roles.template import read_template

UNSCOPED, KEYLESS, NOT_JUDGED = "iam_access_unscoped", "iam_keyless_access", "iam_policy_not_judged"
LEDGER_ARN = {"Fn::GetAtt": ["Ledger", "Arn"]}
BINDING = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["TENANT#${aws:PrincipalTag/tenant_id}"]}}
NO_VALUE = {"Ref": "AWS::NoValue"}
TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "cc-native-ledger"}}


def if_(one: Any, other: Any = NO_VALUE) -> dict[str, Any]:
    return {"Fn::If": ["IsProd", one, other]}


def allow(action: Any = "dynamodb:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "dynamodb:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def bound() -> dict[str, Any]:
    """An Allow that is bound to the caller's tenant."""
    return allow("dynamodb:GetItem", LEDGER_ARN, Condition=BINDING)


def document(*statements: Any, version: Any = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def role(*statements: Any, **properties: Any) -> dict[str, Any]:
    """A role with one inline policy, `p`."""
    policies = [{"PolicyName": "p", "PolicyDocument": document(*statements)}] if statements else []
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies, **properties}}


def template(resources: dict[str, Any], **sections: Any) -> str:
    """The text of a template with the table Ledger and a role that is bound."""
    return json.dumps({"Resources": {"Ledger": TABLE, "Bound": role(bound()), **resources}, **sections})


def rows(text: str) -> list[RoleAccess]:
    content = read_template(text)
    return role_access(content.roles, Universe(sorted({*content.tables, "cc-native-ledger"})))


def codes(text: str, name: str = "Worker") -> set[str]:
    """What is said of one role: codes, and `bound`."""
    return {row.code or row.result for row in rows(text) if row.role == name}


def worker(*statements: Any, **sections: Any) -> set[str]:
    """What is said of a role with these statements."""
    return codes(template({"Worker": role(*statements)}, **sections))


def named(text: str) -> set[tuple[str, str]]:
    """(role, construct) of everything that is not judged."""
    return {(row.role, row.policy) for row in rows(text) if row.code == NOT_JUDGED}
