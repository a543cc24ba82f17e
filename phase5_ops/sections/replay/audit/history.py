"""What earlier runs saw of the ledger, so that a deleted or rewritten entry is found: only convention makes it append-only.

One SQLite file of the state folder. Each run adds one record: the key and digest of every entry that no earlier run had seen
(so the file grows with the ledger and not with the runs), compressed as Parquet, and a hash over the record and the one before
it. The next run compares: every entry that was seen and lies in what it read itself must still be there with the same digest. A
finding stays until its entry leaves the window, since the digest noted first counts.

The chain of hashes shows a record that was altered or taken out. If its tail is cut off, or the file removed, the heads show
it: every run also notes its record's hash in the run history (`history.sqlite`, another file), in its evidence and in the state
table. If both files are removed, the history starts anew; the next run finds that by what the last one left in evidence and
state table (`evidence/histories.py`).

A killed run leaves the file as it was, or with its whole record; two runs at once take turns. Records are kept by TableId, so
that a table made anew has a history of its own. Entries that no run will compare again are dropped from their record, whose
hash stays; the record of the run that dropped them says so.
"""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import NoneType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from phase5_ops.ccnative.attributes import shown
from phase5_ops.clock import iso
from phase5_ops.evidence.history import History
from phase5_ops.input_files.json_text import json_value

#: Stream of `History` that keeps the heads; its scope is the identity of the ledger table.
HEADS_STREAM = "ledger_heads"

#: How many entries of one kind a comparison lists; all are counted.
LISTED = 100

_DIGEST_BYTES = 16
_HEAD_DAYS = 35
_START = "0" * 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    scope TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL, entries BLOB,
    PRIMARY KEY (scope, seq));
