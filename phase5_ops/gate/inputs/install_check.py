"""`phase5 init --check`: whether what the gate rests on is set up as it must be. Reads only, changes nothing.

The state table: its keys, deletion protection, point-in-time recovery, and no expiry of what an auditor needs. The signing keys:
they are the pinned ones, and by their key policies no principal may sign with two of them. Where a key policy leaves signing to
IAM (a statement for the whole account), it does not tell who may sign, and a note says so; grants are not looked at.
"""

import fnmatch
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.keys import SIGNERS, KeysError, KeySet, TrustedKey
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import SigningError, load_key
from phase5_ops.gate.signing.trusted_keys import signing_key
from phase5_ops.gate.state.items import StateError
from phase5_ops.gate.state.setup import TTL_ATTRIBUTE
from phase5_ops.gate.state.upgrades import NewerTable
from phase5_ops.input_files.json_text import json_value
from phase5_ops.reads import ReadStatus

#: What the check needs, beside reading the public keys.
IAM_ACTIONS = (
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "kms:GetKeyPolicy",
    "kms:GetPublicKey",
)

_SIGN = "kms:sign"
_WHOLE_ACCOUNT = re.compile(r"(arn:aws[a-z-]*:iam::)?\d{12}(:root)?")
_SESSION = re.compile(r"(arn:aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.*")
ANYBODY = "*"


class InstallOutcome(StrEnum):
    """How one thing was found; in rising severity of the exit code it leads to."""

    OK = "ok"
    NOTE = "note"  # cannot be told from here, and need not be wrong
    UNKNOWN = "unknown"  # could not be read
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at; `remedy` is what mends it, where the text does not say so."""

    outcome: InstallOutcome
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.outcome:<8}{self.text}{f'; {self.remedy}' if self.remedy else ''}"


def exit_code(found: list[Checked]) -> int:
    """0 if all is well, 1 with a problem, else 2 where something could not be read or nothing was looked at."""
    outcomes = {each.outcome for each in found}
    if InstallOutcome.PROBLEM in outcomes:
        return 1
    return 2 if InstallOutcome.UNKNOWN in outcomes or not found else 0


def check_installation(session: GateSession) -> Iterator[Checked]:
    """Looks at the state table and the keys, one thing after the other."""
    yield from check_table(session.reader, session.settings.tables.readiness)
    yield from check_upgrades(session)
    yield from check_keys(session)


# --- the state table ---------------------------------------------------------------------------------------------------------


def check_table(reader: AwsReader, table: str) -> Iterator[Checked]:
    """Looks at the state table."""
    if (described := (yield from _described(reader, "describe_table", table))) is None:
        return
    description: Mapping[str, Any] = described.get("Table", {})
    keys = [(key.get("AttributeName"), key.get("KeyType")) for key in description.get("KeySchema", [])]
    yield _held(keys == [("pk", "HASH"), ("sk", "RANGE")], f"table {table} has the keys pk and sk")
    yield _held(description.get("DeletionProtectionEnabled") is True, f"table {table} has deletion protection")
    yield _encryption(table, description)
    if (backups := (yield from _described(reader, "describe_continuous_backups", table))) is not None:
        recovery = backups.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
        yield _held(recovery.get("PointInTimeRecoveryStatus") == "ENABLED", f"table {table} has point-in-time recovery")
    if (expiry := (yield from _described(reader, "describe_time_to_live", table))) is not None:
        live = expiry.get("TimeToLiveDescription", {})
        right = live.get("TimeToLiveStatus") == "DISABLED" or live.get("AttributeName") in (None, TTL_ATTRIBUTE)
        yield _held(right, f"table {table} lets only counters expire (attribute {TTL_ATTRIBUTE})")


def check_upgrades(session: GateSession) -> Iterator[Checked]:
    """Looks at which steps of upgrades the environment's part of the state table has had."""
    try:
        pending = session.upgrades.pending(session.settings.environment)
    except NewerTable as error:
        yield Checked(InstallOutcome.PROBLEM, str(error))
    except StateError as error:
        if error.read.status is not ReadStatus.NOT_FOUND:  # said where the table was looked for
            yield _unread(error.read.operation, "the steps of upgrades", error.read.error)
    else:
        names = ", ".join(f"{step.number} ({step.name})" for step in pending)
        lacks = Checked(InstallOutcome.NOTE, f"the state table has not had step {names} of this version", "run phase5 init")
        yield lacks if pending else Checked(InstallOutcome.OK, "the state table has had every step of this version")


def _described(reader: AwsReader, operation: str, table: str) -> Generator[Checked, None, Mapping[str, Any] | None]:
    """What DynamoDB says of the table; None where it could not be read, which is reported."""
    answer = reader.call("dynamodb", operation, table, TableName=table)
    if answer.read.status is ReadStatus.OK:
        return answer.pages[0]
    if answer.read.status is ReadStatus.NOT_FOUND:
        yield Checked(InstallOutcome.PROBLEM, f"table {table} is not there", "run phase5 init")
    else:
        yield _unread(answer.read.operation, table, answer.read.error)
    return None


