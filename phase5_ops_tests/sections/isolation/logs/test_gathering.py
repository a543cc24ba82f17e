"""Row 4.2 as it is gathered from a platform: what of the ledger is read, sampling, retention, archives, probes of our own."""

import gzip
from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest

from phase5_ops.ccnative.ledger import stamp_of
from phase5_ops.context import open_run
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.ordinary_logs import GROUP_PREFIX, logged
from phase5_ops.sandbox.state.records import LEDGER
from phase5_ops.sections.isolation.logs import assets as log_assets
from phase5_ops.sections.isolation.logs.assets import JUDGING, gather_log_scan
from phase5_ops.settings import load_settings

pytestmark = pytest.mark.slow

GROUP = f"{GROUP_PREFIX}tool-invoker"


@pytest.fixture
def judged(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    """Starts the healthy platform; gathers and judges again at each call."""
    start("healthy")
    monkeypatch.setenv("PHASE5_LOGS__REQUESTS_PER_SECOND", "50")

    def judge():
        platform = open_run(load_settings(), "run")
        table = gather_log_scan(platform, {})
        (judge,) = JUDGING[0].judges.values()
        return judge(platform, {"tenant_log_scan": table}, platform.now())

    return judge


def tenants():
    return sorted(item["tenantId"]["S"] for item in boto3.client("dynamodb").scan(TableName="cc-native-tenants")["Items"])


def now_ms():
    return int(load_settings().clock.now().timestamp() * 1000)


def put_entry(tenant, trace, intent, *, ago=timedelta()):
    at = stamp_of(now_ms() - int(ago.total_seconds() * 1000))
    texts = {"pk": f"TENANT#{tenant}", "sk": f"ENTRY#{at}#entry-{intent}", "tenantId": tenant, "traceId": trace}
    item = {name: {"S": value} for name, value in texts.items()} | {"data": {"M": {"action_intent_id": {"S": intent}}}}
    boto3.client("dynamodb").put_item(TableName=LEDGER, Item=item)


def put_line(trace, intent, tenant):
    stream, logs = f"2026/11/23/[$LATEST]{intent}", boto3.client("logs")
    fields = {"trace_id": trace, "action_intent_id": intent, "tenant_id": tenant}
    message = logged(stamp_of(now_ms() - 60_000), "INFO", "ToolInvokerHandler", "Tool invoker invoked", fields)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    logs.put_log_events(
        logGroupName=GROUP, logStreamName=stream, logEvents=[{"timestamp": now_ms() - 60_000, "message": message}]
    )


def codes(judgement):
    return {finding.code for finding in judgement.findings}


def outcome(judgement):
    return str(judgement.verdict), codes(judgement)


def test_the_ledger_is_read_from_the_margin_before_the_window_on(judged, monkeypatch):
    tenant, before = tenants()[0], judged().facts["ledger_owners"]
    with monkeypatch.context() as wider:
        wider.setenv("PHASE5_LOGS__LEDGER_MARGIN_HOURS", "240")
        before_wider = judged().facts["ledger_owners"]
    put_entry(tenant, "trace-1-recent", "ai_1_recent", ago=timedelta(days=7, hours=23))
    put_entry(tenant, "trace-1-old", "ai_1_old", ago=timedelta(days=8, hours=1))
    assert judged().facts["ledger_owners"] == before + 2
    monkeypatch.setenv("PHASE5_LOGS__LEDGER_MARGIN_HOURS", "240")
    assert judged().facts["ledger_owners"] == before_wider + 4


def test_the_row_links_to_every_log_group_that_was_read(judged):
    links = {link.label: link.url for link in judged().evidence}
    assert GROUP in links
    assert all("logsV2:log-groups/log-group/" in url for url in links.values())


def test_a_sampled_window_is_a_warning_and_a_retention_shorter_than_the_window_is_inconclusive(judged, monkeypatch):
    monkeypatch.setattr(log_assets, "_SLICES", 2)
    monkeypatch.setenv("PHASE5_LOGS__SAMPLE_SHARE", "0.9")
    monkeypatch.setenv("PHASE5_LOGS__UNATTRIBUTED_MAX_SHARE", "1")
    assert outcome(judged()) == ("WARN", {"sampled"})
    monkeypatch.delenv("PHASE5_LOGS__SAMPLE_SHARE")
    boto3.client("logs").put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert codes(judged()) == set()
    monkeypatch.setenv("PHASE5_LOGS__WINDOW_HOURS", "48")
    assert outcome(judged()) == ("INCONCLUSIVE", {"log_window_incomplete"})


def test_archives_in_s3_are_scanned_with_the_owners_of_the_ledger(judged, monkeypatch):
    owner, foreign = tenants()[:2]
    put_entry(owner, "trace-1-kept", "ai_1_kept")
    monkeypatch.setenv("PHASE5_LOGS__ARCHIVES", '["s3://kept-logs/2026/"]')
    assert outcome(judged()) == ("ERROR", {"log_group_unreadable"})
    s3, region = boto3.client("s3"), boto3.session.Session().region_name
    s3.create_bucket(Bucket="kept-logs", CreateBucketConfiguration={"LocationConstraint": region})
    line = logged(stamp_of(now_ms()), "INFO", "ToolInvokerHandler", "x", {"trace_id": "trace-1-kept", "tenant_id": foreign})
    s3.put_object(Bucket="kept-logs", Key="2026/11.gz", Body=gzip.compress(line.encode()))
    (finding,) = judged().findings
    assert (finding.code, finding.expected) == ("foreign_tenant_in_log", f"only tenant {owner}")
    assert finding.subject.startswith("s3://kept-logs/2026/11.gz line 1")
    allowed = {
        action for statement in policy_for(Purpose.readiness, load_settings())["Statement"] for action in statement["Action"]
    }
    assert {"s3:ListBucket", "s3:GetObject", "logs:FilterLogEvents", "logs:DescribeLogGroups"} <= allowed


def test_only_a_canary_of_ours_may_name_the_other_test_tenant(judged):
    a, b = sorted(load_settings().canary_tenants)[:2]
    probe = new_intent_id()
    put_entry(a, "trace-1-probe", probe)
    put_line("trace-1-probe", probe, b)
    judgement = judged()
    assert (judgement.facts["probes_set_aside"], codes(judgement)) == (1, set())
    put_entry(a, "trace-1-other", "ai_1_other")
    put_line("trace-1-other", "ai_1_other", b)
    assert codes(judged()) == {"foreign_tenant_in_log"}
