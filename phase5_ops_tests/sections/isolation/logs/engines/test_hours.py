"""Row 4.2 by hours of Dagster: the same judgement as by the run alone, and an hour that cannot be merged is named."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import boto3
import dagster as dg
import pytest

from phase5_ops.build import build_defs
from phase5_ops.context import RunContext, open_run
from phase5_ops.engines.places import place_of
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.ordinary_logs import GROUP_PREFIX, logged
from phase5_ops.sections.isolation.logs.assets import JUDGING, gather_log_scan
from phase5_ops.sections.isolation.logs.engines import conditions
from phase5_ops.sections.isolation.logs.engines.assets import HOURS_JOB
from phase5_ops.sections.isolation.logs.engines.hours import _parts_in
from phase5_ops.sections.isolation.logs.parts import LogPartUnreadable
from phase5_ops.settings import ConfigurationError, Settings, load_settings
from phase5_ops.verdict import Judgement
from phase5_ops_tests.conftest import NOW, standing

pytestmark = pytest.mark.slow

GROUP = f"{GROUP_PREFIX}tool-invoker"
KEYS = ("2026-11-23-09:00", "2026-11-23-10:00")  # of a window of three hours before noon; the hour before noon has not settled


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with standing("healthy") as found:
        yield found


@pytest.fixture
def by_hours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path) -> Settings:
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHASE5_NOW", NOW)
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PHASE5_LOGS__WINDOW_HOURS", "3")
    monkeypatch.setenv("PHASE5_LOGS__REQUESTS_PER_SECOND", "50")
    monkeypatch.setenv("PHASE5_ENGINE__LOG_SCAN", "dagster")
    return load_settings()


def materialize(settings: Settings, *keys: str) -> None:
    for key in keys:
        run = open_run(settings, "hours")
        job = build_defs(settings=settings, run=run).resolve_job_def(HOURS_JOB)
        assert job.execute_in_process(partition_key=key, instance=dg.DagsterInstance.ephemeral()).success


def judged(settings: Settings) -> tuple[str, Judgement]:
    """The rows and facts of a scan as JSON, and what is judged of them."""
    run = open_run(settings, "run")
    table = gather_log_scan(run, {})
    (judge,) = JUDGING[0].judges.values()
    document = json.dumps([[asdict(row) for row in table.rows], asdict(table.facts)])
    return document, judge(run, {"tenant_log_scan": table}, run.now())


def embedded(settings: Settings) -> Settings:
    return settings.model_copy(update={"engine": settings.engine.model_copy(update={"log_scan": "embedded"})})


def put_invocation(number: int, minutes: list[tuple[int, int]], ids: list[str]) -> None:
    """A line at each time, the first and last of which name their trace, and each a tenant."""
    logs, stream = boto3.client("logs"), f"2026/11/23/[$LATEST]{number}"
    request, trace = f"11111111-aaaa-4bbb-8ccc-{number:012d}", f"trace-{number}-across"
    events = []
    for place, ((hour, minute), tenant) in enumerate(zip(minutes, ids, strict=True)):
        fields = {"trace_id": trace, "requestId": request} if place == 0 else {"requestId": request}
        message = logged(f"2026-11-23T{hour:02}:{minute:02}:00.000Z", "INFO", "ToolInvokerHandler", f"sent to {tenant}", fields)
        moment = datetime(2026, 11, 23, hour, minute, tzinfo=UTC)
        events.append({"timestamp": int(moment.timestamp() * 1000), "message": message})
    logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def test_hours_give_what_the_run_alone_gives(by_hours: Settings):
    """A trace that crosses hours is the owner's from the ledger in each; one of its later lines names another tenant."""
    ids = sorted(item["tenantId"]["S"] for item in boto3.client("dynamodb").scan(TableName="cc-native-tenants")["Items"])
    at = "2026-11-23T08:59:00.000Z"
    texts = {"pk": f"TENANT#{ids[0]}", "sk": f"ENTRY#{at}#entry-1", "tenantId": ids[0], "traceId": "trace-1-across"}
    entry = {name: {"S": value} for name, value in texts.items()} | {"data": {"M": {}}}
    boto3.client("dynamodb").put_item(TableName=by_hours.tables.ledger, Item=entry)
    put_invocation(1, [(8, 58), (9, 58), (10, 1), (11, 30)], [ids[0], ids[0], ids[1], ids[0]])
    materialize(by_hours, *KEYS)
    whole, expected = judged(embedded(by_hours))
    merged, found = judged(by_hours)
    assert "foreign_tenant_in_log" in {finding.code for finding in expected.findings}
    assert merged == whole
    assert found == expected


def refused(settings: Settings) -> list[tuple[str, str]]:
    """Verdict and words of the findings on hours."""
    found = judged(settings)[1]
    return [(str(each.verdict), f"{each.subject}: {each.seen}") for each in found.findings if "partition" in each.subject]


