"""`phase5 audit-export`: all of the period, nothing of others; what is no longer there is named; written whole or not at all."""

import json
import shutil
import zlib
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from phase5_ops.cli import app as cli
from phase5_ops.clock import iso
from phase5_ops.commands.audit_export import period_of
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import STATED_TYPE
from phase5_ops.gate.attestation.keys import parse_keys
from phase5_ops.gate.attestation.run_record import RECORD_TYPE
from phase5_ops.gate.audit.archive import read_archive
from phase5_ops.gate.audit.contents import AuditPeriod
from phase5_ops.gate.audit.verification import ItemStatus, verify_archive
from phase5_ops.gate.promotion.observing import observe
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Candidate, Fate, attributes, release_pk
from phase5_ops.gate.state.stated_documents import Stated
from phase5_ops.settings import ConfigurationError
from phase5_ops_tests.gate.audit.recorded_period import PERIOD, REFUSED, exported
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.state.test_run_records import found as run_found

pytestmark = pytest.mark.slow

LATER = AuditPeriod(NOW + timedelta(days=30), NOW + timedelta(days=31))


@pytest.fixture
def desk(audited_desk) -> Desk:
    return audited_desk


def put(desk: Desk, **item: object) -> None:
    desk.session.resource("dynamodb").Table(desk.settings.tables.readiness).put_item(Item=item)


def missing(desk: Desk, tmp_path, **given) -> list[str]:
    audited = exported(desk, tmp_path, **given)
    checked = verify_archive(read_archive(audited.path), parse_keys(audited.keys.read_bytes())).checked
    lost = {each.item for each in checked if each.status is ItemStatus.MISSING}
    assert {each.what for each in audited.exported.missing} <= lost  # the file says it, and whoever verifies it says it too
    return [each.what for each in audited.exported.missing]


def test_a_release_of_another_time_or_environment_is_not_in_it_and_the_keys_always_are(desk, tmp_path):
    other = replace(RELEASE, environment="staging")
    desk.open().state.register(Candidate(other, 1, Fate.PENDING, NOW, NOW, "pipeline"))
    names = read_archive(exported(desk, tmp_path, period=LATER).path).digests.keys()
    assert names == {"README.md", "keys.json", "keys-pinned.json", "manifest.json", "summary.md"}
    files = read_archive(exported(desk, tmp_path).path).files
    assert not [name for name, content in files.items() if b"staging" in content]


def test_what_happened_at_the_borders_of_the_period_is_of_it(desk, tmp_path):
    for period in (AuditPeriod(NOW, NOW), AuditPeriod(NOW - timedelta(days=9), NOW), AuditPeriod(NOW, NOW + timedelta(days=9))):
        files = read_archive(exported(desk, tmp_path, period=period).path).files
        assert "releases/r-1.2.3/000001/promotion/decision.dsse.json" in files
        assert {"runs/000000001.dsse.json", "runs/000000003.dsse.json"} <= files.keys()


def test_a_release_that_was_seen_deployed_in_the_period_is_in_it_whole_whenever_it_was_promoted(desk, tmp_path):
    later = NOW + timedelta(days=30)
    observe(desk.open(now=later), type("Other", (), {"deployed": ({("function", "cc-native-a"): ("2", "code")}, ())}))
    period = AuditPeriod(later, later)
    assert missing(desk, tmp_path, period=period) == []
    audited = exported(desk, tmp_path, period=period)
    verification = verify_archive(read_archive(audited.path), parse_keys(audited.keys.read_bytes()))
    assert verification.ok, verification.lines()
    assert {"deployed/000000002.dsse.json", "releases/r-1.2.3/000001/promotion-break-glass-1/publication.dsse.json"} <= {
        *read_archive(audited.path).files
    }


def test_a_promotion_that_the_gate_noted_in_the_period_is_in_it_whatever_dates_its_items_have(desk, tmp_path):
    put(desk, pk=f"PROMOTED#{RELEASE.environment}", sk=f"AT#{iso(LATER.begins)}#{RELEASE.name}#000001")
    files = read_archive(exported(desk, tmp_path, period=LATER).path).files
    assert "releases/r-1.2.3/000001/promotion/publication.dsse.json" in files


