"""The audit of a ledger export, beside loading the columns that it needs, and nothing else, with DuckDB and with pandas."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.figure import Command, Counts, Figure, Missing, Side, Work
from benchmarks.inputs.ledger_exports import write_export
from benchmarks.targets import linear, memory, times

_COLUMNS = ("pk", "sk", "eventType", "tenantId", "accountId", "traceId", "timestamp", "entryId")
_DATA = ("action_intent_id", "replay_reason", "requested_by", "status")

_DUCKDB = """
import sys, duckdb
files, columns, data = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
text = "STRUCT(S VARCHAR)"
item = "STRUCT(" + ", ".join(f'"{name}" {text}' for name in columns)
item += ', "data" STRUCT(M STRUCT(' + ", ".join(f"{name} {text}" for name in data) + ")))"
chosen = [f'Item."{name}".S AS "{name}"' for name in columns] + [f"Item.data.M.{name}.S AS {name}" for name in data]
connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute("SET enable_progress_bar = false")
connection.execute("SET preserve_insertion_order = false")
connection.execute(
    f"CREATE TABLE ledger AS SELECT {', '.join(chosen)} FROM read_json('{files}', format = 'newline_delimited',"
    f" compression = 'gzip', columns = {{'Item': '{item}'}})"
)
print(connection.execute("SELECT count(*) FROM ledger").fetchone()[0])
"""
_PANDAS = """
import glob, gzip, json, sys, pandas
columns, data = sys.argv[2].split(), sys.argv[3].split()
def row(line):
    item = json.loads(line)["Item"]
    more = item["data"]["M"]
    return [item[name]["S"] for name in columns] + [more[name]["S"] if name in more else None for name in data]
rows = [row(line) for file in sorted(glob.glob(sys.argv[1])) for line in gzip.open(file)]
print(len(pandas.DataFrame(rows, columns=columns + data)))
"""


def prepare(entries: int, folder: Path) -> None:
    """Writes the export."""
    write_export(entries, folder)


@contextmanager
def audit(_entries: int, folder: Path) -> Iterator[Work]:
    """The command, from its start to the document with the verdict."""
    export = str(folder / "AWSDynamoDB")
    yield Command([sys.executable, "-m", "phase5_ops.cli", "audit-ledger", export, "--format", "json"], _of_document)


def _of_document(output: str) -> Counts:
    document = json.loads(output)
    if document["verdict"] not in ("PASS", "INCONCLUSIVE"):  # a small export may have no replay in its last days
        raise RuntimeError(f"{document['verdict']}: {document['summary']}")
    return {"entries": document["facts"]["ledger_items"]}


def _load(program: str, folder: Path) -> Command:
    files = str(folder / "AWSDynamoDB" / "*" / "data" / "*.json.gz")
    return Command(
        [sys.executable, "-c", program, files, " ".join(_COLUMNS), " ".join(_DATA)], lambda output: {"entries": int(output)}
    )


@contextmanager
def load_with_duckdb(_entries: int, folder: Path) -> Iterator[Work]:
    """A table in memory."""
    if find_spec("duckdb") is None:
        raise Missing("there is no duckdb: pip install -e '.[bench]'")
    yield _load(_DUCKDB, folder)


@contextmanager
def load_with_pandas(_entries: int, folder: Path) -> Iterator[Work]:
    """A data frame in memory."""
    yield _load(_PANDAS, folder)


_AUDIT = Side("phase5 audit-ledger", audit)
_MEASURES = (
    "`phase5 audit-ledger` over a full export (DYNAMODB_JSON, eight gzipped files), as a process from its start to the verdict:"
    " manifests, checksums and counts verified, every line parsed and checked, replays paired and judged. A third of the entries"
    " are of types that replays have, one execution in fifty is a replay."
)

FIGURES = (
    Figure(
        name="ledger-audit",
        title="Ledger audit beside DuckDB",
        measures=f"{_MEASURES} DuckDB loads the twelve columns that the audit needs from the same files into memory, with two"
        " threads, and does nothing else.",
        unit="entries",
        sizes=(1_000_000, 2_000_000, 5_000_000, 10_000_000),
        small=2_000,
        sides=(_AUDIT,),
        reference=Side("DuckDB load", load_with_duckdb),
        prepare=prepare,
        rounds=2,
        targets=(
            times("DuckDB load", 1.5),
            times("DuckDB load", 1.5, "clock"),
            memory(2048),
            linear(1.1),
            linear(1.1, "clock"),
        ),
    ),
    Figure(
        name="ledger-audit-pandas",
        title="Ledger audit beside pandas",
        measures=f"{_MEASURES} pandas makes a data frame of the same twelve columns, each line parsed by Python's `json`.",
        unit="entries",
        sizes=(500_000,),
        small=2_000,
        sides=(_AUDIT,),
        reference=Side("pandas load", load_with_pandas),
        prepare=prepare,
        rounds=3,
        targets=(times("pandas load", 1.0),),
    ),
)
