"""Reads the roles of the platform's functions with everything that grants or limits them. Judges nothing.

One GetAccountAuthorizationDetails answers for all roles and for the customer's own policies; policies of AWS are known by name
(`isolation/iam_template.managed_policy` has those that grant DynamoDB), so no call a policy is needed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("iam:GetAccountAuthorizationDetails",)

Document = Mapping[str, Any]


class RoleAnswer:
    """A role as IAM tells it: name, (policy name, document) of all that is inline or attached, and the boundary's ARN."""

    def __init__(self, name: str, inline: Sequence[tuple[str, Document]], attached: Sequence[str], boundary: str | None) -> None:
        self.name = name
        self.inline = tuple(inline)
        self.attached = tuple(attached)
        self.boundary = boundary


def read_roles(reader: AwsReader, wanted: Callable[[str], bool]) -> tuple[list[RoleAnswer], dict[str, Document], list[Read]]:
    """The wanted roles, the documents of customer-managed policies by ARN, and how they were read.

    A document that cannot be understood turns the read INVALID; the role is then handed out without it.

    Args:
        reader: bounds and counts the calls.
        wanted: whether a role of this name is asked for.
    """
    answer = reader.paginate(
        "iam", "get_account_authorization_details", "roles and policies", Filter=["Role", "LocalManagedPolicy"]
    )
    broken: list[str] = []
    documents = {str(entry.get("Arn")): _default_version(entry, broken) for entry in answer.items("Policies")}
    roles = [
        RoleAnswer(
            str(entry["RoleName"]),
            [
                (str(policy.get("PolicyName")), _document(policy.get("PolicyDocument"), broken))
                for policy in entry.get("RolePolicyList", [])
            ],
            [str(policy.get("PolicyArn")) for policy in entry.get("AttachedManagedPolicies", [])],
            (entry.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        )
        for entry in answer.items("RoleDetailList")
        if wanted(str(entry.get("RoleName", "")))
    ]
    read = answer.read
    if broken and read.status is ReadStatus.OK:
        read = Read(
            read.operation,
            read.resource,
            ReadStatus.INVALID,
            f"policy that is no JSON: {broken[0]}",
            read.pages,
            read.start,
            read.end,
        )
    return roles, documents, [read]


def _default_version(policy: Mapping[str, Any], broken: list[str]) -> Document:
    versions = [version for version in policy.get("PolicyVersionList", []) if version.get("IsDefaultVersion")]
    return _document(versions[0].get("Document") if versions else None, broken)


def _document(content: object, broken: list[str]) -> Document:
    """A document as a mapping; botocore decodes what IAM sends URL-encoded, other stores hand it out as text."""
    if isinstance(content, Mapping):
        return content
    try:
        decoded = json.loads(unquote(str(content)))
    except ValueError:
        decoded = None
    if isinstance(decoded, Mapping):
        return decoded
    broken.append(str(content)[:80])
    return {"Statement": []}
