"""Files: how their content is named by its digest, `sha256:` and 64 hex digits, and how a whole file is put in its place."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def sha256_of(content: bytes) -> str:
    """`sha256:` and the hex digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def write_whole(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Puts `content` at `path` in place of whatever is there; a killed process or a second one leaves no half file.

    Args:
        path: in a folder that exists.
        content: the whole file.
        mode: permissions of a new file, before the process's umask.

    Raises:
        OSError: the folder does not exist or cannot be written; what was at `path` is still there.
    """
    with write_beside(path, mode=mode) as file:
        file.write(content)


@contextmanager
def write_beside(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """As `write_whole`, for what is written piece by piece: it is put at `path` when the block ends, unless that raised."""
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
