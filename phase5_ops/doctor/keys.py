"""The signing keys: pinned and held by one principal each, enabled, of the right kind, and signing for the caller.

KMS tells by a dry run whether the caller may sign, key policy and grants included, and signs nothing:
https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from phase5_ops.aws.reader import AwsReader
from phase5_ops.doctor.examination import Installation, ok, problem, unknown
from phase5_ops.gate.attestation.keys import SIGNERS
from phase5_ops.gate.inputs.install_check import Checked, check_keys
from phase5_ops.gate.signing.kms import KEY_USAGE
from phase5_ops.reads import ReadStatus

#: Beside what `install_check` needs.
IAM_ACTIONS = ("kms:DescribeKey",)

_KEY_SPEC = "ECC_NIST_P256"
_WOULD_HAVE_WORKED = "DryRunOperationException"
_DIGEST = hashlib.sha256(b"phase5 doctor asks whether it may sign").digest()
_REPLACE = "give the role a key of that kind with PHASE5_SIGNING__*, then run phase5 init"


def keys_of(signing: Sequence[str]) -> Callable[[Installation], Iterator[Checked]]:
    """A look at all keys; the caller must be able to sign with those of these roles (`gate`, `ops-sre`, ...)."""

    def look(installation: Installation) -> Iterator[Checked]:
        session = installation.session()
        yield from check_keys(session)
        states = [_state(session.reader, role, session.settings.signing.key_of(role)) for role in SIGNERS]
        yield from filter(None, states)
        if not any(states):
            yield ok(f"the keys are enabled, {_KEY_SPEC} for {KEY_USAGE}")
        for role in signing:
            yield _signs(session.reader, role, session.settings.signing.key_of(role))

    return look


def _state(reader: AwsReader, role: str, name: str) -> Checked | None:
    """What is wrong with the key of a role; None where nothing is."""
    answer = reader.call("kms", "describe_key", name, KeyId=name)
    if answer.read.status is not ReadStatus.OK:
        return unknown(f"{answer.read.operation} {name}: {answer.read.status}: {answer.read.error}", _allow("doctor"))
    metadata = answer.pages[0].get("KeyMetadata") or {}
    state, spec, usage = (metadata.get(name) for name in ("KeyState", "KeySpec", "KeyUsage"))
    if state != "Enabled":
        return problem(f"the key of {role} ({name}) is {state}", "enable it in KMS, or cancel its deletion")
    if (spec, usage) != (_KEY_SPEC, KEY_USAGE):
        return problem(f"the key of {role} ({name}) is {spec} for {usage}, and must be {_KEY_SPEC} for {KEY_USAGE}", _REPLACE)
    return None


def _signs(reader: AwsReader, role: str, name: str) -> Checked:
    answer = reader.call(
        "kms",
        "sign",
        name,
        KeyId=name,
        Message=_DIGEST,
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
        DryRun=True,
    )
    read = answer.read
    if read.status is ReadStatus.OK:
        return unknown(f"whether the caller may sign as {role} was not told: this KMS knows no dry run", "KMS of AWS tells")
    if str(read.error).startswith(f"{_WOULD_HAVE_WORKED}:"):
        return ok(f"the caller may sign as {role} (dry run of kms:Sign)")
    if read.status is ReadStatus.DENIED:
        return problem(f"the caller may not sign as {role} with {name}: {read.error}", _allow(role))
    return unknown(f"dry run of {read.operation} {name}: {read.status}: {read.error}", _allow(role))


def _allow(purpose: str) -> str:
    whose = purpose if purpose in ("doctor", "gate") else f"signer --role {purpose}"
    return f"allow in the key's policy and the caller's what `phase5 iam-policy --for {whose}` prints"
