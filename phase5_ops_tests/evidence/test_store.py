"""Evidence appears whole or not at all, and its digest tells any change."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from phase5_ops.evidence.histories import Break, Head, Standing
from phase5_ops.evidence.store import Ended, EvidenceStore, Origin
from phase5_ops.evidence.table import DeclaredTable, NoFacts
from phase5_ops.files import sha256_of
from phase5_ops.reads import Read, ReadStatus


@dataclass(frozen=True)
class Number:
    a: int


NUMBERS = DeclaredTable(Number, NoFacts)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
READ = Read("dynamodb:Scan", "t", ReadStatus.OK, None, 1, "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:01.000Z")


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    kept = EvidenceStore(tmp_path)
    kept.write_table("run-1", "breaker_snapshot", NUMBERS.gathered([Number(1), Number(2)], NoFacts()).with_reads([READ], NOW))
    kept.write_verdict("run-1", "check", {"verdict": "PASS"})
    return kept


def test_tables_come_back_with_how_they_were_read(store: EvidenceStore):
    table = store.read_table("run-1", "breaker_snapshot", NUMBERS)
    assert (table.rows, table.reads, table.observed_at) == ([Number(1), Number(2)], (READ,), NOW)
    assert table.digest == store.manifest("run-1")["tables/breaker_snapshot.parquet"]


def test_a_damaged_table_is_an_error_of_one_kind_wherever_the_damage_lies(store: EvidenceStore):
    """pandas and pyarrow raise what they happen to come to: an ArrowException, a TypeError, an ArrowNotImplementedError."""
    path = store.table_path("run-1", "breaker_snapshot")
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 80):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with suppress(ValueError, KeyError):
            _ = store.read_table("run-1", "breaker_snapshot", NUMBERS).rows


def test_a_file_is_parsed_once_and_one_with_another_content_anew(store: EvidenceStore, monkeypatch):
    parsed, read_parquet = [], pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", lambda file: parsed.append(file) or read_parquet(file))
    first = store.read_table("run-1", "breaker_snapshot", NUMBERS)
    content = store.table_path("run-1", "breaker_snapshot").read_bytes()
    assert store.table_of(content, NUMBERS) is store.read_table("run-1", "breaker_snapshot", NUMBERS) is first
    assert len(parsed) == 1
    store.write_table("run-1", "breaker_snapshot", NUMBERS.gathered([Number(3)], NoFacts()).with_reads([READ], NOW))
    assert store.read_table("run-1", "breaker_snapshot", NUMBERS).rows == [Number(3)]
    assert store.table_of(content, DeclaredTable(Number, NoFacts)) is not first
    store.table_path("run-1", "breaker_snapshot").write_bytes(b"no table")
    with pytest.raises(ValueError, match="Parquet"):
        store.read_table("run-1", "breaker_snapshot", NUMBERS)


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


ORIGIN = Origin("readiness_job", "production", fixed_now=False, assets=None, began_at=NOW)


def test_what_a_run_says_of_itself_is_within_the_digest_but_of_an_earlier_version(store: EvidenceStore, tmp_path: Path):
    store.write_origin("run-1", ORIGIN)
    store.write_ended("run-1", Ended("production", NOW, Standing()))
    digest = store.seal("run-1")
    assert {"run.json", "histories.json"} < store.manifest("run-1").keys()
    for name in ("run.json", "histories.json"):
        path = tmp_path / "run-1" / name
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        assert store.digest_of(store.manifest("run-1")) != digest
        path.write_bytes(before)
    assert store.digest_of(store.manifest("run-1")) == digest
    older = {name: each for name, each in store.manifest("run-1").items() if name not in ("run.json", "histories.json")}
    (tmp_path / "run-1" / "manifest.json").write_text(json.dumps(older, sort_keys=True, separators=(",", ":")))
    assert store.digest_of(store.manifest("run-1")) == store.sealed_digest("run-1") != digest
    assert store.differences("run-1", store.sealed_digest("run-1")) == []


def test_the_result_of_a_whole_run_lacks_no_row_that_was_sealed(store: EvidenceStore):
    for run_id, assets in (("whole", None), ("some-rows", ("numbers",))):
        store.write_origin(run_id, replace(ORIGIN, assets=assets))
        store.write_verdict(run_id, "check_a", {"check": "check_a", "verdict": "FAIL", "tables": {}, "policy_digest": None})
        store.write_result(run_id, {"rows": [], "extra_checks": []})
    said = "readiness.json: not what was sealed of check_a"
    assert store.differences("whole", store.seal("whole")) == [said]
    assert store.differences("some-rows", store.seal("some-rows")) == []


def test_how_a_run_ended_is_read_back_whole(store: EvidenceStore, tmp_path: Path):
    assert store.ended("run-1") is None
    broken = Break("history_starts_anew", "run", "history.sqlite", "a of 1, head b")
    standing = Standing({"history.sqlite": Head("a", 2, "b")}, {"table:ledger": "l"}, (broken,), (3, "sha256:x"))
    ended = Ended("production", NOW, standing, ("a-1",))
    store.write_ended("run-1", ended)
    assert store.ended("run-1") == ended
    for content in (b"[]", b"{}", b"\xff", b"x"):
        (tmp_path / "run-1" / "histories.json").write_bytes(content)
        with pytest.raises(ValueError, match=r".+"):
            store.ended("run-1")


def test_verdicts_are_given_only_as_they_were_sealed(store: EvidenceStore, tmp_path: Path):
    store.write_origin("run-1", ORIGIN)
    store.seal("run-1")
    assert store.sealed_verdicts("run-1") == {"check": {"verdict": "PASS"}}
    for name in ("run.json", "verdicts/check.json"):
        path = tmp_path / "run-1" / name
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        with pytest.raises(ValueError, match="not as it was sealed"):
            store.sealed_verdicts("run-1")
        path.unlink()
        with pytest.raises(FileNotFoundError):
            store.sealed_verdicts("run-1")
        path.write_bytes(before)
    (tmp_path / "run-1" / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        store.sealed_verdicts("run-1")
