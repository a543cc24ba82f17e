"""Files that people hand over: every file of a folder, and what a file holds once its packing is taken off, layer by layer.

Packing is recognized by the first bytes and never by the name: gzip, zstd, bzip2 and xz, also inside each other, zip and tar with
each of their files, and UTF-16 and UTF-32, which come out as UTF-8. Any other packing, or data that is no text, is a
`FileUnreadable` that says what it looks like, so that unreadable bytes never count as read. Memory stays bounded. What must not
live here: what the text says.
"""

import bz2
import codecs
import io
import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, Self, cast

from zlib_ng import zlib_ng

from phase5_ops.input_files.kinds import (
    LONGEST_NARROW,
    MOST_UNDECODABLE,
    PACKINGS,
    WINDOW,
    binary_part,
    foreign,
    is_narrow,
    wide_encoding,
)

_CHUNK = 1 << 20
_HEAD = 512  # bytes that show a packing; tar has its mark at 257
_MOST_LAYERS = 8
_SPOOLED = 16 << 20  # of a zip archive that comes as a stream, kept in memory before it goes to a temporary file
_TAR_MAGIC = slice(257, 262)


class FileUnreadable(Exception):
    """A file, or a part of it, cannot be read as text; the message says why, without its content."""


class NotUnderstood(FileUnreadable):
    """The file, or a part of it, is of a kind that is not known here, so nothing is known of its content."""


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Content(NamedTuple):
    """Text that a file holds, as a stream of UTF-8; a zip or tar archive holds several.

    Attributes:
        name: of the file, and of the file inside it: `logs.zip!/app/one.log`.
        stream: raises FileUnreadable where it breaks off or turns out to be no text; valid until the next content is asked for.
        layers: what was taken off, outermost first.
    """

    name: str
    stream: BinaryIO
    layers: tuple[str, ...]


def files_below(folder: Path) -> list[Path]:
    """The files of a folder and the folders in it, ordered, without names that begin with `.`; links to folders are not followed.

    Raises:
        FileUnreadable: a folder cannot be listed, or a link leads to a folder elsewhere. Its files are not known, so the rest
            would be incomplete.
    """

    def refuse(error: OSError) -> None:
        raise FileUnreadable(f"{error.filename}: {error.strerror}") from error

    inside, root = [], folder.resolve()
    for parent, folders, names in os.walk(folder, onerror=refuse):
        inside += [Path(parent, name) for name in names]
        for name in folders:
            link = Path(parent, name)
            if link.is_symlink() and not link.resolve().is_relative_to(root):
                raise FileUnreadable(f"{link}: a link to another folder is not followed; name that folder itself")
    return sorted(file for file in inside if not file.name.startswith(".") and (file.is_file() or file.is_symlink()))


def contents(name: str, open_file: Callable[[], BinaryIO]) -> Iterator[Content]:
    """Every text that a file holds, each to be read before the next is asked for.

    Args:
        name: of the file, for messages.
        open_file: opens it; what it gives is closed when all was read.

    Raises:
        FileUnreadable: the file, or one inside it, is packed in a way that is not known, or is damaged; also while reading.
        OSError: it cannot be opened.
    """
    with open_file() as raw:
        yield from _unpacked(name, raw, ())


def _unpacked(name: str, raw: "_Source", layers: tuple[str, ...]) -> Iterator[Content]:
    if len(layers) > _MOST_LAYERS:
        raise FileUnreadable(f"packed more than {_MOST_LAYERS} times: {', '.join(layers)}")
    stream = cast("BinaryIO", peeked := _Peeked(raw))
    head = peeked.peek(_HEAD)
    if packing := next((each for magic, each in PACKINGS.items() if head.startswith(magic)), None):
        yield from _unpacked(name, _OPENED[packing](stream), (*layers, packing))
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        yield from _zipped(name, stream, (*layers, "zip"))
    elif head[_TAR_MAGIC] == b"ustar":
        yield from _tarred(name, stream, (*layers, "tar"))
    elif encoding := wide_encoding(head):
        yield Content(name, _reading(_Transcoded(stream, encoding)), (*layers, encoding))
    elif (what := foreign(head)) is not None:
        raise NotUnderstood(f"it looks like {what}, which phase5 does not unpack")
    else:
        yield Content(name, _reading(_Text(stream)), layers)


