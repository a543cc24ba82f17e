"""What is found in each of many archives is kept until their scan has ended.

A scan that is killed is begun again with what is there: a file is not opened again if what was kept of it is whole, of the same
version of the file, and made under the same conditions; all else that is there is ignored, and its file scanned again. No text
of a line is kept (`parts`). What must not live here: what is found in a file, and whose it is.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from phase5_ops.clock import iso
from phase5_ops.engines.partials import Partial, PartialUnusable
from phase5_ops.engines.places import FolderPlace
from phase5_ops.files import sha256_of
from phase5_ops.input_files.archives import Archive
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.engines.conditions import SCAN, Conditions, HashKeyUnusable, shared_key
from phase5_ops.sections.isolation.logs.parts import LogPartUnreadable, ScannedPart
from phase5_ops.sections.isolation.logs.pieces import Progress
from phase5_ops.sections.isolation.logs.reading import Failure, Rescan, scan_archive
from phase5_ops.sections.isolation.logs.run import LogRun

log = logging.getLogger(__name__)

#: Below so many bytes of files, packed or not, a killed scan loses little.
WORTHWHILE_BYTES = 8 << 20
_FOLDER = f"{SCAN}/files"
_OLD_SECONDS = 7 * 86_400  # what a killed scan left that was never begun again


class FileScans:
    """The scans of many files: call `scan` once, and `forget` when the scan has ended.

    Attributes:
        key: of the hashes in what is kept, and so of the scan.
    """

    def __init__(self, place: FolderPlace, conditions: Conditions, *, where: str, failure: Failure) -> None:
        """Scans nothing yet.

        Args:
            place: where what is found is kept.
            conditions: of the scan, with the key that is kept there.
            where: where the files are from: an account and region, or this machine.
            failure: gives status and message of an exception that is not about a file itself.
        """
        self.key = conditions.key
        self._place, self._failure = place, failure
        self._depends_on, self._tenants = conditions.depends_on(where), len(conditions.dictionary.ids)
        self._names: set[str] = set()
        self._remove_old()

    def scan(self, run: LogRun, archives: Sequence[Archive], progress: Progress | None = None) -> list[Read]:
        """Scans the archives in order, or merges what was kept of them. Returns one read a file, or one for each part of it."""
        reads = list[Read]()
        for archive in archives:
            if found := self._kept(archive):
                kept, part = found
                run.merge(part, Rescan(archive, self._failure))
                reads += kept.reads
                continue
            made_at = iso(datetime.now(UTC))
            run.begin_part(archive.name)
            came = scan_archive(run, archive, self._failure, progress)
            whole = bool(archive.version) and all(read.status is ReadStatus.OK for read in came)
            run.end_part(partial(self._keep, archive, made_at, tuple(came)) if whole else None)
            reads += came
        return reads

    def forget(self) -> None:
        """Removes what was kept: the scan has ended, and a later one would find other logs."""
        for name in self._names:
            (self._place.root / name).unlink(missing_ok=True)

    def _name(self, archive: Archive) -> str:
        """Under which what is found of an archive is kept."""
        named = "\0".join([archive.name, archive.version]).encode("utf-8", "surrogateescape")
        name = f"{_FOLDER}/{sha256_of(named).removeprefix('sha256:')}"
        self._names.add(name)
        return name

    def _kept(self, archive: Archive) -> tuple[Partial, ScannedPart] | None:
        """What was kept of an archive; None where there is nothing, or it cannot be used."""
        name = self._name(archive)
        try:
            found = Partial.unpacked(self._place.read(name), scan=SCAN, part=archive.name, depends_on=self._depends_on)
            return found, ScannedPart.from_bytes(found.content, tenants=self._tenants)
        except (PartialUnusable, LogPartUnreadable, OSError) as error:
            log.debug("%s is scanned: %s", archive.name, error)
            return None

    def _keep(self, archive: Archive, made_at: str, reads: tuple[Read, ...], part: ScannedPart) -> None:
        content = Partial(SCAN, archive.name, self._depends_on, made_at, reads, part.to_bytes()).packed()
        try:
            self._place.write(self._name(archive), content)
        except OSError as error:
            log.warning("what was found in %s cannot be kept; a killed scan would scan it again: %s", archive.name, error)

    def _remove_old(self) -> None:
        folder = self._place.root / _FOLDER
        for path in folder.iterdir() if folder.is_dir() else ():
            if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink(missing_ok=True)


def file_scans(
    archives: Sequence[Archive], conditions: Conditions, folder: Path | None, *, where: str, failure: Failure
) -> FileScans | None:
    """The scans of these files, with the hash key that is kept in the folder; see `FileScans`.

    None where they are few or small, and where nothing can be kept.
    """
    if folder is None or len(archives) < 2 or sum(archive.size for archive in archives) < WORTHWHILE_BYTES:  # noqa: PLR2004
        return None
    place = FolderPlace(folder)
    try:
        key = shared_key(place)
    except (OSError, HashKeyUnusable) as error:
        log.warning("the files are scanned one by one, since nothing can be kept in %s: %s", folder, error)
        return None
    return FileScans(place, replace(conditions, key=key), where=where, failure=failure)
