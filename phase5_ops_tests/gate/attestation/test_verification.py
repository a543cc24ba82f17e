"""Verification says yes to the complete set only, and why not to everything else; the command exits 0, 1 or 3."""

import base64
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from annotated_types import Le
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.gate.attestation.envelopes import canonical_json, envelope_bytes
from phase5_ops.gate.attestation.keys import GATE, KeysError, key_set, keys_document, parse_keys
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.policy import FlowPolicy, GatePolicy, Policy
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE, Signers, decision_payload, readiness_payload

pytestmark = pytest.mark.slow

WEEK = timedelta(days=7)
OTHER = "sha256:" + "0" * 64


def checked(files, keys, digest=DIGEST, now=NOW, *, max_age=WEEK, environment=RELEASE.environment, promoted=False):
    return verify(files, digest=digest, keys=keys, now=now, max_age=max_age, environment=environment, promoted=promoted)


def complete(signers: Signers, **changes) -> dict[str, bytes]:
    readiness = signers.envelope(readiness_payload())
    return {"readiness": readiness, "decision": signers.envelope(decision_payload(readiness, **changes), (GATE,))}


def edited(content: bytes, change) -> bytes:
    envelope = json.loads(content)
    change(envelope)
    return canonical_json(envelope)


def test_the_complete_set_verifies(signers):
    verification = checked(complete(signers), signers.keys())
    assert verification.problems == ()
    assert verification.lines()[0] == "verified"
    assert verification.facts["levels"] == "PHASE5_OPEN"


def test_a_signed_readiness_statement_verifies_alone_and_shows_no_promotion(signers):
    alone = {"r": signers.envelope(readiness_payload())}
    assert checked(alone, signers.keys()).ok
    said("no decision among the files", checked(alone, signers.keys(), promoted=True))
    assert checked(complete(signers), signers.keys(), promoted=True).ok


def said(problem: str, verification) -> None:
    assert not verification.ok
    assert any(problem in line for line in verification.problems), verification.problems
    assert verification.lines()[0] == "NOT VERIFIED"


def test_nothing_to_verify_is_not_verified(signers):
    said("nothing to verify", checked({}, signers.keys()))
    readiness = signers.envelope(readiness_payload())
    said("no readiness statement", checked({"d": signers.envelope(decision_payload(readiness), (GATE,))}, signers.keys()))


@pytest.mark.parametrize("role", [GATE, *ROLES])
def test_every_role_must_have_signed_with_its_own_key(signers, role):
    others = [other for other in (GATE, *ROLES) if other != role]
    said(f"too few signatures: {role}", checked({"r": signers.envelope(readiness_payload(), others)}, signers.keys()))


def test_signatures_of_one_role_do_not_stand_for_another(signers):
    """Three keys of one role, two of them from before a rotation, are still one role."""
    older, oldest = Signers.fresh(), Signers.fresh()
    payload = readiness_payload()
    keys = key_set(
        [
            *signers.keys().keys.values(),
            older.trusted("ops-sre", revoked_at=NOW + timedelta(days=1)),
            oldest.trusted("ops-sre", revoked_at=NOW + timedelta(days=2)),
        ]
    )
    signatures = dict([signers.sign(GATE, payload), *(each.sign("ops-sre", payload) for each in (signers, older, oldest))])
    verification = checked({"r": envelope_bytes(payload, signatures)}, keys)
    said("eng-reliability has not signed", verification)
    said("security-compliance has not signed", verification)


def test_a_signature_by_an_unknown_key_is_named(signers):
    payload = readiness_payload()
    signatures = dict([Signers.fresh().sign("ops-sre", payload), *(signers.sign(role, payload) for role in (GATE, *ROLES))])
    said("unknown key", checked({"r": envelope_bytes(payload, signatures)}, signers.keys()))


def test_a_signature_moved_under_another_roles_key_id_does_not_verify(signers):
    payload = readiness_payload()
    signatures = dict(signers.sign(role, payload) for role in (GATE, *ROLES))
    signatures[signers.trusted("ops-sre").key_id] = signers.sign("eng-reliability", payload)[1]
    said("the signature of ops-sre does not verify", checked({"r": envelope_bytes(payload, signatures)}, signers.keys()))