def _zipped(name: str, stream: BinaryIO, layers: tuple[str, ...]) -> Iterator[Content]:
    with tempfile.SpooledTemporaryFile(_SPOOLED) as whole, _damage("zip"):
        shutil.copyfileobj(stream, whole, _CHUNK)
        with zipfile.ZipFile(cast("BinaryIO", whole)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir() and not _hidden(each.filename)]
            if not members:
                raise FileUnreadable("a zip archive without files")
            for member in members:
                with archive.open(member) as raw, _inside(member.filename):
                    yield from _unpacked(f"{name}!/{member.filename}", cast("BinaryIO", raw), layers)


class _TarMember(tarfile.TarInfo):
    """A member whose extended header, if it has one, is small.

    Python before 3.11.10 takes a time that grows with the square of its size (CVE-2024-6232).
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and not 0 <= member.size <= _LARGEST_EXTENDED:
            raise FileUnreadable(f"a tar archive with an extended header of {member.size:,} bytes")
        return member


_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LARGEST_EXTENDED = 8_192  # bytes; paths have at most 4,096


def _tarred(name: str, stream: BinaryIO, layers: tuple[str, ...]) -> Iterator[Content]:
    found, names, links = False, set[str](), dict[str, str]()
    with _damage("tar"), tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarMember) as archive:
        for member in archive:
            if _hidden(member.name):
                continue
            names.add(posixpath.normpath(member.name))
            if member.issym() or member.islnk():
                beside = posixpath.dirname(member.name) if member.issym() else ""
                links[member.name] = posixpath.normpath(posixpath.join(beside, member.linkname))
            if not member.isreg():
                continue
            raw = archive.extractfile(member)
            if raw is not None:
                found = True
                with _inside(member.name):
                    yield from _unpacked(f"{name}!/{member.name}", cast("BinaryIO", raw), layers)
        while archive.fileobj and (after := archive.fileobj.read(_CHUNK)):
            if after.strip(b"\0"):
                raise FileUnreadable("the tar archive ends, and more data follows, which is not read")
    if not found:
        raise FileUnreadable("a tar archive without files")
    if lost := [link for link, target in links.items() if target not in names]:
        raise FileUnreadable(f"its link {lost[0]} leads to a file that is not in it")


@contextmanager
def _inside(member: str) -> Iterator[None]:
    """Names the file of an archive that cannot be read; those after it are not read either."""
    try:
        yield
    except FileUnreadable as error:
        raise type(error)(f"its file {member}, and all that follows it there: {error}") from error


def _hidden(path: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in path.split("/"))


@contextmanager
def _damage(what: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError, EOFError, zlib.error, OSError) as error:
        raise FileUnreadable(f"damaged or locked {what}: {type(error).__name__}: {error}") from error


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes | None: ...


class _Layer(io.RawIOBase):
    """A stream made from chunks; `_more` gives the next one, and none at the end."""

    def __init__(self) -> None:
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            chunk = self._more()
            if not chunk:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def chunk(self) -> bytes:
        """The next bytes as they come, without copying them; none at the end."""
        left, self._left = bytes(self._left), memoryview(b"")
        return left or self._more()

    def _more(self) -> bytes:
        raise NotImplementedError


class _Peeked(_Layer):
    """A stream whose first bytes can be looked at."""

    def __init__(self, source: _Source) -> None:
        super().__init__()
        self._source = source

    def peek(self, size: int) -> bytes:
        """The first bytes, fewer only where the stream ends; a pipe may give less than is asked for."""
        head = bytes(self._left)
        while len(head) < size and (more := self._more()):
            head += more
        self._left = memoryview(head)
        return head[:size]

    def _more(self) -> bytes:
        return _read(self._source)


class _Decompressor(Protocol):
    """What `bz2` and `lzma` call a decompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib-ng's decompressor, which gives what zlib's gives in half the time, with the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib_ng.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


#: What decompressors raise; the stub of zlib_ng does not say that its error is a class.
_DAMAGE = (cast("type[Exception]", zlib_ng.error), lzma.LZMAError, OSError, EOFError, ValueError)