def _encryption(table: str, description: Mapping[str, Any]) -> Checked:
    """DynamoDB encrypts every table; one whose own key is gone or disabled answers nothing."""
    encryption = description.get("SSEDescription") or {}
    away = description.get("TableStatus") == "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    if away or encryption.get("InaccessibleEncryptionDateTime"):
        text = f"DynamoDB cannot use the key of table {table}: {encryption.get('KMSMasterKeyArn')}"
        return Checked(InstallOutcome.PROBLEM, text, "enable the key, and let DynamoDB use it")
    key = encryption.get("KMSMasterKeyArn") or "a key of AWS"
    return Checked(InstallOutcome.OK, f"table {table} is encrypted with {key}")


def _held(holds: bool, text: str) -> Checked:
    if holds:
        return Checked(InstallOutcome.OK, text)
    return Checked(InstallOutcome.PROBLEM, f"this does not hold: {text}", "run phase5 init")


def _unread(operation: str, resource: str, error: str | None) -> Checked:
    return Checked(InstallOutcome.UNKNOWN, f"{operation} {resource}: {error}")


# --- the keys ----------------------------------------------------------------------------------------------------------------


def check_keys(session: GateSession) -> Iterator[Checked]:
    """Looks at the signing keys."""
    try:
        pinned = session.pinned
    except KeysError as error:
        yield Checked(InstallOutcome.PROBLEM, str(error))
        return
    except StateError as error:
        yield Checked(InstallOutcome.UNKNOWN, str(error))
        return
    if pinned is None:
        yield Checked(InstallOutcome.PROBLEM, "the keys are not pinned: no keys.json in the state folder", "run phase5 init")
    holders: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for role in SIGNERS:
        key = yield from _check_key(session, role, pinned)
        if key is None:
            continue
        if key.key_id in seen:
            yield Checked(InstallOutcome.PROBLEM, f"{seen[key.key_id]} and {role} have one key; each needs its own")
        seen[key.key_id] = role
        for principal in (yield from _check_policy(session.reader, role, key)):
            holders.setdefault(principal, []).append(role)
    for principal, roles in sorted(holders.items()):
        if len(roles) > 1:
            yield Checked(
                InstallOutcome.PROBLEM, f"{principal} may sign with the keys of {', '.join(roles)}; a principal holds one key"
            )


def _check_key(session: GateSession, role: str, pinned: KeySet | None) -> Generator[Checked, None, TrustedKey | None]:
    reader, settings = session.reader, session.settings
    try:
        key = signing_key(reader, settings.signing, role, pinned) if pinned else load_key(reader, settings.signing, role)
    except KeysError as error:
        yield Checked(InstallOutcome.PROBLEM, str(error))
        return None
    except SigningError as error:
        missing = error.read is None or error.read.status is ReadStatus.NOT_FOUND
        yield Checked(InstallOutcome.PROBLEM if missing else InstallOutcome.UNKNOWN, str(error))
        return None
    yield Checked(InstallOutcome.OK, f"the key of {role} signs{' and is the pinned one' if pinned else ''}: {key.kms_key}")
    return key


def _check_policy(reader: AwsReader, role: str, key: TrustedKey) -> Generator[Checked, None, set[str]]:
    """Reports what a key's policy says about signing; returns the principals that it names."""
    name = str(key.kms_key)
    answer = reader.call("kms", "get_key_policy", name, KeyId=name, PolicyName="default")
    if answer.read.status is not ReadStatus.OK:
        yield _unread(answer.read.operation, f"of {role}", answer.read.error)
        return set()
    try:
        named = signers_in(json_value(str(answer.pages[0].get("Policy"))))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        yield Checked(InstallOutcome.UNKNOWN, f"the key policy of {role} cannot be read: {error}")
        return set()
    accounts = {principal for principal in named if _WHOLE_ACCOUNT.fullmatch(principal)}
    if ANYBODY in named:
        yield Checked(InstallOutcome.PROBLEM, f"the key policy of {role} lets anybody sign (conditions are not weighed)")
    for account in sorted(accounts):
        yield Checked(
            InstallOutcome.NOTE, f"the key policy of {role} leaves signing to the IAM policies of {account}; look at them"
        )
    return named - accounts - {ANYBODY}


def signers_in(policy: Mapping[str, Any]) -> set[str]:
    """The principals that a key policy allows to sign; conditions and denials are not weighed, so some of them may be unable to.

    Raises:
        ValueError, KeyError: it is no policy, or allows everybody but some.
    """
    statements = policy["Statement"]
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") != "Allow" or not _signs(statement):
            continue
        if "Principal" not in statement:
            raise ValueError("a statement without Principal")
        principal = statement["Principal"]
        for who in principal.values() if isinstance(principal, dict) else [principal]:
            found |= {_role_of(str(each)) for each in (who if isinstance(who, list) else [who])}
    return found


def _signs(statement: Mapping[str, Any]) -> bool:
    if "NotAction" in statement:
        return not _matches(statement["NotAction"])
    return _matches(statement.get("Action", []))


def _matches(actions: Any) -> bool:  # noqa: ANN401 - text or a list of it
    listed = actions if isinstance(actions, list) else [actions]
    return any(fnmatch.fnmatchcase(_SIGN, str(action).lower()) for action in listed)


def _role_of(principal: str) -> str:
    """A session as its role, so that the two are one principal."""
    session = _SESSION.fullmatch(principal)
    return f"{session[1]}:iam::{session[2]}:role/{session[3]}" if session else principal