"""

Key = tuple[str, str]


def digest_of(item: Mapping[str, Any]) -> bytes:
    """The digest of an item in DynamoDB JSON, the same whatever the order of its attributes and of the members of its sets."""
    text = json.dumps(item, sort_keys=True, separators=(",", ":"), default=_binary)
    if 'S":[' in text:  # a set, or a list whose name ends in S: sets have no order
        text = json.dumps(_in_order(item), sort_keys=True, separators=(",", ":"), default=_binary)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _binary(value: object) -> str:
    return base64.b64encode(bytes(value)).decode() if isinstance(value, (bytes, bytearray)) else repr(value)


def _in_order(value: Any) -> Any:  # noqa: ANN401 - any part of an item
    if isinstance(value, Mapping):
        sets = {"SS", "NS", "BS"}
        return {k: sorted(v, key=repr) if k in sets and isinstance(v, list) else _in_order(v) for k, v in value.items()}
    return [_in_order(each) for each in value] if isinstance(value, list) else value


class Seen:
    """The key and digest of every item that a run reads."""

    def __init__(self) -> None:
        self.digests: dict[Key, bytes] = {}

    def add(self, item: Mapping[str, Any]) -> None:
        """Takes one item in DynamoDB JSON; one without the table's key cannot come from it."""
        pk, sk = item.get("pk", {}).get("S"), item.get("sk", {}).get("S")
        if isinstance(pk, str) and isinstance(sk, str):
            self.digests[pk, sk] = digest_of(item)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the history says of the ledger as it is now; JSON values."""

    runs: int = 0
    compared: int = 0
    missing: list[dict[str, str]] = field(default_factory=list)
    missing_count: int = 0
    changed: list[dict[str, str]] = field(default_factory=list)
    changed_count: int = 0
    broken: list[str] = field(default_factory=list)
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    seq: int
    body: str
    hash: str
    entries: bytes | None

    @property
    def facts(self) -> dict[str, Any]:
        """run_id, observed_at, count, newest (largest sort key), entries_sha256, previous, dropped; {} if it cannot be read."""
        try:
            found = dict(json_value(self.body))
        except (ValueError, TypeError):
            return {}
        return found if isinstance(found.get("dropped"), list) else {}


class LedgerHistory:
    """The records of one ledger table, `scope`.

    Args:
        path: the SQLite file; opened for each operation.
        heads: the run history, which keeps the heads apart from the chain.
        scope: identity of the ledger table.
    """

    def __init__(self, path: Path, heads: History, scope: str) -> None:
        self._path, self._heads, self._scope = path, heads, scope

    def compare_and_add(
        self, seen: Seen, *, since: str, drop_before: str, partitions: Sequence[str] | None, run_id: str, now: datetime
    ) -> Comparison:
        """Compares what earlier runs saw with what this one read whole, and adds what is new.

        Args:
            seen: every item that was read.
            since: the sort key from which this run read.
            drop_before: records that hold nothing from this sort key on lose their entries.
            partitions: the partition keys that were read; None for all.
            run_id: names the run in findings of later runs.
            now: evaluation time.

        A history that cannot be opened or was tampered with is a `broken` problem; nothing is raised for it.
        """
        try:
            with self._writing() as connection:
                records = self._records(connection)
                broken = [*_chain_problems(records), *self._head_problems(records, now)]
                known, unreadable = _known_entries(records)
                compared = _compared(known, seen, since, None if partitions is None else set(partitions))
                new = [(key, digest) for key, digest in seen.digests.items() if key not in known]
                head = self._append(
                    connection=connection, records=records, new=new, run_id=run_id, now=now, drop_before=drop_before
                )
        except (sqlite3.Error, OSError) as error:
            return Comparison(broken=[f"{self._path.name} cannot be used: {error}"])
        stamp = {"head": head, "seq": records[-1].seq + 1 if records else 1}
        self._heads.append(HEADS_STREAM, self._scope, run_id, now, {"head": stamp})
        return replace(compared, runs=len(records) + 1, broken=[*broken, *unreadable], head=head)

    def partitions(self) -> list[str]:
        """The partition keys that earlier runs saw; none if the history cannot be read, which `compare_and_add` then reports."""
        try:
            with self._writing() as connection:
                known, _ = _known_entries(self._records(connection))
        except (sqlite3.Error, OSError):
            return []
        return sorted({pk for pk, _ in known})

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other run can interleave with; all of it or nothing is kept."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.execute(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # without COMMIT nothing of it is kept

    def _records(self, connection: sqlite3.Connection) -> list[_Record]:
        rows = connection.execute(
            "SELECT seq, body, hash, entries FROM records WHERE scope = ? ORDER BY seq", (self._scope,)
        ).fetchall()
        if not all(tuple(map(type, row[:3])) == (int, str, str) and type(row[3]) in (bytes, NoneType) for row in rows):
            raise sqlite3.DataError("a record is not of the kinds that runs write")
        return [_Record(*row) for row in rows]

    def _head_problems(self, records: Sequence[_Record], now: datetime) -> Iterator[str]:
        """Every head that the run history knows of the last weeks must be in the chain."""
        hashes = {record.seq: record.hash for record in records}
        until = now + timedelta(days=1)  # also those of runs whose fixed clock was a little ahead
        for snapshot in self._heads.snapshots(HEADS_STREAM, self._scope, until=until, days=_HEAD_DAYS):
            seq, head = snapshot.payload.get("seq"), snapshot.payload.get("head")
            if not isinstance(seq, int) or hashes.get(seq) != head:
                yield f"record {seq} of run {snapshot.run_id} {'was replaced' if seq in hashes else 'is gone'}"
                return

    def _append(
        self,
        *,
        connection: sqlite3.Connection,
        records: Sequence[_Record],
        new: Sequence[tuple[Key, bytes]],
        run_id: str,
        now: datetime,
        drop_before: str,
    ) -> str:
        """Adds this run's record and drops old entries; returns the record's hash."""
        blob = _packed(new)
        last = records[-1] if records else None
        seq = last.seq + 1 if last else 1
        old = (each for each in records if each.entries is not None and str(each.facts.get("newest", "")) < drop_before)
        dropped = [record.seq for record in old]
        body = json.dumps(
            {
                "scope": self._scope,
                "seq": seq,
                "run_id": run_id,
                "observed_at": iso(now),
                "count": len(new),
                "newest": max((sk for (_, sk), _ in new), default=""),
                "entries_sha256": hashlib.sha256(blob).hexdigest(),
                "previous": last.hash if last else _START,
                "dropped": dropped,
            },
            sort_keys=True,
        )
        head = hashlib.sha256(body.encode()).hexdigest()
        connection.execute(
            "INSERT INTO records (scope, seq, body, hash, entries) VALUES (?, ?, ?, ?, ?)",
            (self._scope, seq, body, head, blob),
        )
        connection.executemany(
            "UPDATE records SET entries = NULL WHERE scope = ? AND seq = ?", [(self._scope, number) for number in dropped]
        )
        return head


def _chain_problems(records: Sequence[_Record]) -> Iterator[str]:
    """Records that are altered, out of sequence, or follow another record than they say."""
    previous = _START
    for position, record in enumerate(records, start=1):
        facts = record.facts
        if hashlib.sha256(str(record.body).encode()).hexdigest() != record.hash or facts.get("seq") != record.seq:
            yield f"record {record.seq} is not what was written"
        elif record.seq != position or facts.get("previous") != previous:
            yield f"record {record.seq} (run {shown(facts.get('run_id'))}) does not follow the one before it"
        previous = record.hash


def _known_entries(records: Sequence[_Record]) -> tuple[dict[Key, tuple[bytes, _Record]], list[str]]:
    """Entry -> the digest that was noted first and the record that noted it; and records whose entries are gone or altered."""
    known: dict[Key, tuple[bytes, _Record]] = {}
    problems = []
    dropped = {seq for record in records for seq in record.facts.get("dropped", []) if isinstance(seq, int)}
    for record in records:
        if record.entries is None:
            if record.seq not in dropped:
                problems.append(f"the entries of record {record.seq} are gone")
        elif hashlib.sha256(record.entries).hexdigest() != record.facts.get("entries_sha256"):
            problems.append(f"the entries of record {record.seq} are not what was written")
        else:
            for key, digest in _unpacked(record.entries):
                known.setdefault(key, (digest, record))
    return known, problems


def _compared(known: Mapping[Key, tuple[bytes, _Record]], seen: Seen, since: str, partitions: set[str] | None) -> Comparison:
    """What is known of entries: how many were compared, which are missing, and which have changed."""
    missing: list[tuple[Key, _Record]] = []
    changed: list[tuple[Key, _Record]] = []
    compared = 0
    for key, (digest, record) in known.items():
        if key[1] < since or (partitions is not None and key[0] not in partitions):
            continue
        compared += 1
        now = seen.digests.get(key)
        if now is None:
            missing.append((key, record))
        elif now != digest:
            changed.append((key, record))
    return Comparison(
        compared=compared,
        missing=_listed(missing),
        missing_count=len(missing),
        changed=_listed(changed),
        changed_count=len(changed),
    )


def _listed(found: Sequence[tuple[Key, _Record]]) -> list[dict[str, str]]:
    return [
        {"pk": pk, "sk": sk, "run_id": str(record.facts.get("run_id")), "observed_at": str(record.facts.get("observed_at"))}
        for (pk, sk), record in sorted(found, key=lambda entry: entry[0])[:LISTED]
    ]


def _packed(entries: Sequence[tuple[Key, bytes]]) -> bytes:
    ordered = sorted(entries)
    table = pa.table(
        {
            "pk": pa.array([pk for (pk, _), _ in ordered], pa.string()).dictionary_encode(),
            "sk": pa.array([sk for (_, sk), _ in ordered], pa.string()),
            "digest": pa.array([digest for _, digest in ordered], pa.binary(_DIGEST_BYTES)),
        }
    )
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _unpacked(blob: bytes) -> Iterator[tuple[Key, bytes]]:
    table = pq.read_table(BytesIO(blob))
    columns = [table.column(name).to_pylist() for name in ("pk", "sk", "digest")]
    for pk, sk, digest in zip(*columns, strict=True):
        yield (pk, sk), digest
