"""The rows, the definitions and the documentation say the same."""

import dagster as dg
import pytest

from phase5_ops.build import CATALOGUE, EVIDENCE, JUDGING, build_defs, evidence_for, implemented_checks, judged_checks
from phase5_ops.checklist import ALL_CHECKS, EXTRA_CHECKS, ROLES, ROW_OF_CHECK, ROWS
from phase5_ops.documentation import write as documentation
from phase5_ops.evidence.histories import HistoryCode
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.report.findings import stored_explanations
from phase5_ops.settings import Settings
from phase5_ops.verdict import FindingCodes
from phase5_ops_tests.places import ROOT


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(settings=Settings())


def test_rows_are_those_of_the_checklist_in_its_order():
    assert [row.id for row in ROWS] == [
        "1.1", "1.2", "1.3", "2.1", "2.2", "3.1", "3.2", "3.3", "4.1", "4.2", "4.3", "5.1", "5.2", "S.1", "S.2", "S.3",
    ]  # fmt: skip
    assert len({row.check for row in ALL_CHECKS}) == len(ALL_CHECKS)
    assert {row.owner for row in ALL_CHECKS} == set(ROLES)
    assert {row.id for row in ROWS if not row.waivable} == {"3.1", "3.3", "4.1", "4.2", "4.3", "S.1", "S.2", "S.3"}


def test_every_judged_row_has_exactly_one_check_on_an_executable_asset(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    keys = list(graph.asset_check_keys)
    assert sorted(key.name for key in keys) == sorted(judged_checks())
    for key in keys:
        assert key.asset_key.path == [ROW_OF_CHECK[key.name].asset]
        assert graph.get(key.asset_key).is_executable


def test_every_row_is_judged_and_the_signatures_apart_from_the_readiness_run():
    assert {row.check for row in ROWS} <= judged_checks()
    assert {row.id for row in ROWS if row.check not in implemented_checks()} == {"S.1", "S.2", "S.3"}
    assert {row.check for row in EXTRA_CHECKS} <= implemented_checks()


def test_the_readiness_job_runs_every_evidence_asset_and_check(definitions: dg.Definitions):
    layer = definitions.resolve_job_def(READINESS_JOB).asset_layer
    assert {key.path[-1] for key in layer.executable_asset_keys} == {evidence.name for evidence in EVIDENCE}
    assert {key.name for key in layer.asset_graph.asset_check_keys} >= implemented_checks()


def test_rows_on_their_own_gather_only_what_they_need():
    assert evidence_for({"1.3"}) == {"runbook", "slo_alarms", "tool_slo_summary", "registered_tools"}
    assert evidence_for({"1.1"}) == {"tool_slo_summary", "registered_tools"}
    assert evidence_for({"3.1"}) == {"replay_probe", "replay_probes_sent"}
    assert evidence_for({"S.1"}) == set()


def test_definitions_are_as_last_reviewed(definitions: dg.Definitions, snapshot):
    graph = definitions.resolve_asset_graph()
    described = {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "kinds": sorted(graph.get(key).kinds),
                "owners": sorted(graph.get(key).owners),
                "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                "executable": graph.get(key).is_executable,
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": [READINESS_JOB],
        "schedules": {
            schedule.name: [schedule.cron_schedule, schedule.execution_timezone, str(schedule.default_status)]
            for schedule in definitions.schedules
        },
        "judging": {judging.asset: sorted(judging.judges) for judging in JUDGING},
    }
    assert described == snapshot


def test_documents_are_as_the_code_says():
    made = documentation.documents(ROOT)
    documents = {"README.md", "architecture.md", "findings.md", "settings.md", "template.yaml"}
    assert {path.name for path in made} == documents | {"readiness.schema.json", "findings.json", "empty_databases.json"}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, path


def test_every_room_says_its_purpose():
    assert all(line.split("|")[2].strip() for line in documentation.rooms_table(ROOT).splitlines())


def test_every_declared_code_is_documented_and_once_under_a_heading():
    declared = {code for codes in FindingCodes.__subclasses__() for code in codes.all()}
    chapters = [[code.code for code in chapter.all()] for chapter in CATALOGUE.chapters]
    assert declared <= {code for codes in CATALOGUE.by_name.values() for code in codes}
    assert all(len(set(codes)) == len(codes) for codes in chapters)
    assert all(judging.codes for judging in JUDGING)


def test_what_is_stored_of_the_codes_is_what_the_sections_declare():
    stored = stored_explanations()
    assert stored.catalogue.as_markdown() == CATALOGUE.as_markdown()
    assert [each.rows for each in stored.catalogue.chapters] == [each.rows for each in CATALOGUE.chapters]
    assert stored.evidence == {each.name: each.description for each in EVIDENCE}


def test_every_row_has_codes_of_its_own_and_names_the_histories_that_it_rests_on():
    of_rows = {row.id: [chapter for chapter in CATALOGUE.chapters if row.id in chapter.rows] for row in ALL_CHECKS}
    assert all(of_rows.values())
    resting = {check for judging in JUDGING for check, histories in judging.rests_on.items() if histories}
    histories = next(chapter for chapter in CATALOGUE.chapters if HistoryCode in chapter.codes)
    assert set(histories.rows) == {ROW_OF_CHECK[check].id for check in resting}


def test_a_code_of_two_rows_means_in_each_what_its_own_chapter_says():
    catalogue = stored_explanations().catalogue
    assert catalogue.meaning("no_such_code", "1.2") is None
    assert catalogue.meaning("read_failed", "2.1") == catalogue.by_name["read_failed"][0]
    for chapter in catalogue.chapters:
        for row in chapter.rows:
            for code in chapter.all():
                assert catalogue.meaning(code.code, row).code == code.code
    shared = [name for name, codes in catalogue.by_name.items() if len(codes) > 1]
    assert all(len({catalogue.meaning(name, row.id).meaning for row in ALL_CHECKS}) > 1 for name in shared)


def test_every_finding_code_says_what_it_means_and_what_to_do():
    for codes in CATALOGUE.by_name.values():
        for code in codes:
            assert code.code
            assert code.code == code.code.lower()
            assert len(code.meaning) > 20, code.code
            assert len(code.remedy) > 10, code.code
    assert len(CATALOGUE.by_name) > 50


def test_every_setting_has_a_meaning_in_the_documents():
    lines = [line for line in documentation.settings_markdown().splitlines() if line.startswith("| `PHASE5_")]
    unexplained = [
        line for line in lines if line.rstrip().endswith("|  |") and "__TABLES" not in line and "PHASE5_TABLES" not in line
    ]
    assert unexplained == []
