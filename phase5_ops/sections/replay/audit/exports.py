"""The exports among the files of a ledger: which data files they have, which times they cover, how they go together. Pure.

An export is taken by its manifests, and every file of it is accounted for: named by the manifest and there, or named and
missing, or there and not named. Exports must be of one table. Together they must cover the time that is judged.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from phase5_ops.ccnative.attributes import shown
from phase5_ops.ccnative.ledger import stamp_of
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.input_files.locations import InputSource, Location, LocationUnreadable
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.audit.data_file import DataFile, file_read
from phase5_ops.sections.replay.audit.export_manifest import (
    CHECKSUMS,
    FILES,
    MARKS,
    NEW_IMAGE,
    SUMMARY,
    Export,
    ManifestProblem,
    checksum_of,
    parse_export,
)

_MOST_MANIFEST_BYTES = 64 << 20  # a line is about 200 bytes: some hundred thousand data files


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to read, and the export that it belongs to, if any."""

    file: DataFile
    size: int
    export: Export | None = None


@dataclass(slots=True)
class ReadingPlan:
    """What is to be read, before any of it is.

    Attributes:
        files: in the order of the arguments, and of the manifests.
        reads: what cannot be read, or lies where it should not.
        exports: those that are read, each with the name of its folder.
        unverified: the manifests without a checksum file.
    """

    files: list[PlannedFile] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    exports: list[tuple[str, Export]] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)

    def note(self, name: str, status: ReadStatus, problem: str) -> None:
        """Notes what cannot be read."""
        self.reads.append(file_read(name, status, problem))


def plan_reading(locations: Sequence[Location], table: str | None = None) -> ReadingPlan:
    """The files at these locations; the manifests of exports are read for it.

    Args:
        locations: files, and folders of files or exports.
        table: name of the ledger's table, of which exports must be; None if that is not known.
    """
    plan = ReadingPlan()
    for location in locations:
        try:
            found = location.files()
        except LocationUnreadable as error:
            plan.note(location.name, error.status, str(error))
            continue
        if isinstance(found, InputSource):
            plan.files.append(PlannedFile(DataFile(found.name, found.open), found.size))
        else:
            _plan_folder(plan, location, found, table)
    return plan


def _plan_folder(plan: ReadingPlan, location: Location, found: Mapping[str, InputSource], table: str | None) -> None:
    if not found:
        plan.note(location.name, ReadStatus.NOT_FOUND, "a folder without files")
        return
    folder = _Folder(plan, location, found, table)
    for path in folder.exports():
        folder.plan_export(path)
    folder.plan_rest()


