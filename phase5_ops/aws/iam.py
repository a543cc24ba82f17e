"""The least-privilege policy of a readiness run, put together from what each reader declares. Pure."""

from typing import Any

from phase5_ops.aws import (
    alarms,
    budgets,
    cost_explorer,
    dashboards,
    data_trail,
    deployed_identity,
    ledger,
    log_objects,
    logs,
    metrics,
    role_policies,
    runbook_source,
    tables,
    topic_delivery,
)
from phase5_ops.ccnative.named_accounts import NAMING_TABLES
from phase5_ops.iam_statements import document, evidence_statements, parameter_arn, statement, table_arn
from phase5_ops.probing import iam as probing
from phase5_ops.settings import Settings

#: Reading whom the credentials belong to is always allowed by AWS; it is listed so that the policy names every call that is made.
IDENTITY_ACTIONS = ("sts:GetCallerIdentity",)

#: Actions of CloudWatch and IAM on things that have a name: action -> (Sid, resource).
_NAMED = {
    "iam:GetPolicy": ("ReadManagedPolicies", "arn:*:iam::*:policy/*"),
    "iam:GetPolicyVersion": ("ReadManagedPolicyVersions", "arn:*:iam::*:policy/*"),
    "cloudwatch:GetDashboard": ("ReadDashboards", "arn:*:cloudwatch::*:dashboard/*"),
    "cloudwatch:GetAlarmMuteRule": ("ReadMuteRules", "arn:*:cloudwatch:*:*:alarm-mute-rule:*"),
}


def reader_actions() -> tuple[str, ...]:
    """Every IAM action that the readers declare, once each, in order."""
    declared = (
        tables,
        ledger,
        metrics,
        dashboards,
        alarms,
        topic_delivery,
        runbook_source,
        data_trail,
        deployed_identity,
        role_policies,
        log_objects,
        logs,
        cost_explorer,
        budgets,
    )
    return tuple(sorted({*IDENTITY_ACTIONS, *(action for module in declared for action in module.IAM_ACTIONS)}))


def policy_document(settings: Settings) -> dict[str, Any]:
    """An IAM policy document for these settings: tables by name, everything else as narrow as the service allows."""
    actions = reader_actions()
    read_tables = (
        settings.tables.action_type_registry,
        settings.tables.resilience,
        settings.tables.tenants,
        settings.tables.ledger,
        settings.tables.execution_attempts,
        settings.tables.execution_outcomes,
        settings.tables.action_intent,
        settings.tables.autonomy_config,
        settings.tables.autonomy_budget_state,
        settings.tables.decision_budget,
        *(getattr(settings.tables, table.role) for table in NAMING_TABLES),
    )
    statements = [
        statement(
            "ReadTables",
            [action for action in actions if action.startswith("dynamodb:") and action != "dynamodb:GetResourcePolicy"],
            [table_arn(name) for name in read_tables],
        ),
        statement(
            "ReadTablePolicies",
            role_policies.TABLE_POLICY_ACTIONS,
            [f"{table_arn(name)}{part}" for name in settings.isolation.iam_tables for part in ("", "/stream/*")],
        ),
        statement(
            "ReadMetricsAlarms",
            [action for action in actions if action.split(":")[0] in ("cloudwatch", "iam", "sts") and action not in _NAMED],
            ["*"],
        ),
        statement("ReadTopics", [action for action in actions if action.startswith("sns:")], ["arn:*:sns:*:*:*"]),
        statement("ReadTopicKeys", [action for action in actions if action.startswith("kms:")], ["arn:*:kms:*:*:key/*"]),
        statement("ReadTopicQueues", [action for action in actions if action.startswith("sqs:")], ["arn:*:sqs:*:*:*"]),
        statement("ReadTopicFunctions", ["lambda:GetFunctionConfiguration", "lambda:GetPolicy"], ["arn:*:lambda:*:*:function:*"]),
        *(statement(sid, [action], [resource]) for action, (sid, resource) in _NAMED.items()),
        statement("ReadCosts", [action for action in actions if action.split(":")[0] in ("budgets", "ce")], ["*"]),
    ]
    groups = [f"arn:*:logs:*:*:log-group:{prefix}*" for prefix in settings.logs.group_prefixes]
    statements.append(statement("ReadLogs", ["logs:FilterLogEvents"], groups))
    statements.append(statement("ListLogGroups", ["logs:DescribeLogGroups"], ["*"]))
    archives = [location.removeprefix("s3://").rstrip("/") for location in settings.logs.archives if location.startswith("s3://")]
    if archives:
        statements.append(statement("ListLogArchives", ["s3:ListBucket"], [f"arn:*:s3:::{a.split('/')[0]}" for a in archives]))
        statements.append(statement("ReadLogArchives", ["s3:GetObject"], [f"arn:*:s3:::{archive}*" for archive in archives]))
    if settings.runbook.startswith("s3://"):
        bucket_key = settings.runbook.removeprefix("s3://")
        statements.append(statement("ReadRunbook", [*runbook_source.IAM_ACTIONS], [f"arn:*:s3:::{bucket_key}"]))
    if settings.isolation.trail_s3_uri:
        trail = settings.isolation.trail_s3_uri.removeprefix("s3://").rstrip("/")
        statements.append(statement("ReadDataTrail", ["s3:GetObject"], [f"arn:*:s3:::{trail}/*"]))
        statements.append(statement("ListDataTrail", ["s3:ListBucket"], [f"arn:*:s3:::{trail.split('/', 1)[0]}"]))
    statements += evidence_statements(settings.evidence_s3_uri)
    statements.append(statement("ListFunctions", ["lambda:ListFunctions"], ["*"]))
    if (parameter := settings.deployed.digest_parameter) is not None:
        statements.append(statement("ReadDeployedDigest", ["ssm:GetParameter"], [parameter_arn(parameter)]))
    statements += probing.statements(settings)
    return document(statements)
