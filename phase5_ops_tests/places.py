"""Where the project's files are, for tests that read them."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FIELD_CASES = TESTS / "field_cases"
KEPT = TESTS / "kept"
SCENARIOS = ROOT / "phase5_ops" / "sandbox" / "scenarios"
