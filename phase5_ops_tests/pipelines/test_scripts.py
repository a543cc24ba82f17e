"""The scripts that release pipelines run: first with a `phase5` that only notes how it is called, then with the real one."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from phase5_ops.gate.attestation.keys import keys_document
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.state.items import Fate
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops_tests.commands.test_status import judged
from phase5_ops_tests.gate.own_aws import DIGEST, RELEASE
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

HOSTILE = "%0A\n::error::x\r\u001b[31m <script>alert(1)</script>, a:b"
NOTES = """#!/usr/bin/env bash
printf '%s\\n' "$@" 'END OF CALL' >> "$NOTED"
echo "::error::said by phase5"
case "$1 ${2:-}" in
  promote*) mkdir -p phase5-gate/attestation && echo '{}' > phase5-gate/attestation/decision.dsse.json ;;
  status*) [ -z "${DOCUMENT:-}" ] || printf '%s' "$DOCUMENT" > phase5-gate/status.json ;;
esac
exit "${CODE:-0}"
"""


@dataclass
class Runner:
    """Runs scripts in a folder of its own, with a `phase5` first on PATH."""

    folder: Path
    variables: Mapping[str, str]

    def run(self, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", str(ROOT / "pipelines" / script)],
            cwd=self.folder,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """The arguments of each call of `phase5`."""
        noted = (self.folder / "noted").read_text().split("\nEND OF CALL\n") if (self.folder / "noted").exists() else []
        return [call.split("\n") for call in noted if call]


def command(folder: Path, text: str) -> str:
    """The PATH on which `phase5` is this script."""
    (folder / "bin").mkdir()
    (folder / "bin/phase5").write_text(text)
    (folder / "bin/phase5").chmod(0o755)
    (folder / "bin/python3").symlink_to(sys.executable)
    return f"{folder / 'bin'}:/usr/bin:/bin"


@pytest.fixture
def runner(tmp_path) -> Runner:
    path = command(tmp_path, NOTES)
    given = {"PATH": path, "NOTED": str(tmp_path / "noted"), "GATE_RELEASE": "--help", "GATE_DIGEST": DIGEST}
    return Runner(tmp_path, given)


# --- how phase5 is called ----------------------------------------------------------------------------------------------------


def test_the_gate_is_asked_with_everything_as_one_argument_each(runner):
    (runner.folder / "phase5-gate/attestation").mkdir(parents=True)
    old = runner.folder / "phase5-gate/attestation/override.dsse.json"
    old.write_text("{}")
    ended = runner.run("gate.sh", GATE_CONTEXT="a=$(id) b", GATE_ACCEPT_BREAK_GLASS="true", GATE_TIMEOUT="60")
    assert ended.returncode == 0
    [call] = runner.calls()
    wanted = ["promote", "--digest", DIGEST, "--wait", "--timeout", "60", "--attestation", "phase5-gate/attestation"]
    assert call == [*wanted, "--context", "a=$(id) b", "--accept-break-glass", "--", "--help"]
    assert not old.exists()  # of an earlier run
    assert "stop-commands" not in ended.stdout


@pytest.mark.parametrize("code", ["1", "2", "3"])
def test_what_is_not_promoted_ends_with_the_gates_code_and_the_blockers_as_annotations(runner, code):
    document = json.dumps({"blockers": [f"1.2 FAIL {HOSTILE}", *(f"n-{n}" for n in range(12))]})
    ended = runner.run("gate.sh", CODE=code, DOCUMENT=document, GITHUB_ACTIONS="true")
    assert ended.returncode == int(code)
    lines = ended.stdout.splitlines()
    stop = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0])
    assert lines[1:3] == ["::error::said by phase5", f"::{stop.group(1)}::"]  # shown, not obeyed
    again = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[3])  # what is asked for the annotations is foreign, too
    assert lines[4:6] == ["::error::said by phase5", f"::{again.group(1)}::"]
    errors = lines[6:]
    assert len(errors) == 10
    text = "1.2 FAIL %250A%0A::error::x%0D\u001b[31m <script>alert(1)</script>, a:b"
    assert errors[0] == f"::error title=phase5 gate%2C --help::{text}"
    assert errors[-1].endswith("::and 4 more: see the report")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "ERROR: what keeps it closed is not known: phase5 status gave no document (FileNotFoundError)"),
        ("{", "ERROR: what keeps it closed is not known: phase5 status gave no document (JSONDecodeError)"),
        ("[]", "ERROR: what keeps it closed is not known: phase5 status gave no document (TypeError)"),
        ('{"blockers": []}', "ERROR: the gate did not let it pass: see the log of this step"),
        (json.dumps({"blockers": [HOSTILE]}), "ERROR: %0A\\n::error::x\\r\\x1b[31m <script>alert(1)</script>, a:b"),
    ],
)
def test_elsewhere_each_blocker_is_a_line_and_what_is_not_known_is_said(runner, document, said):
    ended = runner.run("annotate.sh", CODE="2", DOCUMENT=document)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, said)


@pytest.mark.parametrize("missing", ["GATE_RELEASE", "GATE_DIGEST", "GATE_KEYS", "PHASE5_ENVIRONMENT"])
def test_a_script_without_what_it_needs_says_so_and_asks_nothing(runner, missing):
    given = {"GATE_KEYS": "keys.json", "PHASE5_ENVIRONMENT": "production", missing: ""}
    script = "gate.sh" if missing in ("GATE_RELEASE", "GATE_DIGEST") else "verify.sh"
    ended = runner.run(script, **given)
    assert ended.returncode != 0
    assert missing in ended.stderr
    assert runner.calls() == []


def test_without_an_attestation_nothing_is_verified_and_a_failure_is_a_failure(runner):
    given = {"GATE_KEYS": "a b.json", "PHASE5_ENVIRONMENT": "production"}
    assert runner.run("verify.sh", CODE="3", **given).returncode == 3
    wanted = ["verify", "--digest", DIGEST, "--policy", "a b.json", "--environment", "production"]
    assert runner.calls() == [[*wanted, "--"]]
    assert runner.run("verify.sh", CODE="1", GATE_ACCEPT_BREAK_GLASS="true", **given).returncode == 1
    assert runner.calls()[-1] == [*wanted, "--accept", "break-glass", "--"]


@pytest.mark.parametrize(
    ("script", "code"), [("gate.sh", 0), ("gate.sh", 3), ("annotate.sh", 0), ("report.sh", 2), ("verify.sh", 1)]
)
def test_nothing_that_phase5_prints_commands_the_runner_whatever_the_script(runner, script, code):
    given = {"GATE_KEYS": "keys.json", "PHASE5_ENVIRONMENT": "production", "GITHUB_ACTIONS": "true", "CODE": str(code)}
    ended = runner.run(script, **given)
    assert ended.returncode == code, ended.stderr
    stopped, calls = "", 0
    for line in ended.stdout.splitlines():
        if stopped:
            stopped, calls = ("", calls) if line == stopped else (stopped, calls + (line == "::error::said by phase5"))
        elif match := re.fullmatch(r"::stop-commands::(\w+)", line):
            stopped = f"::{match[1]}::"
        else:
            assert "said by phase5" not in line
    assert (stopped, calls) == ("", len(runner.calls()))


def test_a_report_that_could_not_be_made_is_a_failure(runner):
    assert runner.run("report.sh", CODE="2").returncode == 2
    [call] = runner.calls()
    assert call[0] == "status"
    assert call[-2:] == ["--", "--help"]


def test_phase5_is_installed_from_the_checkout_with_the_versions_that_were_tested(runner):
    (runner.folder / "bin/python3").unlink()
    (runner.folder / "bin/python3").write_text('#!/usr/bin/env bash\nmkdir -p "$3/bin" && cp "$PIP" "$3/bin/pip"\n')
    (runner.folder / "bin/python3").chmod(0o755)
    found = runner.folder / "path"
    ended = runner.run("install.sh", PIP=str(runner.folder / "bin/phase5"), GITHUB_PATH=str(found))
    assert ended.returncode == 0, ended.stderr
    [call] = runner.calls()
    wanted = ["install", "--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt"), str(ROOT)]
    assert call == wanted
    assert found.read_text() == f"{runner.folder / '.phase5-venv/bin'}\n"


# --- with phase5 itself ------------------------------------------------------------------------------------------------------


@contextmanager
def webserver() -> Iterator[str]:
    """What `phase5 promote` asks of Dagster's webserver: the asset, the event, and the event again."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/graphql":
                posted.append(body)
                answer: dict[str, Any] = {}
            elif "release" in body["variables"]:
                metadata = [{"label": label, "text": text} for label, text in posted[-1]["metadata"].items()]
                events = [{"partition": posted[-1]["partition"], "metadataEntries": metadata}]
                answer = {"data": {"assetNodeOrError": {"__typename": "AssetNode", "assetMaterializations": events}}}
            elif len(body["variables"]["asset"]["path"]) > 1:  # of one of several environments: this one is alone
                answer = {"data": {"assetNodeOrError": {"__typename": "AssetNotFoundError"}}}
            else:
                node = {"isExecutable": False, "partitionDefinition": {"name": DagsterNames().releases}}
                answer = {"data": {"assetNodeOrError": {"__typename": "AssetNode", **node}}}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path / "state")


