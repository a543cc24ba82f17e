"""Files that people hand over as objects in S3: one object, or every object below a prefix. Judges nothing.

An object is read as a stream. Where the connection breaks, reading goes on at the next byte of the same version, a few times;
every wait is bounded, but not all of them together, since whoever reads may take its time over what came.
"""

import io
import logging
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, cast

from phase5_ops.aws.reader import AwsReader, describe_failure, within
from phase5_ops.aws.s3.addresses import SCHEME, bucket_and_key
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.input_files.locations import InputSource, LocationUnreadable
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

log = logging.getLogger(__name__)

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("s3:ListBucket", "s3:GetObject")


def reader_for(reading: str) -> AwsReader:
    """A reader with these bounds, which are JSON of `ReadingSettings`: its clients are this process's, its time begins now."""
    return _of_process(reading).renewed()


@cache
def _of_process(reading: str) -> AwsReader:
    return AwsReader(ReadingSettings.model_validate_json(reading))


@dataclass(frozen=True, slots=True)
class S3Location:
    """An object, or all objects below a prefix: `s3://bucket/prefix`, with or without a slash at its end.

    Attributes:
        name: the address as it was given.
        reading: bounds of the calls.
    """

    name: str
    reading: ReadingSettings = field(default_factory=ReadingSettings)

    @property
    def _place(self) -> tuple[str, str]:
        bucket, key = bucket_and_key(self.name)
        return bucket, key.rstrip("/")

    def files(self) -> Mapping[str, InputSource] | InputSource:
        """See `Location`; objects with a part of the key that begins with `.`, and marks of folders, are left out.

        Raises:
            LocationUnreadable: the bucket cannot be listed.
        """
        bucket, key = self._place
        answer = reader_for(self.reading.model_dump_json()).paginate(
            "s3", "list_objects_v2", self.name, Bucket=bucket, Prefix=f"{key}/" if self.name.endswith("/") and key else key
        )
        if answer.read.status is not ReadStatus.OK:
            raise LocationUnreadable(answer.read.status, f"{answer.read.error} (needs {IAM_ACTIONS[0]})")
        sizes = {str(entry["Key"]): int(entry["Size"]) for entry in answer.items("Contents")}
        if key in sizes and not self.name.endswith("/"):
            return self._source(key, sizes[key])
        below = f"{key}/" if key else ""
        paths = {found.removeprefix(below): found for found in sorted(sizes) if found.startswith(below) and found[-1:] != "/"}
        hidden = {path for path in paths if any(part.startswith(".") for part in path.split("/"))}
        return {path: self._source(found, sizes[found]) for path, found in paths.items() if path not in hidden}

    def beside(self, path: str) -> InputSource:
        """See `Location`."""
        return self._source(posixpath.normpath(posixpath.join(self._place[1], path)))

    def _source(self, key: str, size: int = 0) -> InputSource:
        bucket = self._place[0]
        return InputSource(f"{SCHEME}{bucket}/{key}", S3Opener(bucket, key, self.reading.model_dump_json()), size)


@dataclass(frozen=True, slots=True)
class S3Opener:
    """Opens an object, in whatever process it is called.

    Attributes:
        bucket, key: of the object.
        reading: JSON of the bounds of the calls.
    """

    bucket: str
    key: str
    reading: str

    def __call__(self) -> BinaryIO:
        """The object as a stream.

        Raises:
            FileNotFoundError, PermissionError: there is no such object, or it may not be read.
            FileUnreadable: S3 did not answer, or could not be understood.
        """
        return cast("BinaryIO", io.BufferedReader(_ObjectStream(self), 1 << 20))


class _ObjectStream(io.RawIOBase):
    """The bytes of an object, from one answer or from several."""

    def __init__(self, place: S3Opener) -> None:
        self._place, self._reader = place, reader_for(place.reading)
        self._reading = ReadingSettings.model_validate_json(place.reading)
        self._at = self._size = 0
        self._etag: str | None = None
        self._body: Any = None
        self._open()

    def _open(self) -> None:
        """Asks for the object, or for the rest of it.

        Raises:
            FileNotFoundError, PermissionError, FileUnreadable: see `S3Opener`.
        """
        rest = {"Range": f"bytes={self._at}-", "IfMatch": self._etag} if self._etag is not None else {}
        try:
            answer = self._waiting(
                lambda: self._reader.client("s3").get_object(Bucket=self._place.bucket, Key=self._place.key, **rest)
            )
        except Exception as error:
            status, message = describe_failure(error)
            if status is ReadStatus.NOT_FOUND:
                raise FileNotFoundError(message) from error
            if status is ReadStatus.DENIED:
                raise PermissionError(f"{message} (needs {IAM_ACTIONS[1]})") from error
            raise FileUnreadable(f"{status}: {message}") from error
        self._body = answer["Body"]
        if self._etag is None:
            self._etag, self._size = answer.get("ETag"), answer["ContentLength"]

    def _waiting(self, call: Any) -> Any:  # noqa: ANN401 - a call of any kind
        limit = self._reading.deadline_seconds
        return within(limit, call, late=f"S3 had not answered within {limit:g} s (reading.deadline_seconds)")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        for left in reversed(range(self._reading.max_attempts)):
            try:
                chunk = self._next(len(buffer))
            except Exception as error:
                self._body.close()
                if not left or self._etag is None:
                    status, message = describe_failure(error)
                    raise FileUnreadable(f"{status}: {message}") from error
                log.info("reading %s goes on at byte %d: %s", self._place.key, self._at, error)
                self._open()
                continue
            self._at += len(chunk)
            buffer[: len(chunk)] = chunk
            return len(chunk)
        return 0

    def _next(self, most: int) -> bytes:
        chunk: bytes = self._waiting(lambda: self._body.read(most))
        if not chunk and self._at < self._size:
            raise ConnectionError(f"the answer ended after {self._at} of {self._size} bytes")
        return chunk

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
        super().close()
