"""The whole of it as a user has it: a sandbox, and in real processes `phase5 ui` with webserver and daemon, commands, people."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.request import Request, urlopen

import boto3

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.defs.sensor import SENSOR
from phase5_ops.gate.state.table import StateTable
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ReadingSettings, Tables
from phase5_ops_tests.gate.warm_processes import Command

T = TypeVar("T")
Started = Command | subprocess.Popen[str]

COMMAND = (sys.executable, "-m", "phase5_ops.cli")
SIGNER_ROLE = "arn:aws:iam::123456789012:role/phase5-signer-x"
_TICKS = """{instigationStateOrError(instigationSelector: {
  repositoryLocationName: "%s", repositoryName: "__repository__", name: "%s"
}) {... on InstigationState {ticks(limit: 500) {tickId status skipReason runIds}}}}"""
_LAUNCH = """mutation($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) { ... on LaunchRunSuccess { run { runId } } }
}"""
_RUNS = """{runsOrError(filter: {pipelineName: "%s"}) {... on Runs {results {runId status}}}}"""


def until(what: str, look: Callable[[], T | None], seconds: float) -> T:
    """What `look` gives once it gives something; an AssertionError that says what was waited for where that takes too long."""
    ends = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what}"
        time.sleep(0.5)
    return found


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Serving:
    """A running `phase5 ui` on a sandbox."""

    environment: dict[str, str]
    port: int
    folder: Path
    ui: "subprocess.Popen[bytes]"
    sandbox: Sandbox | None = None
    location: str = "phase5_ops"
    commands: list[Started] = field(default_factory=list)

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None, fresh: bool = False) -> Started:
        """Starts a command in a process that has imported everything already, or in a fresh interpreter."""
        command, given = [*COMMAND, *arguments], self.environment if environment is None else dict(environment)
        if fresh:
            process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        else:
            process = Command(command, given, self.folder)
        self.commands.append(process)
        return process

    def phase5(self, *arguments: str, environment: Mapping[str, str] | None = None, fresh: bool = False) -> Ended:
        """Runs a command to its end."""
        return ended(self.start(*arguments, environment=environment, fresh=fresh))

    def session(self) -> boto3.Session:
        return boto3.Session("sandbox", "sandbox", region_name=self.environment["AWS_REGION"])

    def client(self, service: str):
        return self.session().client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def person(self, name: str) -> dict[str, str]:
        """The environment of a person whom the identity provider calls `name`."""
        given = self.client("sts").assume_role(RoleArn=SIGNER_ROLE, RoleSessionName=name)["Credentials"]
        return {
            **self.environment,
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    @property
    def state(self) -> StateTable:
        """The state table; AWS_ENDPOINT_URL of this process must be the sandbox's."""
        return StateTable(AwsReader(ReadingSettings(), session=self.session()), Tables().readiness)

    def graphql(self, query: str, **variables: object) -> Any:
        address, headers = f"http://127.0.0.1:{self.port}/graphql", {"Content-Type": "application/json"}
        asked = json.dumps({"query": query, "variables": variables}).encode()
        with urlopen(Request(address, asked, headers), timeout=20) as answer:
            return json.load(answer)["data"]

    def ticks(self) -> list[dict[str, Any]]:
        """The ticks of the gate's sensor, oldest first; none while the webserver does not serve yet."""
        try:
            found = self.graphql(_TICKS % (self.location, SENSOR))["instigationStateOrError"].get("ticks", [])
        except (URLError, OSError):
            return []
        return sorted(found, key=lambda tick: int(tick["tickId"]))

    def tick_that_says(self, *words: str) -> dict[str, Any] | None:
        """The first tick whose skip reason has a line with all these words."""
        for tick in self.ticks():
            if any(all(word in line for word in words) for line in (tick["skipReason"] or "").splitlines()):
                return tick
        return None

    def processes(self) -> list[int]:
        """The processes of the UI: its own, and those that it started or that were started by them."""
        return _processes_of(self.ui.pid)

    def launch(self, job: str, assets: Collection[str]) -> str:
        """Launches a run for these assets, as the UI does; its id."""
        place = {"repositoryLocationName": self.location, "repositoryName": "__repository__", "pipelineName": job}
        selector = {**place, "assetSelection": [{"path": [name]} for name in assets]}
        return self.graphql(_LAUNCH, selector=selector)["launchRun"]["run"]["runId"]

    def runs(self, job: str) -> list[dict[str, str]]:
        return self.graphql(_RUNS % job)["runsOrError"]["results"]


def ended(process: Started, seconds: float = 600) -> Ended:
    """How a command ends; it is killed where it does not."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not over after {seconds:g} s: {process.args}\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def _processes_of(session: int) -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _session_of(folder) == session]


def _session_of(process: Path) -> int | None:
    """The session that a process belongs to, by its folder in /proc; None once it has ended."""
    try:
        state, _, _, session, *_ = (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(session)


@contextmanager
def serving(scenario: str, folder: Path, **settings: str) -> Iterator[Serving]:
    """A sandbox in a scenario, in this process, and `phase5 ui` on it, still starting; all of it ends with the block."""
    with Sandbox(scenario) as sandbox:
        environment = {**os.environ, **sandbox.exports(), **settings, "PHASE5_STATE_DIR": str(folder / "state")}
        with ui(environment, folder) as running:
            running.sandbox = sandbox
            yield running


@contextmanager
def ui(environment: dict[str, str], folder: Path) -> Iterator[Serving]:
    """`phase5 ui` in this environment, which is still starting; it, and the commands that were started, end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "ui.log").open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, "ui", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Serving(environment, port, folder, process)
    try:
        yield running
    finally:
        for command in running.commands:
            command.kill()  # does nothing to one that is over
            command.wait()
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C, as a terminal sends it, which ends everything; whatever of the session is left is killed."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=90)
    finally:
        for pid in _processes_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