@pytest.fixture
def pipeline(desk, tmp_path) -> Iterator[Runner]:
    """The scripts as a pipeline runs them, against the sandbox's AWS."""
    path = command(tmp_path, f'#!/usr/bin/env bash\nexec "{sys.executable}" -m phase5_ops.cli "$@"\n')
    (tmp_path / "keys.json").write_bytes(keys_document(desk.open().keys))
    with webserver() as url:
        yield Runner(
            tmp_path,
            {
                **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
                "PATH": path,
                "PYTHONPATH": str(ROOT),
                "PHASE5_DAGSTER_URL": url,
                "PHASE5_ENVIRONMENT": RELEASE.environment,
                "PHASE5_TABLES__READINESS": desk.settings.tables.readiness,
                "PHASE5_STATE_DIR": str(tmp_path / "none"),
                "GATE_RELEASE": RELEASE.name,
                "GATE_DIGEST": RELEASE.digest,
                "GATE_KEYS": "keys.json",
            },
        )


def test_a_promoted_release_passes_and_only_its_own_digest_verifies(desk, pipeline):
    desk.promoted(now=datetime.now(UTC))
    ended = pipeline.run("gate.sh")
    assert ended.returncode == 0, ended.stderr
    assert f"{RELEASE.name} {RELEASE.digest} series 1 PROMOTED" in ended.stdout
    verified = pipeline.run("verify.sh")
    assert (verified.returncode, verified.stdout.splitlines()[0]) == (0, "verified"), verified.stderr
    other = pipeline.run("verify.sh", GATE_DIGEST="sha256:" + "0" * 64)
    assert (other.returncode, other.stdout.splitlines()[0]) == (1, "NOT VERIFIED")


