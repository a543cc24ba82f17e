"""Log lines as blocks of bytes: from files, folders and stdin, in bounded memory.

A block is a run of whole lines; a line longer than a block is cut, with enough of it on both sides for the scan to see every id.
Of a line that is longer than anything a log holds only the beginning is given, and the reading ends as incomplete. What lives
here: naming files, cutting. What must not: unpacking (`files`), documents (`log_parts`), what the lines say.
"""

import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from phase5_ops.input_files.files import FileUnreadable, Readable, files_below

BLOCK_BYTES = 2 << 20  # the arrays of a scan of it fit into the caches of a core
LONGEST_LINE_BYTES = 4 << 20  # a longer line is given in pieces
MOST_OF_LINE_BYTES = 64 << 20  # the most given of a line: it is held until its end, where an id may say whose it is
STDIN = "-"


class Block(NamedTuple):
    """A piece of a log: the scan reports what begins in [begin, stop) of `raw`, and may look at the rest.

    `ends_line` is False where the last line goes on in the next block; `joined`: how many line ends of the log were replaced in
    it.
    """

    raw: bytes
    begin: int
    stop: int
    ends_line: bool
    joined: int = 0


def blocks(
    stream: Readable,
    *,
    lookbehind: int,
    lookahead: int,
    size: int = BLOCK_BYTES,
    longest: int = LONGEST_LINE_BYTES,
    most: int = MOST_OF_LINE_BYTES,
) -> Iterator[Block]:
    """The stream as blocks of whole lines of about `size` bytes; a line longer than `longest` is cut.

    Raises:
        FileUnreadable: the stream broke off, or a line was longer than `most` bytes and what follows on it was left out; all
            other lines were given.
    """
    rest, begin, given, too_long = b"", 0, 0, 0  # given: bytes of the line that `rest` goes on with
    skipping = False
    for came in _chunks(stream, size):
        if isinstance(came, FileUnreadable):
            if len(rest) > begin:
                yield Block(rest, begin, len(rest), True)
            raise came
        line_end = came.find(b"\n") + 1 if skipping else 0
        if skipping and not line_end:
            continue
        chunk, skipping = came[line_end:], False
        whole = chunk.rfind(b"\n") + 1
        if whole:
            raw = b"".join((rest, memoryview(chunk)[:whole])) if rest or whole < len(chunk) else chunk
            yield Block(raw, begin, len(raw), True)
            rest, begin, given = chunk[whole:], 0, 0
            continue
        rest += chunk
        length = len(rest) - begin
        if given + length > most:
            yield Block(rest, begin, len(rest), True)
            rest, begin, given, skipping, too_long = b"", 0, 0, True, too_long + 1
        elif length > longest:
            stop = max(begin, len(rest) - lookahead)
            yield Block(rest, begin, stop, False)
            given += stop - begin
            kept = max(0, stop - lookbehind)
            rest, begin = rest[kept:], stop - kept
    if len(rest) > begin:
        yield Block(rest, begin, len(rest), True)
    if too_long:
        raise FileUnreadable(f"{too_long} lines longer than {most} bytes: what follows on them was not scanned")


def _chunks(stream: Readable, size: int) -> Iterator[bytes | FileUnreadable]:
    """The bytes of a stream as they come; if it breaks off, the reason comes last."""
    while True:
        try:
            chunk = stream.read(size)
        except FileUnreadable as error:
            yield error
            return
        except (OSError, EOFError, zlib.error, ValueError) as error:
            yield FileUnreadable(f"{type(error).__name__}: {error}")
            return
        if not chunk:
            return
        yield chunk


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of log lines.

    Attributes:
        name: for findings.
        open: opens it.
        size: its bytes; 0 where that is not known.
        version: what changes when its content does; "" where nothing is known that would.
    """

    name: str
    open: Callable[[], BinaryIO]
    size: int = 0
    version: str = ""


def files(paths: list[str]) -> list[Archive]:
    """The archives that paths name: files, folders with all files in them in order of name, `-` for stdin.

    Raises:
        FileUnreadable: a path does not exist, or a folder cannot be listed.
    """
    found: list[Archive] = []
    for path in paths:
        if path == STDIN:
            found.append(Archive("stdin", lambda: sys.stdin.buffer))
            continue
        where = Path(path)
        if where.is_dir():
            found += [_file(file) for file in files_below(where)]
        elif where.exists():
            found.append(_file(where))
        else:
            raise FileUnreadable(f"{path}: no such file or folder")
    return found


def _file(path: Path) -> Archive:
    try:
        found = path.stat()
    except OSError:  # opening it says so
        return Archive(str(path), partial(_open, path))
    version = f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    return Archive(str(path), partial(_open, path), found.st_size, version if stat.S_ISREG(found.st_mode) else "")


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)
