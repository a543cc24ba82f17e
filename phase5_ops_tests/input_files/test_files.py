"""What a file holds comes out whole and under its own name, however it is packed; what cannot be read says what it looks like."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import tarfile
import time
import zipfile
import zlib

import hypothesis
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from zlib_ng import zlib_ng

from phase5_ops.input_files.files import FileUnreadable, contents, files_below

pytestmark = pytest.mark.slow

TEXT = "".join(f"line {number} of acme, with ümlauts\n" for number in range(5000)).encode()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def zipped(data: bytes, name: str = "app/one.log") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._one.log", b"\x00\x05\x16\x07")
        archive.writestr(name, data)
    return whole.getvalue()


def tarred(data: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        member = tarfile.TarInfo("app/one.log")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


def linked(link: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    whole = io.BytesIO(tarred(TEXT))
    with tarfile.open(fileobj=whole, mode="a") as archive:
        member = tarfile.TarInfo(link)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return whole.getvalue()


PACKINGS = {"gzip": gzip.compress, "zstd": zstd, "bzip2": bz2.compress, "xz": lzma.compress, "zip": zipped, "tar": tarred}
STREAMS = ("gzip", "zstd", "bzip2", "xz")


def read(data: bytes, name: str = "file") -> dict[str, bytes]:
    return {content.name: content.stream.read() for content in contents(name, lambda: io.BytesIO(data))}


@pytest.mark.parametrize("packings", [(), *itertools.product(PACKINGS), *itertools.product(PACKINGS, PACKINGS)], ids="-".join)
def test_a_packed_file_gives_its_text(packings: tuple[str, ...]):
    data = TEXT
    for packing in packings:
        data = PACKINGS[packing](data)
    assert list(read(data).values()) == [TEXT]


@pytest.mark.parametrize("packing", STREAMS)
def test_streams_that_are_joined_are_one_text(packing: str):
    pack = PACKINGS[packing]
    assert read(pack(TEXT) + pack(b"end\n"))["file"] == TEXT + b"end\n"


@pytest.mark.parametrize("first", [0x50, 0x5F])
def test_zstd_may_begin_with_frames_to_skip(first: int):
    skipped = bytes((first,)) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"meta"
    assert read(skipped + zstd(TEXT) + skipped + zstd(b"end\n"))["file"] == TEXT + b"end\n"
    for broken in (skipped[:-1], skipped + zstd(TEXT)[:-9], skipped + pa.compress(TEXT, codec="lz4", asbytes=True)):
        with pytest.raises(FileUnreadable):
            read(broken)


@pytest.mark.parametrize(("packing", "end"), [*itertools.product(PACKINGS, ["cut"]), *itertools.product(STREAMS, ["garbage"])])
def test_what_breaks_off_or_goes_on_with_something_else_is_not_read_in_silence(packing: str, end: str):
    data = PACKINGS[packing](TEXT)
    with pytest.raises(FileUnreadable):
        read(data[: len(data) // 2] if end == "cut" else (data[:-8] + b"garbage!"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_come_out_as_utf_8(encoding: str):
    text = "acme here, and globex there, twice\n" * 9000
    assert read(text.encode(encoding))["file"] == text.encode()


def test_each_file_of_an_archive_has_its_own_name():
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a.log", b"one\n")
        archive.writestr("deep/b.log.gz", gzip.compress(b"two\n"))
    assert read(whole.getvalue()) == {"file!/a.log": b"one\n", "file!/deep/b.log.gz": b"two\n"}


SNAPPY = pa.Codec("snappy").compress(TEXT, asbytes=True)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"\xff\x06\x00\x00sNaPpY" + SNAPPY, "Snappy frames"),
        (len(TEXT).to_bytes(4, "big") + len(SNAPPY).to_bytes(4, "big") + SNAPPY, "Snappy"),
        (SNAPPY, "Snappy"),
        (pa.Codec("snappy").compress(b"sent mail to globex admins, and more of them\n", asbytes=True), "Snappy"),
        (pa.compress(TEXT, codec="lz4", asbytes=True), "LZ4"),
        (zlib.compress(TEXT), "zlib"),
        (b"PAR1" + TEXT, "Parquet"),
        (bytes(range(256)) * 99, "no UTF-8"),
        ("Привет, мир\n".encode("cp1251") * 99, "another encoding"),
        (b"PK\x05\x06" + b"\0" * 18, "without files"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_not_known_says_what_it_looks_like(data: bytes, seen: str):
    with pytest.raises(FileUnreadable, match=seen):
        read(data)


def test_text_that_begins_like_a_packing_is_text():
    assert read(b"x^ is how zlib may begin\n")["file"].startswith(b"x^")
    assert read(b"P and K\n")["file"] == b"P and K\n"
    assert read(b"")["file"] == b""


def test_an_endless_nest_ends():
    data = b"x"
    for _ in range(12):
        data = gzip.compress(data)
    with pytest.raises(FileUnreadable, match="more than 8 times"):
        read(data)


def test_a_bomb_is_read_in_bounded_pieces():
    bomb = bz2.compress(b"\0" * 200_000_000)
    content = next(iter(contents("bomb", lambda: io.BytesIO(bomb))))
    assert len(content.stream.read(1000)) == 1000


@hypothesis.given(st.binary(max_size=2000), st.lists(st.sampled_from(["gzip", "bzip2", "xz"]), max_size=3))
@hypothesis.settings(max_examples=60)
def test_no_byte_is_lost_without_a_word(data: bytes, packings: list[str]):
    packed = data
    for packing in packings:
        packed = PACKINGS[packing](packed)
    try:
        found = read(packed)
    except FileUnreadable:
        return
    assert b"".join(found.values()) == data or data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b")) or 0 in data


def ended(make, data: bytes, step: int) -> tuple[bytes, str, bytes]:
    """What a decompressor gives of data that comes in steps, how it ends, and what it leaves."""
    decompressor, found, waiting = make(16 + zlib.MAX_WBITS), b"", b""
    pieces = iter([data[at : at + step] for at in range(0, len(data), step)])
    try:
        while not decompressor.eof:
            piece = waiting or next(pieces, b"")
            if not piece:
                return found, "breaks off", b""
            found += decompressor.decompress(piece, 4096)
            waiting = decompressor.unconsumed_tail
    except (zlib.error, zlib_ng.error) as error:
        return found, str(error), b""
    return found, "end", decompressor.unused_data


MEMBER = gzip.compress(TEXT[:9000], mtime=0)


@hypothesis.given(
    st.integers(0, len(MEMBER) + 8), st.integers(0, 255), st.sampled_from(["byte", "cut", "none"]), st.sampled_from([100, 9999])
)
@hypothesis.settings(max_examples=150, deadline=None)
def test_damage_to_gzip_is_seen_as_zlib_sees_it(at: int, byte: int, change: str, step: int):
    data = MEMBER + b"\0more..."
    data = data[:at] if change == "cut" else data[:at] + bytes([byte]) + data[at + 1 :] if change == "byte" else data
    assert ended(zlib_ng.decompressobj, data, step) == ended(zlib.decompressobj, data, step)


def test_hidden_files_and_pipes_are_left_out_and_links_elsewhere_refused(tmp_path):
    inside = tmp_path / "in"
    (inside / ".kept").mkdir(parents=True)
    (inside / ".kept" / "b.log").write_text("x")  # what a folder is called hides no file in it
    os.mkfifo(inside / "pipe")
    (inside / "a.log").write_text("x")
    (inside / ".hidden").write_text("x")
    assert files_below(inside) == [inside / ".kept" / "b.log", inside / "a.log"]
    (inside / "else").symlink_to(tmp_path)
    with pytest.raises(FileUnreadable, match="is not followed"):
        files_below(inside)


@pytest.mark.parametrize(
    "data",
    [tarred(TEXT) + tarred(TEXT), tarred(TEXT) + b"more", linked("app/two.log", "../two.log"), linked("x", "y", tarfile.LNKTYPE)],
)
def test_what_of_a_tar_archive_is_not_read_is_said(data):
    with pytest.raises(FileUnreadable, match=r"not read|not in it"):
        read(data)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_large_extended_header_of_a_tar_archive_is_refused_before_it_is_read(kind):
    """A megabyte of digits keeps Python's own reader busy for an hour."""
    header, digits = tarfile.TarInfo("odd"), b"9" * 2**20
    header.type, header.size = kind, len(digits)
    began = time.process_time()
    with pytest.raises(FileUnreadable, match="extended header of 1,048,576 bytes"):
        read(header.tobuf(tarfile.USTAR_FORMAT) + digits + tarred(TEXT))
    assert time.process_time() - began < 5


def test_a_long_name_and_an_extended_header_of_ordinary_size_are_read():
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        whole, member = io.BytesIO(), tarfile.TarInfo("folder/" * 60 + "one.log")
        member.size = len(TEXT)
        with tarfile.open(fileobj=whole, mode="w", format=tar_format) as archive:
            archive.addfile(member, io.BytesIO(TEXT))
        assert list(read(whole.getvalue()).values()) == [TEXT]


@pytest.mark.parametrize(
    "data", [linked("app/two.log", "one.log"), linked("two.log", "app/one.log", tarfile.LNKTYPE), tarred(TEXT) + bytes(1 << 20)]
)
def test_links_within_a_tar_archive_and_zeros_after_it_hide_nothing(data):
    assert read(data) == {"file!/app/one.log": TEXT}
