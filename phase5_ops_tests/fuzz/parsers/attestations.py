"""Attested files: envelopes, statements, the file of keys, waivers, overrides, orders, run records: `phase5 verify`."""

import json
from datetime import timedelta
from functools import cache

from phase5_ops.checklist import ROLES
from phase5_ops.evidence.histories import Head, Standing
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, strict_json
from phase5_ops.gate.attestation.keys import GATE, KeysError, keys_document, parse_keys
from phase5_ops.gate.attestation.orders import OrderKind, key_in
from phase5_ops.gate.attestation.override_statement import Override, override_of
from phase5_ops.gate.attestation.readiness_statement import readiness_facts
from phase5_ops.gate.attestation.run_record import RunFound, record_of, record_payload
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.attestation.waiver import waiver_of, waiver_payload
from phase5_ops.gate.records import Waiver
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE, Signers, decision_payload, readiness_payload

READS = "envelopes, statements, keys.json, waivers, overrides, orders, run records (`gate/attestation`)"
MALFORMED = "NOT VERIFIED with a problem, or `MalformedEnvelope`, `KeysError`, `ValueError`; no changed byte verifies"

WEEK = timedelta(days=7)
PIECES = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "\\u0000",
    "\\ud800",
    "NaN",
    "Infinity",
    "1e999",
    '"payload":',
    '"keyid":',
    "[" * 1500,
)


@cache
def _signers() -> Signers:
    return Signers.fresh()


@cache
def _files() -> dict[str, bytes]:
    readiness = _signers().envelope(readiness_payload())
    return {"readiness": readiness, "decision": _signers().envelope(decision_payload(readiness), (GATE,))}


def _verified(files: dict[str, bytes]) -> bool:
    found = verify(files, digest=DIGEST, keys=_signers().keys(), now=NOW, max_age=WEEK, environment=RELEASE.environment)
    assert found.ok or all(problem for problem in found.problems), "not verified, and does not say why"
    "\n".join(found.lines()).encode()
    return found.ok


def fuzz(data: bytes) -> None:
    """Verifies altered files, and reads altered statements that are signed all the same."""
    source = Source(data)
    if not data:
        assert _verified(_files())
    kind = source.number(5)
    if kind == 0:
        files = dict(_files())
        name = source.one_of(sorted(files))
        files[name] = source.spliced_bytes(files[name])
        assert files[name] == _files()[name] or not _verified(files), "an altered file verifies"
    elif kind == 1:  # the outside of an envelope is signed by nobody, so every change of it must show
        files = dict(_files())
        name = source.one_of(sorted(files))
        envelope = json.loads(files[name])
        altered = source.changed(envelope)
        files[name] = source.spliced(source.json_text(altered), PIECES).encode("utf-8", "surrogatepass")
        if _verified(files):
            assert json.loads(files[name]) == envelope, "an envelope with another content verifies"
    elif kind == 2:  # a statement of another content, signed
        payload = source.one_of((readiness_payload(), decision_payload(_files()["readiness"])))
        changed = source.json_text(source.changed(json.loads(payload))).encode("utf-8", "surrogatepass")
        roles = (GATE, *ROLES)
        _verified({"readiness": _signers().envelope(changed, roles) if changed else b"", "decision": _files()["decision"]})
        for facts in (readiness_facts, decision_facts):
            try:
                facts(read_statement(changed))
            except MalformedEnvelope:
                continue
    elif kind == 3:
        content = json.loads(keys_document(_signers().keys()))
        text = source.spliced(source.json_text(source.changed(content)), PIECES)
        try:
            found = parse_keys(text.encode("utf-8", "surrogatepass"))
        except KeysError as error:
            assert str(error), "does not say why"
        else:
            assert {key.role for key in found.keys.values()} == {GATE, *ROLES}, "keys of fewer roles are taken"
    elif kind == 4:
        _statements(source)
    else:
        try:
            strict_json(
                source.spliced(source.json_text(source.changed(json.loads(_files()["decision"]))), PIECES).encode(
                    "utf-8", "surrogatepass"
                )
            )
        except MalformedEnvelope as error:
            assert str(error), "does not say why"


def _statements(source: Source) -> None:
    waiver = Waiver(
        "w", "1.2", DIGEST, frozenset({("alarm_missing", "x")}), "known", "T-1", NOW, NOW + WEEK, None, "carol", "production"
    )
    override = Override("o-1", OrderKind.ROLLBACK, RELEASE, 1, "why", "T-1", "ann", NOW, NOW + WEEK)
    found = RunFound(
        "production", "run-1", NOW, False, None, DIGEST, DIGEST, {"check": Verdict.PASS}, Standing(heads={"h": Head("a", 1, "b")})
    )
    seeds = (override.payload, record_payload(found, 1, ""), waiver_payload(waiver))
    content = json.loads(source.one_of(seeds))
    text = source.spliced(source.json_text(source.changed(content)), PIECES)
    payload = text.encode("utf-8", "surrogatepass")
    for read in (override_of, record_of, lambda payload: waiver_of(payload.decode("utf-8", "replace")), key_in):
        try:
            read(payload)
        except ValueError as error:
            assert str(error), "does not say why"
