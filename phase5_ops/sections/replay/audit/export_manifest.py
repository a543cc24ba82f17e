"""The manifests of a DynamoDB export: of which table and time it is, and which data files it has. Pure.

`manifest-summary.json` is one object; `manifest-files.json` has one object a line, `{itemCount, md5Checksum, etag,
dataFileS3Key}`. Beside each lies its own checksum (base64 of the MD5): documented as `.checksum`, written by DynamoDB as `.md5`.
A full export has its data in `<export id>/data/`; incremental ones share the folder `data/` beside those of the exports, and
only their summary has exportType, outputView, exportFromTime and exportToTime. MD5s are of the compressed objects.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase5_ops.ccnative.attributes import shown
from phase5_ops.ccnative.ledger import epoch_ms

FILES, SUMMARY = "manifest-files.json", "manifest-summary.json"
#: The names that the checksum of a manifest may have.
CHECKSUMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(name.removesuffix(".json") + ending for ending in (".md5", ".checksum")) for name in (FILES, SUMMARY)
}
#: What an export writes beside its data.
MARKS = frozenset({FILES, SUMMARY, "_started", "_SUCCESS", *(name for names in CHECKSUMS.values() for name in names)})

FULL, INCREMENTAL = "FULL_EXPORT", "INCREMENTAL_EXPORT"
NEW_IMAGE, NEW_AND_OLD_IMAGES = "NEW_IMAGE", "NEW_AND_OLD_IMAGES"
_TABLE = re.compile(r"(arn:[^:/]+:dynamodb:[^:]*:[^:]*:table/[^/:]+)(?:/export/[^/]+)?")
_EXPORT_ID = re.compile(r"AWSDynamoDB/([^/]+)/")


class ManifestProblem(Exception):
    """A manifest is not what DynamoDB writes, is of a kind that is not read, or does not fit the other one."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One data file as the manifest has it: `key` of the object, its number of items, base64 of its MD5."""

    key: str
    items: int
    md5: str

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Export:
    """An export.

    Attributes:
        incremental: whether it holds changes of a time rather than the whole table.
        view: of an incremental export: NEW_IMAGE or NEW_AND_OLD_IMAGES.
        table: ARN of the table, table_id: its id; None where the summary names none.
        from_ms: epoch ms from which an incremental export has the changes.
        until_ms: epoch ms of the state of the table that it shows (exportTime, exportToTime); None where the summary has none.
        files: its data files.
    """

    incremental: bool
    view: str
    table: str | None
    table_id: str | None
    from_ms: int | None
    until_ms: int | None
    files: Sequence[ExportFile]

    @property
    def table_name(self) -> str | None:
        """The table's name."""
        return self.table.rsplit("/", 1)[-1] if self.table else None


def checksum_of(content: bytes) -> str:
    """The checksum of a file as manifests have it: base64 of its MD5."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def parse_export(summary: bytes, files: bytes) -> Export:
    """The export of these two manifests.

    Raises:
        ManifestProblem: it names the manifest, and the line where there is one.
    """
    about = _object(summary, SUMMARY)
    if (written := about.get("outputFormat")) != "DYNAMODB_JSON":
        raise ManifestProblem(f"export format {shown(written)}; only DYNAMODB_JSON is read: export the table in that format")
    kind = about.get("exportType", FULL)
    if kind not in (FULL, INCREMENTAL):
        raise ManifestProblem(f"{SUMMARY}: exportType {shown(kind)} is not known")
    incremental = kind == INCREMENTAL
    view = about.get("outputView", "")
    if incremental and view not in (NEW_IMAGE, NEW_AND_OLD_IMAGES):
        raise ManifestProblem(f"{SUMMARY}: outputView {shown(view)} is not known")
    named = [_file(number, line) for number, line in enumerate(files.splitlines(), 1) if line.strip()]
    if not named and not incremental:
        raise ManifestProblem(f"{FILES} names no data file; a full export has one for each partition of the table")
    names = [each.name for each in named]
    if len(set(names)) < len(names):
        raise ManifestProblem(f"{FILES} names {next(name for name in names if names.count(name) > 1)} twice")
    said, summed = about.get("itemCount"), sum(each.items for each in named)
    if said != summed:
        raise ManifestProblem(f"the export has {shown(said)} items by {SUMMARY}, and {summed} by the files in {FILES}")
    if not incremental:
        _of_one_export(about, named)
    return Export(
        incremental,
        view if incremental else "",
        _table(about),
        _text(about, "tableId"),
        _time(about, "exportFromTime", needed=True) if incremental else None,
        _time(about, "exportToTime" if incremental else "exportTime", needed=incremental),
        named,
    )


def _file(number: int, line: bytes) -> ExportFile:
    where = f"{FILES}:{number}"
    entry = _object(line, where)
    key, items, md5 = (entry.get(name) for name in ("dataFileS3Key", "itemCount", "md5Checksum"))
    if not isinstance(key, str) or not key or key.endswith("/"):
        raise ManifestProblem(f"{where}: dataFileS3Key {shown(key)} names no file")
    if not isinstance(items, int) or isinstance(items, bool) or items < 0:
        raise ManifestProblem(f"{where}: itemCount {shown(items)} is no number of items")
    if not isinstance(md5, str) or not md5:
        raise ManifestProblem(f"{where}: md5Checksum {shown(md5)} is no checksum")
    return ExportFile(key, items, md5)


def _of_one_export(about: Mapping[str, Any], named: Sequence[ExportFile]) -> None:
    """Compares the export id in the keys of the data files with that of the summary, as far as they have one."""
    own = _EXPORT_ID.search(str(about.get("manifestFilesS3Key") or ""))
    for each in named:
        other = _EXPORT_ID.search(each.key)
        if own and other and own[1] != other[1]:
            raise ManifestProblem(f"{SUMMARY} is of the export {shown(own[1])}, and {FILES} of {shown(other[1])}")


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestProblem(f"the manifest cannot be read: {where}: {shown(str(error))}") from error
    if not isinstance(value, dict):
        raise ManifestProblem(f"the manifest cannot be read: {where}: {shown(value)} is no object")
    return value


def _text(about: Mapping[str, Any], name: str) -> str | None:
    value = about.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ManifestProblem(f"{SUMMARY}: {name} {shown(value)} is no text")
    return value


def _table(about: Mapping[str, Any]) -> str | None:
    """ARN of the table, by tableArn or the export's own ARN; None where neither is one."""
    found = (_TABLE.fullmatch(_text(about, name) or "") for name in ("tableArn", "exportArn"))
    return next((match[1] for match in found if match), None)


def _time(about: Mapping[str, Any], name: str, *, needed: bool) -> int | None:
    value = about.get(name)
    if value is None and not needed:
        return None
    try:
        return epoch_ms(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError) as error:
        raise ManifestProblem(f"{SUMMARY}: {name} {shown(value)} is no time") from error
