"""`docs/adding-a-row.md` holds: what the page says is done to a copy of the project, and the row is everywhere it should be."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.places import ROOT, copy_project

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "adding-a-row.md"
BLOCK = re.compile(r"^`(?P<file>[^`\n]+)`\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
GENERATED = {"phase5_ops/report/findings.json", "README.md", "docs/architecture.md", "docs/findings.md", "docs/settings.md"}

#: Runs in the copy, in one process, and prints what it found.
LOOKS = f"""
import json, os
from pathlib import Path
from typer.testing import CliRunner
from phase5_ops.cli.app import app
from phase5_ops.documentation.write import write_all
from phase5_ops.gate.drill.cases import drill, required_cases
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import load_settings

found = {{}}
os.environ["PHASE5_NOW"] = {NOW!r}
for scenario in ("healthy", "ledger-not-restorable"):
    with Sandbox(scenario) as sandbox:
        os.environ.update(sandbox.exports(), PHASE5_STATE_DIR=f"state-{{scenario}}")
        checked = CliRunner().invoke(app, ["check", "--row", "6.1", "--format", "json"])
        found[scenario] = json.loads(checked.stdout)
settings = load_settings()
found["policy"] = policy_for(Purpose.readiness, settings)
found["cases"] = sorted(fault for row, fault in required_cases(settings.gate) if row == "6.1")
found["drilled"] = [case.fault for case in drill(settings.gate, settings.clock.now()).rows if case.row == "6.1"]
write_all(Path.cwd())
Path("found.json").write_text(json.dumps(found))
"""


def blocks() -> Iterator[re.Match[str]]:
    return BLOCK.finditer(PAGE.read_text(encoding="utf-8"))


def do(block: re.Match[str], copy: Path) -> None:
    """A whole file is written; of a diff, the lines that are there are found once and replaced."""
    file, text = copy / block["file"], block["text"]
    if block["kind"] == "python":
        assert not file.exists()
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    lines = text.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    content = file.read_text(encoding="utf-8")
    assert content.count(before) == 1, f"{block['file']}: {before}"
    file.write_text(content.replace(before, after), encoding="utf-8")


def files(root: Path) -> dict[str, bytes]:
    kept = (path for name in ("phase5_ops", "docs") for path in (root / name).rglob("*") if "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in (*kept, root / "README.md") if path.is_file()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the row, after all was looked at."""
    root = tmp_path_factory.mktemp("project")
    copy_project(root)
    for block in blocks():
        do(block, root)
    environment = {"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(root), "HOME": str(root)}
    subprocess.run([sys.executable, "-c", LOOKS], cwd=root, env=environment, check=True, timeout=300)
    return root


@pytest.fixture(scope="module")
def found(copy: Path) -> dict[str, Any]:
    return json.loads((copy / "found.json").read_text(encoding="utf-8"))


def test_nothing_is_touched_but_what_the_page_names_and_what_is_made_of_it(copy: Path):
    before, after = files(ROOT), files(copy)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {block["file"] for block in blocks()} | GENERATED


def test_the_check_judges_the_row_as_its_scenarios_say(found: dict[str, Any]):
    (healthy,), (broken,) = found["healthy"]["rows"], found["ledger-not-restorable"]["rows"]
    assert (healthy["id"], healthy["section"], healthy["verdict"]) == ("6.1", "Data Protection", "PASS")
    assert healthy["facts"]["restorable"] > 30
    assert broken["verdict"] == "FAIL"
    assert [(each["code"], each["subject"]) for each in broken["findings"]] == [("table_not_restorable", "cc-native-ledger")]


def test_the_documents_have_the_row_its_codes_and_its_setting(copy: Path):
    assert "| 6.1 Tables restorable | `tables_restorable` |" in (copy / "README.md").read_text(encoding="utf-8")
    chapters = (copy / "docs" / "findings.md").read_text(encoding="utf-8").split("## ")
    (chapter,) = [each for each in chapters if each.startswith("6.1 Tables restorable\n")]
    assert re.findall(r"^\| `(\w+)`", chapter, re.MULTILINE) == ["table_not_restorable", "recovery_period_short"]
    assert "| `PHASE5_RECOVERY__MIN_DAYS` | `7` |" in (copy / "docs" / "settings.md").read_text(encoding="utf-8")


def test_the_policy_allows_what_the_evidence_reads(found: dict[str, Any]):
    (statement,) = [each for each in found["policy"]["Statement"] if each["Sid"] == "ReadTableRecovery"]
    assert statement["Action"] == ["dynamodb:DescribeContinuousBackups"]
    assert statement["Resource"] == ["arn:*:dynamodb:*:*:table/cc-native-*"]


def test_the_gates_drill_tries_the_row(found: dict[str, Any]):
    assert len(found["cases"]) > 20
    assert set(found["cases"]) <= set(found["drilled"])


def test_the_pages_code_is_as_the_projects_own(copy: Path):
    new = [block["file"] for block in blocks() if block["kind"] == "python"]
    for command in (["check"], ["format", "--check"]):
        subprocess.run(["ruff", *command, "--no-cache", *new], cwd=copy, check=True, timeout=60)
