"""Scans one file of archived logs with everything packed in it, and says how it was read. Judges nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from phase5_ops.clock import iso
from phase5_ops.input_files.archives import Archive
from phase5_ops.input_files.files import FileUnreadable, NotUnderstood, Readable, contents
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.judge import READ_ARCHIVE
from phase5_ops.sections.isolation.logs.pieces import Progress
from phase5_ops.sections.isolation.logs.run import LogRun

#: Gives status and message of an exception that is not about the file itself.
Failure = Callable[[Exception], tuple[ReadStatus, str | None]]


class TakesFiles(Protocol):
    """What files are scanned into: a whole scan, or a part of one."""

    def archive(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        """Scans one file; see `LogRun.archive`."""
        ...


def scan_archive(run: TakesFiles, archive: Archive, failure: Failure, progress: Progress | None = None) -> list[Read]:
    """Scans one archive. Returns one read, or one for each part of it that was not read whole."""
    started, reads, begun = iso(datetime.now(UTC)), list[Read](), False

    def failed(name: str, error: Exception) -> None:
        message: str | None
        if isinstance(error, FileUnreadable):
            status, message, pages = ReadStatus.INVALID, str(error), int(not isinstance(error, NotUnderstood))
        elif isinstance(error, FileNotFoundError):
            status, message, pages = ReadStatus.NOT_FOUND, "no such file", 0
        elif isinstance(error, PermissionError):
            status, message, pages = ReadStatus.DENIED, "permission denied", 0
        else:
            status, message = failure(error)
            pages = int(begun)
        reads.append(archive_read(name, status, message, pages=pages, started=started))

    try:
        for content in contents(archive.name, archive.open):
            begun = True
            try:
                run.archive(content.name, content.stream, progress)
            except FileUnreadable as error:
                failed(content.name, error)
    except Exception as error:  # noqa: BLE001 - the border: whatever disk or store does becomes the read's status
        failed(archive.name, error)
    return reads or [archive_read(archive.name, ReadStatus.OK, None, pages=1, started=started)]


@dataclass(frozen=True, slots=True)
class Rescan:
    """Scans an archive again, for the lines that are shown.

    Attributes:
        archive: the file.
        failure: see `scan_archive`.
    """

    archive: Archive
    failure: Failure

    def __call__(self, look: TakesFiles) -> str | None:
        """Gives the archive to `look`; why it did not come whole, if so."""
        bad = [read for read in scan_archive(look, self.archive, self.failure) if read.status is not ReadStatus.OK]
        return str(bad[0]) if bad else None


def missing_reads(run: LogRun) -> list[Read]:
    """A failed read for each file and group of which a piece could not be scanned; a partial one for a missing next page."""
    lost = [archive_read(name, ReadStatus.FAILED, why, pages=0) for name, why in run.not_scanned.items()]
    more = "the file says that more events follow (nextToken), but none of the files holds them"
    return [*lost, *([archive_read(run.unfinished, ReadStatus.PARTIAL, more, pages=1)] if run.unfinished else [])]


def not_read_again(run: LogRun) -> list[Read]:
    """A partial read for each part whose foreign hit could not be read again to be shown."""
    return [archive_read(name, ReadStatus.PARTIAL, why, pages=1) for name, why in run.not_read_again.items()]


def archive_read(name: str, status: ReadStatus, message: str | None, *, pages: int, started: str = "") -> Read:
    """How an archive, or a place of archives, was read."""
    now = iso(datetime.now(UTC))
    return Read(READ_ARCHIVE, name, status, message, pages, started or now, now)
