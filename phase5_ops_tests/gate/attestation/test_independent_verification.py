"""Envelopes that this code made and KMS signed verify with OpenSSL alone, and nothing else does.

No code of this project, of securesystemslib or of Python's cryptography takes part in the verification: the encoding that is
signed is put together here from the DSSE specification (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md).
"""

import base64
import json
import re
import shutil
import subprocess

import pytest

from phase5_ops.checklist import ROLES
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.keys import GATE, key_set, keys_document
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops_tests.gate.own_aws import decision_payload, readiness_payload
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL's command line is not installed")

SIGNERS = (GATE, *ROLES)


def encoding(envelope: dict) -> bytes:
    """PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body."""
    kind, body = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"], validate=True)
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


class OpenSsl:
    """`openssl dgst` over files of a folder."""

    def __init__(self, folder, keys: dict[str, str]) -> None:
        self.folder = folder
        for role, pem in keys.items():
            (folder / f"{role}.pem").write_text(pem, encoding="ascii")

    def verifies(self, role: str, signature: str, message: bytes) -> bool:
        (self.folder / "message").write_bytes(message)
        (self.folder / "signature").write_bytes(base64.b64decode(signature, validate=True))
        command = ["openssl", "dgst", "-sha256", "-verify", f"{role}.pem", "-signature", "signature", "message"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.stdout.strip() in ("Verified OK", "Verification failure"), done.stdout + done.stderr
        assert (done.returncode == 0) == (done.stdout.strip() == "Verified OK")
        return done.returncode == 0

    def signers(self, envelope: dict) -> list[list[str]]:
        """For each signature, the roles whose key made it."""
        message = encoding(envelope)
        return [[role for role in SIGNERS if self.verifies(role, entry["sig"], message)] for entry in envelope["signatures"]]


@pytest.fixture
def signed(aws, tmp_path):
    """Envelopes of a readiness statement that all signed and of the gate's decision, and OpenSSL with their keys."""
    desk = Desk.on(aws, tmp_path / "state")
    reader = desk.open().reader
    keys = {role: load_key(reader, desk.settings.signing, role) for role in SIGNERS}

    def envelope(payload: bytes, roles) -> bytes:
        made = [sign(reader, keys[role], payload) for role in roles]
        return envelope_bytes(payload, {each.key_id: each.signature for each in made})

    readiness = envelope(readiness_payload(), SIGNERS)
    decision = envelope(decision_payload(readiness), (GATE,))
    (tmp_path / "keys.json").write_bytes(keys_document(key_set(keys.values())))
    openssl = OpenSsl(tmp_path, {role: key.key.keyval["public"] for role, key in keys.items()})
    return json.loads(readiness), json.loads(decision), openssl


def test_each_signature_of_a_readiness_envelope_verifies_with_exactly_one_roles_key(signed):
    readiness, _, openssl = signed
    assert len(encoding(readiness)) > 4096  # more than KMS takes of a message
    assert sorted(openssl.signers(readiness)) == sorted([role] for role in SIGNERS)


def test_a_decision_envelope_verifies_with_the_gates_key_alone(signed):
    _, decision, openssl = signed
    assert openssl.signers(decision) == [[GATE]]


@pytest.mark.parametrize(
    "change",
    [
        lambda envelope: envelope.update(payloadType=envelope["payloadType"] + "x"),
        lambda envelope: envelope.update(payload=base64.b64encode(base64.b64decode(envelope["payload"]) + b" ").decode()),
        lambda envelope: envelope.update(
            payload=base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"PASSED", b"WARNED")).decode()
        ),
    ],
    ids=["another type", "a byte more", "another result"],
)
def test_nothing_verifies_once_what_was_signed_is_changed(signed, change):
    readiness, _, openssl = signed
    change(readiness)
    assert openssl.signers(readiness) == [[]] * len(SIGNERS)


def test_the_documented_steps_verify_each_role_by_its_key_and_notice_a_change(signed, tmp_path):
    """The very lines of docs/signing.md, run as an auditor does: the files beside each other, nothing of phase5 called."""
    readiness, decision, _ = signed
    text = (ROOT / "docs" / "signing.md").read_text()
    steps = re.search(r"```sh\n(cat > take_apart.py .*?)```", text, re.DOTALL)[1]
    folder = tmp_path / "auditor"
    folder.mkdir()
    shutil.copy(tmp_path / "keys.json", folder)
    (folder / "decision.dsse.json").write_text(json.dumps(decision))
    for payload, said in ((readiness["payload"], ["Verified OK"] * 5), ("e30=", ["Verification failure"] * 4 + ["Verified OK"])):
        (folder / "readiness.dsse.json").write_text(json.dumps({**readiness, "payload": payload}))
        done = subprocess.run(["bash", "-c", steps], cwd=folder, capture_output=True, text=True, check=False)
        assert [line for line in done.stdout.splitlines() if line.startswith("Verif")] == said, done.stderr
