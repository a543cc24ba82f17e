"""An archive verifies whole, offline; whatever is changed, taken out or put in is named, by whoever it was repacked."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from phase5_ops.cli import app as cli
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.keys import key_set, keys_document, parse_keys
from phase5_ops.gate.audit.archive import read_archive, written
from phase5_ops.gate.audit.verification import ItemStatus, verify_archive
from phase5_ops_tests.gate.audit.recorded_period import Audited, exported
from phase5_ops_tests.gate.own_aws import NOW, Signers
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

Files = dict[str, bytes]
PROMOTION = "releases/r-1.2.3/000001/promotion"


@pytest.fixture
def desk(audited_desk) -> Desk:
    return audited_desk


@pytest.fixture
def audited(desk, tmp_path) -> Audited:
    return exported(desk, tmp_path)


def unpacked(path: Path) -> Files:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def repacked(path: Path, files: Files, *, manifest: bool = True) -> Path:
    """The archive with other files, as somebody would make it who hides the change: with a manifest that is right for it."""
    if manifest:
        said = json.loads(files["manifest.json"])
        said["files"] = {name: sha256_of(content) for name, content in files.items() if not name.startswith("manifest.")}
        said["records"] = {
            key: names for key, names in said["records"].items() if set(names) <= files.keys()
        }  # and nothing is named that was taken out
        files["manifest.json"] = json.dumps(said).encode()
    with written(path) as archive:
        for name, content in files.items():
            archive.add(name, content)
    return path


def found(audited: Audited, path: Path | None = None, environment: str | None = None) -> dict[str, tuple[ItemStatus, str]]:
    """What is not good: item -> status and why."""
    keys = parse_keys(audited.keys.read_bytes())
    verification = verify_archive(read_archive(path or audited.path), keys, environment)
    wrong = {
        each.item: (each.status, each.about)
        for each in verification.checked
        if each.status in (ItemStatus.BAD, ItemStatus.MISSING)
    }
    assert verification.ok == (not wrong)
    return wrong


def signed(content: bytes, **changes: object) -> bytes:
    """An envelope whose payload says something else, under the same signatures."""
    envelope = json.loads(content)
    payload = {**json.loads(base64.b64decode(envelope["payload"])), **changes}
    envelope["payload"] = base64.b64encode(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).decode()
    return json.dumps(envelope).encode()


def test_everything_that_was_recorded_is_in_it_and_verifies(audited):
    assert found(audited) == {}
    files = unpacked(audited.path)
    assert {
        "keys.json",
        "keys-pinned.json",
        "summary.md",
        "README.md",
        "overrides/rollback-1/override.dsse.json",
        "overrides/break-glass-1/override.dsse.json",
        "releases/r-1.2.3/waivers/w-1.dsse.json",
        "releases/r-1.2.4/candidate.json",
        "releases/r-1.2.4/000001/said.dsse.json",
        f"{PROMOTION}/readiness.dsse.json",
        f"{PROMOTION}-rollback-1/publication.dsse.json",
        f"{PROMOTION}-break-glass-1/decision.dsse.json",
        "runs/000000002.dsse.json",
        "deployed/000000001.dsse.json",
        "acceptances/a1.dsse.json",
        "evidence/run-1/tables/gate_drill.parquet",
    } <= files.keys()
    assert not [name for name in files if name.startswith("not-understood/")]


def test_the_same_records_make_the_same_bytes(desk, tmp_path, audited):
    assert exported(desk, tmp_path, name="again.tar.gz").path.read_bytes() == audited.path.read_bytes()


def take(*names: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for name in [each for each in files if each.startswith(names)]:
            del files[name]

    return change


def rewritten(first: int, **changes: object) -> Callable[[Files], None]:
    """The records of runs from a number on say other things, follow one another, and nobody signed them."""

    def change(files: Files) -> None:
        names = sorted(each for each in files if each.startswith("runs/"))
        for before, name in zip(["", *names], names, strict=False):
            if int(name[5:14]) < first:
                continue
            previous = sha256_of(base64.b64decode(json.loads(files[before])["payload"])) if before else ""
            files[name] = signed(files[name], previous=previous, **changes)
            files[name] = json.dumps({**json.loads(files[name]), "signatures": []}).encode()

    return change


def put(name: str, make: Callable[[Files], bytes]) -> Callable[[Files], None]:
    return lambda files: files.update({name: make(files)})


CHANGES = {
    "a run's record is gone": (take("runs/000000002"), ItemStatus.MISSING, "runs/000000002 to 000000002"),
    "all records of runs are gone": (take("runs/"), ItemStatus.MISSING, "the record of run run-1"),
    "all records of runs are rewritten": (
        rewritten(1, manifest="sha256:" + "0" * 64, verdicts={"gate_blocks_on_failure": "PASS"}),
        ItemStatus.BAD,
        "runs/000000002.dsse.json",
    ),
    "the record of a candidate's run is rewritten, behind one that is signed": (
        rewritten(2, verdicts={}),
        ItemStatus.BAD,
        "runs/000000002.dsse.json",
    ),
    "the evidence is gone": (take("evidence/"), ItemStatus.MISSING, "evidence/run-1"),
    "a table of it is gone": (take("evidence/run-1/tables"), ItemStatus.MISSING, "evidence/run-1"),
    "a table of it is another": (
        put("evidence/run-1/tables/gate_drill.parquet", lambda _: b"x"),
        ItemStatus.BAD,
        "evidence/run-1",
    ),
    "a table more": (put("evidence/run-1/tables/b.parquet", lambda _: b"x"), ItemStatus.BAD, "evidence/run-1"),
    "evidence that nothing names": (put("evidence/run-9/manifest.json", lambda _: b"{}"), ItemStatus.BAD, "evidence/run-9"),
    "the waiver is gone": (take("releases/r-1.2.3/waivers"), ItemStatus.MISSING, "releases/r-1.2.3/waivers/w-1.dsse.json"),
    "the waiver says more": (
        put("releases/r-1.2.3/waivers/w-1.dsse.json", lambda f: signed(f["releases/r-1.2.3/waivers/w-1.dsse.json"], reason="x")),
        ItemStatus.BAD,
        "releases/r-1.2.3/waivers/w-1.dsse.json",
    ),
    "the publication is gone": (take(f"{PROMOTION}/publication"), ItemStatus.MISSING, f"{PROMOTION}/publication.dsse.json"),
    "every trace of promotion, rollback and broken glass is gone": (
        take("releases/r-1.2.3/000001/promotion", "releases/r-1.2.3/000001/said", "overrides/"),
        ItemStatus.MISSING,
        f"{PROMOTION}/publication.dsse.json",
    ),
    "the promotion is gone, and who saw it deployed": (
        take("releases/r-1.2.3/000001/promotion", "deployed/", "overrides/"),
        ItemStatus.MISSING,
        f"{PROMOTION}/publication.dsse.json",
    ),
    "the decision is gone": (take(f"{PROMOTION}/decision"), ItemStatus.MISSING, PROMOTION),
    "the decision is another's": (
        put(f"{PROMOTION}/decision.dsse.json", lambda f: f[f"{PROMOTION}-rollback-1/decision.dsse.json"]),
        ItemStatus.BAD,
        PROMOTION,
    ),
    "a promotion under another name": (
        lambda f: [
            f.update({f"releases/r-9/000001/promotion/{n.rpartition('/')[2]}": f[n]}) for n in list(f) if f"{PROMOTION}/" in n
        ],
        ItemStatus.BAD,
        "releases/r-9/000001/promotion",
    ),
    "the order is gone": (take("overrides/break-glass-1"), ItemStatus.MISSING, f"{PROMOTION}-break-glass-1"),
    "what a rollback goes back to is gone": (take(f"{PROMOTION}/"), ItemStatus.BAD, f"{PROMOTION}-rollback-1"),
    "the observation says another thing": (
        put("deployed/000000001.dsse.json", lambda f: signed(f["deployed/000000001.dsse.json"], agreement="AGREES")),
        ItemStatus.BAD,
        "deployed/000000001.dsse.json",
    ),
    "the acceptance says another thing": (
        put("acceptances/a1.dsse.json", lambda f: signed(f["acceptances/a1.dsse.json"], reason="x")),
        ItemStatus.BAD,
        "acceptances/a1.dsse.json",
    ),
    "the gate's document says OPEN": (
        put("releases/r-1.2.4/000001/said.dsse.json", lambda f: signed(f["releases/r-1.2.4/000001/said.dsse.json"], document={})),
        ItemStatus.BAD,
        "releases/r-1.2.4/000001/said.dsse.json",
    ),
    "a statement of a newer version": (
        put("releases/r-1.2.4/000001/said.dsse.json", lambda f: signed(f["releases/r-1.2.4/000001/said.dsse.json"], schema="v9")),
        ItemStatus.BAD,
        "releases/r-1.2.4/000001/said.dsse.json",
    ),
    "a file that no archive has": (put("more.txt", lambda _: b"x"), ItemStatus.BAD, "more.txt"),
    "a file more beside an order": (
        put("overrides/rollback-1/a.json", lambda _: b"x"),
        ItemStatus.BAD,
        "overrides/rollback-1/a.json",
    ),
    "an order that is none": (
        put("overrides/override.dsse.json", lambda _: b"{}"),
        ItemStatus.BAD,
        "overrides/override.dsse.json",
    ),
    "no manifest": (take("manifest.json"), ItemStatus.MISSING, "manifest.json"),
    "no keys": (take("keys.json"), ItemStatus.MISSING, "keys.json"),
    "something that could not be read": (
        put("not-understood/000001.json", lambda _: b"{}"),
        ItemStatus.BAD,
        "not-understood/000001.json",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_changed_and_repacked_is_named(audited, tmp_path, change):
    alter, status, item = CHANGES[change]
    files = unpacked(audited.path)
    alter(files)
    path = repacked(tmp_path / "changed.tar.gz", files, manifest="manifest.json" in files)
    wrong = found(audited, path)
    assert wrong[item][0] is status, wrong


def test_records_of_a_time_in_which_runs_did_not_sign_yet_verify_and_later_ones_without_a_signature_are_said_to_be(
    audited, tmp_path
):
    files = unpacked(audited.path)
    for number in (1, 3):
        name = f"runs/00000000{number}.dsse.json"
        files[name] = json.dumps({**json.loads(files[name]), "signatures": []}).encode()
    path = repacked(tmp_path / "unsigned.tar.gz", files)
    assert found(audited, path) == {}
    said = {each.item: str(each) for each in verify_archive(read_archive(path), parse_keys(audited.keys.read_bytes())).checked}
    assert said["runs/000000001.dsse.json"] == "not signed    runs/000000001.dsse.json: run run-0, PASS"
    assert said["runs/000000003.dsse.json"].endswith("run run-2, PASS; not signed, though runs/000000002.dsse.json is")


def test_without_a_new_manifest_every_changed_file_is_named_even_those_that_nobody_signs(audited, tmp_path):
    for name in ("summary.md", "releases/r-1.2.4/candidate.json", "keys-pinned.json", f"{PROMOTION}/decision.dsse.json"):
        files = unpacked(audited.path)
        files[name] += b" "
        assert name in found(audited, repacked(tmp_path / "a.tar.gz", files, manifest=False))
        del files[name]
        assert found(audited, repacked(tmp_path / "a.tar.gz", files, manifest=False))[name][0] is ItemStatus.MISSING
    files = unpacked(audited.path)
    files["candidate.json"] = b"{}"
    assert found(audited, repacked(tmp_path / "a.tar.gz", files, manifest=False))["candidate.json"][0] is ItemStatus.BAD


def test_a_signed_manifest_holds_also_what_nobody_signs(desk, tmp_path):
    audited = exported(desk, tmp_path, sign=True)
    assert found(audited) == {}
    files = unpacked(audited.path)
    files["summary.md"] = b"nothing was waived"
    assert found(audited, repacked(tmp_path / "a.tar.gz", files)) == {
        "manifest.dsse.json": (ItemStatus.BAD, "it signs another manifest than manifest.json")
    }
    files = unpacked(audited.path)
    files["manifest.dsse.json"] = signed(files["manifest.dsse.json"])
    assert found(audited, repacked(tmp_path / "a.tar.gz", files, manifest=False))["manifest.dsse.json"][0] is ItemStatus.BAD


@pytest.mark.parametrize(
    "change", [{"made_at": "yesterday"}, {"made_at": None}, {"files": 5}, {"missing": 5}, {"records": {"a": 1}}]
)
def test_a_manifest_that_cannot_be_read_is_named(desk, tmp_path, change):
    audited = exported(desk, tmp_path, sign=True)
    files = unpacked(audited.path)
    files["manifest.dsse.json"] = signed(files["manifest.dsse.json"], **change)
    files["manifest.json"] = base64.b64decode(json.loads(files["manifest.dsse.json"])["payload"])
    status, why = found(audited, repacked(tmp_path / "a.tar.gz", files, manifest=False))["manifest.json"]
    assert (status, why.startswith("it cannot be read: ")) == (ItemStatus.BAD, True)


def test_keys_that_the_archive_brings_are_trusted_for_nothing(audited, tmp_path):
    forged = tmp_path / "other-keys.json"
    forged.write_bytes(keys_document(Signers.fresh().keys()))
    wrong = found(Audited(audited.exported, forged))
    assert {status for status, _ in wrong.values()} == {ItemStatus.BAD}
    assert "is not among the trusted keys" in wrong["keys.json gate"][1]
    assert PROMOTION in wrong


def rotated(audited: Audited, at: datetime) -> Audited:
    """The archive, and keys of which all that were in use then are revoked at a moment, with others in their place."""
    present = parse_keys(audited.keys.read_bytes()).keys.values()
    keys = key_set([*(replace(key, revoked_at=at) for key in present), *Signers.fresh().keys().keys.values()])
    path = audited.path.with_suffix(".keys")
    path.write_bytes(keys_document(keys))
    return Audited(audited.exported, path)


#: What the gate said by the wall clock, which may be after any moment of revocation.
SAID = {f"releases/r-1.2.{number}/000001/said.dsse.json" for number in (3, 4)}


def test_a_key_that_was_revoked_since_counts_for_what_is_proved_to_be_older(audited):
    assert found(rotated(audited, NOW + timedelta(days=30))).keys() <= SAID
    assert {PROMOTION, "runs/000000001.dsse.json", "deployed/000000001.dsse.json", "acceptances/a1.dsse.json"} <= found(
        rotated(audited, NOW - timedelta(days=30))
    ).keys()


def test_what_people_signed_and_nothing_came_of_is_shown_as_not_signed_once_their_keys_were_replaced(audited, tmp_path):
    files, folder = unpacked(audited.path), "releases/r-1.2.3/000001"
    take(f"{folder}/promotion", f"{folder}/said", "deployed/")(files)  # a release that was never promoted
    frozen = repacked(tmp_path / "frozen.tar.gz", dict(files))
    after = rotated(audited, NOW + timedelta(days=30))
    assert found(after, frozen).keys() <= SAID
    items = {each.item: each for each in verify_archive(read_archive(frozen), parse_keys(after.keys.read_bytes())).checked}
    statement = items[f"{folder}/statement.dsse.json"]
    assert statement.status is ItemStatus.GOOD  # the gate says itself when it signed
    assert "signed by gate (not counted: the key of " in statement.about
    assert statement.about.endswith("; not signed for eng-reliability, ops-sre, security-compliance")
    for name in ("overrides/rollback-1/override.dsse.json", "acceptances/a1.dsse.json"):
        assert items[name].status is ItemStatus.UNSIGNED
        assert "signed by nobody (not counted: the key of ops-sre was revoked at " in items[name].about
    assert items["releases/r-1.2.3/waivers/w-1.dsse.json"].status is ItemStatus.GOOD  # the statement shows it
    take(folder)(files)
    unused = verify_archive(read_archive(repacked(tmp_path / "a.tar.gz", files)), parse_keys(after.keys.read_bytes())).checked
    assert {each.item: each.status for each in unused}["releases/r-1.2.3/waivers/w-1.dsse.json"] is ItemStatus.UNSIGNED


def test_what_was_signed_after_the_key_was_revoked_never_verifies(audited):
    before = found(rotated(audited, NOW - timedelta(seconds=1)))
    assert {
        "releases/r-1.2.3/000001/statement.dsse.json",
        "releases/r-1.2.3/waivers/w-1.dsse.json",
        "overrides/rollback-1/override.dsse.json",
        "acceptances/a1.dsse.json",
    } <= before.keys()


def test_an_archive_of_another_environment_is_not_what_was_asked_for(audited):
    assert found(audited, environment="production") == {}
    assert found(audited, environment="staging")["manifest.json"][0] is ItemStatus.BAD


def run(monkeypatch, capsys, *arguments) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["phase5", "verify", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    shown = capsys.readouterr()
    return end.value.code, shown.out + shown.err


def test_the_command_says_what_of_each_item_and_exits_so(audited, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "nothing"))
    code, said = run(monkeypatch, capsys, audited.path, "--policy", audited.keys)
    assert (code, said.startswith("verified: ")) == (0, True)
    files = unpacked(audited.path)
    del files["runs/000000002.dsse.json"]
    code, said = run(monkeypatch, capsys, repacked(tmp_path / "a.tar.gz", files), "--policy", audited.keys)
    assert code == 1
    assert said.startswith("NOT VERIFIED: 2 missing, ")
    assert "\n  missing       runs/000000002 to 000000002: the numbers have a gap\n" in said
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(b"no tar"))
    assert run(monkeypatch, capsys, tmp_path / "b.tar.gz", "--policy", audited.keys)[0] == 1
    for wrong in ([], ["--policy", audited.path], ["--policy", audited.keys, "--digest", "sha256:" + "d" * 64], [audited.keys]):
        assert run(monkeypatch, capsys, audited.path, *wrong)[0] == 3
    assert "name the trusted keys with --policy" in run(monkeypatch, capsys, audited.path)[1]


def test_the_command_needs_neither_aws_nor_dagster_nor_settings(audited):
    arguments = ["-X", "importtime", "-m", "phase5_ops.cli", "verify", str(audited.path), "--policy", str(audited.keys)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PHASE5_", "DAGSTER_"))}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "phase5_ops.gate.audit.verification" in imported
    assert not {"dagster", "pandas", "phase5_ops.aws", "phase5_ops.settings"} & imported


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL's command line is not installed")
def test_the_steps_of_its_readme_verify_it_with_openssl_alone(audited, tmp_path):
    """The very lines of README.md in the archive, run over what tar unpacks; nothing of phase5 is called."""
    folder = tmp_path / "auditor"
    folder.mkdir()
    subprocess.run(["tar", "xzf", audited.path], cwd=folder, check=True)
    steps = (folder / "README.md").read_text().partition("```sh\n")[2].partition("```")[0]
    given = {"PATH": os.environ["PATH"], "KEYS": str(audited.keys)}

    def lines() -> list[str]:
        done = subprocess.run(["bash", "-c", steps], cwd=folder, capture_output=True, text=True, check=False, env=given)
        return done.stdout.splitlines()

    said = lines()
    names = unpacked(audited.path).keys()
    assert [each for each in said if each.startswith("OK ")] == [f"OK {name}" for name in sorted(names - {"manifest.json"})]
    verified = [each.split() for each in said if "dsse.json" in each and not each.startswith("OK ")]
    assert {tuple(each[2:]) for each in verified} == {("Verified", "OK")}
    assert {each[0].removeprefix("./") for each in verified} == {name for name in names if name.endswith(".dsse.json")}
    promotion = sorted(each[1] for each in verified if each[0] == f"./{PROMOTION}/readiness.dsse.json")
    assert promotion == ["eng-reliability", "gate", "ops-sre", "security-compliance"]
    waiver = folder / "releases/r-1.2.3/waivers/w-1.dsse.json"
    waiver.write_bytes(signed(waiver.read_bytes(), reason="another"))
    changed = lines()
    assert "DIFFERENT releases/r-1.2.3/waivers/w-1.dsse.json" in changed
    assert [each for each in changed if "waivers/w-1" in each and "Verified OK" in each] == []
