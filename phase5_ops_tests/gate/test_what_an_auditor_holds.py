"""A year later, with nothing but the files of a promotion: who signed, in which session, by which request, on what evidence."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.clock import iso
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import read_envelope
from phase5_ops.gate.attestation.keys import GATE, keys_document
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.drill.cases import GATE_DRILL
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, decision_payload, readiness_payload
from phase5_ops_tests.gate.people import Desk, begun_once

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one_promotion(tmp_path_factory) -> Callable[[Desk], None]:
    return begun_once(tmp_path_factory.mktemp("one-promotion"), Desk.promoted)


@pytest.fixture
def promoted(aws, tmp_path, one_promotion) -> Desk:
    desk = Desk.on(aws, tmp_path / "state")
    one_promotion(desk)
    record = desk.open().state.promotion(RELEASE, 1)
    (tmp_path / "readiness.dsse.json").write_text(record.readiness_envelope)
    (tmp_path / "decision.dsse.json").write_text(record.decision_envelope)
    (tmp_path / "keys.json").write_bytes(keys_document(desk.open().keys))
    return desk


def verify(monkeypatch, capsys, folder, *more):
    files = [str(folder / name) for name in ("readiness.dsse.json", "decision.dsse.json")]
    given = ("--digest", RELEASE.digest, "--policy", str(folder / "keys.json"), "--environment", RELEASE.environment, *more)
    monkeypatch.setattr("sys.argv", ["phase5", "verify", *files, *given])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr().out


def test_the_gate_states_who_signed_in_which_session_by_which_request_and_when(promoted, tmp_path, monkeypatch, capsys):
    stored = {off.role: off for off in promoted.open().state.sign_offs(RELEASE)}
    envelope = read_envelope((tmp_path / "decision.dsse.json").read_bytes())
    stated = {signer.role: signer for signer in decision_facts(read_statement(envelope.payload)).signers}
    assert stated.keys() == set(ROLES)
    code, out = verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW))
    assert code == 0
    for role, off in stored.items():
        assert (stated[role].person, stated[role].session) == (off.identity, off.session)
        assert (stated[role].request_id, stated[role].signed_at) == (off.request_id, off.signed_at)
        (line,) = [line for line in out.splitlines() if f"signed for {role} by" in line]
        assert all(text in line for text in (off.identity, off.session, off.request_id, iso(off.signed_at)))


def test_old_evidence_is_refused_today_and_verified_as_of_its_own_day(promoted, tmp_path, monkeypatch, capsys):
    later = iso(NOW + timedelta(days=400))
    code, out = verify(monkeypatch, capsys, tmp_path, "--at", later)
    assert (code, f"give --at {iso(NOW)}" in out) == (1, True)
    assert verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW))[0] == 0
    edited = json.loads((tmp_path / "decision.dsse.json").read_text())
    edited["signatures"][0]["sig"] = edited["signatures"][0]["sig"][::-1]
    (tmp_path / "decision.dsse.json").write_text(json.dumps(edited))
    assert verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW))[0] == 1


def _result(folder: Path, **row: object) -> None:
    """What a run leaves beside its evidence, with this row of check c."""
    (folder / "readiness.json").write_text(json.dumps({"rows": [{"check": "c", **row}], "extra_checks": []}))
    (folder / "report.html").write_text("<p>PASS")
    (folder / "attestations").mkdir()
    (folder / "attestations" / "decision.dsse.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "tables" / "a.parquet").write_bytes(b"x"), "tables/a.parquet: changed"),
        (lambda folder: (folder / "verdicts" / "c.json").unlink(), "verdicts/c.json: missing"),
        (lambda folder: (folder / "tables" / "b.parquet").write_bytes(b"x"), "tables/b.parquet: not in the sealed manifest"),
        (lambda folder: (folder / "more.txt").write_text("x"), "more.txt: not in the sealed manifest"),
        (lambda folder: (folder / "verdicts" / ".c.json").write_text("x"), "verdicts/.c.json: not in the sealed manifest"),
        (lambda folder: (folder / "tables" / "b").symlink_to(folder), "tables/b: not in the sealed manifest"),
        (
            lambda folder: (folder / "readiness.json").write_text("[]"),
            "readiness.json: cannot be compared with",
        ),
        (lambda folder: _result(folder, verdict="PASS"), None),
        (lambda folder: _result(folder, verdict="FAIL"), "readiness.json: not what was sealed of c"),
        (lambda folder: _result(folder, verdict="PASS", findings=[]), "readiness.json: not what was sealed of c"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "manifest.json: its digest is"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: cannot be read"),
    ],
)
def test_the_evidence_files_are_held_against_the_digest_that_was_signed(signers, tmp_path, monkeypatch, capsys, change, said):  # noqa: PLR0917 - fixtures
    store = EvidenceStore(tmp_path / "evidence")
    store.write_table("run-1", "a", GATE_DRILL.gathered([], NoFacts()))
    store.write_verdict("run-1", "c", {"check": "c", "verdict": "PASS", "tables": {}, "policy_digest": "x"})
    readiness = signers.envelope(readiness_payload(evidence_digest=store.seal("run-1")), (GATE, *ROLES))
    (tmp_path / "readiness.dsse.json").write_bytes(readiness)
    (tmp_path / "decision.dsse.json").write_bytes(signers.envelope(decision_payload(readiness), (GATE,)))
    (tmp_path / "keys.json").write_bytes(keys_document(signers.keys()))
    folder = store.run_folder("run-1")
    change(folder)
    code, out = verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW), "--evidence", str(folder))
    assert (code, said is None or said in out) == (0 if said is None else 1, True), out


def test_the_folder_of_the_promotion_is_not_that_of_the_evidence_and_the_right_one_is_named(
    promoted, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "evidence" / "of-the-promotion"
    folder.mkdir(parents=True)
    code, out = verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW), "--evidence", str(folder))
    assert (code, "manifest.json: cannot be read: No such file" in out) == (1, True)
    assert "  of run: run-1\n" in out
    assert "the statement rests on run run-1" in out


def test_a_folder_that_is_none_is_no_evidence(promoted, tmp_path, monkeypatch, capsys):
    code, out = verify(monkeypatch, capsys, tmp_path, "--at", iso(NOW), "--evidence", str(tmp_path / "nothing here"))
    assert (code, "not a usable name" in out) == (1, True)
