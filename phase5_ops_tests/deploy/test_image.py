"""The image: its Dockerfile as hadolint reads it, what gets into it, and how it starts. It is not built here."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from phase5_ops_tests.places import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
SCRIPTS = Path(sysconfig.get_path("scripts"))


def ran(*command: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_dockerfile_and_shellcheck_nothing_in_its_script():
    assert ran(str(SCRIPTS / "hadolint"), "deploy/Dockerfile") == (0, "")
    assert ran(str(SCRIPTS / "shellcheck"), "deploy/entrypoint.sh") == (0, "")


def test_hadolint_would_find_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /src && pip install dagster\n")
    code, said = ran(str(SCRIPTS / "hadolint"), str(tmp_path / "Dockerfile"))
    assert code == 1
    assert "DL3006" in said  # no tag


def test_bases_are_pinned_and_the_user_is_none_that_may_do_everything():
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.11.14-slim-bookworm"] * 2
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"(?i:secret_|password|access_key)|PHASE5_(?!STATE_DIR)", DOCKERFILE)


def test_everything_that_is_copied_is_there_and_let_through():
    let_through = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for names in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()}
    assert copied == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_package_can_be_made_of_what_is_copied():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r'^(?:readme|license-files) = \[?"([^"]+)"', project, re.MULTILINE))
    forced = set(re.findall(r'"([\w.]+)" = "phase5_ops/', project))
    assert named | forced == {"README.md", "LICENSE", "dagster.yaml", "workspace.yaml"}
    assert all(name in DOCKERFILE.split("FROM")[1] for name in named | forced)


@pytest.mark.parametrize("before", [None, "of an earlier image\n"])
def test_a_task_brings_its_dagster_yaml_and_becomes_its_command(tmp_path, before):
    if before is not None:
        (tmp_path / "dagster.yaml").write_text(before)
    found = ran("deploy/entrypoint.sh", "printf", "%s|", "one", "two words", DAGSTER_HOME=str(tmp_path))
    assert found == (0, "one|two words|")
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]
    assert yaml.safe_load((tmp_path / "dagster.yaml").read_text())["storage"]["postgres"]


def test_a_folder_that_cannot_be_written_starts_nothing(tmp_path):
    code, said = ran("deploy/entrypoint.sh", "echo", "started", DAGSTER_HOME=str(tmp_path / "none"))
    assert code != 0
    assert "started" not in said
