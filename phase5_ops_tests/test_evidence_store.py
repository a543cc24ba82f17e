"""Evidence appears whole or not at all, and its digest tells any change."""

import json
from pathlib import Path

import pandas as pd
import pytest

from phase5_ops.digest import sha256_of
from phase5_ops.evidence_store import EvidenceStore


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    kept = EvidenceStore(tmp_path)
    table = pd.DataFrame({"a": [1, 2]})
    table.attrs["reads"] = [{"operation": "x"}]
    kept.write_table("run-1", "breaker_snapshot", table)
    kept.write_verdict("run-1", "check", {"verdict": "PASS"})
    return kept


def test_tables_come_back_with_how_they_were_read(store: EvidenceStore):
    table = store.read_table("run-1", "breaker_snapshot")
    assert list(table["a"]) == [1, 2]
    assert table.attrs["reads"] == [{"operation": "x"}]


def test_the_digest_is_over_the_sorted_manifest(store: EvidenceStore, tmp_path: Path):
    digest = store.seal("run-1")
    manifest = json.loads((tmp_path / "run-1" / "manifest.json").read_bytes())
    assert list(manifest) == ["tables/breaker_snapshot.parquet", "verdicts/check.json"]
    assert digest == sha256_of((tmp_path / "run-1" / "manifest.json").read_bytes()) == store.sealed_digest("run-1")
    for name, expected in manifest.items():
        assert sha256_of((tmp_path / "run-1" / name).read_bytes()) == expected


def test_sealing_again_gives_the_same_digest_and_the_result_is_outside_it(store: EvidenceStore):
    digest = store.seal("run-1")
    store.write_result("run-1", {"evidence_digest": digest})
    assert store.seal("run-1") == digest


@pytest.mark.parametrize("name", ["tables/breaker_snapshot.parquet", "verdicts/check.json"])
def test_any_edited_file_changes_the_digest(store: EvidenceStore, tmp_path: Path, name: str):
    before = store.seal("run-1")
    path = tmp_path / "run-1" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert store.seal("run-1") != before


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a" * 200, "a\x00b"])
def test_names_never_become_paths(store: EvidenceStore, name: str):
    with pytest.raises(ValueError, match="not a usable name"):
        store.write_verdict(name, "check", {})
    with pytest.raises(ValueError, match="not a usable name"):
        store.write_verdict("run-1", name, {})


def test_a_write_that_fails_leaves_the_old_file_and_no_other(store: EvidenceStore, tmp_path: Path, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        store.write_verdict("run-1", "check", {"verdict": "FAIL"})
    assert json.loads((tmp_path / "run-1" / "verdicts" / "check.json").read_bytes()) == {"verdict": "PASS"}
    assert len(list((tmp_path / "run-1" / "verdicts").iterdir())) == 1


def test_every_file_is_copied_and_a_failing_copy_fails_the_write(tmp_path: Path):
    copies: dict[str, bytes] = {}
    store = EvidenceStore(tmp_path, copies.__setitem__)
    store.write_verdict("run-1", "check", {"verdict": "PASS"})
    assert copies == {"run-1/verdicts/check.json": b'{"verdict":"PASS"}'}

    def refused(_key: str, _content: bytes) -> None:
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        EvidenceStore(tmp_path, refused).write_verdict("run-1", "check", {"verdict": "PASS"})