def test_a_rejected_release_fails_with_its_blockers_and_leaves_its_report(desk, pipeline):
    candidate = desk.ready()
    reason = GateReason.ALARM_FIRING_NOW.closes("release", "latency", HOSTILE)
    desk.states(judged(desk, closing=(reason,)))
    desk.open().state.set_fate(candidate, Fate.REJECTED, f"late: {HOSTILE}")
    again = pipeline.folder / "summary.md"
    ended = pipeline.run("gate.sh", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(again))
    assert ended.returncode == 1
    errors = [line for line in ended.stdout.splitlines() if line.startswith("::error title=phase5 gate%2C r-1.2.3::")]
    assert errors[0].split("::", 2)[2].startswith("release REJECTED: late: %250A")
    assert any("alarm_firing_now latency: %250A%0A::error::x" in line for line in errors)
    assert not (pipeline.folder / "phase5-gate/attestation").exists()
    reported = pipeline.run("report.sh", GITHUB_STEP_SUMMARY=str(again))
    assert reported.returncode == 0, reported.stderr
    names = {path.name for path in (pipeline.folder / "phase5-gate/report").iterdir()}
    assert names == {"readiness.html", "readiness.md", "readiness.sarif", "readiness.junit.xml", "readiness.json"}
    assert again.read_text().startswith("# Phase 5")
    page = (pipeline.folder / "phase5-gate/report/readiness.html").read_text()
    assert "is not on this machine" in page  # the evidence is on the gate's machine
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    asked = [line for path in (ROOT / "pipelines").iterdir() for line in re.findall(r"readiness\.[\w.]+", path.read_text())]
    assert set(asked) <= names  # what the snippets upload is what is there
