"""The threat model names tests that there are, for each threat, and says what is accepted of each."""

import ast
import re

import pytest

from phase5_ops_tests.places import ROOT, TESTS

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
THREATS = re.findall(r"^### (\d+\. .*?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("title", "text"), THREATS, ids=[title for title, _ in THREATS])
def test_a_threat_says_path_what_stops_it_by_which_tests_and_what_is_accepted(title, text):
    parts = re.findall(r"^\* \*\*(.+?)\*\*: (.+?)(?=^\* |\Z)", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in parts] == ["Path", "Stops it", "Shown by", "Accepted"]
    assert re.search(r"\.py::test_", dict(parts)["Shown by"])


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file, name):
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_threats_are_numbered_and_none_is_without_a_test():
    assert [int(title.partition(".")[0]) for title, _ in THREATS] == list(range(1, len(THREATS) + 1))
    assert len(NAMED) >= 2 * len(THREATS)
