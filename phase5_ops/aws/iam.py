"""The IAM permissions for reading the platform: the statements that evidence declares, and the policy made of them. Pure.

Each evidence declares the statements that it needs (`Evidence.iam`).
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

from phase5_ops.aws import (
    alarms,
    budgets,
    cost_explorer,
    ledger,
    metrics,
    role_policies,
    runbook_source,
    tables,
    topic_delivery,
)
from phase5_ops.aws.iam_statements import Statement, document, evidence_statements, parameter_arn, statement, table_arn
from phase5_ops.settings import Settings

#: AWS always allows this call (whose credentials are these); it is listed so that the policy names every call that is made.
IDENTITY_ACTIONS = ("sts:GetCallerIdentity",)

#: The order of Sids in a policy; other Sids follow in the order of their declaration.
_ORDER = (
    "ReadTables",
    "ReadTablePolicies",
    "ReadMetricsAlarms",
    "ReadTopics",
    "ReadTopicKeys",
    "ReadTopicQueues",
    "ReadTopicFunctions",
    "ReadManagedPolicies",
    "ReadManagedPolicyVersions",
    "ReadDashboards",
    "ReadMuteRules",
    "ReadCosts",
    "ReadLogs",
    "ListLogGroups",
    "ListLogArchives",
    "ReadLogArchives",
    "ReadRunbook",
    "ReadDataTrail",
    "ListDataTrail",
    "KeepEvidence",
    "ListFunctions",
    "ReadDeployedDigest",
)


def policy_document(settings: Settings, declared: Iterable[Statement]) -> dict[str, Any]:
    """The least-privilege policy of a readiness run: what every run does, and what the evidence declares."""
    own = [statement("ReadMetricsAlarms", IDENTITY_ACTIONS, ["*"]), *evidence_statements(settings.evidence_s3_uri)]
    by_sid: dict[str, list[Statement]] = {}
    for each in (*own, *declared):
        by_sid.setdefault(each["Sid"], []).append(each)
    sids = sorted(by_sid, key=lambda sid: _ORDER.index(sid) if sid in _ORDER else len(_ORDER))
    return document([_together(by_sid[sid]) for sid in sids])


def _together(statements: list[Statement]) -> Statement:
    """Merges the statements of one Sid: every action and every resource; equal lists are taken once."""
    actions = list(dict.fromkeys(tuple(each["Action"]) for each in statements))
    resources = dict.fromkeys(tuple(each["Resource"]) for each in statements)
    return statements[0] | {
        "Action": list(actions[0]) if len(actions) == 1 else sorted(set(chain.from_iterable(actions))),
        "Resource": list(chain.from_iterable(resources)),
    }


def tables_read(*names: str) -> list[Statement]:
    """Reading these tables whole."""
    return [statement("ReadTables", tables.IAM_ACTIONS, [table_arn(name)]) for name in names]


def ledger_read(*names: str) -> list[Statement]:
    """Reading a part of these tables: some partitions, or single items."""
    return [statement("ReadTables", ledger.IAM_ACTIONS, [table_arn(name)]) for name in names]


def metrics_read() -> list[Statement]:
    """Listing metrics and reading their data."""
    return [statement("ReadMetricsAlarms", metrics.IAM_ACTIONS, ["*"])]


def dashboards_read() -> list[Statement]:
    """Listing and reading dashboards."""
    return [
        statement("ReadMetricsAlarms", ["cloudwatch:ListDashboards"], ["*"]),
        statement("ReadDashboards", ["cloudwatch:GetDashboard"], ["arn:*:cloudwatch::*:dashboard/*"]),
    ]


def alarms_read() -> list[Statement]:
    """Reading alarms, mute rules, topics, and what the topics deliver to."""
    wanted = sorted((*alarms.IAM_ACTIONS, *topic_delivery.IAM_ACTIONS))
    mute_rule = "cloudwatch:GetAlarmMuteRule"
    return [
        statement("ReadMetricsAlarms", [each for each in _of("cloudwatch", wanted) if each != mute_rule], ["*"]),
        statement("ReadTopics", _of("sns", wanted), ["arn:*:sns:*:*:*"]),
        statement("ReadTopicKeys", _of("kms", wanted), ["arn:*:kms:*:*:key/*"]),
        statement("ReadTopicQueues", _of("sqs", wanted), ["arn:*:sqs:*:*:*"]),
        statement("ReadTopicFunctions", _of("lambda", wanted), ["arn:*:lambda:*:*:function:*"]),
        statement("ReadMuteRules", [mute_rule], ["arn:*:cloudwatch:*:*:alarm-mute-rule:*"]),
    ]


def runbook_read(settings: Settings) -> list[Statement]:
    """Reading the runbook, if it is in S3."""
    if not settings.runbook.startswith("s3://"):
        return []
    return [statement("ReadRunbook", runbook_source.IAM_ACTIONS, [f"arn:*:s3:::{settings.runbook.removeprefix('s3://')}"])]


def roles_read(settings: Settings) -> list[Statement]:
    """Reading the functions' roles, managed policies, and the policies of the tables that they reach."""
    parts = [f"{table_arn(name)}{part}" for name in settings.isolation.iam_tables for part in ("", "/stream/*")]
    return [
        statement("ReadTablePolicies", role_policies.TABLE_POLICY_ACTIONS, parts),
        statement("ReadMetricsAlarms", ["iam:GetAccountAuthorizationDetails"], ["*"]),
        statement("ReadManagedPolicies", ["iam:GetPolicy"], ["arn:*:iam::*:policy/*"]),
        statement("ReadManagedPolicyVersions", ["iam:GetPolicyVersion"], ["arn:*:iam::*:policy/*"]),
    ]


