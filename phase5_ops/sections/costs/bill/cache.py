"""Keeps what Cost Explorer answered, since every page costs $0.01: one pull a day and scope, reused by later runs.

Each pull is one Parquet file in the folder `costs` of the state folder. It is written under another name and then renamed, so
that it is whole or absent. Its name holds the digests of the question and of its content; its metadata repeats the first. A
file is ignored if it is damaged or unreadable, answers another question, or is newer than the run's evaluation time. A lock
lets the second of two runs wait for the first one's answer; a run that waits too long asks for itself. The lock is flock(2),
which Linux and macOS have.
"""

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from phase5_ops.aws.cost_answers import LINES, CostTag, DayTotal
from phase5_ops.clock import iso, parse_iso
from phase5_ops.files import write_whole
from phase5_ops.reads import Read, ReadStatus, whole

log = logging.getLogger(__name__)

_META = b"phase5_cost_pull"
_KEPT_SECONDS = 7 * 86_400  # older files answer no question that is still asked
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class CostPull:
    """One pull: lines (`cost_answers.LINES`), a total a day, the tags, what could not be understood, how and when it was read.

    `requests` is what Cost Explorer bills: pages. `reused` says that this run did not pay for it.
    """

    lines: pa.Table
    totals: tuple[DayTotal, ...]
    tags: tuple[CostTag, ...]
    problems: tuple[str, ...]
    reads: tuple[Read, ...]
    observed_at: datetime
    requests: int
    reused: bool = False

    @property
    def whole(self) -> bool:
        """True if it is worth keeping: every cost was read and understood, and tags were listed, or listing is denied."""
        costs = whole(read for read in self.reads if read.operation.endswith(":GetCostAndUsage"))
        tags = {read.status for read in self.reads if read.operation.endswith(":ListCostAllocationTags")}
        return costs and not self.problems and tags <= {ReadStatus.OK, ReadStatus.DENIED}


def question_digest(question: Mapping[str, Any]) -> str:
    """The digest of what is asked: account, platform, scope, period, metrics, tags (JSON values)."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


class CostCache:
    """The pulls kept in `folder`, which is made when the first one is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, digest: str, *, until: datetime) -> CostPull | None:
        """The pull that answers this question; None if there is none that can be used.

        Args:
            digest: of the question.
            until: evaluation time; an answer from after it is not used.
        """
        pulls = [pull for path in self._folder.glob(f"{digest[:32]}-*.parquet") if (pull := _read(path, digest))]
        return max((pull for pull in pulls if pull.observed_at <= until), key=lambda pull: pull.observed_at, default=None)

    def keep(self, digest: str, pull: CostPull) -> None:
        """Keeps a pull for this question in place of an earlier one, and drops files that no run will ask for.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pq.write_table(_to_table(pull, digest), sink)
        content = sink.getvalue()
        path = self._folder / f"{digest[:32]}-{_checksum(content)}.parquet"
        write_whole(path, content)
        self._tidy(path, digest)

    def _tidy(self, newest: Path, digest: str) -> None:
        """Drops earlier answers to this question, and every file too old for any question, also what a killed run left."""
        for file in self._folder.iterdir():
            try:
                replaced = file.match(f"{digest[:32]}-*.parquet") and file != newest
                if replaced or file.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    file.unlink()
            except OSError:  # another run deleted it first, or it is not ours
                continue

    @contextmanager
    def locked(self, digest: str, *, wait_seconds: float) -> Iterator[bool]:
        """Holds the lock of this question while the block runs; yields False if it was not free within `wait_seconds`.

        The operating system frees it when the process ends, however it ends.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        ends = time.monotonic() + wait_seconds
        with (self._folder / f"{digest[:32]}.lock").open("w") as file:
            held = _try_lock(file.fileno())
            while not held and time.monotonic() < ends:
                time.sleep(_POLL_SECONDS)
                held = _try_lock(file.fileno())
            yield held


def _checksum(content: bytes | pa.Buffer) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _read(path: Path, digest: str) -> CostPull | None:
    """The pull in this file; None, and a warning, if it cannot be used."""
    try:
        return _from_content(path.read_bytes(), path.stem.rpartition("-")[2], digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, pa.ArrowException) as error:
        log.warning("the costs kept in %s cannot be used, so Cost Explorer is asked again: %s", path, error)
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _to_table(pull: CostPull, digest: str) -> pa.Table:
    content = {
        "digest": digest,
        "rows": pull.lines.num_rows,
        "observed_at": iso(pull.observed_at),
        "requests": pull.requests,
        "totals": [asdict(total) | {"billed": str(total.billed), "effective": str(total.effective)} for total in pull.totals],
        "tags": [asdict(tag) for tag in pull.tags],
        "reads": [read.as_entry() for read in pull.reads],
    }
    return pull.lines.replace_schema_metadata({_META: json.dumps(content).encode()})


def _from_content(content: bytes, checksum: str, digest: str) -> CostPull:
    """The inverse of `_to_table`.

    Raises:
        ValueError, KeyError, TypeError: the file is damaged, is not one of `_to_table`, or answers another question.
    """
    if _checksum(content) != checksum:
        raise ValueError("the file is damaged")
    table = pq.read_table(pa.BufferReader(content))
    kept = json.loads((table.schema.metadata or {})[_META])
    if kept["digest"] != digest or kept["rows"] != table.num_rows or not table.schema.equals(LINES):
        raise ValueError("not the answer to this question")
    totals = (DayTotal(**{**t, "billed": Decimal(t["billed"]), "effective": Decimal(t["effective"])}) for t in kept["totals"])
    return CostPull(
        lines=table.replace_schema_metadata(None),
        totals=tuple(totals),
        tags=tuple(CostTag(**tag) for tag in kept["tags"]),
        problems=(),
        reads=tuple(Read.from_entry(entry) for entry in kept["reads"]),
        observed_at=parse_iso(kept["observed_at"]),
        requests=kept["requests"],
        reused=True,
    )
