"""Reads the roles of the platform's functions with everything that grants or limits them. Judges nothing.

One GetAccountAuthorizationDetails gives all roles and the customer's own policies. A managed policy that is in neither this
answer nor `sections/isolation/roles/managed_policies.py` is read by a call of its own. Tables have policies of their own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.tables import describe_table_once
from phase5_ops.input_files.json_text import json_value
from phase5_ops.reads import Read, ReadStatus

#: Needed on every table that is judged, and its stream.
TABLE_POLICY_ACTIONS = ("dynamodb:DescribeTable", "dynamodb:GetResourcePolicy")
IAM_ACTIONS = ("iam:GetAccountAuthorizationDetails", "iam:GetPolicy", "iam:GetPolicyVersion", *TABLE_POLICY_ACTIONS)
_AT_ONCE = 8

Document = Mapping[str, Any]


class RoleAnswer:
    """A role as IAM describes it: name, inline policies (name, document), ARNs of attached policies, ARN of the boundary."""

    def __init__(self, name: str, inline: Sequence[tuple[str, Document]], attached: Sequence[str], boundary: str | None) -> None:
        self.name = name
        self.inline = tuple(inline)
        self.attached = tuple(attached)
        self.boundary = boundary


def read_roles(reader: AwsReader, wanted: Callable[[str], bool]) -> tuple[list[RoleAnswer], dict[str, Document], list[Read]]:
    """The wanted roles, the documents of customer-managed policies by ARN, and how they were read.

    If a document cannot be parsed, the read is INVALID and the role has an empty document instead.

    Args:
        reader: bounds and counts the calls.
        wanted: whether a role of this name is asked for.
    """
    answer = reader.paginate(
        "iam",
        "get_account_authorization_details",
        "roles and policies",
        Filter=["Role", "LocalManagedPolicy"],
        PaginationConfig={"PageSize": 1000},  # the most that IAM gives at once; a hundred if nothing is said
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
    return roles, documents, [answer.read.unless_invalid(_not_json(broken))]


def read_managed_policy(reader: AwsReader, arns: Sequence[str]) -> tuple[Document | None, list[Read]]:
    """The document of the first of these policies that exists, and how it was read; None if it could not be read."""
    reads: list[Read] = []
    for arn in arns:
        answer = reader.call("iam", "get_policy", arn, may_miss=True, PolicyArn=arn)
        reads.append(answer.read)
        if answer.read.status is not ReadStatus.OK:
            break
        version = answer.pages[0].get("Policy", {}).get("DefaultVersionId") if answer.pages else None
        if version is not None:
            found = reader.call("iam", "get_policy_version", arn, PolicyArn=arn, VersionId=version)
            broken: list[str] = []
            content = found.pages[0].get("PolicyVersion", {}).get("Document") if found.pages else None
            document = _document(content, broken) if found.pages else None
            reads.append(found.read.unless_invalid(_not_json(broken)))
            return (None if broken else document), reads
    return None, reads


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """The policy of a table or of its stream, as text."""

    table: str
    text: str
    of_stream: bool = False


def read_table_policies(reader: AwsReader, tables: Iterable[str]) -> tuple[list[TablePolicy], list[Read]]:
    """The policies of tables and their streams, and how they were read; a table that does not exist has none."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda table: _policies_of(reader, table), tables))
    return [policy for policies, _ in answers for policy in policies], [read for _, reads in answers for read in reads]


def _policies_of(reader: AwsReader, table: str) -> tuple[list[TablePolicy], list[Read]]:
    described = describe_table_once(reader, table)
    if described.read.status is ReadStatus.NOT_FOUND:
        return [], []
    reads = [described.read]
    policies = []
    found = described.pages[0].get("Table", {}) if described.pages else {}
    for key, of_stream in (("TableArn", False), ("LatestStreamArn", True)):
        if arn := found.get(key):
            answer = reader.call("dynamodb", "get_resource_policy", arn, may_miss=True, ResourceArn=arn)
            reads.append(answer.read)
            policies += [TablePolicy(table, str(page["Policy"]), of_stream) for page in answer.pages if page.get("Policy")]
    return policies, reads


def _default_version(policy: Mapping[str, Any], broken: list[str]) -> Document:
    versions = [version for version in policy.get("PolicyVersionList", []) if version.get("IsDefaultVersion")]
    return _document(versions[0].get("Document") if versions else None, broken)


def _not_json(broken: Sequence[str]) -> str | None:
    return f"a policy document is not JSON: {broken[0]}" if broken else None


def _document(content: object, broken: list[str]) -> Document:
    """A document as a mapping; botocore decodes what IAM sends URL-encoded; elsewhere it comes as text."""
    if isinstance(content, Mapping):
        return content
    try:
        decoded = json_value(unquote(str(content)))
    except ValueError:
        decoded = None
    if isinstance(decoded, Mapping):
        return decoded
    broken.append(str(content)[:80])
    return {"Statement": []}
