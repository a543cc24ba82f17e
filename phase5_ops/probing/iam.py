"""What probing needs to be allowed to do, as IAM statements: writes only under the test tenants' own keys. Pure.

`dynamodb:LeadingKeys` limits every write to partitions of the two test tenants, so that even a fault of this program could not
touch another tenant's items; items of the dedupe table carry no tenant in their key. The null check refuses a call that has no
key at all, which `ForAllValues` alone would let through.
"""

from collections.abc import Sequence
from typing import Any

from phase5_ops.settings import Settings

#: Partitions of the ledger in which a platform would record a request whose tenant it does not know.
NOBODY = ("", "undefined", "null", "None", "NaN", "[object Object]", "unknown", "anonymous", "default", "system")


def statements(settings: Settings) -> list[dict[str, Any]]:
    """The statements for these settings; none where probes are off or the test tenants are not set."""
    users, tables = settings.probe_users, settings.tables
    if settings.probe_mode == "off" or not users.a.tenant_id or not users.b.tenant_id:
        return []
    tenants = (users.a.tenant_id, users.b.tenant_id)
    canaries = (tables.action_intent, tables.execution_attempts, tables.execution_outcomes, tables.internal_notes)
    watched = (tables.autonomy_budget_state, tables.autonomy_config, tables.audit_export)
    secrets = [user.secret_id for user in (users.a, users.b) if user.secret_id]
    accounts = [f"TENANT#{tenant}#ACCOUNT#*" for tenant in tenants]
    whole = [f"TENANT#{tenant}" for tenant in tenants]
    ledgers = [f"TENANT#{tenant}" for tenant in (*tenants, *NOBODY)]
    state_actions = [f"dynamodb:{action}" for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")]
    found = [
        _statement("ProbeLease", state_actions, [_table(tables.readiness)]),
        _statement(
            "ProbeStops", ["lambda:GetFunctionConfiguration"], [_function(name) for name in settings.probes.stop_functions]
        ),
        _keyed("ProbeTestTenants", ["dynamodb:GetItem"], [tables.tenants], tenants),
        _keyed("ProbeCanaries", ["dynamodb:BatchWriteItem", "dynamodb:Query"], canaries, accounts),
        _keyed("ProbeLedgerSearch", ["dynamodb:Query"], [tables.ledger], ledgers),
        _keyed("HarnessTestData", ["dynamodb:BatchWriteItem", "dynamodb:Query"], watched, [*whole, *accounts]),
        _keyed("HarnessTenants", ["dynamodb:BatchWriteItem", "dynamodb:Query"], [tables.tenants, tables.signals], tenants),
        _keyed("HarnessLedgerEntry", ["dynamodb:BatchWriteItem"], [tables.ledger], [f"TENANT#{users.b.tenant_id}"]),
        _keyed("HarnessStrays", ["dynamodb:BatchWriteItem"], [tables.internal_tasks], accounts),
        _keyed("HarnessDedupe", ["dynamodb:BatchWriteItem"], [tables.external_write_dedupe], ["IDEMPOTENCY_KEY#*"]),
        _statement("HarnessTableNames", ["dynamodb:ListTables"], ["*"]),
        _statement(
            "HarnessComparison",
            ["dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:Scan"],
            [_table(f"{settings.isolation.table_prefix}*"), _table(f"{settings.isolation.table_prefix}*/index/*")],
        ),
        _statement("HarnessAnnouncement", ["events:PutEvents"], [f"arn:*:events:*:*:event-bus/{settings.event_bus}"]),
        _statement(
            "ProbeTokens", ["cognito-idp:AdminInitiateAuth"], [f"arn:*:cognito-idp:*:*:userpool/{settings.user_pool_id or '*'}"]
        ),
    ]
    if secrets:
        found.append(_statement("ProbeSecrets", ["secretsmanager:GetSecretValue"], [_secret(secret) for secret in secrets]))
    return found


def _statement(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _keyed(sid: str, actions: Sequence[str], tables: Sequence[str], keys: Sequence[str]) -> dict[str, Any]:
    condition = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    return {**_statement(sid, actions, [_table(table) for table in tables]), "Condition": condition}


def _table(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:dynamodb:*:*:table/{name}"


def _function(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:lambda:*:*:function:{name}"


def _secret(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:secretsmanager:*:*:secret:{name}-??????"
