"""What release pipelines copy: clean shell and YAML that run the scripts of `pipelines/` and put nothing foreign into shell."""

import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from check_jsonschema.cli import main as check_jsonschema
from click.testing import CliRunner
from yamllint import linter
from yamllint.config import YamlLintConfig

from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

WORKFLOW = ROOT / ".github/workflows/phase5-gate.yml"
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
GITLAB, BUILDSPEC, JENKINS = (ROOT / "pipelines" / name for name in ("gitlab-ci.yml", "buildspec.yml", "Jenkinsfile"))
SCRIPTS = sorted((ROOT / "pipelines").glob("*.sh"))
SHOWN = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/pipelines.md").read_text(encoding="utf-8"), re.DOTALL)

#: Shell lines that call no script of ours: fetching phase5, finding it, handing on a token, and what the reader puts in.
OTHER_LINES = {
    'git clone --quiet --depth 1 --branch "$GATE_REF" "$GATE_SOURCE" .phase5-ops',
    "rm -rf .phase5-ops",
    'export PATH="$PWD/.phase5-venv/bin:$PATH"',
    """(umask 077 && printf '%s' "$GATE_OIDC_TOKEN" > "$AWS_WEB_IDENTITY_TOKEN_FILE")""",
    "./deploy.sh",
}


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def problems(schema: str, *arguments: str) -> str:
    """What check-jsonschema, offline, finds against a schema that it brings; "" where all is well."""
    ended = CliRunner().invoke(check_jsonschema, ["--builtin-schema", f"vendor.{schema}", *arguments])
    return "" if ended.exit_code == 0 else ended.output or repr(ended.exception)


def content(path: Path) -> dict:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps() -> Iterator[tuple[str, dict]]:
    for path in ACTIONS:
        yield from ((path.parent.name, step) for step in content(path)["runs"]["steps"])
    for job in content(WORKFLOW)["jobs"].values():
        yield from (("workflow", step) for step in job["steps"])


def shell_lines() -> Iterator[str]:
    yield from (line for _, step in steps() for line in step.get("run", "").splitlines())
    for job in content(GITLAB).values():
        yield from (line for part in ("before_script", "script", "after_script") for line in job.get(part, ()))
    for phase in content(BUILDSPEC)["phases"].values():
        yield from (*phase.get("commands", ()), *phase.get("finally", ()))
    yield from re.findall(r"sh '([^']*)'", JENKINS.read_text(encoding="utf-8"))


def test_the_scripts_are_clean():
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    found = ran(str(shellcheck), *map(str, SCRIPTS), ".ci/run")
    assert (found.returncode, found.stdout) == (0, "")


def test_the_yaml_is_clean():
    rules = YamlLintConfig(file=str(ROOT / ".yamllint.yml"))
    for path in (WORKFLOW, *ACTIONS, GITLAB, BUILDSPEC, ROOT / ".yamllint.yml"):
        assert [str(problem) for problem in linter.run(path.read_text(encoding="utf-8"), rules)] == []


@pytest.mark.parametrize(
    ("schema", "files", "more"),
    [
        ("github-workflows", [WORKFLOW], []),
        ("github-actions", ACTIONS, []),
        ("gitlab-ci", [GITLAB], ["--data-transform", "gitlab-ci"]),
    ],
)
def test_the_yaml_is_what_its_reader_takes(schema, files, more):
    assert files
    assert problems(schema, *more, *map(str, files)) == ""


def test_yaml_that_no_reader_takes_is_found(tmp_path):
    (tmp_path / "w.yml").write_text("on: push\njobs: {a: {steps: 1}}\n")
    assert "steps" in problems("github-workflows", str(tmp_path / "w.yml"))