def test_a_replayed_signature_of_an_older_release_does_not_verify(signers):
    older = readiness_payload(release=replace(RELEASE, digest=OTHER))
    payload = readiness_payload()
    signatures = dict(signers.sign(role, older if role == "ops-sre" else payload) for role in (GATE, *ROLES))
    said("does not verify", checked({"r": envelope_bytes(payload, signatures)}, signers.keys()))


def test_another_digest_is_not_verified(signers):
    said("another digest", checked(complete(signers), signers.keys(), digest=OTHER))
    said("not a digest", checked(complete(signers), signers.keys(), digest=""))


def test_an_old_statement_is_not_verified_unless_it_is_judged_as_of_then(signers):
    later = NOW + WEEK + timedelta(seconds=1)
    said("an old statement", checked(complete(signers), signers.keys(), now=later))
    said("an old statement", checked({"r": complete(signers)["readiness"]}, signers.keys(), now=later))
    assert checked(complete(signers), signers.keys(), now=NOW + WEEK).ok


def test_a_statement_from_the_future_is_not_verified(signers):
    said("from the future", checked(complete(signers), signers.keys(), now=NOW - timedelta(hours=1)))


def test_a_failed_readiness_statement_is_not_verified(signers):
    said("says FAILED", checked({"r": signers.envelope(readiness_payload(rows=()))}, signers.keys()))


def test_a_decision_on_another_readiness_envelope_is_not_verified(signers):
    files = complete(signers)
    files["readiness"] = signers.envelope(readiness_payload())  # the same statement, signed anew: other bytes
    said("the decision rests on", checked(files, signers.keys()))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"release": replace(RELEASE, digest=OTHER)}, "another digest"),
        ({"release": replace(RELEASE, name="other")}, "another digest"),
        ({"policy_digest": OTHER}, "under policy"),
        ({"time_verified": NOW - timedelta(days=1)}, "does not belong"),
        ({"time_verified": NOW + timedelta(days=32)}, "does not belong"),
        ({"time_verified": NOW + timedelta(hours=1)}, "from the future"),
    ],
)
def test_a_decision_that_does_not_fit_the_readiness_statement_is_not_verified(signers, changes, problem):
    said(problem, checked(complete(signers, **changes), signers.keys()))


def test_whatever_waiting_the_settings_allow_a_decision_after_it_verifies(signers):
    longest = max(timedelta(days=_most(GatePolicy, "sign_off_days")), timedelta(hours=_most(FlowPolicy, "deadline_hours")))
    decided = NOW + longest + timedelta(hours=12)  # of a confirmation run
    assert checked(complete(signers, time_verified=decided), signers.keys(), now=decided).ok


def _most(policy: type[Policy], setting: str) -> float:
    return next(limit.le for limit in policy.model_fields[setting].metadata if isinstance(limit, Le))


def test_a_decision_needs_the_gates_signature(signers):
    readiness = signers.envelope(readiness_payload())
    decision = signers.envelope(decision_payload(readiness), ("ops-sre",))
    verification = checked({"r": readiness, "d": decision}, signers.keys())
    said("gate has not signed", verification)
    said("ops-sre must not sign", verification)


def test_two_readiness_statements_are_not_verified(signers):
    readiness = signers.envelope(readiness_payload())
    said("more than one", checked({"a": readiness, "b": readiness}, signers.keys()))


def test_a_statement_of_another_kind_is_not_verified(signers):
    statement = json.loads(readiness_payload())
    statement["predicateType"] = "https://example.com/other"
    files = {**complete(signers), "x": signers.envelope(canonical_json(statement))}
    said("not one that this gate makes", checked(files, signers.keys()))


def test_old_attestations_of_a_revoked_key_still_verify_and_new_ones_do_not(signers):
    files = complete(signers)
    assert checked(files, signers.keys(ops_sre=NOW + timedelta(hours=1)), now=NOW + timedelta(days=2)).ok
    said("was revoked", checked(files, signers.keys(ops_sre=NOW), now=NOW + timedelta(days=2)))
    alone = {"r": files["readiness"]}
    said("was revoked", checked(alone, signers.keys(ops_sre=NOW + timedelta(hours=1)), now=NOW + timedelta(days=2)))


