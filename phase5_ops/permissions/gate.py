"""What the gate and the people around it need to be allowed to do, as IAM statements. Pure.

One function for each purpose, put together from what the modules declare (`IAM_ACTIONS`), with the narrowest resources that the
service takes. The state table is limited to the environment's own partitions; sort keys cannot be limited, so whoever may write a
signature may write any item of a release: the gate trusts the signature, not the item.
"""

from collections.abc import Sequence

from phase5_ops.aws.iam_statements import (
    Statement,
    event_bus_arn,
    evidence_copy_statements,
    evidence_statements,
    key_statements,
    keyed,
    of_service,
    parameter_arn,
    statement,
    table_arn,
)
from phase5_ops.checklist import ROLES
from phase5_ops.gate.attestation.keys import GATE, SIGNERS
from phase5_ops.gate.candidates import notifications
from phase5_ops.gate.inputs import evidence_copy, install_check
from phase5_ops.gate.inputs import present_platform as fresh_reads
from phase5_ops.gate.promotion.targets.choice import iam_actions
from phase5_ops.gate.signing import caller
from phase5_ops.gate.signing import cloudtrail as sign_events
from phase5_ops.gate.signing import kms as signing
from phase5_ops.gate.state import run_records, upgrades
from phase5_ops.gate.state import setup as state_table
from phase5_ops.policy import PromotionPolicy
from phase5_ops.settings import ConfigurationError, Settings

#: The state table's actions by what is done in a partition. A conditional write that was refused reads what is there.
_CHANGING = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query")
_ADDING = ("dynamodb:GetItem", "dynamodb:PutItem")
_ADDING_AND_READING = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
_SIGNING = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
_READING = ("dynamodb:Query",)
_EXPORTING = ("dynamodb:Scan",)
_WAITING = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")

_IDENTITY = "sts:GetCallerIdentity"  # always allowed by AWS; listed so that a policy names every call that is made
_PUBLIC_KEY = "kms:GetPublicKey"


def gate(settings: Settings, *, pinned: bool) -> list[Statement]:
    """The sensors, `promotion_job` and `sign_off_job`, beside the readiness runs, which have a policy of their own.

    `pinned`: `keys.json` is there, so that the roles' public keys are not asked of KMS.
    """
    own = settings.signing.key_of(GATE)
    return [
        _pinned(settings),
        _state("GateReadsAhead", ("dynamodb:BatchGetItem",), settings, "RELEASE", "NOTICES"),  # of both in one call
        _state("GateCandidates", _CHANGING, settings, "RELEASE"),
        _state("GateListsCandidates", _CHANGING, settings, "OPEN"),
        _state("GateNotes", _ADDING_AND_READING, settings, "PROMOTED", "NOTICES", "DEPLOYED"),
        _state("GateReadsRunsAndOrders", _READING, settings, "RUNS", "OVERRIDES"),
        *key_statements("GateSigns", signing.IAM_ACTIONS, [own]),
        *_public_keys(settings, ROLES, pinned=pinned),
        statement("GateIdentity", [_IDENTITY], ["*"]),
        statement("GateReadsSignEvents", sign_events.IAM_ACTIONS, ["*"]),  # to learn when a revoked key had signed
        *_fresh_reads(settings),
        *_target(settings.promotion),
        *_topic(settings),
        *evidence_statements(settings.evidence_s3_uri),
    ]


def signer(settings: Settings, role: str, *, pinned: bool) -> list[Statement]:
    """`phase5 sign-off`, `waive`, `rollback`, `break-glass`, `history accept` and `status` for the role whose key signs.

    See `gate` for `pinned`.
    """
    others = [other for other in SIGNERS if other != role]
    return [
        _pinned(settings),
        *_listing(settings),
        _state("SignerCandidates", _SIGNING, settings, "RELEASE"),
        _state("SignerOrders", _ADDING_AND_READING, settings, "OVERRIDES"),
        _state("SignerReadsPromotions", _READING, settings, "PROMOTED"),
        _state("SignerAcceptsHistories", _ADDING, settings, "HISTORY"),
        *key_statements("RoleSigns", signing.IAM_ACTIONS, [settings.signing.key_of(role)]),
        *_public_keys(settings, others, pinned=pinned),
        statement("SignerIdentity", caller.IAM_ACTIONS, ["*"]),
        *_topic(settings),
    ]


def readiness(settings: Settings) -> list[Statement]:
    """What a readiness run does in the state table: it records itself, and reads the records before it.

    Only the gate's policy (`gate`) allows signing the record: a run without it leaves its record unsigned.
    """
    return [
        _state("RunRecords", run_records.IAM_ACTIONS, settings, "RUNS"),
        _state("HistoryAcceptances", _READING, settings, "HISTORY"),
        _pinned(settings),
        statement("StateTableIdentity", ["dynamodb:DescribeTable"], [_table(settings)]),
    ]


def auditor(settings: Settings, *, pinned: bool) -> list[Statement]:
    """`phase5 audit-export`, `audit-signatures`, and `history` and `diff` over a copy of the evidence; see `gate` for `pinned`.

    A scan cannot be limited to partitions: where environments share a table, the auditor of one reads the items of all.
    """
    return [
        _pinned(settings),
        _state("AuditState", _READING, settings, "RELEASE", "OVERRIDES"),
        statement("AuditExport", _EXPORTING, [_table(settings)]),
        *_public_keys(settings, SIGNERS, pinned=pinned),
        statement("AuditSignEvents", sign_events.IAM_ACTIONS, ["*"]),
        *evidence_copy_statements(settings.evidence_s3_uri, evidence_copy.IAM_ACTIONS),
    ]