@dataclass(slots=True)
class _Folder:
    """The files below one location, by their path below it; `taken` are those that are accounted for."""

    plan: ReadingPlan
    location: Location
    found: Mapping[str, InputSource]
    table: str | None
    taken: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)  # folders that hold data of incremental exports

    def exports(self) -> list[str]:
        """The folders of exports; those that have no manifest are noted."""
        marked: dict[str, set[str]] = {}
        for path in self.found:
            folder, mark = posixpath.split(path)
            if mark in MARKS:
                marked.setdefault(folder, set()).add(mark)
                self.taken.add(path)
        whole = sorted(folder for folder, marks in marked.items() if FILES in marks)
        for folder in sorted(marked.keys() - set(whole)):
            if marked[folder] <= {"_started", "_SUCCESS"} and any(_is_below(other, folder) for other in whole):
                continue  # a mark that is no export's own
            self.taken.update(path for path in self.found if _is_below(path, folder))
            problem = f"an export without {FILES}: it is not finished, or files of it are missing here"
            self.plan.note(self._name(folder), ReadStatus.INVALID, problem)
        return whole

    def plan_export(self, folder: str) -> None:
        """Plans the files of one export, or notes why it cannot be read."""
        name = self._name(folder)
        below = {path for path in self.found if _is_below(path, folder)}
        try:
            export = self._export(folder)
            self._check_table(export)
        except ManifestProblem as problem:
            self.plan.note(self._name(posixpath.join(folder, FILES)), ReadStatus.INVALID, str(problem))
            self.taken |= below
            return
        self.plan.exports.append((name, export))
        if export.incremental:
            self.shared.add(posixpath.join(posixpath.dirname(folder), "data"))
        for each in export.files:
            places = [posixpath.join(folder, "data", each.name)]
            if export.incremental:
                places.insert(0, posixpath.normpath(posixpath.join(folder, "..", "data", each.name)))
            path = next((place for place in places if place in self.found), places[0])
            source = self.found.get(path) or self.location.beside(path)
            self.taken.add(path)
            file = DataFile(source.name, source.open, items=each.items, md5=each.md5, records=export.incremental)
            self.plan.files.append(PlannedFile(file, source.size, export))
        for stray in sorted(below - self.taken):
            self._note_stray(stray)

    def _check_table(self, export: Export) -> None:
        """Compares the table with the one that is the ledger, and with that of the exports before.

        Raises:
            ManifestProblem: it is another one.
        """
        if self.table is not None and export.table_name not in (None, self.table):
            raise ManifestProblem(
                f"an export of the table {shown(export.table_name)}; the ledger is {shown(self.table)} (PHASE5_TABLES__LEDGER)"
            )
        for name, other in self.plan.exports:
            for own, others in ((export.table, other.table), (export.table_id, other.table_id)):
                if own is not None and others is not None and own != others:
                    raise ManifestProblem(f"an export of {own}, but {name} is one of {others}: audit one table at a time")

    def _export(self, folder: str) -> Export:
        texts = {}
        for name in (FILES, SUMMARY):
            path = posixpath.join(folder, name)
            if path not in self.found:
                raise ManifestProblem(f"{name} is not there: the export is not finished, or was not copied whole")
            texts[name] = self._read(path)
            beside = [posixpath.join(folder, each) for each in CHECKSUMS[name]]
            checksum = next((each for each in beside if each in self.found), None)
            if checksum is None:
                self.plan.unverified.append(self._name(path))
            elif (said := self._read(checksum).decode("utf-8", "replace").strip()) != (own := checksum_of(texts[name])):
                raise ManifestProblem(f"the MD5 of {name} is {own}, {posixpath.basename(checksum)} says {shown(said)}")
        return parse_export(texts[SUMMARY], texts[FILES])

    def _read(self, path: str) -> bytes:
        try:
            with self.found[path].open() as stream:
                pieces, size = [], 0
                while chunk := stream.read(1 << 20):
                    pieces.append(chunk)
                    size += len(chunk)
                    if size > _MOST_MANIFEST_BYTES:
                        raise ManifestProblem(f"{path} is longer than {_MOST_MANIFEST_BYTES} bytes")
        except (OSError, FileUnreadable) as error:
            raise ManifestProblem(f"{path} cannot be read: {error}") from error
        return b"".join(pieces)

    def plan_rest(self) -> None:
        """Plans the files that belong to no export."""
        for path in sorted(self.found.keys() - self.taken):
            if posixpath.dirname(path) in self.shared:
                self._note_stray(path)
            else:
                source = self.found[path]
                self.plan.files.append(PlannedFile(DataFile(source.name, source.open), source.size))

    def _note_stray(self, path: str) -> None:
        self.taken.add(path)
        problem = "not read: it lies in an export whose manifest does not name it"
        self.plan.note(self.found[path].name, ReadStatus.INVALID, problem)

    def _name(self, path: str) -> str:
        return f"{self.location.name.rstrip('/')}/{path}" if path else self.location.name


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(folder + "/")


def gaps(exports: Sequence[Export], since: int, until: int) -> list[tuple[int, int]]:
    """The times, epoch ms from and to, that none of these exports covers, between `since` and `until`.

    A full export covers everything up to its time; what an export without a time covers is not known, so nothing is said then.
    """
    if not exports or any(export.until_ms is None for export in exports):
        return []
    covered = sorted((since if export.from_ms is None else export.from_ms, export.until_ms or since) for export in exports)
    found, reached = [], since
    for begin, end in covered:
        if begin > reached:
            found.append((reached, min(begin, until)))
        reached = max(reached, end)
        if reached >= until:
            return [gap for gap in found if gap[0] < gap[1]]
    return [*(gap for gap in found if gap[0] < gap[1]), (reached, until)]


def described(name: str, export: Export) -> str:
    """One export for people: its folder, kind and time."""
    until = "a time that its manifest does not say" if export.until_ms is None else stamp_of(export.until_ms)
    if not export.incremental:
        return f"{name}: full, as of {until}"
    blind = ", without the contents before" if export.view == NEW_IMAGE else ""
    return f"{name}: changes from {stamp_of(export.from_ms or 0)} to {until}{blind}"