def test_no_time_but_a_decisions_proves_when_a_revoked_key_signed(signers):
    """Neither the statement's own time, nor the moment that is asked about: both are before the key was revoked."""
    alone = {"r": complete(signers)["readiness"]}
    said("nothing proves", checked(alone, signers.keys(ops_sre=NOW + timedelta(hours=1)), now=NOW))
    said("nothing proves", checked(alone, signers.keys(gate=NOW + timedelta(hours=1)), now=NOW))


def test_a_decision_states_when_a_key_that_was_revoked_by_then_had_signed(signers):
    revoked, key_id = NOW - timedelta(minutes=5), signers.trusted("ops-sre").key_id
    keys, begun = signers.keys(ops_sre=revoked), NOW - timedelta(hours=1)
    readiness = signers.envelope(readiness_payload(now=begun))

    def with_times(proved, roles=(GATE,)):
        decision = decision_payload(readiness, proved=proved)
        return checked({"r": readiness, "d": signers.envelope(decision, roles)}, keys)

    assert with_times({key_id: revoked - timedelta(seconds=1)}).problems == ()
    said("was revoked", with_times(None))
    said("was revoked", with_times({key_id: revoked}))
    said("was revoked", with_times({key_id: begun - timedelta(seconds=1)}))  # there was nothing to sign yet
    said("was revoked", with_times({signers.trusted("eng-reliability").key_id: begun}))
    assert not with_times({key_id: begun}, ("ops-sre",)).ok


@pytest.mark.parametrize(
    "annotations", [None, [], {"signatures": {}}, {"signatures": [{}]}, {"signatures": [{"keyid": "k", "signedAt": "noon"}]}]
)
def test_times_in_a_decision_that_cannot_be_read_are_malformed(signers, annotations):
    readiness = signers.envelope(readiness_payload())
    statement = json.loads(decision_payload(readiness))
    statement["predicate"]["inputAttestations"][0]["annotations"] = annotations
    said("malformed", checked({"r": readiness, "d": signers.envelope(canonical_json(statement), (GATE,))}, signers.keys()))


# --- which environment -------------------------------------------------------------------------------------------------------


def test_what_was_attested_for_another_environment_is_not_verified(signers):
    """With the same keys, artifact and name: a release that staging took is not one that production took."""
    staging = replace(RELEASE, environment="staging")
    readiness = signers.envelope(readiness_payload(staging))
    files = {"r": readiness, "d": signers.envelope(decision_payload(readiness, staging), (GATE,))}
    for found in (checked(files, signers.keys()), checked({"r": readiness}, signers.keys())):
        said("another environment: not for production, it is about r-1.2.3 in staging", found)
        assert found.only_environment_differs
    assert checked(files, signers.keys(), environment="staging").ok
    for name in ("Staging", "staging ", "", "production"):
        assert not checked(files, signers.keys(), environment=name).ok
    assert not checked(files, signers.keys(), digest=OTHER).only_environment_differs


def test_a_decision_by_the_gate_of_another_environment_is_not_verified(signers):
    readiness = signers.envelope(readiness_payload())
    staging = replace(RELEASE, environment="staging")
    files = {"r": readiness, "d": signers.envelope(decision_payload(readiness, staging), (GATE,))}
    said("not by the gate of production", checked(files, signers.keys()))
    said("not for r-1.2.3 in production", checked(files, signers.keys()))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e.update(payloadType="text/plain"), "payloadType"),
        (lambda e: e.update(payload=e["payload"] + "="), "base64"),
        (lambda e: e.update(payload="!" + e["payload"][1:]), "base64"),
        (lambda e: e.update(payload=""), "empty"),
        (lambda e: e.update(payload=7), "not base64 text"),
        (lambda e: e.pop("payload"), "lacks payload"),
        (lambda e: e.update(note="trust me"), "nobody signed: note"),
        (lambda e: e["signatures"][0].update(cert="x"), "nobody signed: cert"),
        (lambda e: e["signatures"].append(dict(e["signatures"][0])), "two signatures of key"),
        (lambda e: e["signatures"][0].update(sig="AA"), "base64"),
        (lambda e: e["signatures"][0].update(sig="AAAA"), "does not verify"),
        (lambda e: e["signatures"][0].update(keyid=""), "names no key"),
        (lambda e: e.update(signatures={}), "not a list"),
        (lambda e: e.update(signatures=[]), "too few signatures"),
        (lambda e: e.update(payload=base64.b64encode(b"[]").decode()), "not an in-toto Statement"),
    ],
)
def test_a_malformed_envelope_is_not_verified(signers, change, problem):
    said(problem, checked({"r": edited(complete(signers)["readiness"], change)}, signers.keys()))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"not json", b"\x00\xff", b'{"payload":"e30=","payload":"e30=","payloadType":"x","signatures":[]}'],
)
def test_what_is_no_envelope_is_not_verified(signers, content):
    assert not checked({"r": content}, signers.keys()).ok
    assert not checked({**complete(signers), "x": content}, signers.keys()).ok


