"""Rows 3.1 and 3.3 when something goes wrong around the probes: users, keys, tables, killed runs, a Control Center that lies."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.aws.reader import AwsReader
from phase5_ops.context import RunContext, open_run
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.probing.identity import KeySetClient
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.sections.replay.probes.sending import send_probes
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.places import SCENARIOS, TESTS
from phase5_ops_tests.sections.replay.probes.few_probes import few_probes

pytestmark = pytest.mark.slow

LEDGER, INTENTS = "cc-native-ledger", "cc-native-action-intent"
ERROR, FAIL, INCONCLUSIVE, PASS, WARN = Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.WARN
SESSION = boto3.Session("sandbox", "sandbox", region_name="us-west-2")
PASSWORD = "Aa1!aaaaaaaaaa"  # of users that only these tests know


@pytest.fixture(scope="module", autouse=True)
def sent_probes() -> Iterator[None]:
    """One probe of each kind: what goes wrong here goes wrong for all of a kind alike."""
    with few_probes():
        yield


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            yield running


@pytest.fixture(autouse=True)
def pointed_at_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    limits = {"PROBES__RUNS_PER_HOUR": "1000", "PROBES__FOLLOW_SECONDS": "3", "READING__MAX_ATTEMPTS": "1"}
    for name, value in {**sandbox.exports(), **{f"PHASE5_{key}": limit for key, limit in limits.items()}}.items():
        monkeypatch.setenv(name, value)
    yield
    sandbox.faults.clear()
    sandbox.platform_faults.clear()
    assert sandbox.platform.executor.wait_idle(300)
    tables = dynamodb_backends[ACCOUNT]["us-west-2"].tables
    tables["phase5-readiness"].items.clear()
    for partition in [key for key in tables[INTENTS].items if "phase5-canary" in str(key)]:
        del tables[INTENTS].items[partition]


def a_run(state: Path) -> RunContext:
    settings = load_settings(state_dir=state)
    platform = open_run(settings, str(uuid4()))
    platform.reader = AwsReader(settings.reading, session=SESSION)
    return platform


@dataclass(frozen=True)
class Result:
    """Both rows, and the table behind them."""

    rows: tuple[Judgement, Judgement]
    sent: int

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        return self.rows[0].verdict, self.rows[1].verdict

    @property
    def codes(self) -> set[str]:
        return {finding.code for row in self.rows for finding in row.findings}


def judged(state: Path) -> Result:
    platform = a_run(state)
    table = collect_probes(platform, send_probes(platform))
    rows = tuple(judge(table, links=platform.links, ledger_table=LEDGER) for judge in (judge_authorization, judge_permissions))
    return Result((rows[0], rows[1]), sum(row.not_tried is None for row in table.rows))


# Probe users


@pytest.fixture
def user(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a user of the pool with these attributes probe user A."""

    def make(**attributes: str) -> None:
        cognito, pool, name = sandbox.inside.client("cognito-idp"), load_settings().user_pool_id, uuid4().hex
        given = [{"Name": f"custom:{key}", "Value": value} for key, value in attributes.items()]
        cognito.admin_create_user(UserPoolId=pool, Username=name, UserAttributes=given, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        monkeypatch.setenv("PHASE5_PROBE_USERS__A__USERNAME", name)
        monkeypatch.setenv("PHASE5_PROBE_USERS__A__PASSWORD", PASSWORD)

    return make


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({}, "probe_token_unusable"),
        ({"tenant_id": "acme"}, "probe_tenant_refused"),
        ({"tenant_id": "phase5-canary-b"}, "probe_tenant_refused"),
        ({"tenant_id": "phase5-canary-a", "account_ids": "another"}, "probe_token_unusable"),
    ],
    ids=["no tenant", "a customer's", "the other test tenant's", "another account's"],
)
def test_a_user_that_is_not_the_settings_own_sends_nothing(attributes, code, user, sandbox, tmp_path):
    user(**attributes)
    result = judged(tmp_path)
    assert (result.verdicts, code in result.codes, result.sent) == ((ERROR, ERROR), True, 0)
    assert not canaries(sandbox)


@pytest.mark.parametrize("scope", [None, "canary-a-1,canary-a-2", '["canary-a-1"'])
def test_a_user_whose_scope_shows_nothing_leaves_the_account_probes_out(scope, user, tmp_path):
    user(tenant_id="phase5-canary-a", **({"account_ids": scope} if scope else {}))
    result = judged(tmp_path)
    assert "account_scope_not_testable" in result.codes
    assert result.rows[1].verdict is not PASS
    assert "account_scope_not_testable" not in {finding.code for finding in result.rows[0].findings}


