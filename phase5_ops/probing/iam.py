"""The IAM statements that probing needs: writes only under the test tenants' own keys. Pure.

`dynamodb:LeadingKeys` limits every write to partitions of the two test tenants, so that even a fault of this program could not
touch another tenant's items; items of the dedupe table carry no tenant in their key. In phase5's own table probing writes only
the partition of the lease, never the gate's items.
"""

from phase5_ops.aws.iam_statements import Statement, event_bus_arn, keyed, statement, table_arn
from phase5_ops.probing.forge import FURTHER_USERS
from phase5_ops.settings import Settings

#: Partitions of the ledger in which a platform would record a request whose tenant it does not know.
NOBODY = ("", "undefined", "null", "None", "NaN", "[object Object]", "unknown", "anonymous", "default", "system")


def statements(settings: Settings) -> list[Statement]:
    """The statements for these settings; none where probes are off or the test tenants are not set."""
    users, tables = settings.probe_users, settings.tables
    if settings.probe_mode == "off" or not users.a.tenant_id or not users.b.tenant_id:
        return []
    tenants = (users.a.tenant_id, users.b.tenant_id)
    canaries = (tables.action_intent, tables.execution_attempts, tables.execution_outcomes, tables.internal_notes)
    proposals = (tables.decision_proposal, tables.decision_budget)
    watched = (tables.autonomy_budget_state, tables.autonomy_config, tables.audit_export, *proposals)
    accounts = [f"TENANT#{tenant}#ACCOUNT#*" for tenant in tenants]
    whole = [f"TENANT#{tenant}" for tenant in tenants]
    ledgers = [f"TENANT#{tenant}" for tenant in (*tenants, *NOBODY)]
    compared = table_arn(f"{settings.isolation.table_prefix}*")
    state_actions = [f"dynamodb:{action}" for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")]
    return [
        keyed("ProbeLease", state_actions, [tables.readiness], [settings.probes_partition]),
        statement(
            "ProbeStops", ["lambda:GetFunctionConfiguration"], [_function(name) for name in settings.probes.stop_functions]
        ),
        keyed("ProbeTestTenants", ["dynamodb:GetItem"], [tables.tenants], tenants),
        keyed("ProbeKillSwitch", ["dynamodb:UpdateItem"], [tables.tenants], [users.a.tenant_id]),
        keyed("ProbeCanaries", ["dynamodb:BatchWriteItem", "dynamodb:Query"], canaries, accounts),
        keyed("ProbeLedgerSearch", ["dynamodb:Query"], [tables.ledger], ledgers),
        keyed("HarnessTestData", ["dynamodb:BatchWriteItem", "dynamodb:Query"], watched, [*whole, *accounts]),
        keyed("HarnessTenants", ["dynamodb:BatchWriteItem", "dynamodb:Query"], [tables.tenants], tenants),
        keyed("HarnessSignals", ["dynamodb:BatchWriteItem"], [tables.signals], tenants),
        keyed("HarnessLedgerEntry", ["dynamodb:BatchWriteItem"], [tables.ledger], whole),
        keyed("HarnessStrays", ["dynamodb:BatchWriteItem"], [tables.internal_tasks], accounts),
        keyed("HarnessDedupe", ["dynamodb:BatchWriteItem"], [tables.external_write_dedupe], ["IDEMPOTENCY_KEY#*"]),
        statement("HarnessTableNames", ["dynamodb:ListTables"], ["*"]),
        statement("HarnessComparison", ["dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:Scan"], [compared]),
        statement("HarnessIndexes", ["dynamodb:Query"], [f"{compared}/index/*"]),
        statement("HarnessAnnouncement", ["events:PutEvents"], [event_bus_arn(settings.event_bus)]),
        statement(
            "ProbeTokens", ["cognito-idp:AdminInitiateAuth"], [f"arn:*:cognito-idp:*:*:userpool/{settings.user_pool_id or '*'}"]
        ),
        *secrets_read(settings),
    ]


def secrets_read(settings: Settings) -> list[Statement]:
    """Reading what the probe users sign in with; none where no secret is named."""
    users = settings.probe_users
    every = (users.a, users.b, *(getattr(users, name) for name in FURTHER_USERS.values()))
    secrets = [_secret(user.secret_id) for user in every if user.secret_id]
    return [statement("ProbeSecrets", ["secretsmanager:GetSecretValue"], secrets)] if secrets else []


def _function(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:lambda:*:*:function:{name}"


def _secret(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:*:secretsmanager:*:*:secret:{name}-??????"
