"""Registering over HTTP: against a real webserver of Dagster, and against servers that say 200 and mean something else."""

import json
import os
import shlex
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import urllib3

from phase5_ops.build import WORDS
from phase5_ops.cli import app as cli
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import DIGEST_TAG, RELEASE_TAG, SERIES_TAG
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.candidates.dagster_http import DagsterWebserver, WebserverError
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.inputs.candidate_events import candidate_events
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.warm_processes import Command
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.probing.test_client import self_signed

pytestmark = pytest.mark.slow(60)

ENVIRONMENT = "production"
OTHER = "sha256:" + "0" * 64
POSTED = "/report_asset_materialization/"
ASSET = f"{POSTED}{candidates.ASSET}"
STARTED_WITHIN = 120.0  # seconds; some 15 on a machine that does nothing else


# --- a real webserver --------------------------------------------------------------------------------------------------------


@dataclass
class Webservers:
    """Two webservers on one Dagster home: one takes events, the other is read-only.

    Attributes:
        newest: the newest event that a test began after; those of the tests before it are not read again.
    """

    home: Path
    open: str
    read_only: str
    newest: str | None = None


@pytest.fixture(scope="module")
def webservers(tmp_path_factory) -> Iterator[Webservers]:
    home = tmp_path_factory.mktemp("dagster-home")
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PHASE5_", "AWS_", "DAGSTER_"))}
    environment = {**kept, "DAGSTER_HOME": str(home), "PHASE5_STATE_DIR": str(home), "AWS_REGION": "us-west-2"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        dg.DagsterInstance.get().dispose()  # makes the storage: two processes at once would stumble over each other
    code, *ports = (free_port() for _ in range(3))
    served_by = ["--grpc-host", "127.0.0.1", "--grpc-port", str(code)]
    commands = {
        code: ["dagster", "api", "grpc", "-m", "phase5_ops.definitions", "-h", "127.0.0.1", "-p", str(code)],
        **{port: ["dagster_webserver", *served_by, "-h", "127.0.0.1", "-p", str(port)] for port in ports},
    }
    commands[ports[-1]].append("--read-only")
    started: list[Command] = []
    try:
        for port, command in commands.items():  # the code server first: a webserver that finds none shows no asset
            process = Command([sys.executable, "-m", *command], environment, home)
            started.append(process)
            ends = time.monotonic() + STARTED_WITHIN
            while not (listens(port) if port == code else answers(port)):
                assert process.returncode is None, process.communicate(0)
                assert time.monotonic() < ends, command
                time.sleep(0.2)
        yield Webservers(home, *(f"http://127.0.0.1:{port}" for port in ports))
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def answers(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/server_info", retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def raw_post(url: str, path: str, content: bytes, content_type: str = "application/json") -> tuple[int, str]:
    headers = {"Content-Type": content_type}
    answer = urllib3.request("POST", url + path, body=content, headers=headers, retries=False, timeout=30)
    return answer.status, answer.data.decode()


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    """AWS and settings as a release pipeline has them; the state folder must never come into being."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    chosen = Desk.on(aws, tmp_path / "state")
    monkeypatch.setenv("PHASE5_TABLES__READINESS", chosen.settings.tables.readiness)
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return chosen


@pytest.fixture
def state(desk) -> StateTable:
    return desk.open().state


@dataclass
class Gate:
    """The sensor on the storage of the webservers, from the events of this test on."""

    instance: dg.DagsterInstance
    desk: Desk
    cursor: str | None

    def tick(self) -> sensor.Tick:
        sources = DecidingSession(open_run(self.desk.settings, "gate"), instance=self.instance)
        done = sensor.run_tick(sources, self.cursor, datetime.now(UTC), WORDS)
        self.cursor = done.cursor
        return done


@pytest.fixture
def gate(webservers, desk, monkeypatch) -> Iterator[Gate]:
    monkeypatch.setenv("DAGSTER_HOME", str(webservers.home))
    with dg.DagsterInstance.get() as instance:
        webservers.newest = newest_event(instance, webservers.newest)
        yield Gate(instance, desk, webservers.newest)
    monkeypatch.delenv("DAGSTER_HOME")


def newest_event(instance: dg.DagsterInstance, cursor: str | None) -> str | None:
    """The cursor behind the newest event there is after this one, or else this one."""
    while True:
        seen, following = candidate_events(instance, DagsterNames().key(candidates.ASSET), cursor, 100, datetime.now(UTC))
        if not seen:
            return cursor
        cursor = following


def phase5(capsys: pytest.CaptureFixture[str], *arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Runs the command in this process, without a DAGSTER_HOME: exit code, stdout, stderr."""
    with monkeypatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.setattr(sys, "argv", ["phase5", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture
def promote(webservers, desk, capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """`phase5 promote` with the address of the webserver in the settings; afterwards no state folder is there."""
    monkeypatch.setenv("PHASE5_DAGSTER_URL", webservers.open)

    def command(release: str, *options: str, digest: str = DIGEST) -> tuple[int, str, str]:
        ended = phase5(capsys, "promote", release, "--digest", digest, *options, monkeypatch=monkeypatch)
        assert not (Path.cwd() / "state").exists()
        return ended

    return command


def test_what_is_registered_over_http_is_what_the_sensor_takes(promote, gate, state):
    code, out, _ = promote("http-1", "--supersede", "--context", "pipeline_execution_id=e-1")
    assert (code, out) == (0, f"http-1 {DIGEST}: registered, series 1\n")
    (request,) = gate.tick().requests
    assert (request.tags[RELEASE_TAG], request.tags[DIGEST_TAG], request.tags[SERIES_TAG]) == ("http-1", DIGEST, "1")
    found = state.candidate(Release("http-1", "", "production"))
    assert (found.release.digest, found.fate, found.by) == (DIGEST, Fate.PENDING, "phase5 promote")
    assert found.context == {"pipeline_execution_id": "e-1", "supersede": "true"}
    assert "http-1" in gate.instance.get_dynamic_partitions(DagsterNames().releases)
    assert promote("http-1")[0] == 0  # the same candidate
    assert [each.run_key for each in gate.tick().requests] == [request.run_key]


def test_a_name_that_is_taken_is_refused_before_anything_is_posted(promote, gate):
    promote("http-taken")
    gate.tick()
    code, out, err = promote("http-taken", digest=OTHER)
    assert (code, out) == (3, "")
    assert "CONFLICT" in err
    assert newest_event(gate.instance, gate.cursor) == gate.cursor


def test_a_name_that_another_took_meanwhile_is_a_conflict_for_who_waits(promote, gate, state):
    taken = Release("http-race", OTHER, "production")
    now = datetime.now(UTC)
    waiting = threading.Timer(1, lambda: state.register(Candidate(taken, 1, Fate.PENDING, now, now, "another")))
    waiting.start()
    code, out, _ = promote("http-race", "--wait", "--timeout", "60")
    waiting.join()
    assert code == 3
    assert out.splitlines()[-1] == f"CONFLICT: http-race is registered with {OTHER}"


def test_waiting_believes_the_state_table_and_not_what_dagster_shows(promote, gate, webservers):
    forged = {"partition": "http-wait", "metadata": {"digest": DIGEST, "fate": "PROMOTED"}}
    assert raw_post(webservers.open, ASSET, json.dumps(forged).encode())[0] == 200
    code, out, err = promote("http-wait", "--wait", "--timeout", "0")
    assert code == 1
    assert "the sensor promotion_gate has not seen the candidate yet" in err
    assert "did not end within 0 s" in out


def test_a_candidate_is_aborted_and_registered_again_over_http(promote, gate, state):
    promote("http-abort")
    gate.tick()
    assert promote("http-abort", "--abort")[:2] == (0, f"http-abort {DIGEST}: to be aborted, series 1\n")
    gate.tick()
    assert state.candidate(Release("http-abort", "", "production")).fate is Fate.ABORTED
    code, out, _ = promote("http-abort", "--wait", "--timeout", "0")  # that is its end, until a new series is asked for
    assert (code, "ABORTED" in out) == (1, True)
    again = promote("http-abort", "--new-series", "--wait", "--timeout", "0")
    assert again[1].startswith(f"http-abort {DIGEST}: registered, series 2")
    gate.tick()
    again = state.candidate(Release("http-abort", "", "production"))
    assert (again.series, again.fate) == (2, Fate.PENDING)


def test_a_state_table_that_does_not_answer_is_exit_2_and_nothing_is_posted(promote, gate, aws_faults):
    aws_faults.add(operation="GetItem", kind="denied")
    code, out, err = promote("http-denied")
    assert (code, out) == (2, "")
    assert "nothing is known" in err
    assert newest_event(gate.instance, gate.cursor) == gate.cursor


def test_registering_and_waiting_need_one_right_only(promote, gate, aws_faults):
    for operation in ("PutItem", "UpdateItem", "Query", "BatchGetItem", "Scan", "GetCallerIdentity", "DescribeTable"):
        aws_faults.add(operation=operation, kind="denied")
    assert promote("http-rights", "--wait", "--timeout", "0")[0] == 1
    assert promote("http-rights")[0] == 0


def test_a_webserver_that_is_read_only_is_exit_2_and_said(promote, gate, webservers):
    code, out, err = promote("http-ro", "--url", webservers.read_only)
    assert (code, out) == (2, "")
    assert f"POST {ASSET} at {webservers.read_only}: HTTP 401" in err
    assert "read-only" in err
    assert newest_event(gate.instance, gate.cursor) == gate.cursor


def test_the_address_of_something_else_at_the_webserver_is_exit_2_and_said(promote, webservers):
    code, _, err = promote("http-path", "--url", f"{webservers.open}/dagster")
    assert code == 2
    assert "HTTP 405" in err
    assert "path prefix" in err


def test_an_asset_of_another_name_is_refused_before_it_is_posted(webservers, gate, monkeypatch):
    monkeypatch.setattr(candidates, "ASSET", "no_such_candidate")
    with pytest.raises(WebserverError, match=r"asset no_such_candidate at .*: there is no such asset; nothing was posted"):
        DagsterWebserver(webservers.open, ENVIRONMENT).post("http-x", {"digest": DIGEST})
    assert newest_event(gate.instance, None) is None


def test_an_asset_that_is_not_external_is_refused_before_it_is_posted(webservers, monkeypatch):
    monkeypatch.setattr(candidates, "ASSET", "tool_slo_summary")
    with pytest.raises(WebserverError, match="it is no external asset; nothing was posted"):
        DagsterWebserver(webservers.open, ENVIRONMENT).post("http-x", {"digest": DIGEST})


def test_an_event_is_found_beside_those_that_came_before_and_after_it(webservers, gate):
    names = [f"p-{n}" for n in range(4)]
    failures = []

    def register(by: str) -> None:
        try:
            DagsterWebserver(webservers.open, ENVIRONMENT).post("http-many", {"digest": DIGEST, "by": by})
        except WebserverError as error:
            failures.append(error)

    pipelines = [threading.Thread(target=register, args=(name,)) for name in names]
    for each in pipelines:
        each.start()
    for each in pipelines:
        each.join()
    assert failures == []
    events, _ = candidate_events(gate.instance, DagsterNames().key(candidates.ASSET), gate.cursor, 9, datetime.now(UTC))
    assert sorted(event.metadata["by"] for event in events) == names


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)


def documented_curl(url: str, release: str) -> list[str]:
    text = (ROOT / "docs" / "promoting.md").read_text()
    (start,) = [n for n, line in enumerate(text.splitlines()) if line.startswith("    curl ")]
    lines = text.splitlines()[start:]
    command = "\n".join(lines[: next(n for n, line in enumerate(lines) if not line)])
    command = command.replace("\\\n", "").replace("https://dagster.example.com", url).replace("sha256:<64 hex digits>", DIGEST)
    return shlex.split(command.replace("2026.11.3", release))


def test_the_documented_curl_registers_and_is_read_as_documented(webservers, gate, aws):
    ended = run(documented_curl(webservers.open, "http-curl"))
    assert (ended.returncode, ended.stdout) == (0, "{}")
    assert len(gate.tick().requests) == 1
    key = {"pk": {"S": "RELEASE#production#http-curl"}, "sk": {"S": "CANDIDATE"}}
    table = gate.desk.settings.tables.readiness
    item = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    assert (item["digest"], item["fate"], item["series"]) == ({"S": DIGEST}, {"S": "PENDING"}, {"N": "1"})
    assert item["by"] == {"S": "release pipeline"}
    assert item["closed_because"] == {"S": ""}


def test_curl_gets_the_answers_that_are_documented(webservers, gate):
    body = json.dumps({"partition": "http-c", "metadata": {"digest": DIGEST}}).encode()
    assert raw_post(webservers.open, "/report_asset_materialization/release_candidat", body) == (200, "{}")
    status, said = raw_post(webservers.open, ASSET, body, "application/json; charset=utf-8")
    assert (status, "Unhandled content type" in said) == (400, True)
    refused = run(documented_curl(webservers.read_only, "http-c"))
    assert refused.returncode == 22
    assert "401" in refused.stderr
    assert newest_event(gate.instance, gate.cursor) == gate.cursor


_DEEP = "[" * 100 + "]" * 100

GARBAGE = {
    "no body": b"{}",
    "no partition": json.dumps({"metadata": {"digest": DIGEST}}),
    "path": json.dumps({"partition": "../x", "metadata": {"digest": DIGEST}}),
    "dots": json.dumps({"partition": "..", "metadata": {"digest": DIGEST}}),
    "shell": json.dumps({"partition": "$(id)", "metadata": {"digest": DIGEST}}),
    "nul": json.dumps({"partition": "a\0b", "metadata": {"digest": DIGEST}}),
    "line end": json.dumps({"partition": "r-1\n", "metadata": {"digest": DIGEST}}),
    "long name": json.dumps({"partition": "r" * 65, "metadata": {"digest": DIGEST}}),
    "no digest": json.dumps({"partition": "r-1"}),
    "no metadata": json.dumps({"partition": "r-1", "metadata": None}),
    "short digest": json.dumps({"partition": "r-1", "metadata": {"digest": "sha256:1"}}),
    "digest as list": json.dumps({"partition": "r-1", "metadata": {"digest": [DIGEST]}}),
    "digest as number": json.dumps({"partition": "r-1", "metadata": {"digest": 1}}),
    "huge digest": json.dumps({"partition": "r-1", "metadata": {"digest": "d" * 3_000_000}}),
    "huge context": json.dumps({"partition": "r-1", "metadata": {"digest": DIGEST, "context/a": "x" * 3_000_000}}),
    "much context": json.dumps({"partition": "r-1", "metadata": {"digest": DIGEST, **{f"context/{n}": "x" for n in range(11)}}}),
    "deep context": f'{{"partition": "r-1", "metadata": {{"digest": "{DIGEST}", "context/a": {_DEEP}}}}}',
    "escape codes": json.dumps({"partition": "r-1", "metadata": {"digest": DIGEST, "context/a": "\x1b[2J"}}),
    "unknown class": json.dumps({"partition": "r-1", "metadata": {"digest": {"__class__": "Foo"}}}),
    "class of Dagster's": json.dumps(
        {"partition": "r-1", "metadata": {"digest": DIGEST, "x": {"__class__": "AssetKey", "x": 1}}}
    ),
    "enum of Dagster's": json.dumps(
        {"partition": "r-1", "metadata": {"digest": DIGEST, "x": {"__enum__": "DagsterRunStatus.X"}}}
    ),
    "mapping items": json.dumps({"partition": "r-1", "metadata": {"digest": DIGEST, "x": {"__mapping_items__": 5}}}),
}


def test_garbage_that_anybody_may_post_is_refused_and_said_and_leaves_no_trace(webservers, gate, state):
    before = gate.instance.get_dynamic_partitions(DagsterNames().releases)
    for name, content in GARBAGE.items():
        status, said = raw_post(webservers.open, ASSET, content.encode() if isinstance(content, str) else content)
        assert (status, said) == (200, "{}"), name  # Dagster takes them all
    tick = gate.tick()
    refused = [line for line in tick.lines if line.startswith("refused an event")]
    assert len(refused) == len(GARBAGE), "\n".join(tick.lines)
    assert tick.lines == refused
    assert all(len(line) < 300 and line.isprintable() for line in refused)
    assert tick.requests == []
    assert gate.instance.get_dynamic_partitions(DagsterNames().releases) == before
    assert state.open_candidates("production") == []
    assert state.candidate(Release("r-1", "", "production")) is None
    table = gate.desk.session.client("dynamodb").scan(TableName=gate.desk.settings.tables.readiness)
    assert [item["sk"]["S"].partition("#")[0] for item in table["Items"]] == [
        "EVENTS"
    ]  # how far events were applied, and nothing of them


def test_after_garbage_a_registration_is_seen_and_the_release_can_be_read_back(webservers, gate, promote, state):
    for content in (GARBAGE["class of Dagster's"], GARBAGE["huge digest"]):
        raw_post(webservers.open, ASSET, content.replace('"r-1"', '"http-after"').encode())
    code, _, err = promote("http-after")
    assert code == 0, err
    gate.tick()
    assert state.candidate(Release("http-after", "", "production")).fate is Fate.PENDING


# --- a server that lies ------------------------------------------------------------------------------------------------------


@dataclass
class Webserver:
    """What a webserver of Dagster answers, but where a test says otherwise.

    Attributes:
        lies: step ("asset", "post", "events") -> what answers instead.
        posted: the events it was given.
    """

    lies: dict[str, Callable[["Handler"], None]] = field(default_factory=dict)
    posted: list[dict[str, Any]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    server: ThreadingHTTPServer | None = None
    assets: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=lambda: {(candidates.ASSET,): {}})

    def events(self) -> list[dict[str, Any]]:
        return [
            {
                "partition": event["partition"],
                "metadataEntries": [{"label": name, "text": text} for name, text in event["metadata"].items()],
            }
            for event in reversed(self.posted)
        ]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        webserver: Webserver = self.server.webserver
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/json"
        if self.path.startswith(POSTED):
            step, truth = "post", {}
            webserver.posted.append({**content, "asset": self.path.removeprefix(POSTED)})
        elif "assetNodes" in content["query"]:
            step, truth = "every", {"data": {"assetNodes": [{"assetKey": {"path": path}} for path in webserver.assets]}}
        elif "assetMaterializations" in content["query"]:
            step, truth = "events", node(assetMaterializations=webserver.events()[: content["variables"]["limit"]])
        else:
            found = webserver.assets.get(tuple(content["variables"]["asset"]["path"]))
            step, truth = "asset", node("AssetNotFoundError") if found is None else node(**found)
        webserver.lies.get(step, lambda handler: handler.answer(200, json.dumps(truth)))(self)

    def answer(self, status, body="{}", content="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def node(kind: str = "AssetNode", **fields: Any) -> dict[str, Any]:
    about = {"isExecutable": False, "partitionDefinition": {"name": DagsterNames().releases}, **fields}
    return {"data": {"assetNodeOrError": {"__typename": kind, **about}}}


def says(status: int, body: Any = "{}", content: str = "application/json", **headers: str) -> Callable[[Handler], None]:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda handler: handler.answer(status, text, content, **headers)


def breaks_off(handler: Handler) -> None:
    handler.connection.close()


def is_silent(handler: Handler) -> None:
    handler.server.webserver.ended.wait(20)


def drips(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.webserver.ended.wait(0.05):
        handler.wfile.write(b" ")


@pytest.fixture
def webserver() -> Iterator[Webserver]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that gave up
    server.webserver = Webserver(url=f"http://127.0.0.1:{server.server_port}", server=server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.webserver
    server.webserver.ended.set()
    server.shutdown()
    server.server_close()


def register(webserver: Webserver, timeout: float = 10) -> None:
    DagsterWebserver(webserver.url, ENVIRONMENT, timeout_seconds=timeout).post("r-1", {"digest": DIGEST})


def test_the_honest_one_is_believed_and_its_event_tells_itself_from_others(webserver):
    register(webserver)
    register(webserver)
    first, second = (event["metadata"] for event in webserver.posted)
    assert first["digest"] == second["digest"] == DIGEST
    assert first["request"] != second["request"]


def listed(environment: str, says: str | None = None, partitions: str | None = None) -> dict[str, Any]:
    """The asset of candidates of an environment that has others beside it; `says` whose it is by its own word."""
    return {
        "partitionDefinition": {"name": partitions or DagsterNames(environment).releases},
        "metadataEntries": [{"label": "columns"}, {"label": candidates.ENVIRONMENT, "text": says or environment}],
    }


def test_of_several_environments_the_one_that_was_meant_gets_the_event(webserver):
    others = ("staging", f"{ENVIRONMENT}-eu")
    webserver.assets = {(name, candidates.ASSET): listed(name) for name in (*others, ENVIRONMENT)} | {
        ("staging", "readiness"): {}
    }
    register(webserver)
    assert [event["asset"] for event in webserver.posted] == [f"{ENVIRONMENT}/{candidates.ASSET}"]


ELSEWHERE = {
    "none of them": ({(name, candidates.ASSET): listed(name) for name in ("us", "eu")}, f"serves eu, us, and not {ENVIRONMENT}"),
    "one alone, another": (
        {(candidates.ASSET,): listed("staging", partitions="releases")},
        f"serves staging, and not {ENVIRONMENT}",
    ),
    "says another": ({(ENVIRONMENT, candidates.ASSET): listed(ENVIRONMENT, "eu")}, f"and not {ENVIRONMENT}"),
    "another's releases": (
        {(ENVIRONMENT, candidates.ASSET): listed(ENVIRONMENT, partitions="releases_eu")},
        "its partitions are not",
    ),
    "nothing at all": ({("eu", "readiness"): {}}, "there is no such asset"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_where_the_environment_is_not_served_nothing_is_posted_and_those_that_are_stand_in_the_message(webserver, case):
    webserver.assets, seen = ELSEWHERE[case]
    with pytest.raises(WebserverError, match="nothing was posted") as raised:
        register(webserver)
    assert seen in str(raised.value)
    assert webserver.posted == []


@pytest.mark.parametrize("lie", [{"data": {}}, {"data": {"assetNodes": [{}]}}, {"data": {"assetNodes": [3]}}])
def test_a_list_of_assets_of_another_shape_is_no_answer(webserver, lie):
    webserver.assets, webserver.lies["every"] = {}, says(200, lie)
    with pytest.raises(WebserverError, match="JSON of another shape"):
        register(webserver)


LIES = {
    "not there": (says(404), "HTTP 404", "address"),
    "a login": (says(401, "<html>", "text/html"), "HTTP 401", "login"),
    "forbidden": (says(403), "HTTP 403", "let you in"),
    "redirect": (says(302, Location="https://login.example/?t=1"), "to https://login.example/, which", "address"),
    "same host": (says(307, Location="/"), "which was not followed", "address"),
    "too many": (says(429), "HTTP 429", "later"),
    "broken": (says(500, {"errors": [{"message": "m"}]}), "HTTP 500", "log"),
    "gateway": (says(503, "<html>", "text/html"), "HTTP 503", "path prefix"),
    "odd status": (says(299), "HTTP 299", "log"),
    "a page": (says(200, "<!doctype html>", "text/html"), "page instead of JSON", "path prefix"),
    "a page as JSON": (says(200, "<html>"), "page instead of JSON", "path prefix"),
    "no JSON": (says(200, "OK"), "no JSON object: OK", "path prefix"),
    "a list": (says(200, "[]"), "no JSON object: []", "path prefix"),
    "escape codes": (says(200, "\x1b[2J"), "no JSON object:  [2J", "path prefix"),
    "too deep": (says(200, "[" * 60_000), "no JSON object", "path prefix"),
    "huge": (says(200, json.dumps({"a": "x" * 70_000})), "more than 65536 bytes", "path prefix"),
    "broken off": (breaks_off, "RemoteDisconnected", "running"),
}


@pytest.mark.parametrize("step", ["asset", "post", "events"])
@pytest.mark.parametrize("lie", LIES)
def test_whatever_is_no_answer_of_dagster_is_no_registration(webserver, step, lie):
    webserver.lies[step], seen, remedy = LIES[lie]
    call = ASSET if step == "post" else "/graphql"
    with pytest.raises(WebserverError) as raised:
        register(webserver)
    said = str(raised.value)
    assert said.startswith(f"POST {call} at {webserver.url}: ")
    assert seen in said
    assert remedy in said
    assert said.isprintable()
    assert len(webserver.posted) == (step != "asset")  # never sent twice, never after a look that failed
    assert ("it is not known whether r-1 was registered" in said) == (step != "asset")


@pytest.mark.parametrize("step", ["asset", "post", "events"])
@pytest.mark.parametrize("behave", [is_silent, drips])
def test_time_is_bounded_at_each_step(webserver, step, behave):
    webserver.lies[step] = behave
    started = time.monotonic()
    with pytest.raises(WebserverError, match="; try again, or look at the webserver's load and log"):
        register(webserver, timeout=0.4)
    assert time.monotonic() - started < 5


ANOTHER = {"partition": "r-1", "metadataEntries": [{"label": "digest", "text": DIGEST}, {"label": "request", "text": "0" * 32}]}


@pytest.mark.parametrize(
    ("step", "body", "seen"),
    [
        ("asset", node("AssetNotFoundError"), "there is no such asset; nothing was posted"),
        ("asset", node(isExecutable=True), "it is no external asset; nothing was posted"),
        ("asset", node(isExecutable=None), "it is no external asset; nothing was posted"),
        ("asset", node(partitionDefinition=None), "its partitions are not releases_production; nothing was posted"),
        ("asset", node(partitionDefinition={"name": "days"}), "its partitions are not releases"),
        ("asset", node("PythonError"), "JSON of another shape"),
        ("asset", {}, "JSON of another shape"),
        ("asset", {"data": None, "errors": [{"message": "no such field"}]}, "JSON of another shape"),
        ("asset", {"data": {"assetNodeOrError": ["AssetNode"]}}, "JSON of another shape"),
        ("events", {"data": {}}, "JSON of another shape"),
        ("events", node("AssetNotFoundError"), "is not there afterwards"),
        ("events", node(), "is not there afterwards"),
        ("events", node(assetMaterializations=[]), "is not there afterwards"),
        ("events", node(assetMaterializations=None), "JSON of another shape"),
        ("events", node(assetMaterializations={"a": 1}), "JSON of another shape"),
        ("events", node(assetMaterializations=[None]), "JSON of another shape"),
        ("events", node(assetMaterializations=[{"partition": "r-1"}]), "JSON of another shape"),
        (
            "events",
            node(assetMaterializations=[{"partition": "r-1", "metadataEntries": [{"label": []}]}]),
            "JSON of another shape",
        ),
        ("events", node(assetMaterializations=[ANOTHER]), "is not there afterwards"),
    ],
)
def test_dagster_must_say_that_the_asset_and_then_this_very_event_are_there(webserver, step, body, seen):
    webserver.lies[step] = says(200, body)
    with pytest.raises(WebserverError) as raised:
        register(webserver)
    assert seen in str(raised.value)
    assert len(webserver.posted) == (step != "asset")


@pytest.mark.parametrize("changed", [{"digest": OTHER}, {"request": "x"}, {"abort": ""}])
def test_an_event_that_differs_from_what_was_sent_is_not_ours(webserver, changed):
    def differ(handler):
        for event in webserver.posted:
            event["metadata"] |= changed
        handler.answer(200)

    webserver.lies["post"] = differ
    with pytest.raises(WebserverError, match="is not there afterwards"):
        DagsterWebserver(webserver.url, ENVIRONMENT).post("r-1", {"digest": DIGEST, "abort": "true"})


def test_a_certificate_is_verified_and_that_of_a_private_authority_can_be_named(tmp_path, monkeypatch, webserver):
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    webserver.server.socket = context.wrap_socket(webserver.server.socket, server_side=True)
    webserver.url = webserver.url.replace("http:", "https:")
    with pytest.raises(WebserverError, match="SSL_CERT_FILE"):
        register(webserver)
    assert webserver.posted == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    register(webserver)
    assert len(webserver.posted) == 1


def test_a_proxy_of_the_environment_is_not_asked(webserver, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    register(webserver)
    assert len(webserver.posted) == 1


def test_nobody_listens_is_exit_2_with_the_address(desk, capsys, monkeypatch):
    url = f"http://127.0.0.1:{free_port()}"
    code, out, err = phase5(capsys, "promote", "r-1", "--digest", DIGEST, "--url", url, monkeypatch=monkeypatch)
    assert (code, out) == (2, "")
    assert f"POST /graphql at {url}: " in err
    assert "is the webserver running" in err


def test_200_without_an_event_is_exit_2(desk, webserver, capsys, monkeypatch):
    webserver.lies["events"] = says(200, node(assetMaterializations=[]))
    code, out, err = phase5(capsys, "promote", "r-1", "--digest", DIGEST, "--url", webserver.url, monkeypatch=monkeypatch)
    assert (code, out) == (2, "")
    assert "answered 200, but the event of r-1 is not there afterwards; repeat the command" in err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--url", ""], "PHASE5_DAGSTER_URL"),
        (["--url", "dagster:3000"], "PHASE5_DAGSTER_URL"),
        (["--url", "ftp://dagster"], "PHASE5_DAGSTER_URL"),
        (["--url", "https://me:secret@dagster"], "PHASE5_DAGSTER_URL"),
        (["--url", "http://127.0.0.1:1", "--local"], "--local"),
        (["--url", "http://127.0.0.1:1", "--context", "x"], "NAME=VALUE"),
        (["--url", "http://127.0.0.1:1", "--abort"], "no candidate r-1"),
    ],
)
def test_a_usage_error_is_exit_3_and_nothing_is_sent(desk, capsys, monkeypatch, options, named):
    code, out, err = phase5(capsys, "promote", "r-1", "--digest", DIGEST, *options, monkeypatch=monkeypatch)
    assert (code, out) == (3, "")
    assert named in err
    assert "secret" not in err


def test_local_means_the_state_folder_although_an_address_is_set(desk, webserver, capsys, monkeypatch):
    monkeypatch.setenv("PHASE5_DAGSTER_URL", webserver.url)
    code, out, _ = phase5(capsys, "promote", "r-1", "--digest", DIGEST, "--local", monkeypatch=monkeypatch)
    assert (code, out) == (0, f"r-1 {DIGEST}: registered, series 1\n")
    assert webserver.posted == []
    assert (Path.cwd() / "state" / "dagster.yaml").exists()


def test_over_http_dagster_is_not_even_imported(desk, webserver):
    code = (
        "import sys; from phase5_ops.cli import app as cli\n"
        f"sys.argv = ['phase5', 'promote', 'r-1', '--digest', '{DIGEST}', '--url', '{webserver.url}']\n"
        "try: cli.main()\n"
        "finally: print([name for name in ('dagster', 'pandas') if name in sys.modules])"
    )
    ended = run([sys.executable, "-c", code])
    assert (ended.returncode, ended.stdout.splitlines()) == (0, [f"r-1 {DIGEST}: registered, series 1", "[]"]), ended.stderr
    assert len(webserver.posted) == 1