def test_credentials_may_come_from_secrets_manager(sandbox, monkeypatch, tmp_path):
    user = load_settings().probe_users.a
    secret = json.dumps({"username": user.username, "password": user.password.get_secret_value()})
    sandbox.inside.client("secretsmanager").create_secret(Name="probe-a", SecretString=secret)
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"PHASE5_PROBE_USERS__A__{name}")
    monkeypatch.setenv("PHASE5_PROBE_USERS__A__SECRET_ID", "probe-a")
    assert judged(tmp_path).verdicts == (PASS, PASS)
    monkeypatch.setenv("PHASE5_PROBE_USERS__A__SECRET_ID", "no-such-secret")
    result = judged(tmp_path)
    assert (result.verdicts, "probe_token_unavailable" in result.codes) == ((ERROR, ERROR), True)


def test_without_the_pools_keys_the_forgeries_are_not_tried_and_the_row_does_not_pass(monkeypatch, tmp_path):
    monkeypatch.setattr(KeySetClient, "entries", lambda _: [])
    result = judged(tmp_path)
    assert result.verdicts == (INCONCLUSIVE, INCONCLUSIVE)
    assert "public_key_unavailable" in result.codes


# Tables and killed runs


def canaries(sandbox: Sandbox) -> list[str]:
    items = sandbox.inside.client("dynamodb").scan(TableName=INTENTS, ConsistentRead=True)["Items"]
    return [item["sk"]["S"] for item in items if "_phase5" in item["sk"]["S"]]


def test_canaries_that_cannot_be_written_send_nothing_and_give_the_lease_back(sandbox, tmp_path):
    sandbox.faults.add("denied", operation="BatchWriteItem", match=INTENTS)
    result = judged(tmp_path)
    assert (result.verdicts, "canary_not_written" in result.codes, result.sent) == ((ERROR, ERROR), True, 0)
    sandbox.faults.clear()
    assert judged(tmp_path).verdicts == (PASS, PASS)


def test_a_killed_run_keeps_the_lease_until_it_ends_and_the_next_run_removes_what_it_left(sandbox, tmp_path):
    killed = a_run(tmp_path)
    table = send_probes(killed)  # and never collects
    assert table.facts.context["written"]
    left = canaries(sandbox)
    assert left
    result = judged(tmp_path)
    assert (result.verdicts, "probe_lease_held" in result.codes) == ((INCONCLUSIVE, INCONCLUSIVE), True)
    assert canaries(sandbox) == left
    later = a_run(tmp_path)
    ahead = killed.settings.probes.lease_seconds + 60
    sent = send_probes(later, wall=lambda: time.time() + ahead)
    assert not sent.facts.obstacles
    assert not set(canaries(sandbox)) & set(left)
    collect_probes(later, sent, wall=lambda: time.time() + ahead)
    assert not canaries(sandbox)


def test_leftovers_that_cannot_be_looked_for_are_reported_and_stop_nothing(sandbox, tmp_path):
    sandbox.faults.add("denied", operation="Query", match=INTENTS)
    result = judged(tmp_path)
    assert (result.verdicts, result.codes) == ((WARN, WARN), {"canary_not_removed"})


def test_canaries_and_a_lease_that_stay_behind_are_reported(sandbox, tmp_path):
    platform = a_run(tmp_path)
    sent = send_probes(platform)
    sandbox.faults.add("denied", operation="BatchWriteItem")
    sandbox.faults.add("denied", operation="DeleteItem")
    table = collect_probes(platform, sent)
    row = judge_permissions(table, links=platform.links, ledger_table=LEDGER)
    assert (row.verdict, {f.code for f in row.findings}) == (WARN, {"canary_not_removed", "probe_lease_not_released"})
    sandbox.faults.clear()
    collect_probes(platform, sent)
    assert not canaries(sandbox)


def test_runs_beyond_the_hourly_limit_send_nothing(monkeypatch, tmp_path):
    assert judged(tmp_path).sent
    monkeypatch.setenv("PHASE5_PROBES__RUNS_PER_HOUR", "1")
    result = judged(tmp_path)
    assert (result.verdicts, "probe_rate_limited" in result.codes, result.sent) == ((INCONCLUSIVE,) * 2, True, 0)


