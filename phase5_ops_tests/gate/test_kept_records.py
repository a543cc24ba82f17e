"""Each record of the gate as an earlier version wrote it is read as it was meant, and verifies, alone and in an archive."""

import base64
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from phase5_ops.checklist import ROLES
from phase5_ops.gate.approval.history_acceptance import trusted_acceptances
from phase5_ops.gate.attestation.keys import parse_keys
from phase5_ops.gate.attestation.observation import Agreement
from phase5_ops.gate.attestation.override_statement import stored_order
from phase5_ops.gate.audit.archive import read_archive
from phase5_ops.gate.audit.verification import ItemStatus, verify_archive
from phase5_ops.gate.promotion.released import released
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs, verified_waivers
from phase5_ops.gate.state.items import Fate
from phase5_ops_tests.gate.audit.recorded_period import REFUSED, exported
from phase5_ops_tests.gate.own_aws import RELEASE
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.places import KEPT

pytestmark = pytest.mark.slow

ARCHIVES = sorted((KEPT / "records").glob("*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(request, tmp_path) -> Path:
    shutil.unpack_archive(request.param, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def desk(kept, aws, monkeypatch) -> Desk:
    """A gate whose table and state folder hold what was kept."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, kept)
    for item in json.loads((kept / "items.json").read_text(), object_hook=_with_bytes):
        aws.client("dynamodb").put_item(TableName=desk.settings.tables.readiness, Item=item)
    return desk


def _with_bytes(entry):
    return {name: base64.b64decode(value) if name == "B" and isinstance(value, str) else value for name, value in entry.items()}


def test_there_is_an_archive_of_what_was_written_before():
    assert ARCHIVES


def test_every_record_is_read_and_its_signatures_count(desk):
    gate, environment = desk.open(), RELEASE.environment
    state, keys = gate.state, gate.keys
    history = released(state, keys, environment, now=datetime.now(UTC))
    assert sorted((str(each.kind), each.problems) for each in history) == [("BREAK_GLASS", ()), ("OPEN", ()), ("ROLLBACK", ())]
    frozen = state.statements(RELEASE)
    offs = verified_sign_offs(state.sign_offs(RELEASE), [each.payload for each in frozen], keys)
    assert {each.key_role for each in offs} == set(ROLES)
    (waiver,) = verified_waivers(state.waivers(RELEASE), keys, frozen, environment=environment)
    assert (waiver.signed_by, waiver.ticket) == ("security-compliance", "OPS-7")
    orders = {each.id: (stored_order(each.id, each.payload), each.signatures) for each in state.overrides(environment)}
    assert {name: len(signatures) for name, (order, signatures) in orders.items() if order} == {
        "break-glass-1": 2,
        "rollback-1": 1,
    }
    records = list(gate.records.newest_first(environment))
    assert [(each.seq, each.signed_by_gate(keys)) for each in records] == [(3, True), (2, True), (1, True)]
    assert [each.ticket for each in trusted_acceptances(gate.records.acceptances(environment), environment, keys)] == ["OPS-8"]
    (seen,) = gate.observations.all(environment)
    assert (seen.seen.agreement, seen.problem(keys)) == (Agreement.UNKNOWN, None)
    assert state.candidate(REFUSED).fate is Fate.REJECTED
    for release in (RELEASE, REFUSED):
        assert gate.documents.said(release, 1, keys).document["decision"] == "BLOCKED"
    assert gate.upgrades.pending(environment) == []


def test_an_archive_of_then_verifies_now_and_so_does_one_of_now(desk, kept, tmp_path):
    keys = parse_keys((kept / "keys.json").read_bytes())
    for path in (kept / "audit.tar.gz", exported(desk, tmp_path).path):
        verification = verify_archive(read_archive(path), keys, RELEASE.environment)
        assert verification.ok, "\n".join(verification.lines())
        assert sum(each.status is ItemStatus.GOOD for each in verification.checked) > 15
