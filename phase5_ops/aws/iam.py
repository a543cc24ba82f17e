"""The IAM permissions for reading the platform: the statements that evidence declares, and the policy made of them. Pure.

Each evidence declares the statements that it needs (`Evidence.iam`).
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from phase5_ops.aws import (
    alarms,
    budgets,
    cost_explorer,
    metrics,
    role_policies,
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
    "ReadEventLog",
    "ListLogGroups",
    "ListLogArchives",
    "ReadLogArchives",
    "ReadRunbook",
    "FindRunbook",
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
    return document(list(chain.from_iterable(_together(by_sid[sid]) for sid in sids)))


def _together(statements: list[Statement]) -> Iterator[Statement]:
    """Merges the statements of one Sid, without allowing on a resource what is declared for another one only."""
    actions: dict[str, set[str]] = {}
    for each in statements:
        for resource in each["Resource"]:
            actions.setdefault(resource, set()).update(each["Action"])
    resources: dict[tuple[str, ...], list[str]] = {}
    for resource, allowed in actions.items():
        resources.setdefault(tuple(sorted(allowed)), []).append(resource)
    for number, (allowed_there, there) in enumerate(resources.items(), start=1):
        sid = f"{statements[0]['Sid']}{number if number > 1 else ''}"
        yield statements[0] | {"Sid": sid, "Action": list(allowed_there), "Resource": there}


def tables_read(*names: str) -> list[Statement]:
    """Reading these tables whole."""
    return [statement("ReadTables", tables.IAM_ACTIONS, [table_arn(name)]) for name in names]


def ledger_read(name: str) -> list[Statement]:
    """Reading the ledger: some partitions, or all."""
    return [statement("ReadTables", ["dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:Scan"], [table_arn(name)])]


def items_read(*names: str) -> list[Statement]:
    """Reading single items of these tables."""
    return [statement("ReadTables", ["dynamodb:BatchGetItem"], [table_arn(name)]) for name in names]


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


def alarm_history_read() -> list[Statement]:
    """Reading what happened to alarms: for all, as a narrower scope leaves composite alarms out."""
    return [statement("ReadMetricsAlarms", alarms.HISTORY_ACTIONS, ["*"])]


def runbook_read(settings: Settings) -> list[Statement]:
    """Reading the runbook, if it is in S3."""
    if not settings.runbook.startswith("s3://"):
        return []
    location = settings.runbook.removeprefix("s3://")
    return [
        statement("ReadRunbook", ["s3:GetObject"], [f"arn:*:s3:::{location}"]),
        statement("FindRunbook", ["s3:ListBucket"], [f"arn:*:s3:::{location.split('/', 1)[0]}"]),
    ]


def roles_read(settings: Settings) -> list[Statement]:
    """Reading the functions' roles, managed policies, and the policies of the tables that they reach."""
    judged = [table_arn(name) for name in settings.isolation.iam_tables]
    return [
        statement("ReadTablePolicies", role_policies.TABLE_POLICY_ACTIONS, judged),
        statement("ReadTablePolicies", ["dynamodb:GetResourcePolicy"], [f"{table}/stream/*" for table in judged]),
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


def event_log_read(settings: Settings) -> list[Statement]:
    """Reading the log group that the platform's events go to, if the settings name it."""
    group = settings.isolation.event_log_group
    return [statement("ReadEventLog", ["logs:FilterLogEvents"], [f"arn:*:logs:*:*:log-group:{group}:*"])] if group else []


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