def test_an_hour_that_cannot_be_merged_is_an_error_that_names_it(by_hours: Settings, monkeypatch: pytest.MonkeyPatch):
    materialize(by_hours, *KEYS)
    assert refused(by_hours) == []
    place = place_of(by_hours.partials_location, open_run(by_hours, "run").reader)
    first, second = (f"log-scan/hours/{key.replace(':', '')}.part" for key in KEYS)
    kept = place.read(first)

    def only(settings: Settings = by_hours) -> str:
        (verdict, words), *others = refused(settings)
        assert (verdict, len(others)) == ("ERROR", 0)
        assert words.startswith(f"partition {KEYS[0]} of tenant_log_scan_hours: ")
        return words

    place.write(first, kept[: len(kept) // 2])
    assert "invalid: it is not whole" in only()
    place.write(first, place.read(second))
    assert f"invalid: it is of log-scan {KEYS[1]}" in only()
    (place.root / first).unlink()
    assert "not_found: it was not scanned yet; materialize this partition" in only()
    place.write(first, kept)
    slower = by_hours.model_copy(update={"engine": by_hours.engine.model_copy(update={"settle_minutes": 55})})
    assert refused(slower) == []
    early = kept.replace(b'"made_at": "2026-11-23T12:00:00', b'"made_at": "2026-11-23T10:05:00')
    place.write(first, early)
    assert "before it had settled" in only()
    place.write(first, kept)
    deeper = by_hours.model_copy(update={"logs": by_hours.logs.model_copy(update={"base64": True})})
    assert ["with other settings of the scan" in words for _, words in refused(deeper)] == [True, True]
    with monkeypatch.context() as patch:
        patch.setattr(conditions, "_CODE", ("phase5_ops.input_files",))
        assert ["with other code" in words for _, words in refused(by_hours)] == [True, True]
    dynamodb, key = boto3.client("dynamodb"), {"tenantId": {"S": "a-new-tenant"}}
    item = dynamodb.scan(TableName="cc-native-tenants")["Items"][0] | key
    dynamodb.put_item(TableName="cc-native-tenants", Item=item)
    names = {name: item[name] for name in dynamodb_keys()}
    assert ["with other tenant ids" in words for _, words in refused(by_hours)] == [True, True]
    dynamodb.delete_item(TableName="cc-native-tenants", Key=names)
    place.write("log-scan/hash-key", b"x" * 32)
    assert ["with other hash key" in words for _, words in refused(by_hours)] == [True, True]


def dynamodb_keys() -> list[str]:
    table = boto3.client("dynamodb").describe_table(TableName="cc-native-tenants")["Table"]
    return [each["AttributeName"] for each in table["KeySchema"]]


def test_an_hour_of_which_a_group_could_not_be_read_is_merged_with_that_failure(
    by_hours: Settings, monkeypatch: pytest.MonkeyPatch
):
    materialize(by_hours, KEYS[1])
    run = open_run(by_hours, "hours")
    client = run.reader.client("logs")

    def refuse(**_: object) -> None:
        raise client.exceptions.ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "FilterLogEvents")

    def fail_filter(params: dict[str, object], **_: object) -> None:
        if params["logGroupName"] == GROUP:
            refuse()

    client.meta.events.register("provide-client-params.cloudwatch-logs.FilterLogEvents", fail_filter)
    job = build_defs(settings=by_hours, run=run).resolve_job_def(HOURS_JOB)
    result = job.execute_in_process(partition_key=KEYS[0], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    assert not result.success
    (finding,) = [each for each in judged(by_hours)[1].findings if each.subject == GROUP]
    assert (str(finding.verdict), "AccessDenied" in finding.seen) == ("INCONCLUSIVE", True)


def test_an_hour_is_not_scanned_before_it_has_settled(by_hours: Settings):
    job = build_defs(settings=by_hours, run=open_run(by_hours, "hours")).resolve_job_def(HOURS_JOB)
    result = job.execute_in_process(
        partition_key="2026-11-23-11:00", instance=dg.DagsterInstance.ephemeral(), raise_on_error=False
    )
    assert not result.success


def test_the_hours_are_there_only_where_they_are_asked_for(by_hours: Settings):
    def names(settings: Settings) -> set[str]:
        repository = build_defs(settings=settings, run=open_run(settings, "run")).get_repository_def()
        keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
        return {*keys, *repository.job_names, *(schedule.name for schedule in repository.schedule_defs)}

    more = names(by_hours) - names(embedded(by_hours))
    assert more == {"tenant_log_scan_hours", HOURS_JOB, "hourly_log_scan"}


def test_kept_hours_need_permission_for_their_place(by_hours: Settings):
    kept = by_hours.model_copy(update={"engine": by_hours.engine.model_copy(update={"partials": "s3://bucket/kept"})})
    statements = {each["Sid"]: each["Resource"] for each in policy_for(Purpose.readiness, kept)["Statement"]}
    assert statements["KeepPartials"] == ["arn:*:s3:::bucket/kept/*"]
    assert "KeepPartials" not in {each["Sid"] for each in policy_for(Purpose.readiness, by_hours)["Statement"]}


def test_hours_cannot_be_sampled(by_hours: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHASE5_LOGS__SAMPLE_SHARE", "0.5")
    with pytest.raises(ConfigurationError, match=r"logs\.sample_share must be 1"):
        load_settings()


def test_the_engine_is_no_part_of_the_policy(by_hours: Settings):
    def digest(settings: Settings) -> str:
        return RunContext.policy_digest.func(open_run(settings, "run"))

    assert digest(by_hours) == digest(embedded(by_hours))


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[" * 100_000, b"5\n", b'{"g": "x"}\n', b'{"g": 1e999}\n', b'{"g": -1}\nabc', b"{}\nabc"]
)
def test_an_hour_that_does_not_name_its_parts_is_unreadable(content: bytes):
    with pytest.raises(LogPartUnreadable):
        _parts_in(content, 3)
