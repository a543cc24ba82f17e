"""The roles of the sandbox's platform functions: every access bound to the caller's tenant. Plain data, and seeding."""

import json
from collections.abc import Mapping
from typing import Any

TENANT = "${aws:PrincipalTag/tenant_id}"
OWN_KEYS = [f"TENANT#{TENANT}", f"TENANT#{TENANT}#*", f"ACCOUNT#{TENANT}#*", TENANT]
#: Tenant-less keys that every execution may use, by contract.
SHARED_KEYS = ["CONNECTOR#*", "ACTION_TYPE#*", "IDEMPOTENCY_KEY#*", "AUTO_EXEC_STATE", "ACTION_INTENT#*", "TRACE#*"]

EXECUTION_ROLE, CONTROL_CENTER_ROLE = "cc-native-execution-role", "cc-native-autonomy-admin-api-role"

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def statement(actions: list[str], keys: list[str] | None, operator: str = "ForAllValues:StringLike") -> dict[str, Any]:
    """An Allow of DynamoDB actions on the platform's tables and indexes, bound to leading keys unless `keys` is None."""
    base = "arn:aws:dynamodb:*:*:table/cc-native-*"
    found: dict[str, Any] = {"Effect": "Allow", "Action": [f"dynamodb:{action}" for action in actions], "Resource": [base]}
    return found if keys is None else {**found, "Condition": {operator: {"dynamodb:LeadingKeys": keys}}}


def healthy_roles() -> dict[str, list[dict[str, Any]]]:
    """Role name -> statements of its one inline policy."""
    items = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    return {
        EXECUTION_ROLE: [statement(items, [*OWN_KEYS, *SHARED_KEYS])],
        CONTROL_CENTER_ROLE: [statement(["GetItem", "Query", "PutItem", "UpdateItem"], OWN_KEYS)],
    }


def seed_roles(iam: Any, roles: Mapping[str, list[dict[str, Any]]]) -> None:  # noqa: ANN401 - a boto3 client
    """Puts the roles into IAM."""
    for name, statements in sorted(roles.items()):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="data", PolicyDocument=json.dumps(document))
