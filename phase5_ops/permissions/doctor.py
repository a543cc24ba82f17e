"""What `phase5 doctor` needs to be allowed to ask, as IAM statements; it changes nothing. Pure.

A machine that runs it has the policies of what it does beside this one: where those are missing, that is what it says.
"""

from phase5_ops.aws.iam import runbook_read
from phase5_ops.aws.iam_statements import Statement, key_statements, keyed, of_service, statement, table_arn
from phase5_ops.doctor import account, bucket, keys, platform
from phase5_ops.gate.attestation.keys import SIGNERS
from phase5_ops.gate.inputs import install_check
from phase5_ops.probing.iam import secrets_read
from phase5_ops.settings import Settings


def doctor(settings: Settings) -> list[Statement]:
    """`phase5 doctor`, but for what it tries of other purposes: signing with a key, by a dry run."""
    tables, environment = settings.tables, settings.environment
    on_keys = sorted({*keys.IAM_ACTIONS, *of_service("kms", install_check.IAM_ACTIONS)})
    noted = [f"{kind}#{environment}" for kind in ("KEYS", "NOTICES")]
    return [
        statement("DoctorIdentity", of_service("sts", account.IAM_ACTIONS), ["*"]),
        statement(
            "DoctorPlatform",
            of_service("dynamodb", account.IAM_ACTIONS),
            [table_arn(tables.ledger), table_arn(tables.resilience)],
        ),
        statement("DoctorStateTable", of_service("dynamodb", install_check.IAM_ACTIONS), [table_arn(tables.readiness)]),
        keyed("DoctorNotes", ["dynamodb:GetItem"], [tables.readiness], noted),
        keyed("DoctorRuns", ["dynamodb:Query"], [tables.readiness], [f"RUNS#{environment}"]),
        *key_statements("DoctorKeys", on_keys, [settings.signing.key_of(role) for role in SIGNERS]),
        statement("DoctorPermissions", ["iam:SimulatePrincipalPolicy"], ["arn:*:iam::*:role/*", "arn:*:iam::*:user/*"]),
        statement("DoctorRole", ["iam:GetRole"], ["arn:*:iam::*:role/*"]),
        statement("DoctorCosts", platform.IAM_ACTIONS, ["*"]),
        *_bucket(settings),
        *runbook_read(settings),
        *secrets_read(settings),
    ]


def _bucket(settings: Settings) -> list[Statement]:
    if settings.evidence_s3_uri is None:
        return []
    name = settings.evidence_s3_uri.removeprefix("s3://").split("/", 1)[0]
    return [statement("DoctorEvidenceBucket", bucket.IAM_ACTIONS, [f"arn:*:s3:::{name}"])]
