"""audit_export_is_whole on a running platform: every fault of an export, what is written for it, and what is not sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from uuid import uuid4

import pytest

from phase5_ops.context import RunContext, open_run
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.configured import require_settings
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.sandbox.scenarios.audit_export import EXPORT
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios, named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A
from phase5_ops.sections.isolation.exports import requesting
from phase5_ops.sections.isolation.exports.evidence import AuditExport
from phase5_ops.sections.isolation.exports.filler import EVENT, NUMBER
from phase5_ops.sections.isolation.exports.judge import judge_export
from phase5_ops.sections.isolation.exports.requesting import _Asking, export_and_compare
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW, standing
from phase5_ops_tests.without_dagster import judged

pytestmark = pytest.mark.slow

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
FAULTY = [each for each in all_scenarios() if each.change.__module__.endswith(".audit_export") and each.turns]


@pytest.fixture(scope="module")
def healthy() -> Iterator[Sandbox]:
    """A healthy platform."""
    with standing("healthy") as running:
        yield running


@pytest.fixture
def sandbox(healthy, monkeypatch, tmp_path) -> Sandbox:
    """The same, with the settings that lead to it."""
    own = {"PHASE5_STATE_DIR": str(tmp_path), "PHASE5_EXPORTS__SECONDS": "0.5"}
    for name, value in (healthy.exports() | own).items():
        monkeypatch.setenv(name, value)
    return healthy


def exported() -> tuple[RunContext, AuditExport, Judgement]:
    run = open_run(load_settings(), str(uuid4()))
    table = export_and_compare(run)
    return run, table, judge_export(table, policy=run.settings.exports, links=run.links)


def records(sandbox: Sandbox) -> list[str]:
    items = sandbox.inside.dynamodb.scan(TableName="cc-native-audit-export")["Items"]
    return [item["sk"]["S"] for item in items]


def test_a_healthy_platforms_export_is_whole_beyond_a_page_and_leaves_no_record(sandbox):
    before = records(sandbox)  # of exports that were not completed
    run, table, judgement = exported()
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    assert (judgement.facts["ledger_pages"], judgement.facts["entries_written_for_it"]) == (2, 0)
    assert judgement.facts["entries_in_ledger"] == judgement.facts["entries_in_file"] > NUMBER
    assert records(sandbox) == before
    assert not run.at_end
    assert "Signature" not in repr((table.rows, table.facts, table.reads))  # the link is as good as a password for an hour


@pytest.mark.parametrize("scenario", FAULTY, ids=lambda each: each.name)
def test_every_fault_of_an_export_is_found_for_what_it_is(scenario: Scenario, sandbox):
    fault = PlatformFault(scenario.name)
    sandbox.platform_faults.add(fault)
    try:
        _, _, judgement = exported()
    finally:
        sandbox.platform_faults.discard(fault)
    assert (judgement.verdict, [finding.code for finding in judgement.findings]) == (
        scenario.turns[EXPORT][0],
        [scenario.turns[EXPORT][1]],
    )


def test_every_fault_of_an_export_has_its_scenario():
    faults = {fault.value for fault in PlatformFault if fault.value.startswith("export-")}
    assert {each.name for each in FAULTY} == faults


def test_a_page_that_is_not_full_is_filled_once(start, monkeypatch):
    sandbox = start("export-page-to-be-filled")
    assert named("export-page-to-be-filled").turns == {}
    for moment, written in ((NOW, NUMBER), ("2026-11-23T13:00:00Z", 0)):  # a later run needs no more
        monkeypatch.setenv("PHASE5_NOW", moment)
        _, table, judgement = exported()
        assert (judgement.verdict, table.facts.planted) == (Verdict.PASS, written)
    pages = sandbox.inside.dynamodb.get_paginator("query").paginate(
        TableName="cc-native-ledger",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"TENANT#{A.tenant_id}"}},
    )
    told = [item for page in pages for item in page["Items"] if item["eventType"]["S"] == EVENT]
    assert len(told) == 2 * NUMBER  # and those that are too old


def test_what_an_export_leaves_is_not_taken_for_the_canarys(start, monkeypatch):
    """The entries that fill a page, and what the platform tells of the export, appear while the canary of row 4.1 executes."""
    start("export-page-to-be-filled")
    monkeypatch.setenv("PHASE5_ISOLATION__PROBE_REQUESTS", "100")
    document = judged(load_settings(), ["4.1", EXPORT]).document
    (harness,), (export,) = document.rows, document.extra_checks
    assert (export.verdict, export.facts["entries_written_for_it"]) == (Verdict.PASS, NUMBER)
    assert {finding.code for finding in harness.findings} == {"probe_not_tried"}  # all but a hundred


def test_a_page_is_not_filled_where_one_is_enough(start, monkeypatch):
    start("export-page-to-be-filled")
    monkeypatch.setenv("PHASE5_EXPORTS__MIN_PAGES", "1")
    _, table, judgement = exported()
    assert (judgement.verdict, table.facts.planted, table.facts.ledger_pages) == (Verdict.PASS, 0, 1)


@pytest.mark.parametrize(("mode", "code"), [("off", "probes_off"), ("refusals", "export_not_tried")])
def test_nothing_is_sent_where_probes_may_start_no_work(sandbox, monkeypatch, mode, code):
    monkeypatch.setenv("PHASE5_PROBE_MODE", mode)
    run, _, judgement = exported()
    assert (judgement.verdict, [finding.code for finding in judgement.findings]) == (Verdict.INCONCLUSIVE, [code])
    assert not run.reader.meter.calls


def test_a_control_center_that_is_down_or_refuses_is_told_apart(sandbox):
    for fault, verdict, code in (
        (PlatformFault.DOWN, Verdict.ERROR, "export_unanswered"),
        (PlatformFault.ERROR_500, Verdict.ERROR, "export_unanswered"),
        (PlatformFault.HTML, Verdict.ERROR, "export_unanswered"),
    ):
        sandbox.platform_faults.add(fault)
        try:
            _, _, judgement = exported()
        finally:
            sandbox.platform_faults.discard(fault)
        assert (judgement.verdict, [finding.code for finding in judgement.findings]) == (verdict, [code])


def test_a_run_that_probes_elsewhere_keeps_the_export_away(sandbox):
    from phase5_ops.probing import lease

    other = open_run(load_settings(), "other")
    held, _ = lease.acquire(other.reader, lease.ProbesPartition.of(other.settings), "other", other.settings.probes)
    try:
        _, _, judgement = exported()
    finally:
        held.release()
    assert [finding.code for finding in judgement.findings] == ["probe_lease_held"]


# What the link may lead to


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on this machine that answers every GET so; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    seen: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
    assert all("Authorization" not in headers for headers in seen)


def _answered(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def fetched(address: str) -> str:
    settings = load_settings()
    client = SimpleNamespace(meta=SimpleNamespace(endpoint_url=address))
    run = SimpleNamespace(settings=settings, reader=SimpleNamespace(client=lambda _: client))
    asking = _Asking(run, require_settings(settings), lambda _: None, export_id="exp-1")
    return asking._fetched(f"{address}/bucket/audit-exports/{A.tenant_id}/exp-1.json?Signature=abcdefgh")


@pytest.mark.parametrize(
    "answer",
    [
        _answered(302, Location="http://127.0.0.1:1/elsewhere"),
        _answered(403, b"<Error><Code>AccessDenied</Code></Error>"),
        _answered(404, b"{}"),
        _answered(500, b"{}"),
        _answered(200, b"x" * 2_000_001),
        _answered(200, b"[]", **{"Content-Length": "5"}),
    ],
    ids=["redirect", "denied", "missing", "broken", "too-large", "cut-off"],
)
def test_a_file_that_cannot_be_fetched_whole_is_an_error(sandbox, monkeypatch, answer):
    monkeypatch.setenv("PHASE5_EXPORTS__MAX_MEGABYTES", "2")
    monkeypatch.setenv("PHASE5_EXPORTS__FETCH_SECONDS", "2")
    with answering(answer) as address, pytest.raises(Obstructed) as stopped:
        fetched(address)
    assert stopped.value.obstacle.code == "export_not_fetched"
    assert "abcdefgh" not in repr(stopped.value.obstacle)


def test_a_file_of_a_megabyte_is_fetched_whole(sandbox):
    content = b"[" + b" " * 1_500_000 + b"]"
    with answering(_answered(200, content)) as address:
        assert fetched(address).encode() == content


@pytest.mark.parametrize(("seconds", "code"), [(0.0, None), (5.1, "export_refused")])
def test_an_export_that_was_just_asked_for_may_not_be_found_yet(sandbox, monkeypatch, seconds, code):
    """The Control Center reads it without consistency in the same moment in which it was written."""
    answers = iter([(202, {"export_id": "exp-12345678"}), (404, {}), (200, {"status": "COMPLETED"})])
    clock = iter([0.0, *[seconds] * 10])
    monkeypatch.setattr(requesting.time, "monotonic", lambda: next(clock))
    client = SimpleNamespace(send=lambda _: _answer(*next(answers)))
    settings = load_settings()
    run = SimpleNamespace(settings=settings, shared={}, reader=None)
    asking = _Asking(run, require_settings(settings), lambda _: None)
    signed_in = SimpleNamespace(redactor=Redactor(), reads=[], supply=SimpleNamespace(tokens={TokenKind.VALID: "token"}))
    monkeypatch.setattr(requesting, "tokens_of_run", lambda *_, **__: signed_in)
    monkeypatch.setattr(requesting, "Pool", lambda *_: None)
    monkeypatch.setattr(asking, "_client", lambda *_: client)
    monkeypatch.setattr(asking, "_fetched", lambda _: "[]")
    if code is None:
        assert asking.file((MOMENT, MOMENT)) == "[]"
    else:
        with pytest.raises(Obstructed) as stopped:
            asking.file((MOMENT, MOMENT))
        assert stopped.value.obstacle.code == code


def _answer(status: int, body: object) -> HttpAnswer:
    return HttpAnswer(status, None, "", json.dumps(body), 1.0)