def test_what_the_gate_said_of_a_candidate_while_its_run_went_on_is_no_other_evidence(desk, tmp_path):
    session, store = desk.open(), EvidenceStore(desk.settings.state_dir / "evidence")
    store.write_verdict("run-3", "a", {"verdict": "PASS"})
    early = store.seal("run-3")
    store.write_verdict("run-3", "b", {"verdict": "FAIL"})
    found = run_found("run-3", manifest=store.seal("run-3"), release_digest=REFUSED.digest)
    session.records.append(found, partial(session.signed_by_gate, payload_type=RECORD_TYPE))
    for run_id, digest in (("run-3", early), ("run-4", sha256_of(b"{}"))):
        document = {"decision": "BLOCKED", "run_id": run_id, "evidence_digest": digest}
        session.documents.write(Stated(REFUSED, 1, NOW, document), partial(session.signed_by_gate, payload_type=STATED_TYPE))
        audited = exported(desk, tmp_path)
        assert audited.exported.missing == ()
        verification = verify_archive(read_archive(audited.path), parse_keys(audited.keys.read_bytes()))
        assert verification.ok, verification.lines()
        assert ("evidence/run-3" in {each.item for each in verification.checked}) is (run_id == "run-3")


def test_evidence_that_was_removed_is_missing_and_the_reason_names_how_long_it_is_kept(desk, tmp_path):
    shutil.rmtree(desk.settings.state_dir / "evidence")
    assert missing(desk, tmp_path) == ["evidence/run-1"]
    (gone,) = exported(desk, tmp_path).exported.missing
    assert "keeps a release's runs for 400 days" in gone.why
    assert gone.named_by.startswith("releases/r-1.2.3/000001/")


def test_evidence_comes_from_the_copy_where_the_folder_has_it_no_more(desk, tmp_path):
    s3, folder = desk.session.client("s3"), desk.settings.state_dir / "evidence"
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for file in (each for each in folder.rglob("*") if each.is_file()):
        s3.put_object(Bucket="kept", Key=f"phase5/{file.relative_to(folder)}", Body=file.read_bytes())
    shutil.rmtree(folder)
    desk.settings = desk.settings.model_copy(update={"evidence_s3_uri": "s3://kept/phase5"})
    assert missing(desk, tmp_path) == []
    s3.delete_object(Bucket="kept", Key="phase5/run-1/tables/gate_drill.parquet")
    assert missing(desk, tmp_path) == ["evidence/run-1/tables/gate_drill.parquet"]


def test_a_manifest_that_names_files_elsewhere_brings_none_of_them_into_the_archive(desk, tmp_path):
    (tmp_path / "secret").write_text("secret")
    manifest = desk.settings.state_dir / "evidence" / "run-1" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "../../../secret": "sha256:x"}))
    audited = exported(desk, tmp_path)
    assert [each.what for each in audited.exported.missing] == ["evidence/run-1/../../../secret"]
    assert not [name for name in read_archive(audited.path).digests if "secret" in name]


def test_records_that_the_table_has_lost_are_named(desk, tmp_path):
    table = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness)
    table.delete_item(Key={"pk": f"RUNS#{RELEASE.environment}", "sk": "RUN#000000002"})
    table.delete_item(Key={"pk": release_pk(RELEASE), "sk": "PROMOTION#000001"})
    lost = missing(desk, tmp_path)
    assert lost == [
        "runs/000000002.dsse.json",
        "releases/r-1.2.3/000001/promotion/publication.dsse.json",
        f"the promotion of {RELEASE.name}, series 1",
    ]


def test_items_that_are_none_or_of_a_newer_version_are_kept_as_they_are_and_never_verify(desk, tmp_path):
    put(desk, pk=release_pk(RELEASE), sk="SOMETHING#new", more="x")
    put(desk, pk=f"TIDES#{RELEASE.environment}", sk="1")
    put(desk, pk=release_pk(RELEASE), sk="WAIVER#../../etc", waiver="{}", key_id="k", signature=b"s")
    put(desk, pk=f"OVERRIDES#{RELEASE.environment}", sk="OVERRIDE#x", payload=b"{}")
    put(desk, pk=f"RUNS#{RELEASE.environment}", sk="RUN#000000009", payload=b"{}")
    packed = zlib.compress(b'{"document": []}')
    put(desk, pk=release_pk(RELEASE), sk="STATED#000009", stated_at=iso(NOW), key_id="k", signature=b"s", packed=packed)
    (off, *_) = desk.open().state.sign_offs(RELEASE)
    put(desk, pk=release_pk(RELEASE), sk="SIGN_OFF#ops-sre#z", **attributes(replace(off, series=10**30)))
    audited = exported(desk, tmp_path)
    strange = [name for name in read_archive(audited.path).files if name.startswith("not-understood/")]
    assert len(strange) == 7
    verification = verify_archive(read_archive(audited.path), parse_keys(audited.keys.read_bytes()))
    assert {each.item for each in verification.checked if each.status is ItemStatus.BAD} == set(strange)


