"""Archives of logs by a Spark job: a file a task. The readiness run merges what was found, in the order of the files.

What is kept of a file depends on what an hour depends on. Where anything of it is missing, not whole or of another input, the
files concerned are reads that failed, and each says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

from phase5_ops.aws.reader import describe_failure
from phase5_ops.aws.s3.addresses import bucket_and_key, is_s3
from phase5_ops.aws.s3.input_objects import S3Opener
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.engines.emr import SparkJobFailed, run_job
from phase5_ops.engines.partials import Partial, PartialUnusable, json_digest
from phase5_ops.engines.places import KeptPlace
from phase5_ops.files import sha256_of
from phase5_ops.input_files.archives import Archive, files
from phase5_ops.input_files.json_text import json_value
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.engines.conditions import SCAN, Conditions, shared_key, where_of
from phase5_ops.sections.isolation.logs.parts import LogPartUnreadable, PartRun, ScannedPart
from phase5_ops.sections.isolation.logs.pieces import Scanning
from phase5_ops.sections.isolation.logs.reading import Rescan, archive_read, scan_archive
from phase5_ops.sections.isolation.logs.run import LogRun
from phase5_ops.sections.isolation.logs.tokens import HashKey

_INDEX = "list of files"


@dataclass(frozen=True, slots=True)
class FileOrder:
    """What a task works with.

    Attributes:
        order: of the job, without its files.
        conditions: under which files are scanned.
        scanning: how.
    """

    order: Mapping[str, Any]
    conditions: Conditions
    scanning: Scanning

    @classmethod
    def of(cls, order: Mapping[str, Any], place: KeptPlace) -> Self:
        """What the order says, with the hash key of the place."""
        said = json.dumps([order[name] for name in ("ids", "structured_only", "policy")])
        return cls(order, *_prepared(said, shared_key(place).secret))


@cache
def _prepared(said: str, secret: bytes) -> tuple[Conditions, Scanning]:
    """Made once in a process: the tables of many ids take their time."""
    ids, structured_only, policy = json.loads(said)
    dictionary = TenantDictionary(tuple(ids), frozenset(structured_only))
    conditions = Conditions(dictionary, LogScanPolicy.model_validate(policy), HashKey(secret))
    return conditions, conditions.scanning()


def scan_file(order: FileOrder, name: str, place: KeptPlace, kept: str) -> str:
    """Scans one file and keeps what was found of it under the name `kept`; returns the digest of what was kept."""
    part = PartRun(name, order.scanning, order.conditions.dictionary.ids)
    made_at = iso(datetime.now(UTC))
    reads = scan_archive(part, _archive(name, order.order["reading"]), describe_failure)
    depends_on = order.conditions.depends_on(order.order["where"])
    content = Partial(SCAN, name, depends_on, made_at, tuple(reads), part.finish().to_bytes()).packed()
    place.write(kept, content)
    return sha256_of(content)


def _archive(name: str, reading: str) -> Archive:
    if not is_s3(name):
        (archive,) = files([name])
        return archive
    return Archive(name, S3Opener(*bucket_and_key(name), reading))


def index_of(order: Mapping[str, Any], kept: Sequence[tuple[int, str, str]]) -> Partial:
    """The list of what was kept of each file, by its number: name and digest.

    Raises:
        ValueError: a file has none, or several.
    """
    numbers = sorted(number for number, _, _ in kept)
    if numbers != list(range(len(order["files"]))):
        raise ValueError(f"{len(order['files'])} files were ordered, and results of the files {numbers} came")
    content = json.dumps([[name, digest] for _, name, digest in sorted(kept)]).encode()
    return Partial(_INDEX, str(order["folder"]), {"order": json_digest(order)}, iso(datetime.now(UTC)), (), content)


@dataclass(frozen=True, slots=True)
class ArchiveMerge:
    """Has archives scanned by a Spark job, and merges them into a scan.

    Attributes:
        context: of the readiness run.
        run: the scan.
        conditions: under which it scans.
        place: through which job and run exchange results.
    """

    context: RunContext
    run: LogRun
    conditions: Conditions
    place: KeptPlace

    def merge(self, archives: Sequence[Archive]) -> list[Read]:
        """Attributes what the archives hold, in their order. Returns one read a file, or one for each part of it."""
        if not archives:
            return []
        settings = self.context.settings
        order = self._order([archive.name for archive in archives])
        try:
            report = run_job(self.context.step, settings, self.context.reader, f"log scan {self.context.run_id}", order)
            kept = self._listed(str(report.get("index")), order)
        except (SparkJobFailed, PartialUnusable) as error:
            return [archive_read(archive.name, ReadStatus.FAILED, f"Spark job: {error}", pages=0) for archive in archives]
        reads = []
        for archive, (name, digest) in zip(archives, kept, strict=True):
            try:
                found = self._found(archive.name, name, digest)
                part = ScannedPart.from_bytes(found.content, tenants=len(self.conditions.dictionary.ids))
            except (PartialUnusable, LogPartUnreadable) as error:
                reads.append(archive_read(archive.name, ReadStatus.INVALID, f"Spark job, {name}: {error}", pages=0))
                continue
            reads += found.reads
            self.run.merge(part, Rescan(archive, describe_failure))
        return reads

    def _order(self, names: list[str]) -> dict[str, Any]:
        settings, dictionary = self.context.settings, self.conditions.dictionary
        return {
            "scan": SCAN,
            "place": settings.partials_location,
            "folder": f"{SCAN}/jobs/{self.context.run_id}",
            "reading": settings.reading.model_dump_json(),
            "where": where_of(self.context),
            "ids": list(dictionary.ids),
            "structured_only": sorted(dictionary.structured_only),
            "policy": settings.logs.model_dump(mode="json"),
            "files": names,
        }

    def _listed(self, index: str, order: Mapping[str, Any]) -> list[tuple[str, str]]:
        content = self._read(index)
        listed = Partial.unpacked(
            content, scan=_INDEX, part=str(order["folder"]), depends_on={"order": json_digest(order)}
        ).content
        try:
            kept = [(str(name), str(digest)) for name, digest in json_value(listed)]
        except (ValueError, TypeError) as error:
            raise PartialUnusable(f"{index} is no list of results") from error
        if len(kept) != len(order["files"]):
            raise PartialUnusable(f"{index} names {len(kept)} results, of {len(order['files'])} files")
        return kept

    def _found(self, file: str, name: str, digest: str) -> Partial:
        content = self._read(name)
        if sha256_of(content) != digest:
            raise PartialUnusable("it is not what the job wrote")
        return Partial.unpacked(content, scan=SCAN, part=file, depends_on=self.conditions.depends_on(where_of(self.context)))

    def _read(self, name: str) -> bytes:
        try:
            return self.place.read(name)
        except Exception as error:
            raise PartialUnusable(f"{self.place.shown(name)} cannot be read: {describe_failure(error)[1]}") from error
