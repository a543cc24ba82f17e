"""The decision statement, which the gate signs when it promotes: written and read here. Pure.

A SLSA Verification Summary v1 that names what it rests on as its inputs: the signed readiness envelope, or a signed override.
Equal facts give equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from phase5_ops.clock import Moment, iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.attestation.statement import (
    VERIFICATION_SUMMARY,
    Attested,
    Said,
    Sha256,
    Statement,
    digest_entry,
    read_as,
    statement_bytes,
)
from phase5_ops.gate.records import Release, SignOff
from phase5_ops.text import Text

#: verificationResult and verifiedLevels of a decision, by the right by which it promotes. Break-glass is FAILED, so that a reader
#: who only looks for PASSED does not take it for an open gate.
OUTCOMES: Mapping[OrderKind, tuple[str, tuple[str, ...]]] = {
    OrderKind.OPEN: ("PASSED", ("PHASE5_OPEN",)),
    OrderKind.ROLLBACK: ("PASSED", ("PHASE5_ROLLBACK",)),
    OrderKind.BREAK_GLASS: ("FAILED", ("FAILED", "PHASE5_BREAK_GLASS")),
}


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature that counted, as the gate states it: what the state table said at that time."""

    role: Said
    person: Said
    session: Said
    key_id: Annotated[Said, Field(alias="keyid")]
    request_id: Annotated[Said, Field(alias="kmsRequestId")]
    signed_at: Annotated[Moment, Field(alias="signedAt")]

    def __str__(self) -> str:
        """For people."""
        return f"{self.person} at {iso(self.signed_at)}, session {self.session}, KMS request {self.request_id}, key {self.key_id}"


class _Proved(Attested):
    keyid: Said
    signed_at: Moment


class _Signatures(Attested):
    signers: tuple[Signer, ...] = ()
    signatures: tuple[_Proved, ...] = ()


class _Input(Attested):
    digest: Sha256
    annotations: _Signatures = _Signatures()


class _Verifier(Attested):
    id: Said
    version: dict[str, str] = Field(default_factory=dict)


class _Policy(Attested):
    uri: Text = ""
    digest: Sha256


class _Summary(Attested):
    schema_version: Literal[1] = 1  # of the statement; the first version does not say it
    verifier: _Verifier
    time_verified: Moment
    resource_uri: Said
    policy: _Policy
    input_attestations: tuple[_Input, ...]
    verification_result: Said
    verified_levels: tuple[Text, ...]
    slsa_version: Text = ""


_SUMMARY = TypeAdapter(_Summary)


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What a decision statement says.

    `verifier` and `resource` name the environment; `proved` is key id -> when that key signed what the decision rests on, for
    keys that were revoked when it was made. `signers` is empty in statements of an earlier version.
    """

    name: str
    digest: str
    result: str
    levels: tuple[str, ...]
    time_verified: datetime
    policy_digest: str
    inputs: tuple[str, ...]
    verifier: str
    resource: str
    proved: Mapping[str, datetime]
    signers: tuple[Signer, ...] = ()


def gate_id(environment: str) -> str:
    """How a decision names the gate of an environment."""
    return f"urn:phase5-ops:gate:{environment}"


def resource_uri(environment: str, name: str) -> str:
    """How a decision names a release of an environment."""
    return f"urn:phase5-ops:release:{environment}:{name}"


def decision_statement(
    *,
    release: Release,
    envelope: bytes,
    policy_digest: str,
    time_verified: datetime,
    version: str,
    override: Override | None = None,
    proved: Mapping[str, datetime] | None = None,
    signers: Sequence[SignOff] = (),
) -> bytes:
    """The statement that the gate signs when it promotes; for a promotion by override it never says that the gate was open.

    Args:
        release: the subject.
        envelope: what it rests on, the signed readiness statement or override, byte for byte as it is stored.
        policy_digest: of the policy that was decided under.
        time_verified: when it was decided, or when the override was found valid.
        version: of phase5_ops.
        override: the order by which it promotes; None where the gate is open.
        proved: key id -> when KMS's record says that it signed the envelope, for keys that are revoked by now.
        signers: the signatures of the envelope that counted; who made each, in which session, by which request and when.

    Raises:
        ValueError: a digest is not a sha256.
    """
    annotations: dict[str, Any] = {}
    if signers:
        annotations["signers"] = tuple(
            Signer(off.role, off.identity, off.session, off.key_id, off.request_id, off.signed_at)
            for off in sorted(signers, key=lambda off: off.role)
        )
    if proved:
        annotations["signatures"] = tuple(_Proved(keyid=key_id, signed_at=at) for key_id, at in sorted(proved.items()))
    about = {"annotations": _Signatures(**annotations)} if annotations else {}
    others = override.rests_on if override else ()
    result, levels = OUTCOMES[override.kind if override else OrderKind.OPEN]
    predicate = _Summary(
        verifier=_Verifier(id=gate_id(release.environment), version={"phase5-ops": version}),
        time_verified=time_verified,
        resource_uri=resource_uri(release.environment, release.name),
        policy=_Policy(uri="urn:phase5-ops:policy", digest=digest_entry(policy_digest)),
        input_attestations=(
            _Input(digest=digest_entry(sha256_of(envelope)), **about),
            *(_Input(digest=digest_entry(digest)) for digest in others),
        ),
        verification_result=result,
        verified_levels=levels,
        slsa_version="1.1",
    )
    return statement_bytes(release, VERIFICATION_SUMMARY, predicate.content())


def decision_facts(statement: Statement) -> DecisionFacts:
    """What a decision statement says.

    Raises:
        MalformedEnvelope: a part is missing.
    """
    said = read_as(_SUMMARY, statement.predicate)
    first = said.input_attestations[0].annotations if said.input_attestations else _Signatures()
    return DecisionFacts(
        statement.name,
        statement.digest,
        said.verification_result,
        said.verified_levels,
        said.time_verified,
        said.policy.digest,
        tuple(each.digest for each in said.input_attestations),
        said.verifier.id,
        said.resource_uri,
        {each.keyid: each.signed_at for each in first.signatures},
        first.signers,
    )
