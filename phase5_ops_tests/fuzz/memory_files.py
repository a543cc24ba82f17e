"""Files in memory, where a parser takes files: exports of the ledger, archives of log lines."""

import io
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from phase5_ops.input_files.locations import InputSource


@dataclass(frozen=True)
class MemoryFolder:
    """A folder of files by path; see `input_files.locations.Location`."""

    content: Mapping[str, bytes]
    name: str = "folder"

    def files(self) -> Mapping[str, InputSource]:
        """Its files by path."""
        return {path: self.beside(path) for path in sorted(self.content)}

    def beside(self, path: str) -> InputSource:
        """The file at a path, whether or not it exists."""
        path = posixpath.normpath(path)
        return InputSource(f"{self.name}/{path}", partial(self._open, path), len(self.content.get(path, b"")))

    def _open(self, path: str) -> io.BytesIO:
        if path not in self.content:
            raise FileNotFoundError(path)
        return io.BytesIO(self.content[path])
