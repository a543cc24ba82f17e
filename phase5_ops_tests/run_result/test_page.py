"""The page of `readiness`: everything that matters is shown at once, and what the platform says stays text."""

import re
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.build import CATALOGUE
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.result import EvidenceEntry, RowEntry
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.records import Release
from phase5_ops.orchestration.shown import LONGEST_LINE
from phase5_ops.report.changes import changes_between
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.run_result.document import RunResult
from phase5_ops.run_result.page import metadata_of
from phase5_ops.settings import Settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import document, finding, row

HOSTILE = "<script>alert(1)</script> [x](javascript:1) \x1b[31m\nnext ![i](http://t) `a` | b " + "y" * 300


def page(shown: ReadinessDocument, before: ReadinessDocument | None = None, **result) -> dict[str, dg.MetadataValue]:
    changes = changes_between(before, shown)
    run = SimpleNamespace(settings=Settings(), store=EvidenceStore(Path("evidence")), run_id=shown.run_id)
    return metadata_of(RunResult(shown, changes, **result), run, CATALOGUE, result.pop("release", None))


def test_the_checklist_is_shown_section_by_section_with_box_verdict_and_links():
    entry = row("1.2", finding("error_alarm_missing", subject="crm.write"))
    entry = entry.model_copy(update={"evidence": [EvidenceEntry(label="Alarms", url="https://console/alarms")]})
    shown = page(document("run-1", entry))
    titles = [f"{each.id} {each.title}" if each.id != each.check else f"extra: {each.title}" for each in ALL_CHECKS]
    assert set(titles) < set(shown)
    of_section = sum(each.section_number == "1" for each in ALL_CHECKS)
    assert shown["1. Dashboards & Alarms"].value == f"**{of_section - 1} of {of_section}** hold"
    assert shown["1.1 Tool SLO metrics visible"].value.startswith("☑ **✓ PASS**")
    assert shown["1.2 Alarms defined"].value == "☐ **✗ FAIL** s  \n[Alarms](<https://console/alarms>)"
    others = sum(not each.is_sign_off for each in ALL_CHECKS) - 1
    assert (shown["rows that hold"].value, shown["rows that do not hold"].value, shown["findings"].value) == (others, 1, 1)


def test_what_keeps_it_closed_comes_in_order_of_importance_with_its_remedy():
    lines = [
        "S.1 FAIL no_release eng-reliability: no release to sign",
        "2.1 INCONCLUSIVE breaker_never_seen crm: nothing",
        "1.2 ERROR read_failed sns: denied",
        "2.2 FAIL closed_by_hand crm: CLOSED",
    ]
    shown = page(document("run-1").model_copy(update={"blockers": lines}))
    found = [shown[f"blocker {number}"].value for number in range(1, 5)]
    assert [each.split("**")[1] for each in found] == ["2.2 FAIL", "1.2 ERROR", "2.1 INCONCLUSIVE", "S.1 FAIL"]
    (meant,) = CATALOGUE.by_name["closed_by_hand"]
    seen, to_do = found[0].replace("\\", "").split("  \n")
    assert seen == "**2.2 FAIL** closed_by_hand crm: CLOSED"
    assert to_do == f"**To do:** {meant.remedy}"


def read(entry: dg.MetadataValue) -> str:
    """The text of an entry, as it is read."""
    return str(entry.value).replace("  \n", "").replace("\\", "")


def test_many_blockers_are_counted():
    shown = page(document("run-1").model_copy(update={"blockers": [f"2.2 FAIL breaker_open c{each}: x" for each in range(40)]}))
    lines = shown["blocker 1"].value.replace("\\", "").split("  \n")
    assert lines[0] == "**2.2 FAIL** breaker_open c0: x"
    assert lines[-3:] == ["also: breaker_open c1: x", "also: breaker_open c2: x", "and 37 more, all in the report"]
    kinds = [f"2.2 FAIL code_{each} c: x" for each in range(12)]
    many = page(document("run-1").model_copy(update={"blockers": kinds}))
    assert many["further blockers"].value == "2 more, all in the report"


def test_what_changed_since_the_run_before_is_said():
    before = document("run-0", row("1.2", finding("error_alarm_missing")), row("5.1", spent=3))
    after = document("run-1", row("2.1", finding("closed_by_hand")), row("5.1", spent=4))
    found = page(after, before)["since the run before"].value.replace("\\", "").splitlines()
    assert found[0] == "since run run-0 of 2026-11-23T12:00:00.000Z:"
    assert "- **1.2** Alarms defined: FAIL → **PASS**" in found
    assert "- **2.1** came: FAIL closed_by_hand crm" in found
    assert "- **1.2** went: FAIL error_alarm_missing crm" in found
    assert "- **5.1** spent: 3 → 4" in found
    same = page(after, after.model_copy(update={"run_id": "run-0"}))
    assert "nothing changed since run run-0" in same["since the run before"].value
    assert page(after)["since the run before"].value == "there is no earlier run of the whole checklist"


