"""The place where partial results are kept: a folder or an S3 prefix. A file appears there whole or not at all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from uuid import uuid4

from phase5_ops.aws.iam_statements import Statement, statement
from phase5_ops.aws.s3.addresses import SCHEME, bucket_and_key, is_s3
from phase5_ops.files import write_whole

if TYPE_CHECKING:
    from phase5_ops.aws.reader import AwsReader


class KeptPlace(Protocol):
    """Somewhere to keep files by name; names have `/` between their parts."""

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            Exception: whatever the store does; `describe_failure` words it, FileNotFoundError included.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Puts a whole file there, in place of an earlier one.

        Raises:
            Exception: whatever the store does.
        """
        ...

    def create(self, name: str, content: bytes) -> None:
        """Puts a whole file there if there is none, and leaves one that is there.

        Raises:
            Exception: whatever the store does.
        """
        ...

    def shown(self, name: str) -> str:
        """Where the file is, for people."""
        ...


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of this machine, or one that all machines share."""

    root: Path

    def read(self, name: str) -> bytes:
        """See `KeptPlace`."""
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `KeptPlace`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)

    def create(self, name: str, content: bytes) -> None:
        """See `KeptPlace`."""
        path = self.root / name
        beside = f".{uuid4().hex}"
        self.write(beside, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.hardlink_to(self.root / beside)
        (self.root / beside).unlink()

    def shown(self, name: str) -> str:
        """See `KeptPlace`."""
        return str(self.root / name)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A prefix of a bucket: PutObject puts the whole object there or nothing."""

    reader: "AwsReader"
    bucket: str
    prefix: str

    def read(self, name: str) -> bytes:
        """See `KeptPlace`."""
        client = self.reader.client("s3")

        def load() -> bytes:
            content: bytes = client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
            return content

        return cast("bytes", self.reader.renewed().bounded(load))

    def write(self, name: str, content: bytes) -> None:
        """See `KeptPlace`."""
        client = self.reader.client("s3")
        self.reader.renewed().bounded(lambda: client.put_object(Bucket=self.bucket, Key=self._key(name), Body=content))

    def create(self, name: str, content: bytes) -> None:
        """See `KeptPlace`."""
        from botocore.exceptions import ClientError

        client = self.reader.client("s3")
        put = partial(client.put_object, Bucket=self.bucket, Key=self._key(name), Body=content, IfNoneMatch="*")
        try:
            self.reader.renewed().bounded(put)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise

    def shown(self, name: str) -> str:
        """See `KeptPlace`."""
        return f"{SCHEME}{self.bucket}/{self._key(name)}"

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self.prefix, name) if part)


def place_of(location: str, reader: "AwsReader") -> KeptPlace:
    """The place that a path or an `s3://bucket/prefix` names."""
    if not is_s3(location):
        return FolderPlace(Path(location))
    bucket, prefix = bucket_and_key(location)
    return BucketPlace(reader, bucket, prefix.strip("/"))


def place_statements(sid: str, location: str, actions: Sequence[str]) -> list[Statement]:
    """The IAM statements for these actions on the objects of a place; none for a folder."""
    if not is_s3(location):
        return []
    target = location.removeprefix(SCHEME).rstrip("/")
    return [statement(sid, actions, [f"arn:*:s3:::{target}/*"])]
