"""Statements of IAM policies, and the names of resources in them. Pure; each module that calls AWS names its own actions.

`dynamodb:LeadingKeys` limits a statement to partitions of a table. The null check refuses a call that has no key at all, which
`ForAllValues` alone would let through.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Statement = dict[str, Any]


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """An IAM policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Mapping[str, Any]] | None = None
) -> Statement:
    """A statement that allows actions on resources."""
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**found, "Condition": dict(condition)} if condition else found


def of_service(service: str, actions: Iterable[str]) -> list[str]:
    """The actions of one service, in their order."""
    return [action for action in actions if action.startswith(f"{service}:")]


def keyed(sid: str, actions: Sequence[str], tables: Sequence[str], keys: Sequence[str]) -> Statement:
    """A statement on the partitions of tables whose keys match one of the patterns `keys`."""
    condition: dict[str, Mapping[str, Any]] = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    return statement(sid, actions, [table_arn(table) for table in tables], condition)


def table_arn(name: str) -> str:
    """The ARN of a table that is given by name or ARN."""
    return name if name.startswith("arn:") else f"arn:*:dynamodb:*:*:table/{name}"


def parameter_arn(name: str) -> str:
    """The ARN of an SSM parameter, whose name may begin with a slash that the ARN does not repeat."""
    return f"arn:*:ssm:*:*:parameter/{name.lstrip('/')}"


def event_bus_arn(name: str) -> str:
    """The ARN of an event bus that is given by name or ARN."""
    return name if name.startswith("arn:") else f"arn:*:events:*:*:event-bus/{name}"


def evidence_statements(evidence_s3_uri: str | None) -> list[Statement]:
    """Writing a copy of the evidence to S3, if the settings ask for one."""
    if not evidence_s3_uri:
        return []
    target = evidence_s3_uri.removeprefix("s3://").rstrip("/")
    return [statement("KeepEvidence", ["s3:PutObject"], [f"arn:*:s3:::{target}/*"])]


def evidence_copy_statements(evidence_s3_uri: str | None, actions: Sequence[str]) -> list[Statement]:
    """Reading that copy, if the settings ask for one: `s3:ListBucket` of the bucket, the other actions of the objects."""
    if not evidence_s3_uri:
        return []
    target = evidence_s3_uri.removeprefix("s3://").rstrip("/")
    objects = [action for action in actions if action != "s3:ListBucket"]
    return [
        statement("ListEvidenceCopy", ["s3:ListBucket"], [f"arn:*:s3:::{target.split('/', 1)[0]}"]),
        statement("ReadEvidenceCopy", objects, [f"arn:*:s3:::{target}/*"]),
    ]


def key_statements(sid: str, actions: Sequence[str], names: Sequence[str]) -> list[Statement]:
    """Statements on KMS keys that are given by ARN, id, alias or ARN of an alias.

    A policy cannot name a key by its alias: an alias as resource means the alias itself. `kms:ResourceAliases` asks for the
    aliases that the key has, whatever the request calls it; `kms:RequestAlias` would fail where a request names the key itself,
    as signing does. See https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html.
    """
    found = []
    named = [name for name in names if _alias_of(name) is None]
    if named:
        found.append(statement(sid, actions, [_key_arn(name) for name in named]))
    aliases: dict[str, list[str]] = {}
    for name in names:
        if (alias := _alias_of(name)) is not None:
            aliases.setdefault(_any_key(name), []).append(alias)
    for number, (keys, wanted) in enumerate(sorted(aliases.items()), start=1):
        suffix = "ByAlias" + (str(number) if number > 1 else "")
        found.append(statement(f"{sid}{suffix}", actions, [keys], {"ForAnyValue:StringEquals": {"kms:ResourceAliases": wanted}}))
    return found


def _alias_of(name: str) -> str | None:
    if name.startswith("alias/"):
        return name
    _, found, alias = name.partition(":alias/")
    return f"alias/{alias}" if found else None


def _key_arn(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:kms:*:*:key/{name}"


def _any_key(alias: str) -> str:
    """Every key of the account and region that an alias belongs to."""
    return f"{alias.partition(':alias/')[0]}:key/*" if alias.startswith("arn:") else "arn:*:kms:*:*:key/*"
