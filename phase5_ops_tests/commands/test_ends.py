"""Ends that are no result: interrupted, a full disk, a taken port, nobody known to AWS: one clear line each, nothing decided."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from dagster import DagsterInstance

from phase5_ops.aws.reader import AwsReader
from phase5_ops.cli import app as cli
from phase5_ops.cli import process_group, readiness
from phase5_ops.commands import readiness as readiness_run
from phase5_ops.commands import state_folder
from phase5_ops.commands.workspace import workspace_text
from phase5_ops.evidence import store as evidence_store
from phase5_ops.sandbox.process import FOLDER, own_state_folder
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sections.replay.probes import collecting as probe_collecting
from phase5_ops_tests.several_environments import ENVIRONMENTS, NAMES, list_environments

pytestmark = pytest.mark.slow

CHECK = ("check", "--quiet", "--row", "2.1")  # quiet: without the progress that is written line by line where nobody looks


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox("empty") as running:
        yield running


@pytest.fixture
def sandbox_env(sandbox, monkeypatch):
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def phase5(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr()
    return end.value.code, out.out, [line for line in out.err.splitlines() if line.startswith("phase5:")]


def full(after: int, error: int = errno.ENOSPC):
    """A write that finds the disk full after so many others."""
    written, left = state_folder.write_whole, iter(range(after))

    def write(path, content, **given):
        if next(left, None) is None:
            raise OSError(error, os.strerror(error), str(path))
        written(path, content, **given)

    return write


def test_an_interrupted_run_is_no_table_of_errors(sandbox_env, monkeypatch, capsys):
    def interrupted(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal was not taken")

    monkeypatch.setattr(AwsReader, "paginate", interrupted)
    code, out, said = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out, said) == (130, "", ["phase5: interrupted, nothing decided"])


@pytest.mark.parametrize("after", [3, 4, 6])
def test_a_disk_that_is_full_in_the_middle_is_one_line(sandbox_env, monkeypatch, capsys, folder, after):
    write = full(after)
    for module in (state_folder, evidence_store):
        monkeypatch.setattr(module, "write_whole", write)
    code, out, said = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out) == (2, "")
    (line,) = said
    assert str(folder) in line
    assert "No space left on device" in line
    assert "PHASE5_STATE_DIR" in line


@pytest.mark.parametrize("after", [0, 1])
def test_a_state_folder_that_cannot_be_written_is_found_before_the_run(sandbox_env, monkeypatch, capsys, folder, after):
    monkeypatch.setattr(state_folder, "write_whole", full(after, errno.EROFS))
    code, out, (line,) = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out) == (3, "")
    assert str(folder) in line
    assert "Read-only file system" in line
    assert "PHASE5_STATE_DIR" in line


def test_init_finds_that_the_keys_have_no_place_before_it_changes_anything(sandbox_env, monkeypatch, capsys):
    monkeypatch.setattr(state_folder, "write_whole", full(0, errno.EROFS))
    monkeypatch.setattr(AwsReader, "call", None)
    code, out, (line,) = phase5(monkeypatch, capsys, "init")
    assert (code, out) == (3, "")
    assert "Read-only file system; free its disk" in line


@pytest.mark.parametrize("command", [("ui",), ("demo",)])
def test_a_taken_port_is_found_before_anything_runs(sandbox_env, monkeypatch, capsys, command, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, out, (line,) = phase5(monkeypatch, capsys, *command, "--port", str(taken.getsockname()[1]))
    assert (code, out, folder.exists()) == (3, "", False)
    assert "Address already in use; give another port, or 0 for a free one" in line


def test_without_credentials_nothing_is_read(sandbox_env, monkeypatch, capsys, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, out, (line,) = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out) == (3, "")
    assert "no AWS credentials found), so nothing was read: set valid credentials" in line


def test_one_line_is_all_that_a_shell_shows(sandbox_env):
    """In a process of its own: what loggers without a handler print is not seen where pytest listens to them."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "PHASE5_READING__MAX_ATTEMPTS": "1"}
    command = [sys.executable, "-m", "phase5_ops.cli", *CHECK]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("phase5: AWS did not identify the caller")


#: Packages that a check of a platform with little traffic has no use for; some of them take seconds to import.
HEAVY = {"matplotlib", "numba", "llvmlite", "pyspark", "duckdb", "scipy", "moto", "flask", "pytest", "dagster_webserver"}


