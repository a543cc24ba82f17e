"""Keys in memory, statements signed with them, and a bare server of the sandbox's AWS."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from phase5_ops.aws.reader import AwsReader
from phase5_ops.checklist import ALL_CHECKS, ROLES
from phase5_ops.gate.approval.freeze import statement_rows
from phase5_ops.gate.attestation.decision_statement import decision_statement
from phase5_ops.gate.attestation.envelopes import envelope_bytes, pae
from phase5_ops.gate.attestation.keys import GATE, KeySet, TrustedKey, key_set, public_key
from phase5_ops.gate.attestation.readiness_statement import readiness_statement
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.records import Release
from phase5_ops.policy import GatePolicy
from phase5_ops.sandbox.aws import kms as moto_kms
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.settings import ReadingSettings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64
RELEASE = Release("r-1.2.3", DIGEST, "production")
CHECKS = {row.id: row.check for row in ALL_CHECKS if not row.is_sign_off}


@dataclass
class Signers:
    """A private key for each signer."""

    private: dict[str, ec.EllipticCurvePrivateKey]

    @classmethod
    def fresh(cls) -> "Signers":
        return cls({role: ec.generate_private_key(ec.SECP256R1()) for role in (GATE, *ROLES)})

    def pem(self, role: str) -> str:
        public = self.private[role].public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def trusted(self, role: str, **changes) -> TrustedKey:
        return replace(TrustedKey(role, public_key(self.pem(role))), **changes)

    def keys(self, **revoked: datetime) -> KeySet:
        return key_set([self.trusted(role, revoked_at=revoked.get(role.replace("-", "_"))) for role in (GATE, *ROLES)])

    def sign(self, role: str, payload: bytes) -> tuple[str, bytes]:
        return self.trusted(role).key_id, self.private[role].sign(pae(payload), ec.ECDSA(SHA256()))

    def envelope(self, payload: bytes, roles=(GATE, *ROLES)) -> bytes:
        return envelope_bytes(payload, dict(self.sign(role, payload) for role in roles))


def readiness_payload(release: Release = RELEASE, now: datetime = NOW, **changes) -> bytes:
    inputs = complete_inputs(GatePolicy(), now)
    given = {
        "release": release,
        "series": 1,
        "run_id": "run-1",
        "evaluated_at": now,
        "evidence_digest": inputs.bundle.digest,
        "policy_digest": inputs.policy_digest,
        "rows": statement_rows(decide(inputs), inputs, CHECKS),
        "tables": inputs.bundle.tables,
        **changes,
    }
    return readiness_statement(**given)


def decision_payload(envelope: bytes, release: Release = RELEASE, now: datetime = NOW, **changes) -> bytes:
    given = {
        "release": release,
        "envelope": envelope,
        "policy_digest": complete_inputs(GatePolicy(), now).policy_digest,
        "time_verified": now,
        "version": "0.1.0",
        **changes,
    }
    return decision_statement(**given)


@pytest.fixture(scope="session")
def signers() -> Signers:
    return Signers.fresh()


@pytest.fixture(scope="session")
def aws_faults() -> Faults:
    return Faults()


@pytest.fixture(scope="session")
def aws_server(aws_faults):
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = FaultableMotoServer(aws_faults)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def aws(aws_server, aws_faults, monkeypatch):
    """A boto3 session on the bare and empty server, with KMS as the sandbox has it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    with own_aws(), moto_kms.installed():
        yield boto3.Session("sandbox", "sandbox", region_name="us-west-2")
    aws_faults.clear()


@pytest.fixture
def reader(aws) -> AwsReader:
    return AwsReader(ReadingSettings(max_attempts=1, deadline_seconds=60), session=aws)
