"""The ledger audit of row 3.2 over exports: a task a data file; the driver merges, pairs and judges."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from phase5_ops.aws.s3.addresses import is_s3
from phase5_ops.aws.s3.input_objects import S3Location, reader_for
from phase5_ops.clock import parse_iso
from phase5_ops.engines.places import place_of
from phase5_ops.input_files.locations import DiskLocation, Location
from phase5_ops.policy import ReplayPolicy
from phase5_ops.report import file_audit
from phase5_ops.sections.replay.audit.data_file import DataFile, read_data_file
from phase5_ops.sections.replay.audit.exports import plan_reading
from phase5_ops.sections.replay.audit.files import SCHEMA, judge_parts, latest_stamp
from phase5_ops.sections.replay.audit.ledger_part import LedgerPart
from phase5_ops.sections.replay.audit.spark.orders import result_of
from phase5_ops.settings import ReadingSettings


def audit_ledger(spark: Any, order: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - a SparkContext
    """Audits the exports; writes the judgement, whole or not at all. Returns where that is."""
    reading = ReadingSettings.model_validate_json(order["reading"])
    policy, now = ReplayPolicy.model_validate(order["policy"]), parse_iso(order["now"]) if order["now"] else None
    plan = plan_reading([_location(each, reading) for each in order["locations"]], order["table"])
    latest = latest_stamp(policy, now)
    files = list(enumerate(planned.file for planned in plan.files))
    read = dict(spark.parallelize(files, max(1, len(files))).mapPartitions(partial(_read, latest)).collect())
    parts = [[LedgerPart.from_bytes(part) for part in read[number]] for number in range(len(files))]
    document = file_audit.as_json(SCHEMA, judge_parts(plan, parts, policy=policy, now=now))
    name = f"{order['folder']}/result"
    place_of(order["place"], reader_for(order["reading"])).write(name, result_of(order, document).packed())
    return {"result": name}


def _read(latest: int, files: Iterable[tuple[int, DataFile]]) -> Iterator[tuple[int, list[bytes]]]:
    """What a task does: the number of each file, and its parts."""
    for number, file in files:
        parts: list[bytes] = []
        read_data_file(file, latest, lambda part, to=parts: to.append(part.to_bytes()))  # type: ignore[misc]
        yield number, parts


def _location(name: str, reading: ReadingSettings) -> Location:
    return S3Location(name, reading) if is_s3(name) else DiskLocation(Path(name))