def test_what_the_document_shows_for_github_is_a_workflow_that_fits_the_one_it_calls(tmp_path):
    [shown] = SHOWN
    build = {"runs-on": "ubuntu-latest", "outputs": {"digest": "x"}, "steps": [{"run": "true"}]}
    workflow = {"on": "push", "jobs": {"build": build, **yaml.safe_load(shown)["jobs"]}}
    (tmp_path / "w.yml").write_text(yaml.safe_dump(workflow))
    assert problems("github-workflows", str(tmp_path / "w.yml")) == ""
    called = content(WORKFLOW)
    inputs = called[True]["workflow_call"]["inputs"]  # YAML reads `on` as true
    gate = workflow["jobs"]["gate"]
    assert set(gate["with"]) <= set(inputs)
    assert {name for name, each in inputs.items() if each.get("required")} <= set(gate["with"])
    assert gate["permissions"] == called["jobs"]["gate"]["permissions"]
    verify = content(ROOT / ".github/actions/phase5-verify/action.yml")["inputs"]
    [given] = [step["with"] for step in workflow["jobs"]["deploy"]["steps"] if "phase5-verify" in step.get("uses", "")]
    assert {name for name, each in verify.items() if each.get("required")} <= set(given) <= set(verify)


def test_the_workflow_gives_its_action_what_it_takes():
    action = content(ROOT / ".github/actions/phase5-gate/action.yml")["inputs"]
    [given] = [step["with"] for _, step in steps() if step.get("uses", "").endswith("actions/phase5-gate")]
    assert {name for name, each in action.items() if each.get("required")} <= set(given) <= set(action)


def test_every_line_of_shell_calls_a_script_that_is_there_or_is_one_that_is_known():
    lines = list(shell_lines())
    called = [
        re.fullmatch(r'bash (?:"\$\w+(?:/\.\./\.\./\.\.)?/pipelines/|\.phase5-ops/pipelines/)(\w+\.sh)"?', line) for line in lines
    ]
    assert {line for line, match in zip(lines, called, strict=True) if match is None} <= OTHER_LINES
    names = {match.group(1) for match in called if match}
    assert names == {path.name for path in SCRIPTS} - {"annotate.sh", "foreign.sh"}  # which others call
    for line in [line for line, match in zip(lines, called, strict=True) if match and "GATE_ACTION" in line]:
        assert (ACTIONS[0].parent / "../../.." / line.split("/../../../")[1].rstrip('"')).resolve().is_file()


def test_nothing_from_outside_is_put_into_shell_and_expressions_stay_in_the_environment():
    assert [step for _, step in steps() if "${{" in step.get("run", "")] == []
    text = JENKINS.read_text(encoding="utf-8")
    calls = [line.strip() for line in text.splitlines() if re.match(r"\s*(sh|bat|powershell)\b", line)]
    assert calls
    assert all(re.fullmatch(r"sh '[^']*'", call) for call in calls)  # Groovy puts values into what stands in double quotes
    assert all("eval" not in path.read_text(encoding="utf-8") for path in SCRIPTS)


def test_actions_are_pinned_by_major_version_with_a_comment_and_rights_are_few():
    called = content(WORKFLOW)
    lines = [line for line in WORKFLOW.read_text(encoding="utf-8").splitlines() if "uses:" in line and "./" not in line]
    assert lines
    assert all(re.search(r"uses: [\w.-]+/[\w./-]+@v\d+ # .+", line) for line in lines)
    assert called["permissions"] == {}
    rights = {name: right for job in called["jobs"].values() for name, right in job["permissions"].items()}
    assert rights == {"contents": "read", "id-token": "write", "security-events": "write", "actions": "read"}
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    roles = [step["with"]["role-to-assume"] for _, step in steps() if "configure-aws-credentials" in step.get("uses", "")]
    assert roles == ["${{ inputs.role-arn }}"]


def test_no_place_of_one_machine_is_named():
    for path in (*SCRIPTS, WORKFLOW, *ACTIONS, GITLAB, BUILDSPEC, JENKINS, ROOT / "docs/pipelines.md"):
        text = path.read_text(encoding="utf-8")
        assert f"{ROOT.parent}/" not in text
        assert not re.search(r"pypi|index-url|/root/|/home/|AKIA", text)
