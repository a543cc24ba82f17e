"""What every test gets: no settings and no AWS configuration of the machine it runs on."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import dagster as dg
import hypothesis
import pytest

from phase5_ops.commands.readiness import run_readiness
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests import postgres
from phase5_ops_tests.gate import warm_processes
from phase5_ops_tests.made_once import made_once
from phase5_ops_tests.sandbox.state.seeded_once import seeded_once
from phase5_ops_tests.sections.replay.probes.few_probes import few_probes
from phase5_ops_tests.without_sockets import over_sockets, without_sockets
from phase5_ops_tests.without_threads import without_threads

pytest_plugins = (
    "phase5_ops_tests.forked_workers",
    "phase5_ops_tests.gate.own_aws",  # the AWS of the gate's tests, of its commands' and of the policies'
    "phase5_ops_tests.gate.audit.recorded_period",  # one of each record: the archive's tests, those of its command
)

NOW = "2026-11-23T12:00:00Z"

# A busy machine is no failure, and CI judges the same examples each time; elsewhere new ones are tried.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the slowest files, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: max(((mark.args or (1,))[0] for mark in item.iter_markers("slow")), default=0), reverse=True)


def pytest_collection_finish() -> None:
    """Leaves what was imported to itself: the collector would look through some million objects again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says in which order the tests ran, so that they can be run in it again."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.write_line(f"order of the tests: --randomly-seed={seed}")


@pytest.fixture(scope="session", autouse=True)
def kept_by_libraries() -> Iterator[None]:
    """See `made_once`, `seeded_once`, `without_sockets` and `without_threads`."""
    with made_once(), seeded_once(), without_sockets(), without_threads():
        yield


@pytest.fixture(scope="module", autouse=True)
def over_http(request: pytest.FixtureRequest) -> Iterator[None]:
    """Modules marked `over_sockets` ask the sandbox through connections."""
    with over_sockets() if request.node.get_closest_marker("over_sockets") else nullcontext():
        yield


@pytest.fixture(scope="session", autouse=True)
def warm_server() -> Iterator[None]:
    """See `warm_processes`: it would stay after the session."""
    yield
    warm_processes.stop()


@pytest.fixture(scope="session", autouse=True)
def postgres_server() -> Iterator[None]:
    """See `postgres`: where a test started it, it ends with the session."""
    yield
    postgres.stop()


@pytest.fixture(scope="module", autouse=True)
def sent_probes() -> Iterator[None]:
    """Runs in this process send few probes; the folders whose tests are about the probes have all of them sent."""
    with few_probes():
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the test alone; nothing is read from the user's AWS profile, nothing is proxied."""
    clean(monkeypatch)


def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment as every test begins with it; for a fixture that lives longer than a test."""
    for name in list(os.environ):
        if name.startswith(("PHASE5_", "AWS_", "DAGSTER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{os.devnull}/none")  # a folder for each test would take longer than most tests do
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def standing(scenario: str) -> Iterator[Sandbox]:
    """A sandbox at the fixed moment for the tests of a module, each of which points its own environment at it."""
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox(scenario) as sandbox:
            patch.undo()
            yield sandbox


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Sandbox]]:
    """Starts the sandbox in a scenario at a fixed moment, and points the environment at it."""
    running: list[Sandbox] = []

    def begin(scenario: str) -> Sandbox:
        monkeypatch.setenv("PHASE5_NOW", NOW)
        sandbox = Sandbox(scenario)
        running.append(sandbox)
        sandbox.start()
        for name, value in sandbox.exports().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
        return sandbox

    yield begin
    for sandbox in reversed(running):  # each gives back the AWS that it found
        sandbox.stop()


def run(
    settings: Settings | None = None, rows: list[str] | None = None, instance: dg.DagsterInstance | None = None
) -> ReadinessDocument:
    """A readiness run that Dagster records in memory."""
    return run_readiness(settings or load_settings(), rows, instance=instance or dg.DagsterInstance.ephemeral())