def pipeline(settings: Settings, *, pinned: bool) -> list[Statement]:
    """`phase5 promote --wait`, `status` and `releases` of a release pipeline: it reads, and verifies what was promoted.

    Registering a candidate goes through Dagster. See `gate` for `pinned`.
    """
    return [
        _pinned(settings),
        *_listing(settings),
        _state("PipelineReadsCandidates", _WAITING, settings, "RELEASE"),
        _state("PipelineReadsPromotions", _READING, settings, "OVERRIDES", "PROMOTED", "DEPLOYED"),
        *_public_keys(settings, SIGNERS, pinned=pinned),
    ]


def machine(settings: Settings) -> list[Statement]:
    """What the machine that runs Dagster needs itself: everything else is done in the role that it assumes.

    Raises:
        ConfigurationError: it assumes none.
    """
    if settings.aws.role_arn is None:
        raise ConfigurationError(
            "--for machine: PHASE5_AWS__ROLE_ARN is not set, so the machine itself needs the policies readiness and gate"
        )
    return [statement("AssumeRole", ["sts:AssumeRole"], [settings.aws.role_arn])]


def init(settings: Settings) -> list[Statement]:
    """`phase5 init` and `phase5 init --check`."""
    actions = sorted({*state_table.IAM_ACTIONS, *install_check.IAM_ACTIONS})
    names = [settings.signing.key_of(role) for role in SIGNERS]
    return [
        statement("StateTable", of_service("dynamodb", actions), [_table(settings)]),
        _state("NotesPinnedKeys", ("dynamodb:GetItem", "dynamodb:PutItem"), settings, "KEYS"),
        _state("Upgrades", upgrades.IAM_ACTIONS, settings, "SCHEMA"),
        *key_statements("SigningKeys", of_service("kms", actions), names),
    ]


def _table(settings: Settings) -> str:
    return table_arn(settings.tables.readiness)


def _state(sid: str, actions: Sequence[str], settings: Settings, *kinds: str) -> Statement:
    """Actions on the environment's own partitions of the state table, see `state/table.py`."""
    partitions = [f"{kind}#{settings.environment}{'#*' if kind == 'RELEASE' else ''}" for kind in kinds]  # a release has its own
    return keyed(sid, actions, [settings.tables.readiness], partitions)


def _pinned(settings: Settings) -> Statement:
    """Reads which keys `phase5 init` pinned, before any key is trusted; only `phase5 init` may change that."""
    return _state("ReadsPinnedKeys", ("dynamodb:GetItem",), settings, "KEYS")


def _listing(settings: Settings) -> list[Statement]:
    """`phase5 status` without a release: which candidates may be open, when a run has ended, when the daemon has looked."""
    return [
        _state("ListsCandidates", _READING, settings, "OPEN", "RUNS"),
        _state("ReadsDaemonsLook", ("dynamodb:GetItem",), settings, "NOTICES"),
    ]


def _topic(settings: Settings) -> list[Statement]:
    topic = settings.notifications.sns_topic_arn
    return [statement("TellPeople", notifications.IAM_ACTIONS, [topic])] if topic else []


def _public_keys(settings: Settings, roles: Sequence[str], *, pinned: bool) -> list[Statement]:
    return [] if pinned else key_statements("PublicKeys", [_PUBLIC_KEY], [settings.signing.key_of(role) for role in roles])


def _fresh_reads(settings: Settings) -> list[Statement]:
    """DescribeAlarms for all resources: with a narrower scope it answers without composite alarms."""
    parameter = settings.deployed.digest_parameter
    everywhere = [action for action in fresh_reads.IAM_ACTIONS if not action.startswith("ssm:")]
    named = [action for action in fresh_reads.IAM_ACTIONS if action.startswith("ssm:")]
    found = [statement("FreshReads", everywhere, ["*"])]
    return [*found, statement("FreshDigest", named, [parameter_arn(parameter)])] if parameter else found


def _target(policy: PromotionPolicy) -> list[Statement]:
    """What the chosen target takes, on that target alone."""
    wanted = iam_actions(policy)
    resources = {
        "events:PutEvents": event_bus_arn(policy.event_bus),
        "ssm:GetParameterHistory": parameter_arn(policy.ssm_parameter or ""),
        "ssm:PutParameter": parameter_arn(policy.ssm_parameter or ""),
        "codepipeline:GetPipelineState": f"arn:*:codepipeline:*:*:{policy.pipeline}",
        "codepipeline:PutApprovalResult": (
            f"arn:*:codepipeline:*:*:{policy.pipeline}/{policy.pipeline_stage}/{policy.pipeline_action}"
        ),
        "states:DescribeStateMachine": policy.state_machine_arn or "",
        "states:StartExecution": policy.state_machine_arn or "",
        "states:DescribeExecution": (policy.state_machine_arn or "").replace(":stateMachine:", ":execution:") + ":phase5-*",
    }
    by_resource: dict[str, list[str]] = {}
    for action in wanted:
        by_resource.setdefault(resources[action], []).append(action)
    return [
        statement(f"PromotionTarget{number}", actions, [resource])
        for number, (resource, actions) in enumerate(by_resource.items(), start=1)
    ]