def logs_read(settings: Settings) -> list[Statement]:
    """Reading the functions' logs, and archives of them in S3."""
    found = [
        statement(
            "ReadLogs", ["logs:FilterLogEvents"], [f"arn:*:logs:*:*:log-group:{each}*" for each in settings.logs.group_prefixes]
        ),
        statement("ListLogGroups", ["logs:DescribeLogGroups"], ["*"]),
    ]
    archives = [location.removeprefix("s3://").rstrip("/") for location in settings.logs.archives if location.startswith("s3://")]
    if archives:
        found.append(statement("ListLogArchives", ["s3:ListBucket"], [f"arn:*:s3:::{a.split('/')[0]}" for a in archives]))
        found.append(statement("ReadLogArchives", ["s3:GetObject"], [f"arn:*:s3:::{archive}*" for archive in archives]))
    return found


def data_trail_read(settings: Settings) -> list[Statement]:
    """Reading CloudTrail's DynamoDB events, if the settings name their location."""
    if not settings.isolation.trail_s3_uri:
        return []
    trail = settings.isolation.trail_s3_uri.removeprefix("s3://").rstrip("/")
    return [
        statement("ReadDataTrail", ["s3:GetObject"], [f"arn:*:s3:::{trail}/*"]),
        statement("ListDataTrail", ["s3:ListBucket"], [f"arn:*:s3:::{trail.split('/', 1)[0]}"]),
    ]


def deployed_read(settings: Settings) -> list[Statement]:
    """Reading what is deployed."""
    found = [statement("ListFunctions", ["lambda:ListFunctions"], ["*"])]
    if (parameter := settings.deployed.digest_parameter) is not None:
        found.append(statement("ReadDeployedDigest", ["ssm:GetParameter"], [parameter_arn(parameter)]))
    return found


def costs_read() -> list[Statement]:
    """Reading the bill, its tags, and budgets."""
    return [statement("ReadCosts", sorted((*budgets.IAM_ACTIONS, *cost_explorer.IAM_ACTIONS)), ["*"])]


def _of(service: str, actions: Iterable[str]) -> list[str]:
    return [action for action in actions if action.startswith(f"{service}:")]
