"""The archive as a file: the same bytes for the same content, and nothing of a hostile one is taken."""

import gzip
import io
import random
import tarfile
import time
import tracemalloc

import pytest

from phase5_ops.gate.audit import archive as module
from phase5_ops.gate.audit.archive import NoArchive, is_archive, read_archive, written

FILES = {"README.md": b"read me", "runs/000000001.dsse.json": b"{}", "evidence/run-1/tables/a.parquet": b"x" * 200_000}


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.tar.gz"
    with written(path) as archive:
        for name, content in FILES.items():
            archive.add(name, content)
    return path


def tarred(path, *members: tuple[tarfile.TarInfo, bytes], behind: bytes = b"", tar_format: int = tarfile.USTAR_FORMAT):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tar_format) as tar:
        for member, content in members:
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))
    path.write_bytes(gzip.compress(packed.getvalue() + behind))
    return path


def plain(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b"content"


def test_the_same_content_makes_the_same_bytes_and_is_read_back(good, tmp_path):
    again = tmp_path / "again.tar.gz"
    with written(again) as archive:
        for name, content in FILES.items():
            archive.add(name, content)
        digests = dict(archive.digests)
    assert again.read_bytes() == good.read_bytes()
    read = read_archive(good)
    assert read.digests == digests
    assert read.files == {name: content for name, content in FILES.items() if not name.startswith("evidence/")}
    assert is_archive(good.read_bytes())
    assert not is_archive(b"{}")


def test_what_fails_half_way_leaves_what_was_there_before(good, tmp_path):
    before = good.read_bytes()
    with pytest.raises(ValueError, match="not a name"), written(good) as archive:
        archive.add("", b"after the first part of it")
    assert good.read_bytes() == before
    assert list(tmp_path.iterdir()) == [good]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../b", "", "a//b", ".hidden", "a/.hidden", "a b", "a\nb", "ü", "a/" * 9 + "b"]
)
def test_no_other_name_is_written_or_read(tmp_path, name):
    with pytest.raises(ValueError, match="not a name"), written(tmp_path / "a.tar.gz") as archive:
        archive.add(name, b"")
    with pytest.raises(NoArchive, match=r"no name of a file|no plain file"):
        read_archive(tarred(tmp_path / "b.tar.gz", plain(name), tar_format=tarfile.GNU_FORMAT))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE],
)
def test_links_folders_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(NoArchive, match="no plain file"):
        read_archive(tarred(tmp_path / "a.tar.gz", plain("README.md"), plain("link", kind, "README.md")))


def test_a_name_twice_is_refused(tmp_path):
    with pytest.raises(NoArchive, match=r"README\.md is in it twice"):
        read_archive(tarred(tmp_path / "a.tar.gz", plain("README.md"), plain("README.md")))


def test_fields_that_only_some_readers_see_are_refused(tmp_path):
    member, content = plain("README.md")
    member.pax_headers = {"comment": "something"}
    with pytest.raises(NoArchive, match="no plain file"):
        read_archive(tarred(tmp_path / "a.tar.gz", (member, content), tar_format=tarfile.PAX_FORMAT))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_an_extended_header_is_refused_before_its_content_is_read(tmp_path, kind):
    """A megabyte of digits keeps Python's own reader busy for an hour."""
    header, digits = tarfile.TarInfo("odd"), b"9" * 2**20
    header.type, header.size = kind, len(digits)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + digits + bytes(10_240)))
    began = time.process_time()
    with pytest.raises(NoArchive, match="no plain file"):
        read_archive(path)
    assert time.process_time() - began < 5


def test_bytes_behind_the_end_are_refused(tmp_path):
    with pytest.raises(NoArchive, match="behind its end"):
        read_archive(tarred(tmp_path / "a.tar.gz", plain("README.md"), behind=b"\0" * 10_240 + b"hidden"))


def test_a_bomb_ends_early_and_takes_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_HONEST", 2 * 2**20)
    bomb = tmp_path / "bomb.tar.gz"
    member = tarfile.TarInfo("evidence/run-1/tables/a.parquet")
    member.size = 8 * 10**9
    with gzip.open(bomb, "wb") as file:
        file.write(member.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            file.write(b"\0" * 2**20)
    tracemalloc.start()
    with pytest.raises(NoArchive, match="far more than its size"):
        read_archive(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20
    large, content = tarfile.TarInfo("runs/000000001.dsse.json"), b""
    large.size = 10**9
    bomb.write_bytes(gzip.compress(large.tobuf(tarfile.USTAR_FORMAT) + content))
    with pytest.raises(NoArchive, match="more than a record may"):
        read_archive(bomb)


def test_one_that_is_cut_off_or_damaged_anywhere_is_refused_or_reads_the_same(good, tmp_path):
    whole, chance, damaged = good.read_bytes(), random.Random(7), tmp_path / "damaged.tar.gz"
    expected = read_archive(good)
    for _ in range(60):
        cut = chance.randrange(len(whole))
        damaged.write_bytes(whole[:cut])
        with pytest.raises(NoArchive):
            read_archive(damaged)
        at = chance.randrange(len(whole))
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        try:
            assert read_archive(damaged) == expected  # gzip's own name and time
        except NoArchive:
            continue


def test_what_is_none_is_refused_and_what_is_not_there_is_an_error_of_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(NoArchive):
        read_archive(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "b")
