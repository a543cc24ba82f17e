"""A partial result as it is kept: what it is of, what it depends on, how its input was read, and the result's bytes. Pure.

    phase5-partial/1
    {"scan": ..., "part": ..., "depends_on": {...}, "made_at": ..., "reads": [...], "sha256": ..., "size": ...}
    <the bytes>

Whoever merges partial results refuses one that is not whole, or that depends on something else than the merging run does: other
tenant ids, other settings, other code. The refusal says which, so that a finding can name it. No part of it is ever unpickled:
it comes from a folder or a bucket, and unpickling runs code.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Self

from phase5_ops.files import sha256_of
from phase5_ops.input_files.json_text import json_value
from phase5_ops.reads import Read

_MARK = b"phase5-partial/1\n"


class PartialUnusable(Exception):
    """A kept partial result cannot be merged; the message says why."""


@dataclass(frozen=True, slots=True)
class Partial:
    """The result of scanning one part of the input.

    Attributes:
        scan: which scan it is of.
        part: what was scanned: an hour, a file, a job.
        depends_on: name -> digest or value of everything but the part that the result depends on.
        made_at: ISO-8601, wall clock, when scanning began.
        reads: how the part was read.
        content: the result.
    """

    scan: str
    part: str
    depends_on: Mapping[str, str]
    made_at: str
    reads: tuple[Read, ...]
    content: bytes

    def packed(self) -> bytes:
        """As it is kept."""
        header = {
            "scan": self.scan,
            "part": self.part,
            "depends_on": dict(self.depends_on),
            "made_at": self.made_at,
            "reads": [read.as_entry() for read in self.reads],
            "sha256": sha256_of(self.content),
            "size": len(self.content),
        }
        return _MARK + json.dumps(header, sort_keys=True).encode() + b"\n" + self.content

    @classmethod
    def unpacked(cls, kept: bytes, *, scan: str, part: str, depends_on: Mapping[str, str]) -> Self:
        """What was kept, if it is the result of this part under these conditions.

        Raises:
            PartialUnusable: it is not whole, of something else, or depends on something else.
        """
        if not kept.startswith(_MARK):
            raise PartialUnusable("it is no partial result that this version of phase5 reads")
        head, _, content = kept[len(_MARK) :].partition(b"\n")
        header = _header(head)
        if header["size"] != len(content) or header["sha256"] != sha256_of(content):
            raise PartialUnusable(f"it is not whole: {len(content)} of {header['size']} bytes, or other bytes than were written")
        if (header["scan"], header["part"]) != (scan, part):
            raise PartialUnusable(f"it is of {header['scan']} {header['part']}")
        other = [
            name
            for name in sorted(depends_on.keys() | header["depends_on"].keys())
            if depends_on.get(name) != header["depends_on"].get(name)
        ]
        if other:
            raise PartialUnusable(f"it was made at {header['made_at']} with other {' and other '.join(other)}")
        try:
            reads = tuple(map(Read.from_entry, header["reads"]))
        except (KeyError, ValueError, TypeError) as error:
            raise PartialUnusable("it does not say how its input was read") from error
        return cls(scan, part, depends_on, str(header["made_at"]), reads, content)


def _header(head: bytes) -> dict[str, Any]:
    try:
        header = dict(json_value(head))
        header["depends_on"] = dict(header["depends_on"])
        return {name: header[name] for name in ("scan", "part", "depends_on", "made_at", "reads", "sha256", "size")}
    except (ValueError, KeyError, TypeError) as error:
        raise PartialUnusable("it is not whole: its first lines cannot be read") from error


def code_digest(packages: Sequence[str]) -> str:
    """The digest of the source of these packages (`phase5_ops.input_files`), without those inside them."""
    digest = hashlib.sha256()
    for package in packages:
        modules = sorted((each for each in resources.files(package).iterdir() if each.name.endswith(".py")), key=lambda m: m.name)
        for module in modules:
            digest.update(f"{package} {module.name} ".encode() + hashlib.sha256(module.read_bytes()).digest())
    return "sha256:" + digest.hexdigest()


def json_digest(value: object) -> str:
    """The digest of a JSON value."""
    return sha256_of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass"))
