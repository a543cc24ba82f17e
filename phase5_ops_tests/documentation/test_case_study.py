"""docs/case-study.md says what a run of the scenario `observed` comes to; `documentation/case_study.py` makes it."""

import re

from phase5_ops.build import implemented_checks
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.scenarios.observed import OBSERVED
from phase5_ops.verdict import Verdict
from phase5_ops_tests.documentation.case_study import _OBSERVED, PAGE
from phase5_ops_tests.places import ROOT

ROW = re.compile(r"\| (?P<id>\S+) [^|]+ \| (?P<verdict>[A-Z]+) \| (?P<codes>[^|]+) \|")


def test_the_page_has_the_verdict_and_the_code_of_every_row_that_the_scenario_declares():
    """The scenario is run by `test_scenarios.py`, which holds what it declares to what a run comes to."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    said = {found["id"]: (Verdict(found["verdict"]), found["codes"]) for found in map(ROW.fullmatch, page.splitlines()) if found}
    judged = [row.id for row in ALL_CHECKS if row.check in implemented_checks()]
    turns = named(OBSERVED).turns
    assert list(said) == judged
    assert {row: verdict for row, (verdict, _) in said.items()} == {
        row: turns[row][0] if row in turns else Verdict.PASS for row in judged
    }
    assert all(f"`{code}`" in said[row][1] for row, (_, code) in turns.items())
    headings = re.findall(r"^## (\S+) .*: [A-Z]+$", page, re.MULTILINE)
    assert headings == [row for row in judged if row in turns]


def test_of_every_row_that_closes_it_is_said_what_was_observed():
    assert _OBSERVED.keys() == named(OBSERVED).turns.keys()
