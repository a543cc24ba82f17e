"""Both heavy scans as Spark jobs on this machine: what a second core gives."""

import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.figure import Counts, Figure, Missing, Side, Work
from benchmarks.figures import ledger_audit
from benchmarks.inputs.tenant_logs import ids_of_mixed_shapes, write_log
from benchmarks.targets import times
from phase5_ops.policy import LogScanPolicy, ReplayPolicy
from phase5_ops.settings import ReadingSettings

_LOG_FILES = 8
_IDS = "ids.json"
_IDS_A_MB = 25  # 10,000 of the documented size
_ONE, _TWO = "local[1]", "local[2]"
_TARGET = 0.67  # two cores do it in two thirds of the time


@contextmanager
def _spark(master: str) -> Iterator[Any]:
    """A SparkContext whose Python processes have started, and have imported what jobs need."""
    missing = [what for what, there in (("pyspark", find_spec("pyspark")), ("java", shutil.which("java"))) if not there]
    if missing:
        raise Missing(f"there is no {' and no '.join(missing)}: pip install -e '.[spark]', and Java 17")
    from pyspark import SparkConf, SparkContext

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path), "SPARK_LOCAL_IP": "127.0.0.1"}
    conf = (
        SparkConf()
        .setMaster(master)
        .setAppName("phase5 benchmarks")
        .set("spark.ui.enabled", "false")
        .set("spark.ui.showConsoleProgress", "false")
    )
    context = SparkContext(conf=conf)
    try:
        context.setLogLevel("ERROR")
        cores = context.defaultParallelism
        context.parallelize(range(cores), cores).foreachPartition(_import_jobs)
        yield context
    finally:
        context.stop()


def _import_jobs(_rows: Iterable[int]) -> None:
    import phase5_ops.spark.job  # noqa: F401 - what imports it is the Python process of a task


@contextmanager
def _job(scan: str, master: str, order: Mapping[str, Any]) -> Iterator[tuple[Callable[[], str], Mapping[str, Any], Path]]:
    """What carries out a job and gives the name of its result, its whole order, and the folder with what it keeps."""
    with _spark(master) as context, tempfile.TemporaryDirectory(prefix="phase5-spark-") as kept:
        from phase5_ops.spark.job import SCANS

        whole = {"scan": scan, "place": kept, "folder": scan, "reading": ReadingSettings().model_dump_json(), **order}
        yield lambda: str(*SCANS[scan](context, whole).values()), whole, Path(kept)


@contextmanager
def audit(master: str, _entries: int, folder: Path) -> Iterator[Work]:
    """The ledger audit: merging, pairing and judging included."""
    from phase5_ops.sections.replay.audit.spark.orders import document_in  # an older checkout has other figures to measure

    about = {"locations": [str(folder / "AWSDynamoDB")], "policy": ReplayPolicy().model_dump(mode="json")}
    with _job("ledger-audit", master, {**about, "table": None, "now": None}) as (run, order, kept):
        yield lambda: _of_document(document_in((kept / run()).read_bytes(), order))


def _of_document(document: bytes) -> Counts:
    facts = json.loads(document)["facts"]
    return {"entries": facts["ledger_items"], "replays": facts["replays"]}


def write_logs(megabytes: int, folder: Path) -> None:
    """Logs of so many MB in files of equal size, with ids of mixed shapes; and the ids."""
    chosen = random.Random(7)
    ids = ids_of_mixed_shapes(megabytes * _IDS_A_MB, chosen)
    (folder / _IDS).write_text(json.dumps(ids), encoding="utf-8")
    for number in range(_LOG_FILES):
        write_log(folder / f"{number}.log", ids, megabytes // _LOG_FILES, chosen)


@contextmanager
def scan(master: str, _megabytes: int, folder: Path) -> Iterator[Work]:
    """The log scan: what was found is kept for the run that attributes it."""
    about = {
        "where": "123456789012/us-east-1",
        "ids": json.loads((folder / _IDS).read_text(encoding="utf-8")),
        "structured_only": [],
        "policy": LogScanPolicy().model_dump(mode="json"),
        "files": sorted(map(str, folder.glob("*.log"))),
    }
    with _job("log-scan", master, about) as (run, _, kept):

        def scanned() -> Counts:
            run()
            return {"files": len(list(kept.rglob("*.part")))}

        yield scanned


_MEASURES = (
    " The job alone, on the clock: Spark and its Python processes have started before. The CPU and memory given are the"
    " driver's, not those of the processes that scan. A file is a task."
)


FIGURES = (
    Figure(
        name="spark-ledger-audit",
        title="Ledger audit by Spark, two cores beside one",
        measures=f"The Spark job over an export like that of `ledger-audit`, with `{_TWO}` beside `{_ONE}`.{_MEASURES}",
        unit="entries",
        sizes=(2_000_000,),
        small=500,
        sides=(Side(_TWO, partial(audit, _TWO)),),
        reference=Side(_ONE, partial(audit, _ONE)),
        prepare=ledger_audit.prepare,
        rounds=3,
        targets=(times(_ONE, _TARGET, "clock"),),
    ),
    Figure(
        name="spark-log-scan",
        title="Log scan by Spark, two cores beside one",
        measures=f"The Spark job over eight log files with 10,000 tenant ids of mixed shapes, with `{_TWO}` beside `{_ONE}`; the"
        f" run that orders it attributes what was found, which is not part of it.{_MEASURES}",
        unit="MB",
        sizes=(400,),
        small=8,
        sides=(Side(_TWO, partial(scan, _TWO)),),
        reference=Side(_ONE, partial(scan, _ONE)),
        prepare=write_logs,
        rounds=3,
        targets=(times(_ONE, _TARGET, "clock"),),
    ),
)
