"""SARIF against the official schema, and as a consumer of it counts.

The schema is Microsoft's publication of the OASIS schema 2.1.0 (rtm.5), as the npm package @microsoft/jest-sarif 1.0.0-beta.0
(MIT) carries it.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from sarif.loader import load_sarif_file

from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import Format, RenderContext, render
from phase5_ops_tests.report.formats.sample import BEFORE, CONTEXT, MEANINGS, RUN, RUNBOOK, closed, documents, previous

SCHEMA = json.loads((Path(__file__).parent / "official" / "sarif-2.1.0-rtm.5.json").read_bytes())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def run_of(document: ReadinessDocument, context: RenderContext = CONTEXT) -> dict[str, Any]:
    log = json.loads(render(document, Format.sarif, context))
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    return run


def of_row(run: dict[str, Any], row: str) -> list[dict[str, Any]]:
    return [result for result in run["results"] if result["properties"]["row"] == row]


@settings(max_examples=25, deadline=None)
@given(documents())
def test_every_document_satisfies_the_official_schema(shown: ReadinessDocument):
    run_of(shown)


def test_levels_follow_what_keeps_the_gate_closed():
    run = run_of(closed())
    levels = {row: {result["level"] for result in of_row(run, row)} for row in ("2.1", "2.2", "3.2", "4.2", "5.1", "S.2", "gate")}
    assert levels.pop("2.1") == {"warning"}
    assert set(map(frozenset, levels.values())) == {frozenset({"error"})}


def test_rules_say_what_a_code_means_what_to_do_and_where_to_read_more():
    rules = {rule["id"]: rule for rule in run_of(closed())["tool"]["driver"]["rules"]}
    assert set(rules) == set(MEANINGS)
    alarm = rules["alarm_missing"]
    assert alarm["help"]["text"] == "A tool has no alarm.\n\nWhat to do: Create the alarm."
    assert alarm["helpUri"].startswith(f"{RUNBOOK}#slo-alarms")
    for result in (run := run_of(closed()))["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_waiver_in_force_suppresses_what_it_covers_and_nothing_else():
    suppressed = [result for result in run_of(closed())["results"] if "suppressions" in result]
    assert [(result["properties"]["row"], result["ruleId"]) for result in suppressed] == [("1.2", "alarm_missing")]
    assert suppressed[0]["suppressions"][0]["justification"] == "migration (OPS-1)"
    over = closed().model_copy(update={"waivers": [{**closed().waivers[0], "in_force": False, "why_not": "it ended"}]})
    assert not [result for result in run_of(over)["results"] if "suppressions" in result]


def test_results_are_compared_with_the_previous_run():
    run = run_of(closed())
    states = {row: [result["baselineState"] for result in of_row(run, row)] for row in ("2.1", "5.1", "1.2")}
    assert states == {"2.1": ["unchanged"], "5.1": ["updated", "new"], "1.2": ["new"]}
    assert (run["baselineGuid"], run["automationDetails"]["guid"]) == (BEFORE, RUN)
    assert run["properties"]["gone"] == ["1.1 alarm_missing mail.send"]
    assert not [r for r in run_of(closed(), RenderContext(meanings=MEANINGS))["results"] if "baselineState" in r]


def test_fingerprints_stay_from_run_to_run_and_differ_within_one():
    def fingerprints(document: ReadinessDocument) -> list[str]:
        return [result["partialFingerprints"]["phase5/v1"] for result in run_of(document)["results"]]

    assert len(set(fingerprints(closed()))) == len(fingerprints(closed()))
    assert len(set(fingerprints(closed())) & set(fingerprints(previous()))) == 2  # 2.1, and the first of 5.1


def test_results_point_to_the_line_of_their_row_in_the_markdown():
    page = render(closed(), Format.markdown, CONTEXT).split("\n")
    for result in run_of(closed())["results"]:
        row = result["properties"]["row"]
        line = page[result["locations"][0]["physicalLocation"]["region"]["startLine"] - 1]
        assert row == "gate" or f" {row} " in line or ("Ops / SRE" in line and row == "S.2")


def test_a_consumer_opens_it(tmp_path: Path):
    (path := tmp_path / "readiness.sarif").write_text(render(closed(), Format.sarif, CONTEXT), "utf-8")
    loaded = load_sarif_file(str(path))
    assert loaded.get_distinct_tool_names() == ["phase5_ops"]
    assert loaded.get_report().get_issue_count_for_severity("error") == 8  # it counts what is suppressed too
    assert {record["Location"] for record in loaded.get_records()} == {"readiness.md"}
