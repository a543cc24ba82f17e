"""Where the files of a ledger lie: a file, a folder with everything below it, or the same in a store of objects.

What lives here: naming and opening files. What must not: what they hold.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from phase5_ops.input_files.files import FileUnreadable, files_below
from phase5_ops.reads import ReadStatus


class LocationUnreadable(Exception):
    """What lies at a location is not known: the status of the read, and why."""

    def __init__(self, status: ReadStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


@dataclass(frozen=True, slots=True)
class InputSource:
    """A file: its name for messages, how it is opened, and its size in bytes (0 where that is not known)."""

    name: str
    open: Callable[[], BinaryIO]
    size: int = 0


class Location(Protocol):
    """One argument of the audit."""

    @property
    def name(self) -> str:
        """As it was given."""
        ...

    def files(self) -> Mapping[str, InputSource] | InputSource:
        """Its files by their path below it, in order; or the file that it is itself.

        Raises:
            LocationUnreadable: they cannot be listed.
        """
        ...

    def beside(self, path: str) -> InputSource:
        """The file at a path relative to it, which may lead out of it (`../data/x`), whether or not it exists."""
        ...


@dataclass(frozen=True, slots=True)
class DiskLocation:
    """A file or folder of this machine."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def files(self) -> Mapping[str, InputSource] | InputSource:
        """See `Location`."""
        if not self.path.is_dir():
            return _source(self.path)
        try:
            found = files_below(self.path)
        except (FileUnreadable, OSError) as error:
            raise LocationUnreadable(ReadStatus.DENIED, str(error)) from error
        return {file.relative_to(self.path).as_posix(): _source(file) for file in found}

    def beside(self, path: str) -> InputSource:
        """See `Location`."""
        joined = posixpath.normpath(path)
        base = self.path
        while joined.startswith("../"):
            joined, base = joined[3:], base.absolute().parent
        return _source(base / joined)


def _source(path: Path) -> InputSource:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # opening it says what is wrong
    return InputSource(str(path), partial(_open, path), size)


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)