class _Inflated(_Layer):
    """Joined compressed streams, as gzip, bzip2 and xz allow them; after the last only zeros may follow."""

    def __init__(self, source: _Source, name: str, make: Callable[[], _Decompressor]) -> None:
        super().__init__()
        self._source, self._name, self._make = source, name, make
        self._decompressor = make()
        self._waiting = b""

    def _more(self) -> bytes:
        while True:
            chunk = b""
            if self._decompressor.needs_input or self._decompressor.eof:
                chunk, self._waiting = self._waiting or _read(self._source), b""
                if not chunk:
                    if not self._decompressor.eof:
                        raise FileUnreadable(f"the {self._name} stream breaks off")
                    return b""
            if self._decompressor.eof:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    continue
                self._decompressor = self._make()
            try:
                out = self._decompressor.decompress(chunk, _CHUNK)
            except _DAMAGE as error:
                raise FileUnreadable(f"damaged {self._name}: {error}") from error
            if self._decompressor.eof:
                self._waiting = self._decompressor.unused_data
            if out:
                return out


def _read(source: _Source) -> bytes:
    """The next bytes of a source.

    Raises:
        FileUnreadable: it breaks off.
    """
    try:
        if isinstance(source, _Layer):
            return source.chunk()
        some: Callable[[int], bytes | None] = getattr(source, "read1", source.read)  # what came before an error is not lost
        return some(_CHUNK) or b""
    except (OSError, EOFError, zlib.error, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise FileUnreadable(f"{type(error).__name__}: {error}") from error


def _zstd(stream: BinaryIO) -> _Source:
    import pyarrow as pa

    return cast("_Source", pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


#: How each of `PACKINGS` is taken off.
_OPENED: Mapping[str, Callable[[BinaryIO], _Source]] = {
    "gzip": lambda stream: _Inflated(stream, "gzip", _Gunzip),
    "zstd": _zstd,
    "bzip2": lambda stream: _Inflated(stream, "bzip2", bz2.BZ2Decompressor),
    "xz": lambda stream: _Inflated(stream, "xz", lzma.LZMADecompressor),
}


class _Transcoded(_Layer):
    """UTF-16 or UTF-32 as UTF-8, without a byte order mark."""

    def __init__(self, source: _Source, encoding: str) -> None:
        super().__init__()
        self._source, self._encoding = source, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._begun = self._joined = False
        self._before = b""

    def _more(self) -> bytes:
        while True:
            chunk = _read(self._source)
            if self._joined or is_narrow(self._before + chunk):
                self._joined = True  # raised at the end: the wide text before it is still given
            self._before = chunk[-LONGEST_NARROW:]
            try:
                text = self._decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise FileUnreadable(f"damaged {self._encoding} text: {error.reason}") from error
            if not chunk and self._joined:
                raise NotUnderstood(f"part of its {self._encoding} text has one byte a character")
            if text and not self._begun:
                self._begun, text = True, text.removeprefix("\ufeff")
            if text or not chunk:
                return text.encode("utf-8", "surrogatepass")


class _Text(_Layer):
    """Text as it is; at its end it is refused if too many bytes, or too many close together, were no UTF-8."""

    def __init__(self, source: _Source) -> None:
        super().__init__()
        self._source = source
        self._bytes = self._undecodable = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._before = b""  # the last bytes, since a part that is no text may span two chunks
        self._binary = ""  # what the first part that is no text looks like

    def _more(self) -> bytes:
        chunk = _read(self._source)
        if not chunk:
            if self._undecodable > MOST_UNDECODABLE * self._bytes:
                seen = f"{self._undecodable} of {self._bytes} bytes are no UTF-8"
                raise NotUnderstood(f"it looks like binary data or another encoding: {seen}")
            if self._binary:
                raise NotUnderstood(self._binary)
        elif not chunk.isascii():
            bad = self._decoder.decode(chunk).count("\ufffd")
            self._undecodable += bad
            if bad and not self._binary and (part := binary_part(self._before + chunk)):
                self._binary = f"{part} among its text, in the {len(chunk)} bytes from byte {self._bytes} on"
        self._bytes += len(chunk)
        self._before = chunk[-WINDOW:]
        return chunk


def _reading(source: _Source) -> BinaryIO:
    """The stream, buffered where it is one of ours."""
    return cast("BinaryIO", io.BufferedReader(source, _CHUNK) if isinstance(source, io.RawIOBase) else source)


def chunks_of(stream: Readable) -> Callable[[int], bytes]:
    """What gives the next bytes of a stream that nobody has read from, at least one unless it ends.

    It takes how many are wanted; more may come of a `Content`, as its bytes are given as they are, without copying them.
    """
    raw = getattr(stream, "raw", None)
    if isinstance(raw, _Layer):
        return lambda _size: raw.chunk()
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read
