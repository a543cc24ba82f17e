"""Files of runs in the copy of the evidence that `evidence_s3_uri` asks for, for whoever does not have the folder itself."""

from collections.abc import Callable, Sequence
from contextlib import closing
from urllib.parse import urlsplit

from phase5_ops.aws.reader import AwsReader, describe_failure
from phase5_ops.reads import ReadStatus

#: The IAM actions that this reader needs, on the bucket and on the objects of the copy.
IAM_ACTIONS = ("s3:ListBucket", "s3:GetObject")


class EvidenceCopy:
    """The runs below `s3://bucket/prefix`, one folder a run. Reads within the time limits of its reader."""

    at_once = 16

    def __init__(self, reader: AwsReader, location: str) -> None:
        """Reads nothing yet; `location` is the setting `evidence_s3_uri`."""
        parts = urlsplit(location)
        self._reader, self._location, self._bucket = reader, location, parts.netloc
        self._prefix = f"{path}/" if (path := parts.path.strip("/")) else ""

    def run_ids(self) -> Sequence[str]:
        """The run of every folder.

        Raises:
            OSError: the bucket cannot be listed.
        """
        answer = self._reader.paginate(
            "s3", "list_objects_v2", self._location, Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        if answer.read.status is not ReadStatus.OK:
            raise OSError(f"{answer.read.operation}: {answer.read.status}: {answer.read.error}")
        return [str(each["Prefix"]).removeprefix(self._prefix).rstrip("/") for each in answer.items("CommonPrefixes")]

    def read(self, run_id: str, name: str) -> bytes:
        """A file of a run.

        Raises:
            OSError: it cannot be read; FileNotFoundError if there is none.
        """
        try:
            content: bytes = self._reader.bounded(self._loader(f"{self._prefix}{run_id}/{name}"))
        except Exception as error:  # the border: whatever S3 or the network does becomes an error of the file
            status, message = describe_failure(error)
            kind = FileNotFoundError if status is ReadStatus.NOT_FOUND else OSError
            raise kind(f"s3:GetObject: {status}: {message}") from error
        return content

    def _loader(self, key: str) -> Callable[[], bytes]:
        def load() -> bytes:
            with closing(self._reader.client("s3").get_object(Bucket=self._bucket, Key=key)["Body"]) as body:
                content: bytes = body.read()
                return content

        return load
