"""The archive as a file: a tar.gz whose bytes follow from its content, and which is read without trusting any of it. Pure.

Members are plain files with plain names, sorted as they are given; owner, mode and times are always the same. Reading refuses
whatever else a tar can hold: links, devices, absolute names, `..`, a name twice, bytes behind the end, and more than a file of
its size honestly unpacks to. What must not live here: what the files mean.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from phase5_ops.files import sha256_of, write_beside

#: The folder whose files are only compared by digest, so that they are not held in memory.
EVIDENCE = "evidence/"

_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,5}}")
_MOST_FILES = 1_000_000
_LARGEST_RECORD = 64 * 2**20  # bytes of a file that is held
_HONEST = 256 * 2**20  # bytes that any archive may unpack to
_RATIO = 100  # and how many times its own size a larger one may; JSON and Parquet have some ten
_CHUNK = 2**20


class NoArchive(ValueError):
    """It is no archive that can be read whole and safely; the message says why."""


class ArchiveWriter:
    """Writes members one after the other, and remembers their digests."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.digests: dict[str, str] = {}

    def add(self, name: str, content: bytes) -> None:
        """Adds a file.

        Raises:
            ValueError: the name may not be used, or is there already.
        """
        if not is_name(name) or name in self.digests:
            raise ValueError(f"not a name in an archive, or there twice: {name!r}")
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o644
        self._tar.addfile(member, io.BytesIO(content))
        self.digests[name] = sha256_of(content)


def is_name(name: str) -> bool:
    """Whether a file of an archive may be called so."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def written(path: Path) -> Iterator[ArchiveWriter]:
    """An archive that is at `path` once everything is in it; where anything fails, what was there before still is.

    Raises:
        OSError: it cannot be written.
    """
    with (
        write_beside(path) as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        yield ArchiveWriter(tar)


@dataclass(frozen=True, slots=True)
class AuditArchive:
    """What an archive holds, none of it verified.

    Attributes:
        files: name -> content, but for the files of evidence.
        digests: name -> `sha256:...` of every file.
    """

    files: Mapping[str, bytes]
    digests: Mapping[str, str]


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is meant as an archive."""
    return head[:2] == b"\x1f\x8b"


def read_archive(path: Path) -> AuditArchive:
    """The files of an archive.

    Raises:
        NoArchive: it is none, is cut off, or holds what an archive must not hold.
        OSError: the file cannot be read.
    """
    files: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    try:
        with gzip.open(path) as unpacking:
            whole = _AtMost(unpacking, max(_HONEST, _RATIO * path.stat().st_size))
            with tarfile.open(fileobj=whole, mode="r|", tarinfo=_PlainFile) as tar:
                for member in tar:
                    _refuse(member, digests)
                    content, digests[member.name] = _read(tar, member)
                    if content is not None:
                        files[member.name] = content
            _refuse_more(whole)
    except NoArchive:
        raise
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OverflowError, ValueError) as error:
        raise NoArchive(f"it cannot be unpacked: {error}") from error
    return AuditArchive(files, digests)


def _refuse_more(whole: "_AtMost") -> None:
    """Refuses what comes behind the end of a tar."""
    while rest := whole.read(_CHUNK):
        if rest.strip(b"\0"):
            raise NoArchive("there are bytes behind its end")


class _PlainFile(tarfile.TarInfo):
    """A member that is a plain file; any other is refused before `tarfile` reads names, sizes and holes from its content.

    Such a content can be made so that reading it takes hours (CVE-2024-6232, mended in Python 3.11.10).
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise NoArchive(f"{member.name!r} is no plain file")
        return member


def _refuse(member: tarfile.TarInfo, there: Mapping[str, str]) -> None:
    if not is_name(member.name):
        raise NoArchive(f"{member.name!r} is no name of a file in such an archive")
    if member.name in there:
        raise NoArchive(f"{member.name} is in it twice")
    if len(there) >= _MOST_FILES:
        raise NoArchive(f"it has more than {_MOST_FILES:,} files")
    if not member.name.startswith(EVIDENCE) and member.size > _LARGEST_RECORD:
        raise NoArchive(f"{member.name} has {member.size:,} bytes, more than a record may")


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[bytes | None, str]:
    """The content, None of a large file of evidence, and its digest."""
    stream = tar.extractfile(member)
    assert stream is not None  # noqa: S101 - a plain file
    held = member.name.endswith("/manifest.json") and member.size <= _LARGEST_RECORD
    if held or not member.name.startswith(EVIDENCE):
        content = stream.read()
        return content, sha256_of(content)
    digest = hashlib.sha256()
    while part := stream.read(_CHUNK):
        digest.update(part)
    return None, f"sha256:{digest.hexdigest()}"


class _AtMost(io.RawIOBase):
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, most: int) -> None:
        self._stream, self._left = stream, most

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise NoArchive("it unpacks to far more than its size: this is no archive of records")
        return content
