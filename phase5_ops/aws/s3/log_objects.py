"""Archived logs in S3: every object below a prefix, in order of its key, as a stream. Judges nothing."""

import io
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.s3.addresses import SCHEME, bucket_and_key
from phase5_ops.input_files.archives import Archive
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.reads import ReadStatus

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("s3:ListBucket", "s3:GetObject")


def s3_archives(reader: AwsReader, location: str) -> list[Archive]:
    """The archives below `s3://bucket/prefix`.

    Raises:
        FileUnreadable: the bucket cannot be listed.
    """
    bucket, prefix = bucket_and_key(location)
    answer = reader.paginate("s3", "list_objects_v2", location, Bucket=bucket, Prefix=prefix)
    if answer.read.status is not ReadStatus.OK:
        raise FileUnreadable(f"{answer.read.status}: {answer.read.error}")
    entries = sorted((entry for entry in answer.items("Contents") if entry.get("Size")), key=lambda entry: str(entry["Key"]))
    return [_archive(reader, bucket, entry) for entry in entries]


def _archive(reader: AwsReader, bucket: str, entry: Mapping[str, Any]) -> Archive:
    key, size = str(entry["Key"]), int(entry["Size"])
    version = f"{entry['ETag']} {size} {entry['LastModified']}" if entry.get("ETag") else ""
    return Archive(f"{SCHEME}{bucket}/{key}", _opener(reader, bucket, key), size, version)


def _opener(reader: AwsReader, bucket: str, key: str) -> Callable[[], BinaryIO]:
    def load() -> BinaryIO:
        body = reader.bounded(lambda: reader.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
        return io.BufferedReader(_Bounded(reader, body), 1 << 20)

    return load


class _Bounded(io.RawIOBase):
    """A body that is read within the run's deadline."""

    def __init__(self, reader: AwsReader, body: Any) -> None:  # noqa: ANN401 - botocore's StreamingBody
        self._reader, self._body = reader, body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        chunk: bytes = self._reader.bounded(lambda: self._body.read(len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._body.close()
        super().close()
