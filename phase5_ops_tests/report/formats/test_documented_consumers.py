"""docs/formats.md: it names every format with its file, and each of its local commands opens that file."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from phase5_ops.report.formats import EXTRA, FORMATS, render
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.report.formats.sample import CONTEXT, closed

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    ") and not line.strip().startswith("phase5 ")]


def test_the_page_names_every_format_its_file_and_what_it_needs():
    rows = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|.*\|.*\|$", PAGE, re.MULTILINE))
    assert rows == {str(each): written.file_name for each, written in FORMATS.items()}
    needs = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `") and EXTRA in line}
    assert needs == {str(each) for each, written in FORMATS.items() if written.package}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_consumer_opens_what_is_written(command: str, tmp_path: Path):
    for each, written in FORMATS.items():
        (tmp_path / written.file_name).write_text(f"{render(closed(), each, CONTEXT)}\n", encoding="utf-8", newline="")
    (tmp_path / "phase5_ops").symlink_to(ROOT / "phase5_ops")
    (workspace := tmp_path / "workspace").mkdir()
    (workspace / ".trestle").mkdir()  # what makes a folder a workspace of trestle
    program, *arguments = shlex.split(command)
    beside = Path(sys.executable).parent / program
    environment = os.environ | {"PATH": f"{beside.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(beside), *arguments],
        cwd=workspace if "../" in command else tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
