"""Where the project's files are, for tests that read them, and a copy of them for tests that change them."""

import shutil
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FIELD_CASES = TESTS / "field_cases"
KEPT = TESTS / "kept"
SCENARIOS = ROOT / "phase5_ops" / "sandbox" / "scenarios"


def copy_project(root: Path) -> None:
    """Puts the package, its documents without pictures, and the files of the top level into a folder."""
    for name in ("phase5_ops", "docs", "deploy"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, root)
