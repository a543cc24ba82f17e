"""Reads CloudTrail's data events of DynamoDB from S3, as CloudTrail delivers them: gzip files of JSON `Records`. Judges nothing.

CloudTrail delivers minutes late, without guarantee and not in order; `DataTrail.newest` (the newest event time) is all that shows
how far delivery has got. Bounded by the run's deadline, in number of files, and in unpacked size.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from phase5_ops.aws.reader import AwsReader, describe_failure
from phase5_ops.clock import iso, parse_iso
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("s3:GetObject", "s3:ListBucket")

MAX_FILES = 2_000
MAX_BYTES = 256 * 1024 * 1024  # unpacked, per file

_DYNAMODB = "dynamodb.amazonaws.com"


@dataclass(slots=True)
class DataTrail:
    """The DynamoDB records of a window, the newest event time in any file, and how they were read."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    newest: datetime | None = None
    files: int = 0
    reads: list[Read] = field(default_factory=list)

    def delivered(self, until: datetime) -> bool:
        """True if the trail holds an event at or after `until`: later files may still hold earlier events."""
        return self.newest is not None and self.newest >= until


class _NotATrailFile(Exception):
    """An object that is no gzip file of CloudTrail records."""


def read_data_trail(reader: AwsReader, location: str, start: datetime, end: datetime, *, now: datetime) -> DataTrail:
    """The records of DynamoDB calls from `start` to `end`, and how far the trail has got.

    Args:
        reader: bounds and counts the calls.
        location: `s3://bucket/prefix`, down to the region; CloudTrail adds `/YYYY/MM/DD/` by the day of delivery.
        start: begin of the window of event times; CloudTrail gives whole seconds, so the whole second counts.
        end: end of the window.
        now: latest time of delivery; folders of days after `end` are read up to it.
    """
    parts = urlsplit(location)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    trail = DataTrail()
    keys: list[str] = []
    for day in _days(start, max(end, now)):
        under = f"{prefix}/{day:%Y/%m/%d}/".lstrip("/")
        answer = reader.paginate("s3", "list_objects_v2", f"s3://{bucket}/{under}", Bucket=bucket, Prefix=under)
        trail.reads.append(answer.read)
        keys += [str(entry["Key"]) for entry in answer.items("Contents") if str(entry["Key"]).endswith((".json.gz", ".json"))]
    trail.reads.append(_read_files(reader, bucket, keys, trail, (start.replace(microsecond=0), end)))
    return trail


def _days(start: datetime, end: datetime) -> list[datetime]:
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [first + timedelta(days=number) for number in range((end.astimezone(UTC) - first).days + 1)]


def _read_files(reader: AwsReader, bucket: str, keys: list[str], trail: DataTrail, window: tuple[datetime, datetime]) -> Read:
    began = iso(datetime.now(UTC))
    status, message = ReadStatus.OK, None
    if len(keys) > MAX_FILES:
        status, message = ReadStatus.PARTIAL, f"the window has {len(keys)} files, of which only the last {MAX_FILES} were read"
    for key in keys[-MAX_FILES:]:
        try:
            _take(_records(reader.bounded(_loader(reader, bucket, key))), trail, *window)
        except Exception as error:  # noqa: BLE001 - the border: whatever S3 or a file does becomes the read's status
            invalid = isinstance(error, (_NotATrailFile, OSError, EOFError, zlib.error)) and not isinstance(error, TimeoutError)
            status, message = (ReadStatus.INVALID, str(error)[:300]) if invalid else describe_failure(error)
            message = f"{key}: {message}"
            if not invalid:
                break
        trail.files += 1
    return Read("s3:GetObject", f"s3://{bucket}", status, message, trail.files, began, iso(datetime.now(UTC)))


def _loader(reader: AwsReader, bucket: str, key: str) -> Callable[[], bytes]:
    def load() -> bytes:
        with closing(reader.client("s3").get_object(Bucket=bucket, Key=key)["Body"]) as body:
            content: bytes = body.read()
            return content

    return load


def _records(content: bytes) -> list[Any]:
    if content[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _NotATrailFile(f"the file has more than {MAX_BYTES} bytes unpacked")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _NotATrailFile(f"the file is not JSON: {error}") from error
    records = found.get("Records") if isinstance(found, dict) else None
    if not isinstance(records, list):
        raise _NotATrailFile("the file has no list named Records")
    return records


def _take(records: list[Any], trail: DataTrail, start: datetime, end: datetime) -> None:
    for record in records:
        at = _event_time(record)
        if at is not None and (trail.newest is None or at > trail.newest):
            trail.newest = at
        of_dynamodb = isinstance(record, Mapping) and record.get("eventSource") == _DYNAMODB
        if of_dynamodb and (at is None or start <= at <= end):  # one without a time is kept, to be reported as unreadable
            trail.records.append(record)


def _event_time(record: object) -> datetime | None:
    try:
        return parse_iso(str(record["eventTime"])) if isinstance(record, Mapping) else None
    except (KeyError, ValueError):
        return None