def test_a_signature_that_nobody_made_takes_the_place_of_no_genuine_one(desk, tmp_path):
    state = desk.open().state
    for off in state.sign_offs(RELEASE):
        state.add_sign_off(RELEASE, replace(off, id="zz", signature=b"none"))
        state.add_sign_off(RELEASE, replace(off, id="zzz", key_id=state.statement(RELEASE, 1).gate_key_id))
    (order,) = (each for each in state.overrides(RELEASE.environment) if each.id == "break-glass-1")
    for off in order.signatures:
        state.add_override_signature(RELEASE.environment, order.id, replace(off, id="zz", signature=b"none"))
    audited = exported(desk, tmp_path)
    archive = read_archive(audited.path)
    verification = verify_archive(archive, parse_keys(audited.keys.read_bytes()))
    assert verification.ok, verification.lines()
    said = {each.item: each.about for each in verification.checked}
    assert "signed by eng-reliability, gate, ops-sre, security-compliance" in said["releases/r-1.2.3/000001/statement.dsse.json"]
    assert "signed by eng-reliability, ops-sre;" in said["overrides/break-glass-1/override.dsse.json"]
    listed = json.loads(archive.files["releases/r-1.2.3/000001/signatures.json"])
    assert len(listed) == 9  # all that the table holds


def test_where_the_gates_key_may_not_be_used_nothing_is_written(desk, tmp_path, monkeypatch):
    def denied(*_: object) -> None:
        raise SigningError("kms:Sign: denied")

    monkeypatch.setattr("phase5_ops.gate.session.sign", denied)
    with pytest.raises(SigningError):
        exported(desk, tmp_path, sign=True)
    assert not list(tmp_path.glob("*.tar.gz*"))
    assert not list(tmp_path.glob(".*.tar.gz*"))


def test_a_place_that_cannot_be_written_is_a_usage_error(desk, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be written"):
        exported(desk, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ("yesterday", "2026-11-24", "--from yesterday: give a day as 2026-12-31"),
        ("2026-11-22", "2026-11-24T10:00", "--to"),
        ("2026-11-24", "2026-11-22", "is after --to"),
    ],
)
def test_a_period_that_is_none_is_a_usage_error(begins, ends, said):
    with pytest.raises(ConfigurationError, match=said):
        period_of(begins, ends)


def test_days_are_whole_and_moments_are_taken_as_they_are():
    period = period_of("2026-11-22", "2026-11-24")
    assert (period.begins.isoformat(), period.ends.isoformat()) == (
        "2026-11-22T00:00:00+00:00",
        "2026-11-24T23:59:59.999000+00:00",
    )
    assert period_of("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z").begins.hour == 10


def test_the_command_writes_it_and_says_what_is_missing(desk, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PHASE5_STATE_DIR", str(desk.settings.state_dir))
    monkeypatch.setenv("PHASE5_TABLES__READINESS", desk.settings.tables.readiness)
    monkeypatch.setenv("PHASE5_ENVIRONMENT", RELEASE.environment)
    monkeypatch.chdir(tmp_path)

    def phase5(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["phase5", "audit-export", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    code, said, _ = phase5("--from", "2026-11-22", "--to", "2026-11-24")
    assert (code, said) == (
        0,
        "phase5-audit-production-2026-11-22-2026-11-24.tar.gz: 33 files, 0 missing; its manifest is not signed:"
        " --sign signs it with the gate's key, where that is allowed\n",
    )
    manifest = json.loads(read_archive(tmp_path / said.partition(":")[0]).files["manifest.json"])
    assert (manifest["from"], manifest["to"], manifest["environment"]) == (
        "2026-11-22T00:00:00.000Z",
        "2026-11-24T23:59:59.999Z",
        "production",
    )
    assert manifest["made_at"] > PERIOD.ends.isoformat()
    assert phase5("--from", "2026-11-25", "--to", "2026-11-24")[0] == 3
    monkeypatch.setenv("PHASE5_TABLES__READINESS", "no-such-table")
    code, _, said = phase5("--from", "2026-11-22", "--to", "2026-11-24", "--output", "other.tar.gz")
    assert (code, "nothing is known" in said, list(tmp_path.glob("*other*"))) == (2, True, [])
