"""Both heavy scans as Spark jobs on this machine, with Dagster Pipes through S3: the embedded engine's result, byte for byte."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import dagster as dg
import pytest

from phase5_ops.aws.s3.input_objects import S3Location
from phase5_ops.build import build_defs
from phase5_ops.commands.readiness import run_readiness
from phase5_ops.context import open_run
from phase5_ops.engines import pipes
from phase5_ops.engines.places import place_of
from phase5_ops.report import file_audit
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.ordinary_logs import logged
from phase5_ops.sections.replay.audit.files import SCHEMA, audit_files
from phase5_ops.sections.replay.audit.spark.assets import EXPORTS_ASSET, EXPORTS_JOB
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests.conftest import NOW, standing
from phase5_ops_tests.sections.isolation.logs.log_shapes import PACKINGS
from phase5_ops_tests.spark.local_spark import LocalSpark, need_spark

pytestmark = [pytest.mark.slow, pytest.mark.over_sockets]

SPARK = {
    "PARTIALS": "s3://kept/partials",
    "SPARK__APPLICATION_ID": "00fm4oe0607u5a1d",
    "SPARK__ROLE_ARN": "arn:aws:iam::123456789012:role/spark",
    "SPARK__ENTRY_POINT": "s3://kept/job.py",
    "SPARK__POLL_SECONDS": "0.5",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    need_spark()
    with standing("healthy") as found:
        yield found


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    for name, value in {**sandbox.exports(), "PHASE5_NOW": NOW, "PHASE5_STATE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name, value in SPARK.items():
        monkeypatch.setenv(f"PHASE5_ENGINE__{name}", value)
    monkeypatch.setenv("PHASE5_ENGINE__LOG_SCAN", "spark")
    monkeypatch.setenv("PHASE5_ENGINE__LEDGER_EXPORTS", '["s3://kept/ledger/"]')
    monkeypatch.setenv("PHASE5_LOGS__ARCHIVES", '["s3://kept/logs/"]')
    monkeypatch.setenv("PHASE5_LOGS__WINDOW_HOURS", "1")
    monkeypatch.setenv("PHASE5_LOGS__REQUESTS_PER_SECOND", "50")
    monkeypatch.setattr(LocalSpark, "started", [], raising=False)
    monkeypatch.setattr(pipes, "PipesEMRServerlessClient", LocalSpark)
    s3 = boto3.client("s3")
    if not s3.list_buckets()["Buckets"] or "kept" not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        region = boto3.session.Session().region_name
        s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": region})
    return load_settings()


def embedded(settings: Settings) -> Settings:
    return settings.model_copy(update={"engine": settings.engine.model_copy(update={"log_scan": "embedded"})})


def row(settings: Settings) -> str:
    """Row 4.2 of a readiness run, but for the run's own addresses."""
    document = run_readiness(settings, ["4.2"], instance=dg.DagsterInstance.ephemeral())
    (found,) = [each for each in document.rows if each.id == "4.2"]
    return found.model_dump_json(exclude={"observed_at"})


def put_logs() -> None:
    """Files whose last line has the trace of the next file, which says whose it is; packed and not, and one that is damaged."""
    dynamodb, s3, at = boto3.client("dynamodb"), boto3.client("s3"), "2026-11-23T09:00:00.000Z"
    ids = sorted(item["tenantId"]["S"] for item in dynamodb.scan(TableName="cc-native-tenants")["Items"])
    for number in range(4):
        request = f"11111111-aaaa-4bbb-8ccc-{number:012d}"
        own = {"trace_id": f"trace-{number}", "requestId": request, "tenant_id": ids[number % 2]}
        other = {"trace_id": f"trace-{number + 1}", "tenant_id": ids[2]}
        lines = [logged(at, "INFO", "Tool", f"line {n}", own) for n in range(5)] + [logged(at, "INFO", "Tool", "mail", other)]
        content = "\n".join(lines).encode()
        packed = (content, gzip.compress(content), PACKINGS["zstd"](content), gzip.compress(content))[number]
        s3.put_object(Bucket="kept", Key=f"logs/{number}", Body=packed)
    s3.put_object(Bucket="kept", Key="logs/broken.gz", Body=gzip.compress(b"a line\n" * 50)[:-9])
    for number in range(3):
        texts = {"pk": f"TENANT#{ids[number % 2]}", "sk": f"ENTRY#2026-11-23T08:59:00.000Z#entry-{number}"}
        texts |= {"tenantId": ids[number % 2], "traceId": f"trace-{number}"}
        item = {name: {"S": value} for name, value in texts.items()} | {"data": {"M": {}}}
        dynamodb.put_item(TableName="cc-native-ledger", Item=item)


def test_archives_by_spark_give_what_the_run_alone_gives(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    put_logs()
    monkeypatch.setattr(LocalSpark, "cores", 2)
    expected = row(embedded(settings))
    assert row(settings) == expected
    found = json.loads(expected)
    assert {"foreign_tenant_in_log", "log_window_incomplete"} <= {finding["code"] for finding in found["findings"]}
    (started,) = LocalSpark.started
    assert started["jobDriver"]["sparkSubmit"]["entryPoint"] == "s3://kept/job.py"
    left = [each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket="kept", Prefix="partials/pipes/")["Contents"]]
    assert all(key.endswith(".json") and "context" not in key for key in left)


def test_exports_by_spark_give_what_the_command_gives(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LocalSpark, "cores", 1)
    s3, ledger = boto3.client("s3"), boto3.client("dynamodb").get_paginator("scan").paginate(TableName="cc-native-ledger")
    entries = ledger.build_full_result()["Items"]
    for number in range(3):
        lines = "\n".join(json.dumps({"Item": item}) for item in entries[number::3])
        ending, pack = (("gz", gzip.compress), ("zst", PACKINGS["zstd"]), ("gz", gzip.compress))[number]
        s3.put_object(Bucket="kept", Key=f"ledger/{number}.json.{ending}", Body=pack(lines.encode()))
    s3.put_object(Bucket="kept", Key="ledger/9.json", Body=b'{"Item": {"pk": {"S": "broken')
    expected = file_audit.as_json(
        SCHEMA,
        audit_files(
            [S3Location("s3://kept/ledger/", settings.reading)],
            policy=settings.replay,
            now=settings.now,
            table=settings.tables.ledger,
            processes=1,
        ),
    )
    run = open_run(settings, "run")
    job = build_defs(settings=settings, run=run).resolve_job_def(EXPORTS_JOB)
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral())
    (made,) = result.asset_materializations_for_node(EXPORTS_ASSET)
    kept = place_of(settings.partials_location, run.reader).read(f"ledger-audit/jobs/{result.run_id}/result")
    assert kept.endswith(expected.encode())
    document = json.loads(expected)
    assert (made.metadata["verdict"].value, made.metadata["findings"].value) == (document["verdict"], len(document["findings"]))
    assert document["facts"]["replays"] > 0
    assert document["findings"]