def test_an_envelope_too_large_is_not_read(signers):
    said("more than", checked({"r": b" " * (16 * 2**20 + 1)}, signers.keys()))


_FIXED = Signers.fresh()
_FILES = complete(_FIXED)


@settings(max_examples=100)
@given(st.data())
def test_no_single_changed_byte_verifies(data):
    name = data.draw(st.sampled_from(sorted(_FILES)))
    position = data.draw(st.floats(0, 1, exclude_max=True))  # signatures differ in length from run to run
    changed = bytearray(_FILES[name])
    changed[int(position * len(changed))] ^= data.draw(st.integers(1, 255))
    assert not checked({**_FILES, name: bytes(changed)}, _FIXED.keys()).ok


# --- keys --------------------------------------------------------------------------------------------------------------------


def entries(signers: Signers) -> list[dict]:
    return json.loads(keys_document(signers.keys()))["keys"]


def as_file(keys: list, **more) -> bytes:
    return json.dumps({"schema": "phase5.keys/v1", "keys": keys, **more}).encode()


def test_the_file_of_keys_is_read_back(signers):
    keys = signers.keys(ops_sre=NOW)
    assert parse_keys(keys_document(keys)) == keys


def rsa_pem() -> str:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def p384_pem() -> str:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_file_of_keys_that_cannot_be_believed_is_refused(signers):
    good = entries(signers)
    other = entries(Signers.fresh())
    refused = {
        "have one key": [*good[:3], {**good[2], "role": good[3]["role"]}],
        "is not that of the public key beside it": [*good[:3], {**good[3], "public_key": good[2]["public_key"]}],
        "no key of security-compliance": good[:3],
        "two keys of gate are not revoked": [*good, other[0]],
        "no role 'boss'": [*good, {**other[0], "role": "boss"}],
        "P-256": [{**good[0], "public_key": rsa_pem()}, *good[1:]],
        "curve": [{**good[0], "public_key": p384_pem()}, *good[1:]],
        "PEM": [{**good[0], "public_key": "nonsense"}, *good[1:]],
        "revoked_at": [{**good[0], "revoked_at": "yesterday"}, *good[1:]],
        "needs role": [{**good[0], "keyid": "mine"}, *good[1:]],
    }
    for problem, keys in refused.items():
        with pytest.raises(KeysError, match=problem):
            parse_keys(as_file(keys))
    for content in (b"", b"{}", b"[]", as_file(good, note="x"), as_file("keys"), as_file([7])):
        with pytest.raises(KeysError):
            parse_keys(content)


# --- an independent implementation -------------------------------------------------------------------------------------------


def test_signatures_verify_as_plain_ecdsa_over_the_encoding_of_the_specification(signers):
    """No code of ours or securesystemslib's: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md."""
    envelope = json.loads(signers.envelope(readiness_payload()))
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    encoded = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    verified = set()
    for role in (GATE, *ROLES):
        key = load_pem_public_key(signers.pem(role).encode())
        for entry in envelope["signatures"]:
            try:
                key.verify(base64.b64decode(entry["sig"]), encoded, ec.ECDSA(SHA256()))
                verified.add(role)
            except InvalidSignature:
                continue
    assert verified == {GATE, *ROLES}


# --- the command -------------------------------------------------------------------------------------------------------------