def test_a_clock_set_back_does_not_lengthen_the_settle_time(monkeypatch, tmp_path):
    monkeypatch.setenv("PHASE5_PROBES__SETTLE_SECONDS", "3")
    waits: list[float] = []
    platform = a_run(tmp_path)
    sent = send_probes(platform)
    collect_probes(platform, sent, wall=lambda: sent.facts.context["sent_at"] - 3600, sleep=waits.append)
    assert waits[0] == 3


# A Control Center that lies


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.behave(self, body)

    def answer(self, status, body=b"{}", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, *_):
        pass


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Control Center that the settings name; the test says how it behaves."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("PHASE5_CONTROL_CENTER_URL", f"http://127.0.0.1:{server.server_port}/prod")
    yield server
    server.shutdown()
    server.server_close()


def reset(handler, _body):
    handler.send_response(202)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"abc")
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True  # else the handler holds it open for another request
    handler.connection.close()


def junk_chunks(handler, _body):
    handler.send_response(202)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ZZ\r\njunk")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("behave", "verdict", "code"),
    [
        (lambda handler, _: handler.answer(202, gzip.compress(b"{}"), Content_Encoding="gzip"), FAIL, "unauthenticated_accepted"),
        (lambda handler, _: handler.answer(204, b""), FAIL, "forged_token_accepted"),
        (lambda handler, _: handler.answer(401, b'{"status": "replay_requested"}'), INCONCLUSIVE, "positive_control_failed"),
        (lambda handler, _: handler.answer(404), INCONCLUSIVE, "refusal_unclear"),
        (lambda handler, _: handler.answer(302, b"", Location="/login?next=/replay"), ERROR, "control_center_redirect"),
        (lambda handler, _: handler.answer(401, b"", X_Long="y" * 70_000), ERROR, "control_center_down"),
        (reset, ERROR, "control_center_down"),
        (junk_chunks, ERROR, "control_center_down"),
    ],
    ids=["gzip", "204", "401", "404", "redirect", "headers", "reset", "chunks"],
)
def test_no_answer_that_is_the_same_for_everybody_passes(behave, verdict, code, liar, tmp_path):
    liar.behave = behave
    result = judged(tmp_path)
    assert result.verdicts == (verdict, ERROR if verdict is ERROR else FAIL)
    assert code in result.codes
    if code == "control_center_redirect":
        seen = next(finding.seen for finding in result.rows[0].findings if finding.code == code)
        assert seen == "HTTP 302 to /login, which was not followed"


@pytest.mark.parametrize(
    ("partition", "shape"),
    [("", "whole"), ("undefined", "trace alone"), ("anonymous", "whole"), ("phase5-canary-a-probe", "trace alone")],
)
def test_a_refused_request_recorded_under_no_tenant_or_the_users_name_is_found(partition, shape, liar, sandbox, tmp_path):
    dynamodb = sandbox.inside.client("dynamodb")
    written = []

    def refuse_and_record(handler, body):
        fields = json.loads(body) if body.startswith(b'{"action_intent_id": "') else {}
        if not handler.headers.get("Authorization") and not written:
            stamp, entry = "2026-11-23T12:00:00.000Z", uuid4().hex
            data = {"action_intent_id": {"S": fields["action_intent_id"]}} if shape == "whole" else {}
            written.append(
                {
                    "pk": {"S": f"TENANT#{partition}"},
                    "sk": {"S": f"ENTRY#{stamp}#{entry}"},
                    "eventType": {"S": "REPLAY_REQUESTED"},
                    "traceId": {"S": f"replay-request-1-{fields['action_intent_id']}"},
                    "data": {"M": data},
                }
            )
            dynamodb.put_item(TableName=LEDGER, Item=written[0])
        handler.answer(401)

    liar.behave = refuse_and_record
    try:
        result = judged(tmp_path)
    finally:
        for item in written:
            dynamodb.delete_item(TableName=LEDGER, Key={"pk": item["pk"], "sk": item["sk"]})
    found = [finding for finding in result.rows[0].findings if finding.code == "refused_but_recorded"]
    assert (result.rows[0].verdict, len(found)) == (FAIL, 1)
    assert found[0].seen == f"HTTP 401; ledger: REPLAY_REQUESTED under {partition}"


def test_every_obstacle_is_shown_by_a_test_or_a_scenario():
    shown = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    scenarios = SCENARIOS / "replay_probes.py"
    shown += scenarios.read_text(encoding="utf-8")
    assert not [code.code for code in ProbingCode.all() if f'"{code.code}"' not in shown]