def test_a_check_loads_no_heavy_package_and_its_end_looks_for_no_garbage(sandbox_env, folder):
    """In a process of its own, of all rows: what pytest has loaded is not seen, and what is imported late is."""
    script = (
        "import atexit, gc, json, sys\n"
        "modules = lambda: sorted({name.partition('.')[0] for name in sys.modules} | "
        "{name for name in sys.modules if name.startswith('phase5_ops.sandbox')})\n"
        "atexit.register(lambda: print(json.dumps([modules(), gc.get_freeze_count()])))\n"
        "from phase5_ops.cli.app import main\n"
        "sys.argv = ['phase5', 'check', '--quiet', '--format', 'json', '--output', sys.argv[1]]\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, str(folder.parent / "readiness.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (1, "")
    loaded, frozen = json.loads(ended.stdout)
    assert {"dagster", "pandas", "boto3", "phase5_ops"} <= set(loaded)
    assert not (HEAVY | {"phase5_ops.sandbox"}) & set(loaded)
    assert frozen > 100_000  # nearly all that was made until the end


def test_what_steps_print_is_kept_and_takes_no_process_that_an_interrupt_would_reach(folder, monkeypatch):
    state_folder.prepare_state_folder(folder)
    monkeypatch.setattr(subprocess, "Popen", None)
    with DagsterInstance.from_config(str(folder)) as instance:
        manager = instance.compute_log_manager
        with manager.capture_logs(["run", "compute_logs", "step"]):
            print("said by a step")
        kept = manager.get_log_data(["run", "compute_logs", "step"])
    assert kept.stdout == b"said by a step\n"
    assert (folder / "storage" / "run" / "compute_logs" / "step.out").exists()


def test_the_ui_starts_without_what_dagster_says_to_itself(folder, monkeypatch):
    started = []

    def served(command, environment):
        started.append(environment["PYTHONWARNINGS"])
        return True

    monkeypatch.setattr(process_group, "serve", served)
    monkeypatch.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    readiness._serve_ui(0)
    (given,) = started
    assert given.endswith(",error::ResourceWarning")
    assert "ignore:Function `dev_command` is superseded" in given


def test_the_ui_serves_every_environment_of_a_list_and_says_which_it_cannot(tmp_path, monkeypatch, capsys):
    started = []

    def served(command, environment):
        started.append((command, environment))
        return True

    monkeypatch.setattr(process_group, "serve", served)
    list_environments(monkeypatch, tmp_path, ({**ENVIRONMENTS[0], "schedule": {"hour": 30}}, *ENVIRONMENTS[1:]))
    code, _, said = phase5(monkeypatch, capsys, "ui", "--port", "0")
    assert (code, len(said)) == (0, 1)
    assert said[0].startswith(f"phase5: {NAMES[0]} is not served until this is mended: invalid settings: schedule.hour of ")
    ((command, env),) = started
    workspace = tmp_path / "state" / "workspace.yaml"
    assert command[command.index("-w") + 1] == str(workspace)
    assert workspace.read_text() == workspace_text(NAMES)
    assert (env["PHASE5_STATE_DIR"], env["DAGSTER_HOME"]) == (str(workspace.parent), str(workspace.parent))
    assert "PHASE5_ENVIRONMENT" not in env


def test_the_ui_refuses_a_variable_that_would_make_all_environments_of_a_list_alike(tmp_path, monkeypatch, capsys):
    list_environments(monkeypatch, tmp_path)
    monkeypatch.setenv("PHASE5_CONTROL_CENTER_URL", "https://control.example")
    code, out, (line,) = phase5(monkeypatch, capsys, "ui", "--port", "0")
    assert (code, out) == (3, "")
    assert "PHASE5_CONTROL_CENTER_URL: would hold for every environment of the list" in line


def test_an_aws_that_does_not_answer_is_one_line(sandbox_env, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "1")
    code, out, (line,) = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out) == (2, "")
    assert "AWS did not identify the caller (sts:GetCallerIdentity" in line


def test_a_region_without_the_platform_is_one_line(sandbox_env, monkeypatch, capsys):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-central-1")
    code, out, (line,) = phase5(monkeypatch, capsys, *CHECK)
    assert (code, out) == (3, "")
    assert "is in account 123456789012, region eu-central-1: set AWS_REGION" in line


def test_the_sandbox_keeps_its_runs_apart_unless_told_otherwise(monkeypatch, tmp_path, folder):
    assert own_state_folder() == {"PHASE5_STATE_DIR": str(folder)}
    monkeypatch.delenv("PHASE5_STATE_DIR")
    monkeypatch.chdir(tmp_path)
    assert own_state_folder() == {"PHASE5_STATE_DIR": str(tmp_path / FOLDER)}


def test_an_interrupt_of_the_run_itself_ends_it(sandbox_env, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(readiness_run, "_execute", interrupted)
    assert phase5(monkeypatch, capsys, *CHECK)[0] == 130


def test_an_interrupted_run_gives_back_its_lease_and_its_canaries(start, monkeypatch, capsys):
    sandbox = start("healthy")
    dynamodb = sandbox.session().resource("dynamodb")
    written: list[str] = []

    def interrupted(*_, **__):
        written.extend(item["sk"] for item in canaries(dynamodb))
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal was not taken")

    monkeypatch.setattr(probe_collecting._ProbeCollecting, "watch", interrupted)
    code, out, said = phase5(monkeypatch, capsys, "check", "--quiet", "--row", "3.3")
    assert (code, out, said) == (130, "", ["phase5: interrupted, nothing decided"])
    assert written
    assert canaries(dynamodb) == []
    assert "Item" not in dynamodb.Table("phase5-readiness").get_item(Key={"pk": "PROBES", "sk": "LEASE"})


def canaries(dynamodb) -> list[dict]:
    return [item for item in dynamodb.Table("cc-native-action-intent").scan()["Items"] if "_phase5" in item["sk"]]
