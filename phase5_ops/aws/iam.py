"""The least-privilege policy of a readiness run, put together from what each reader declares. Pure."""

from typing import Any

from phase5_ops.aws import alarms, budgets, cost_explorer, dashboards, metrics, runbook_source, tables
from phase5_ops.ccnative.named_accounts import NAMING_TABLES
from phase5_ops.settings import Settings

#: Reading whom the credentials belong to is always allowed by AWS; it is listed so that the policy names every call that is made.
IDENTITY_ACTIONS = ("sts:GetCallerIdentity",)


def reader_actions() -> tuple[str, ...]:
    """Every IAM action that the readers declare, once each, in order."""
    declared = (tables, metrics, dashboards, alarms, runbook_source, cost_explorer, budgets)
    return tuple(sorted({*IDENTITY_ACTIONS, *(action for module in declared for action in module.IAM_ACTIONS)}))


def policy_document(settings: Settings) -> dict[str, Any]:
    """An IAM policy document for these settings: tables by name, everything else as narrow as the service allows."""
    actions = reader_actions()
    read_tables = (
        settings.tables.action_type_registry,
        settings.tables.resilience,
        settings.tables.tenants,
        settings.tables.execution_outcomes,
        settings.tables.action_intent,
        settings.tables.autonomy_config,
        settings.tables.autonomy_budget_state,
        settings.tables.decision_budget,
        *(getattr(settings.tables, table.role) for table in NAMING_TABLES),
    )
    statements = [
        _statement(
            "ReadTables",
            [action for action in actions if action.startswith("dynamodb:")],
            [name if name.startswith("arn:") else f"arn:*:dynamodb:*:*:table/{name}" for name in read_tables],
        ),
        _statement(
            "ReadMetricsAlarmsTopics",
            [action for action in actions if action.split(":")[0] in ("cloudwatch", "sns", "sts")],
            ["*"],
        ),
        _statement("ReadCosts", [action for action in actions if action.split(":")[0] in ("budgets", "ce")], ["*"]),
    ]
    if settings.runbook.startswith("s3://"):
        bucket_key = settings.runbook.removeprefix("s3://")
        statements.append(_statement("ReadRunbook", [a for a in actions if a.startswith("s3:")], [f"arn:*:s3:::{bucket_key}"]))
    if settings.evidence_s3_uri:
        target = settings.evidence_s3_uri.removeprefix("s3://").rstrip("/")
        statements.append(_statement("KeepEvidence", ["s3:PutObject"], [f"arn:*:s3:::{target}/*"]))
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
