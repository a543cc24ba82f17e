"""Kept partial results: what is refused, and why."""

from pathlib import Path

import pytest

from phase5_ops.engines.partials import Partial, PartialUnusable, code_digest
from phase5_ops.engines.places import place_of, place_statements
from phase5_ops.reads import Read, ReadStatus

READ = Read("logs:FilterLogEvents", "group", ReadStatus.OK, None, 2, "2026-11-23T09:00:00Z", "2026-11-23T09:00:01Z")
MADE = Partial("log-scan", "2026-11-23-09:00", {"ids": "1", "code": "2"}, "2026-11-23T10:15:00Z", (READ,), b"what\nwas\nfound")


def unpacked(kept: bytes, **other: object) -> Partial:
    return Partial.unpacked(kept, **{"scan": "log-scan", "part": "2026-11-23-09:00", "depends_on": MADE.depends_on, **other})


def test_a_partial_result_comes_back_as_it_was_kept():
    assert unpacked(MADE.packed()) == MADE


def test_no_part_of_a_partial_result_is_taken_for_the_whole():
    kept = MADE.packed()
    for size in range(len(kept)):
        with pytest.raises(PartialUnusable):
            unpacked(kept[:size])
    with pytest.raises(PartialUnusable, match="not whole: 15 of 14 bytes"):
        unpacked(kept + b"!")
    with pytest.raises(PartialUnusable, match="other bytes than were written"):
        unpacked(kept.replace(b"found", b"faund"))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"depends_on": {"ids": "2", "code": "2"}}, "made at 2026-11-23T10:15:00Z with other ids"),
        ({"depends_on": {"ids": "2", "code": "3"}}, "with other code and other ids"),
        ({"depends_on": {"ids": "1"}}, "with other code"),
        ({"part": "2026-11-23-10:00"}, "it is of log-scan 2026-11-23-09:00"),
        ({"scan": "ledger"}, "it is of log-scan 2026-11-23-09:00"),
    ],
)
def test_a_partial_result_of_something_else_is_refused_by_name(other: dict[str, object], why: str):
    with pytest.raises(PartialUnusable, match=why):
        unpacked(MADE.packed(), **other)


def test_the_digest_of_code_is_that_of_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest(["some_package"])
    assert code_digest(["some_package"]) == before
    (package / "__init__.py").write_text("x = 1")
    assert code_digest(["some_package"]) != before


def test_what_is_created_first_stays(tmp_path: Path):
    place = place_of(str(tmp_path / "kept"), reader=None)  # a folder needs none
    place.create("a/key", b"one")
    place.create("a/key", b"two")
    assert place.read("a/key") == b"one"
    place.write("a/key", b"three")
    assert place.read("a/key") == b"three"
    assert [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()] == ["key"]


def test_a_folder_needs_no_permission_and_a_bucket_one_for_its_prefix():
    assert place_statements("KeepPartials", "/var/kept", ["s3:GetObject"]) == []
    (statement,) = place_statements("KeepPartials", "s3://bucket/kept/", ["s3:GetObject"])
    assert statement["Resource"] == ["arn:*:s3:::bucket/kept/*"]