def test_changes_that_cannot_be_told_are_not_shown_as_none():
    run = SimpleNamespace(settings=Settings(), store=EvidenceStore(Path("evidence")), run_id="run-1")
    shown = metadata_of(RunResult(document("run-1"), None, "no permission"), run, CATALOGUE, None)
    assert read(shown["since the run before"]) == "cannot be told: no permission"


def test_a_run_of_some_rows_shows_them_and_decides_nothing():
    shown = page(document("run-1", row("2.1"), partial=True))
    assert shown["decision"].value.startswith("**NOT DECIDED, 2.1 only**")
    assert "2.1 Breaker state observable" in shown
    assert "1.1 Tool SLO metrics visible" not in shown


def test_the_release_that_a_run_was_made_for_is_named():
    run = SimpleNamespace(settings=Settings(), store=EvidenceStore(Path("evidence")), run_id="run-1")
    shown = metadata_of(RunResult(document("run-1"), None), run, CATALOGUE, Release("r-1", "sha256:d", "test"))
    assert read(shown["made for"]) == "r-1 sha256:d"


@pytest.mark.parametrize("links", [1, 40])
def test_hostile_text_stays_text_and_every_entry_is_shown_at_once(links: int):
    entry: RowEntry = row("1.2", finding(subject=HOSTILE, seen=HOSTILE))
    evidence = [EvidenceEntry(label=HOSTILE, url=f"https://console/{'a' * 150}<>\n")] * links
    evidence.append(EvidenceEntry(label="no", url="javascript:alert(1)"))
    entry = entry.model_copy(update={"summary": HOSTILE, "evidence": evidence, "verdict": Verdict.FAIL})
    shown = page(
        document("run-1", entry).model_copy(update={"notices": [HOSTILE] * 9, "blockers": [f"1.2 FAIL tool_x {HOSTILE}"]})
    )
    for value in shown.values():
        if isinstance(value, dg.MarkdownMetadataValue):
            assert len(value.value) < 1000
            assert not re.search(r"(?<!\\)<script", value.value)
            assert "](javascript" not in value.value
            assert "![" not in value.value
            assert "\x1b" not in value.value


def test_the_report_and_the_evidence_are_found_here_and_where_they_were_copied_to():
    settings = Settings(evidence_s3_uri="s3://kept/phase5")
    run = SimpleNamespace(
        settings=settings, store=EvidenceStore(Path("evidence")), run_id="run-1", links=ConsoleLinks("eu-west-1")
    )
    shown = metadata_of(RunResult(document("run-1"), None, has_report=True), run, CATALOGUE, None)
    assert read(shown["report"]).endswith("/evidence/run-1/report.html")
    assert shown["opens the report"].value == "phase5 report run-1 --open"
    of = "https://eu-west-1.console.aws.amazon.com/s3"
    report, bundle = (
        f"{of}/object/kept?region=eu-west-1&prefix=phase5/run-1/report.html",
        f"{of}/buckets/kept?region=eu-west-1&prefix=phase5/run-1/",
    )
    assert read(shown["report on S3"]) == f"[{report}](<{report}>)"
    assert read(shown["evidence bundle on S3"]) == f"[{bundle}](<{bundle}>)"


def test_no_word_is_longer_than_a_line_so_that_nothing_is_cut_in_a_window_of_1280_pixels():
    entry = row("1.2", finding(subject=f"arn:aws:iam::123456789012:role/{'x' * 90}", seen="y" * 200))
    settings = Settings(evidence_s3_uri=f"s3://kept/{'phase5' * 20}")
    run = SimpleNamespace(
        settings=settings, store=EvidenceStore(Path("/a/long/way" * 9)), run_id="run-1", links=ConsoleLinks("eu-west-1")
    )
    release = Release("r" * 80, f"sha256:{'d' * 64}", "test")
    found = document("run-1", entry).model_copy(update={"evidence_digest": f"sha256:{'e' * 64}", "environment": "z" * 60})
    for name, value in metadata_of(RunResult(found, None, has_report=True), run, CATALOGUE, release).items():
        text = re.sub(r"\]\(<[^>]*>\)", "", str(value.value)).replace("\\", "").replace("*", "")
        assert max(map(len, text.split()), default=0) <= LONGEST_LINE + 1, (name, text)  # a bracket of a link's text
