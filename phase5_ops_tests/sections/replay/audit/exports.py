"""DynamoDB exports for tests, as DynamoDB writes them."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/cc-native-ledger"


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def lines(values: Iterable[Any]) -> bytes:
    """One value a line, without blanks, as exports have them."""
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values).encode()


def record(new: Any = None, old: Any = None, at: int = 1_795_424_886_810_000) -> dict[str, Any]:
    """A record of an incremental export."""
    item = new or old
    images = {"NewImage": new, "OldImage": old}
    metadata = {"WriteTimestampMicros": {"N": str(at)}}
    keys = {"pk": item["pk"], "sk": item["sk"]}
    return {"Metadata": metadata, "Keys": keys, **{name: image for name, image in images.items() if image is not None}}


def seal(folder: Path, **about: Any) -> None:
    """Writes the manifests' checksums; `about` replaces members of the summary."""
    summary = folder / "manifest-summary.json"
    if about:
        summary.write_text(json.dumps({**json.loads(summary.read_text()), **about}))
    for name in ("files", "summary"):
        (folder / f"manifest-{name}.md5").write_text(md5((folder / f"manifest-{name}.json").read_bytes()))


def write_export(
    root: Path, files: Sequence[Sequence[Any]], name: str = "01795424886810-abcd", *, incremental: bool = False, **about: Any
) -> Path:
    """An export below `root`; returns its folder.

    Args:
        root: the prefix in the bucket.
        files: the items of each data file, or the records of an incremental export.
        name: id of the export.
        incremental: whether it is one.
        about: members of the summary.
    """
    folder = root / "AWSDynamoDB" / name
    data = folder.parent / "data" if incremental else folder / "data"
    for each in (folder, data):
        each.mkdir(parents=True, exist_ok=True)
    named = []
    for number, values in enumerate(files):
        content = gzip.compress(lines(values if incremental else ({"Item": item} for item in values)), mtime=0)
        path = data / f"{name}-{number}.json.gz"
        path.write_bytes(content)
        key = path.relative_to(root).as_posix()
        named.append({"itemCount": len(values), "md5Checksum": md5(content), "etag": "e-1", "dataFileS3Key": key})
    (folder / "_started").touch()
    (folder / "manifest-files.json").write_bytes(lines(named))
    summary = {
        "version": "2023-08-01" if incremental else "2020-06-30",
        "exportArn": f"{ARN}/export/{name}",
        "tableArn": ARN,
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": "2026-11-23T12:00:00.000Z",
        "s3Bucket": "bucket",
        "s3Prefix": "",
        "manifestFilesS3Key": f"AWSDynamoDB/{name}/manifest-files.json",
        "itemCount": sum(len(values) for values in files),
        "outputFormat": "DYNAMODB_JSON",
    }
    if incremental:
        del summary["exportTime"]
        summary |= {"exportType": "INCREMENTAL_EXPORT", "outputView": "NEW_AND_OLD_IMAGES"}
    (folder / "manifest-summary.json").write_text(json.dumps({**summary, **about}))
    seal(folder)
    return folder