def phase5(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "phase5_ops.cli", "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


@pytest.fixture
def folder(tmp_path, signers):
    now = datetime.now(UTC)
    readiness = signers.envelope(readiness_payload(now=now))
    (tmp_path / "readiness.json").write_bytes(readiness)
    (tmp_path / "decision.json").write_bytes(signers.envelope(decision_payload(readiness, now=now), (GATE,)))
    (tmp_path / "keys.json").write_bytes(keys_document(signers.keys()))
    return tmp_path


def test_the_command_verifies_without_dagster_pandas_or_a_network(folder):
    done = phase5("readiness.json", "decision.json", "--digest", DIGEST, "--policy", "keys.json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
    assert done.stdout.startswith("verified\n")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "phase5_ops.gate.attestation.verification" in imported
    assert not {"dagster", "pandas", "phase5_ops.aws", "phase5_ops.settings"} & imported


def verified(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Exit code and what is said of the command in this process."""
    monkeypatch.setattr("sys.argv", ["phase5", "verify", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    return ended.value.code, shown.out + shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "said_there"),
    [
        (["readiness.json", "--digest", OTHER, "--policy", "keys.json"], 1, "another digest"),
        (["keys.json", "--digest", DIGEST, "--policy", "keys.json"], 1, "nothing to verify"),
        (["--digest", DIGEST, "--policy", "keys.json"], 3, "nothing to verify"),
        (["readiness.json", "--policy", "keys.json"], 3, "--digest"),
        (["readiness.json", "--digest", "sha256:abc", "--policy", "keys.json"], 3, "--digest"),
        (["readiness.json", "--digest", DIGEST, "--policy", "readiness.json"], 3, "not a file of keys"),
        (["readiness.json", "--digest", DIGEST], 3, "; name the trusted keys with --policy"),
        (["none.json", "--digest", DIGEST, "--policy", "keys.json"], 3, "cannot be read"),
        (["readiness.json", "--digest", DIGEST, "--policy", "keys.json", "--at", "noon"], 3, "--at"),
        (["readiness.json", "--digest", DIGEST, "--policy", "keys.json", "--max-age-hours", "nan"], 3, "--max-age-hours"),
        (["readiness.json", "--digest", DIGEST, "--policy", "keys.json", "--at", "2031-01-01T00:00:00Z"], 1, "an old statement"),
        (["readiness.json", "--digest", DIGEST, "--policy", "keys.json", "--environment", ""], 1, "another environment"),
        (["readiness.json", "--digest", DIGEST, "--policy", "dangling.json"], 3, "dangling.json: cannot be read"),
        (["readiness.json", "--digest", DIGEST, "--policy", "keys.json"], 1, "no decision among the files"),
    ],
)
def test_the_command_says_why_not_and_exits_so(folder, capsys, monkeypatch, arguments, code, said_there):  # noqa: PLR0917
    (folder / "dangling.json").symlink_to(folder / "nothing.json")
    monkeypatch.chdir(folder)
    ended, shown = verified(monkeypatch, capsys, *arguments)
    assert ended == code
    assert said_there in shown


def test_the_environment_is_the_named_one_else_that_of_the_settings_else_it_is_to_be_named(
    tmp_path, signers, monkeypatch, capsys
):
    now = datetime.now(UTC)
    (tmp_path / "staging.json").write_bytes(signers.envelope(readiness_payload(replace(RELEASE, environment="staging"), now)))
    (tmp_path / "keys.json").write_bytes(keys_document(signers.keys()))
    (tmp_path / "settings.yaml").write_text("environment: staging\n")
    monkeypatch.chdir(tmp_path)
    given = ("staging.json", "--digest", DIGEST, "--policy", "keys.json", "--without-decision")
    code, said_there = verified(monkeypatch, capsys, *given)
    assert code == 3
    assert "the statement is for 'staging', and no environment is named: give --environment staging" in said_there
    assert verified(monkeypatch, capsys, *given, "--environment", "staging")[0] == 0
    assert verified(monkeypatch, capsys, *given, "--environment", "production")[0] == 1
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "production")
    assert verified(monkeypatch, capsys, *given)[0] == 1
    assert verified(monkeypatch, capsys, *given, "--environment", "staging")[0] == 0
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "staging")
    assert verified(monkeypatch, capsys, *given)[0] == 0
    monkeypatch.delenv("PHASE5_ENVIRONMENT")
    monkeypatch.setenv("PHASE5_CONFIG", str(tmp_path / "settings.yaml"))
    assert verified(monkeypatch, capsys, *given)[0] == 0
    assert verified(monkeypatch, capsys, "staging.json", "--digest", OTHER, "--policy", "keys.json")[0] == 1
