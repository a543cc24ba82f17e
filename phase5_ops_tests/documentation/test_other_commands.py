"""Commands of README and the documents that are not `phase5`: each is run by a test, or is on a short list with the reason.

A command that is added to a document, and that nothing here knows of, fails. What must not live here: `phase5` commands
(`shown.py`), and the snippets of pipelines (`pipelines/`).
"""

import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

import phase5_ops
from phase5_ops.settings import load_settings
from phase5_ops_tests.documentation.shown import DOCUMENTS
from phase5_ops_tests.places import ROOT, TESTS, copy_project

PROGRAMS = (
    r"(?:python3?|pip|openssl|aws|curl|dagster|ruff|mypy|trestle|junit2html|sarif|check-jsonschema|git|npm|\.ci/\w+|pytest"
    r"|for|cat|docker|terraform|cfn-lint|gh|brew|apt|apt-get|sudo|uv|make|made)"
)
_INLINE = re.compile(rf"`({PROGRAMS}(?: [^`\n]+)?)`")
_LINE = re.compile(rf"^(?:    )?({PROGRAMS}\b(?:[^\n\\]|\\\n)*)$", re.MULTILINE)
#: Names of programs and of things that are called like them, which is no command.
_NO_COMMAND = {"dagster", "python", "python3", "sarif", "for", "cat", "git", "mypy", "pytest"}

INSTALL = "python3 -m venv .venv && .venv/bin/pip install"
#: Command, as far as it is the same for each -> the test that runs it from the document's own text.
RUN_BY = {
    "cat > take_apart.py": "gate/attestation/test_independent_verification.py",
    "for role in gate eng-reliability": "gate/attestation/test_independent_verification.py",
    "python3 take_apart.py decision.dsse.json": "gate/attestation/test_independent_verification.py",
    "openssl dgst -sha256 -verify": "gate/attestation/test_independent_verification.py",
    'made="v1=': "gate/candidates/test_channels.py",
    "curl --fail-with-body": "gate/candidates/test_register_over_http.py",
    "junit2html readiness.junit.xml": "report/formats/test_documented_consumers.py",
    "sarif summary": "report/formats/test_documented_consumers.py",
    'python -c "import pandas': "report/formats/test_documented_consumers.py",
    "trestle import": "report/formats/test_documented_consumers.py",
    "check-jsonschema": "report/formats/test_documented_consumers.py",
    "python -m phase5_ops.documentation": "documentation/test_other_commands.py",
    "python -m benchmarks": "benchmarks/test_figures.py",
    "python -m phase5_ops_tests.fuzz": "fuzz/test_fuzz.py",
    "python -m phase5_ops_tests.faults": "faults/test_campaign.py",
    "python -m phase5_ops_tests.supply_chain": "supply_chain/test_supply_chain.py",
    "trestle init": "documentation/test_other_commands.py",
    "aws dynamodb get-item": "documentation/test_other_commands.py",
    "aws secretsmanager create-secret": "documentation/test_other_commands.py",
    "aws ecs run-task": "documentation/test_other_commands.py",
    "aws s3 cp": "deploy/test_guide.py",
    "aws cloudformation deploy": "deploy/test_guide.py",
    "aws cloudwatch put-metric-alarm": "documentation/test_other_commands.py",
    "aws sts assume-role": "documentation/test_other_commands.py",
    "pip install 'phase5-ops[formats]'": "documentation/test_other_commands.py",
    "dagster asset list --select": "orchestration/test_evidence_page.py",
    "dagster instance migrate": "commands/test_state_folder.py",
}
_INSTALLED = "an installation from a registry, which .ci/run does as well"
_BUILT = "no image is built here; deploy/test_image.py has hadolint read the Dockerfile, and runs what starts in it"
_SERVED = "gate/test_environments_served.py runs it as `phase5 ui` starts it"
#: Command -> why no test runs it, and what does.
NOT_RUN = {
    f"{INSTALL} -q --no-compile -c constraints.txt -e '.[sandbox]' && .venv/bin/phase5 demo --no-ui": _INSTALLED,
    f"{INSTALL} -q --no-compile -c constraints.txt -e '.[dev]' && .venv/bin/python -m pytest -n 4": _INSTALLED,
    f"{INSTALL} -c constraints.txt -e '.[dev]'": _INSTALLED,
    "ruff check . && ruff format --check . && mypy && lint-imports": "it takes minutes; .ci/run does it before this suite",
    'python -m pytest -n 2 -m "not slow" phase5_ops_tests/'
    "{aws,ccnative,cloudwatch,evidence,gate,probing}": "a part of this suite",
    ".ci/run": "it runs this suite",
    "pip install -e '.[bench]'": _INSTALLED,
    "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e .": _INSTALLED,
    "docker build -f deploy/Dockerfile -t phase5 .": _BUILT,
    "docker run --rm phase5 phase5 --version": _BUILT,
    "apt-get install postgresql": "it changes the machine; tests that need PostgreSQL are skipped without it",
    "pip install -e '.[fuzz]'": "it is tried by hand before a campaign; fuzz/test_fuzz.py runs one where it is installed",
    "dagster job backfill -w workspace.yaml -l phase5_ops -j log_scan_hours_job"
    " --from 2026-11-23-00:00 --to 2026-11-23-23:00 --noprompt": (
        "a daemon launches its runs; sections/isolation/logs/engines/test_hours.py makes such runs"
    ),
    "dagster sensor cursor promotion_gate --delete": "gate/test_attacks.py resets the cursor as it does",
    "dagster-daemon run -w $DAGSTER_HOME/workspace.yaml": _SERVED,
    "dagster-webserver -w $DAGSTER_HOME/workspace.yaml": _SERVED,
    "dagster code-server start -m phase5_ops.definitions -a NAME": "test_definitions.py loads the module by this attribute",
    "dagster dev": "gate/test_end_to_end.py runs it as `phase5 ui` starts it",
    "python -m phase5_ops_tests.documentation.case_study": "a whole run; documentation/test_case_study.py compares the page",
    "python -m phase5_ops_tests.documentation.screenshots": "some four minutes of a browser, which is not everywhere",
}


