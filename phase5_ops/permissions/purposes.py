"""`phase5 iam-policy --for PURPOSE`: the least-privilege policy of each part of the project."""

from enum import StrEnum
from itertools import chain
from typing import Any

from phase5_ops.aws.iam import policy_document
from phase5_ops.aws.iam_statements import document
from phase5_ops.build import EVIDENCE
from phase5_ops.checklist import ROLES
from phase5_ops.gate.signing.trusted_keys import keys_file
from phase5_ops.permissions import doctor, gate
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import did_you_mean


class Purpose(StrEnum):
    """Whose policy."""

    readiness = "readiness"
    gate = "gate"
    signer = "signer"
    pipeline = "pipeline"
    init = "init"
    auditor = "auditor"
    doctor = "doctor"
    machine = "machine"


def policy_for(purpose: Purpose, settings: Settings, role: str | None = None) -> dict[str, Any]:
    """The IAM policy document for a purpose under these settings.

    Where the state folder holds the pinned keys, nobody but `init` and `doctor` needs to ask KMS for other signers' public keys.

    Raises:
        ConfigurationError: a signer without a role, a role for another purpose, or a machine that assumes no role.
    """
    if purpose is Purpose.signer and role not in ROLES:
        raise ConfigurationError(f"--for signer needs --role, one of {', '.join(ROLES)}{did_you_mean(role or '', ROLES)}")
    if purpose is not Purpose.signer and role is not None:
        raise ConfigurationError("--role goes with --for signer")
    pinned = keys_file(settings).is_file()
    if purpose is Purpose.readiness:
        declared = chain.from_iterable(evidence.iam(settings) for evidence in EVIDENCE)
        return policy_document(settings, (*declared, *gate.readiness(settings)))
    if purpose is Purpose.signer:
        return document(gate.signer(settings, str(role), pinned=pinned))
    if purpose is Purpose.init:
        return document(gate.init(settings))
    if purpose is Purpose.machine:
        return document(gate.machine(settings))
    if purpose is Purpose.doctor:
        return document(doctor.doctor(settings))
    others = {Purpose.gate: gate.gate, Purpose.auditor: gate.auditor, Purpose.pipeline: gate.pipeline}
    return document(others[purpose](settings, pinned=pinned))
