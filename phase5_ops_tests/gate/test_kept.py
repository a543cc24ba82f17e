"""What earlier versions wrote is read as they meant it: evidence, attestations, items of the state table."""

import base64
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import EVIDENCE
from phase5_ops.checklist import ROLES, ROWS
from phase5_ops.cli import app as cli
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.attestation.keys import parse_keys
from phase5_ops.gate.attestation.readiness_statement import readiness_facts
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.inputs.dagster_records import rows_of
from phase5_ops.gate.promotion.released import released
from phase5_ops.gate.records import Release
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.gate.state import item_table
from phase5_ops.gate.state.items import (
    Lock,
    Noted,
    Prepared,
    Promotion,
    StoredSignOff,
    StoredStatement,
    attributes,
    candidate_in,
    candidate_item,
    read,
)
from phase5_ops.gate.state.stated_documents import StatedDocuments
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.places import KEPT

pytestmark = pytest.mark.slow

ARCHIVES = sorted(KEPT.glob("*.tar.xz"))
RELEASE = Release("r-1", "sha256:" + "d" * 64, "sandbox")
TABLE = "phase5-readiness-kept"
TABLES = {each.name: each.table for each in EVIDENCE}


#: How the sort key of an item of this kind begins.
KINDS = {
    "STATEMENT#": StoredStatement,
    "SIGN_OFF#": StoredSignOff,
    "LOCK#": Lock,
    "PREPARED#": Prepared,
    "PROMOTION#": Promotion,
    "AT#": Noted,
}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(request, tmp_path) -> Path:
    shutil.unpack_archive(request.param, tmp_path)
    return tmp_path


@pytest.fixture
def table(kept, aws) -> StatedDocuments:
    """The state table with the kept items."""
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    for item in json.loads((kept / "items.json").read_text(), object_hook=_with_bytes):
        dynamodb.put_item(TableName=TABLE, Item=item)
    return StatedDocuments(AwsReader(ReadingSettings(max_attempts=1), session=aws), TABLE)


def _with_bytes(entry):
    return {name: base64.b64decode(value) if name == "B" and isinstance(value, str) else value for name, value in entry.items()}


def keys_of(kept: Path):
    return parse_keys((kept / "keys.json").read_bytes())


def test_there_is_an_archive_of_what_was_written_before():
    assert ARCHIVES


def test_its_attestations_verify_as_of_their_day_down_to_the_evidence_files(kept, monkeypatch, capsys):
    statement = json.loads((kept / "readiness.dsse.json").read_text())
    facts = readiness_facts(read_statement(base64.b64decode(statement["payload"])))
    files = [str(kept / name) for name in ("readiness.dsse.json", "decision.dsse.json")]
    given = ["--digest", RELEASE.digest, "--policy", str(kept / "keys.json"), "--environment", RELEASE.environment]
    dated = ["--at", facts.evaluated_at.isoformat(), "--evidence", str(kept / "evidence" / facts.run_id)]
    monkeypatch.setattr("sys.argv", ["phase5", "verify", *files, *given, *dated])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr().out
    assert end.value.code == 0, out
    assert all(f"signed for {role} by" in out for role in ROLES)


def test_its_table_tells_what_was_promoted_what_the_gate_said_and_who_signed(kept, table):
    keys = keys_of(kept)
    candidate = table.candidate(RELEASE)
    assert (candidate.series, candidate.fate) == (1, "PROMOTED")
    said = table.said(RELEASE, 1, keys)
    assert (said.document["decision"], said.document["exit_code"], said.document["blockers"]) == ("OPEN", 0, [])
    assert [(each.release, each.problems) for each in released(table, keys, RELEASE.environment, now=datetime.now(UTC))] == [
        (RELEASE, ())
    ]
    payloads = [stored.payload for stored in table.statements(RELEASE)]
    assert {each.role for each in verified_sign_offs(table.sign_offs(RELEASE), payloads, keys)} == set(ROLES)
    promotion = table.promotion(RELEASE, 1)
    assert promotion.decision_envelope == (kept / "decision.dsse.json").read_text()


def test_its_items_are_written_again_as_they_were(kept):
    seen = set()
    for item in map(item_table._plain, json.loads((kept / "items.json").read_text(), object_hook=_with_bytes)):
        if item["sk"] == "CANDIDATE":
            assert candidate_item(candidate_in(item)) == item
        kind = next((kind for begin, kind in KINDS.items() if item["sk"].startswith(begin)), None)
        if kind is not None:
            again = item_table._plain(item_table._typed(attributes(read(kind, item))))
            assert again == {name: item[name] for name in again}
            seen.add(kind)
    assert seen == set(KINDS.values())


def test_its_evidence_has_its_digest_and_every_table_and_verdict_can_be_read(kept):
    store = EvidenceStore(kept / "evidence")
    (run_id,) = (each for each in store.run_ids() if (store.run_folder(each) / "verdicts").exists())
    manifest = store.manifest(run_id)
    assert store.digest_of(manifest) == store.sealed_digest(run_id)
    verdicts = {Path(path).stem: store.read_verdict(run_id, Path(path).stem) for path in manifest if path.startswith("verdicts/")}
    rows = rows_of(verdicts)
    assert {row.id for row in ROWS if not row.is_sign_off} <= rows.keys()
    assert {verdict for verdict, _ in rows.values()} == {Verdict.PASS}
    for path in manifest:
        if path.startswith("tables/"):
            table = store.read_table(run_id, Path(path).stem, TABLES[Path(path).stem])
            assert {read.status for read in table.reads} <= {ReadStatus.OK}, path
            assert table.observed_at, path
            assert len(table.rows) == len(table.frame), path
