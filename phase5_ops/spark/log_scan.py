"""The files of an order of row 4.2, each scanned by a task of its own; what was found of a file is kept by the task."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from phase5_ops.aws.s3.input_objects import reader_for
from phase5_ops.engines.places import place_of
from phase5_ops.sections.isolation.logs.engines.archives import FileOrder, index_of, scan_file


def scan_logs(spark: Any, order: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - a SparkContext
    """Scans the files; writes the list of what was kept of them, whole or not at all. Returns where that is."""
    files = list(enumerate(order["files"]))
    common = {name: value for name, value in order.items() if name != "files"}
    kept = spark.parallelize(files, max(1, len(files))).mapPartitions(partial(_scan, common)).collect()
    index = index_of(order, kept)
    name = f"{order['folder']}/index"
    place_of(order["place"], reader_for(order["reading"])).write(name, index.packed())
    return {"index": name}


def _scan(common: Mapping[str, Any], files: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """What a task does: the number of each file, and name and digest of what was kept of it."""
    from pyspark import TaskContext

    task = TaskContext.get()
    attempt = task.taskAttemptId() if task else 0  # a task that is tried twice keeps two results, and one of them counts
    place = place_of(common["place"], reader_for(common["reading"]))
    order = FileOrder.of(common, place)
    for number, name in files:
        kept = f"{common['folder']}/{number}-{attempt}.part"
        yield number, kept, scan_file(order, name, place, kept)