def shown() -> set[str]:
    found = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        shell = "\n".join(
            block for language, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if language in ("", "sh", "bash")
        )
        indented = "\n".join(
            re.findall(r"^    \S.*$(?:\n {5,}.*$)*", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
        )
        for command in (*_INLINE.findall(text), *_LINE.findall(shell), *_LINE.findall(indented)):
            whole = " ".join(re.sub(r"\\\n", " ", command).split())
            if whole not in _NO_COMMAND:
                found.add(re.sub(r"\s+#\s.*$", "", whole))
    return found


SHOWN = sorted(shown())


def run_by(command: str) -> list[str]:
    return [test for begin, test in RUN_BY.items() if command.startswith(begin)]


@pytest.mark.parametrize("command", SHOWN)
def test_a_command_is_run_by_a_test_or_on_the_list_of_those_that_are_not(command: str):
    assert len(run_by(command)) + (command in NOT_RUN) == 1, command


def test_the_lists_hold_nothing_that_no_document_shows():
    assert set(NOT_RUN) <= set(SHOWN)
    assert [begin for begin in RUN_BY if not any(command.startswith(begin) for command in SHOWN)] == []
    assert [test for test in RUN_BY.values() if not (TESTS / test).is_file()] == []


def test_what_is_not_run_here_is_done_by_ci():
    done = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for part in (
        "-c constraints.txt -e '.[dev,audit]'",
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "lint-imports",
        "python -m pytest -n 4",
    ):
        assert part in done
    (part,) = [command for command in NOT_RUN if "not slow" in command]
    for folder in re.findall(r"\{(.*)\}", part)[0].split(","):
        assert (TESTS / folder).is_dir()


def _value(kind: str, shape: Shape, word: Any) -> Any:
    """What the AWS CLI makes of a word: a number, JSON, or its own short form of a list of one."""
    if kind in ("integer", "double", "float"):
        return float(word) if kind != "integer" else int(word)
    if kind == "list":
        one = shape.member
        return [dict(each.split("=") for each in word.split(",")) if one.type_name == "structure" else word]
    return json.loads(word) if kind in ("map", "structure") else word


#: Commands of the AWS CLI's own, which no service has.
_CLI_ALONE = ("aws s3 cp", "aws cloudformation deploy")


@pytest.mark.parametrize("command", [each for each in SHOWN if each.startswith("aws ") and not each.startswith(_CLI_ALONE)])
def test_a_line_for_the_aws_cli_names_an_operation_and_parameters_that_there_are(command: str):
    _, service, operation, *options = shlex.split(command)
    model = get_session().get_service_model(service)
    (name,) = [each for each in model.operation_names if xform_name(each, "-") == operation]
    shape = model.operation_model(name).input_shape
    members = {f"--{xform_name(each, '-')}": each for each in shape.members}
    given: dict[str, object] = {}
    while options:
        member = members[options.pop(0)]
        kind = shape.members[member].type_name
        word = True if kind == "boolean" else options.pop(0)
        given[member] = _value(kind, shape.members[member], word)
    assert not ParamValidator().validate(given, shape).has_errors()


def test_the_extra_that_is_installed_for_some_formats_is_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    shown_extras = {extra for command in SHOWN for extra in re.findall(r"\[(\w+)\]'", command)}
    assert shown_extras == {"formats", "sandbox", "dev", "bench", "fuzz"}
    assert shown_extras <= set(extras)


def test_trestle_makes_a_workspace(tmp_path: Path):
    program = Path(sys.executable).parent / "trestle"
    subprocess.run([program, "init"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / ".trestle").is_dir()


def test_the_documents_that_are_made_from_code_are_written_by_the_command_that_is_shown(tmp_path: Path, monkeypatch):
    copy_project(tmp_path)
    whole = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(re.sub(r"^\| 1\.1 .*\n", "", whole, flags=re.MULTILINE), encoding="utf-8")
    (tmp_path / "docs" / "findings.md").unlink()
    monkeypatch.setattr(phase5_ops, "__file__", str(tmp_path / "phase5_ops" / "__init__.py"))
    (module,) = {command.split()[2] for command in SHOWN if command.startswith("python -m phase5_ops.")}
    runpy.run_module(module, run_name="__main__")
    for name in ("README.md", "docs/findings.md"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8")


def exported() -> dict[str, dict[str, str]]:
    """Document -> variables of phase5 that its examples set, an ellipsis filled."""
    found: dict[str, dict[str, str]] = {}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = re.findall(r"^ *export (.+)$|^    (PHASE5_\w+=\S+)", text, re.MULTILINE)
        words = [word for pair in lines for word in shlex.split(pair[0] or pair[1], comments=True)]
        pairs = (word.partition("=")[::2] for word in words)
        if chosen := {name: value.replace("...", "example.com") for name, value in pairs}:
            found[document.name] = chosen
    return found


@pytest.mark.parametrize(("document", "variables"), exported().items(), ids=lambda each: each if isinstance(each, str) else "")
def test_variables_that_examples_set_are_settings_that_take_these_values(
    document: str, variables: dict[str, str], monkeypatch, tmp_path
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file := variables.get("PHASE5_CONFIG"):
        example = (ROOT / "deploy" / file).read_text(encoding="utf-8")
        (tmp_path / file).write_text(re.sub(r"<([a-z-]+)>", r"\1.example", example), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "s")
    load_settings()
    assert any(name.startswith("PHASE5_") for name in variables)
