"""The command as users and pipelines meet it: exit codes, stdout and stderr kept apart, errors that name the remedy."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from phase5_ops.cli import app as cli
from phase5_ops.cli.options import chosen_rows
from phase5_ops.report.document import json_schema
from phase5_ops.sandbox.server import Sandbox

pytestmark = pytest.mark.slow(30)


def phase5(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs the command in this process: exit code, stdout, stderr."""
    before = sys.argv
    sys.argv = ["phase5", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PHASE5_RUNBOK": "x"}, "PHASE5_RUNBOK"),
        ({"PHASE5_NOW": "yesterday"}, "PHASE5_NOW"),
        ({"PHASE5_SLO__LATENCY_TARGET": "2"}, "PHASE5_SLO__LATENCY_TARGET"),
        ({"PHASE5_SLO__LATENCY_TARGET": "0.5"}, "burn factor 14.4"),
        ({"PHASE5_CONFIG": "/does/not/exist.yaml"}, "/does/not/exist.yaml"),
    ],
)
def test_a_wrong_setting_is_exit_3_and_named(variables: dict[str, str], named: str, capsys, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = phase5(capsys, "check")
    assert (code, out) == (3, "")
    assert named in err


def test_without_a_region_nothing_is_read_and_the_remedy_is_named(capsys):
    code, out, err = phase5(capsys, "check")
    assert (code, out) == (3, "")
    assert "AWS_REGION" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--row", "9.9"],
        ["check", "--format", "xml"],
        ["nonsense"],
        ["demo", "--scenario", "nope"],
        ["sandbox", "--scenario", "x"],
        ["explain", "no_such_code"],
        ["check", "--port", "1"],
        ["sandbox", "--port", "70000"],
    ],
)
def test_wrong_usage_is_exit_3(arguments: list[str], capsys, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    code, out, err = phase5(capsys, *arguments)
    assert (code, out) == (3, "")
    assert err


def test_every_command_has_a_help_text(capsys):
    for command in (
        [],
        ["check"],
        ["demo"],
        ["sandbox"],
        ["ui"],
        ["iam-policy"],
        ["init"],
        ["explain"],
        ["sign-off"],
        ["waive"],
        ["audit-signatures"],
    ):
        code, out, _ = phase5(capsys, *command, "--help")
        assert code == 0
        assert "Usage" in out


def test_json_goes_to_stdout_alone_and_satisfies_the_schema(start: Callable[[str], Sandbox], capsys, monkeypatch):
    start("breaker-open-under-traffic")
    monkeypatch.setenv("PHASE5_PROBE_MODE", "off")  # a row that was not tried has its entry, too
    code, out, _ = phase5(capsys, "check", "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, json_schema())
    rows = {row["id"]: row for row in document["rows"]}
    assert (code, document["exit_code"], document["decision"]) == (1, 1, "BLOCKED")
    assert rows["2.2"]["findings"][0]["code"] == "open_breaker_without_operator_action"
    assert rows["2.2"]["findings"][0]["link"].endswith("#circuit-breaker-open")
    assert any(link["url"].startswith("https://us-west-2.console.aws.amazon.com/") for link in rows["2.2"]["evidence"])
    assert document["reading"]["calls"]["cloudwatch:GetMetricData"] >= 1


def test_single_rows_gather_only_their_evidence_and_decide_the_exit_code(start: Callable[[str], Sandbox], capsys):
    start("dashboard-missing")
    code, out, _ = phase5(capsys, "check", "--row", "1.3", "--row", "2.1", "--format", "json")
    assert code == 0
    assert [row["id"] for row in json.loads(out)["rows"]] == ["1.3", "2.1"]
    code, out, _ = phase5(capsys, "check", "--row", "S.1", "--format", "json")
    assert code == 2
    assert json.loads(out)["reading"]["calls"].get("dynamodb:Scan") is None


def test_several_formats_of_one_run_go_into_a_folder_each_under_its_name(start: Callable[[str], Sandbox], capsys, tmp_path: Path):
    start("healthy")
    formats = ("json", "junit", "sarif", "csv", "html")
    asked = [argument for each in formats for argument in ("--format", each)]
    code, out, _ = phase5(capsys, "check", "--row", "S.1", *asked, "--output", str(tmp_path / "reports"))
    assert (code, out) == (2, "")
    written = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert written == ["readiness.csv", "readiness.html", "readiness.json", "readiness.junit.xml", "readiness.sarif"]
    run_id = json.loads((tmp_path / "reports" / "readiness.json").read_bytes())["run_id"]
    assert all(run_id in (tmp_path / "reports" / name).read_text("utf-8") for name in written)


def test_output_writes_the_file_whole_and_prints_nothing(start: Callable[[str], Sandbox], capsys, tmp_path: Path):
    start("breaker-open-under-traffic")
    target = tmp_path / "out.md"
    code, out, _ = phase5(capsys, "check", "--row", "1.1", "--row", "2.2", "--format", "markdown", "--output", str(target))
    assert (code, out) == (1, "")
    assert "| 1.1 | Tool SLO metrics visible | ✅ PASS |" in target.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.glob(".out*")] == []
    code, _, err = phase5(capsys, "check", "--row", "2.1", "--output", str(tmp_path / "missing" / "out.md"))
    assert code == 3
    assert "--output" in err


def test_a_failure_of_the_program_itself_is_exit_2(capsys, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("phase5_ops.commands.readiness.run_readiness", broken)
    code, out, err = phase5(capsys, "check")
    assert (code, out) == (2, "")
    assert "boom" in err


def test_demo_ends_with_the_exit_code_and_leaves_no_process(tmp_path: Path):
    environment = {**os.environ, "PHASE5_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "phase5_ops.cli", "demo", "--no-ui", "--scenario", "breaker-open", "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    document = json.loads(done.stdout)
    verdicts = {row["id"]: row["verdict"] for row in document["rows"]}
    assert done.returncode == document["exit_code"] == 1
    assert {row: verdicts[row] for row in ("1.1", "1.2", "1.3", "2.1", "2.2")} == {
        "1.1": "PASS", "1.2": "PASS", "1.3": "PASS", "2.1": "PASS", "2.2": "WARN",
    }  # fmt: skip


def test_a_sandbox_ends_with_the_process_that_started_it(tmp_path: Path):
    """Killed without a chance to clean up, the parent takes its sandbox with it."""
    script = (
        "import os, signal\n"
        "from phase5_ops.sandbox.process import sandbox_process\n"
        "with sandbox_process('empty') as exports:\n"
        "    print(exports['AWS_ENDPOINT_URL'], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    port = int(done.stdout.strip().rsplit(":", 1)[1])
    deadline = time.monotonic() + 20
    while _listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _listens(port)


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_sandbox_lists_its_scenarios(capsys):
    code, out, _ = phase5(capsys, "sandbox", "--list")
    assert code == 0
    assert "breaker-open-under-traffic" in out
    assert int(out.strip().splitlines()[-1].split()[2]) >= 25


def test_help_loads_no_heavy_package():
    """So that it answers at once; how long that is depends on the machine, what is loaded does not."""
    script = (
        "import sys\n"
        "from phase5_ops.cli import app as cli\n"
        "sys.argv = ['phase5', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "loaded = {'dagster', 'pandas', 'numpy', 'boto3', 'botocore', 'moto', 'matplotlib', 'pydantic'} & sys.modules.keys()\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_without_sign_offs_the_exit_code_covers_the_other_rows_only():
    rows = chosen_rows(None, no_sign_offs=True)
    assert rows is not None
    assert {"1.1", "5.2", "tool_slo_met"} < set(rows)
    assert not {"S.1", "S.2", "S.3"} & set(rows)
    assert chosen_rows(["1.1", "S.1"], no_sign_offs=True) == ["1.1"]
    assert chosen_rows(None, no_sign_offs=False) is None
