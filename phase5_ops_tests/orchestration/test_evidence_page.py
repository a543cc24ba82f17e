"""The page of an asset shows the evidence first, of bounded size, whatever the evidence holds."""

import re
from dataclasses import dataclass, replace
from typing import Annotated

import dagster as dg
import pytest

from phase5_ops.build import EVIDENCE, build_defs
from phase5_ops.evidence.preview import Preview, by
from phase5_ops.evidence.table import DeclaredTable, NoFacts
from phase5_ops.orchestration.evidence_page import column_schema, cost_metadata, evidence_metadata, reading_metadata
from phase5_ops.orchestration.tags import asset_tags
from phase5_ops.reads import Read, ReadStatus
from phase5_ops_tests.places import ROOT

BREAK = "\u200b"
HOSTILE = "<script>alert(1)</script>\n\x1b[31m" + "x" * 300


#: What the description of a number says of its unit.
UNIT = re.compile(r"number|share|how often|milliseconds|seconds|USD|BillingCurrency|UTC|HTTP status|1-6|1-based|in the unit of")


def _is_number(column: dg.TableColumn) -> bool:
    return column.type.startswith(("int", "Int", "float", "Float", "decimal", "datetime"))


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the test's table."""

    tenant: Annotated[str, "its id"]
    calls: Annotated[int, "number of calls"]


LINES = DeclaredTable(Line, NoFacts)
PREVIEW = Preview(
    ("calls", "tenant"), lambda frame: by(frame, frame["calls"]), lambda table: {"calls_total": table.frame["calls"].sum()}
)
READ = Read("dynamodb:Scan", "t", ReadStatus.OK, None, 1, "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:00.000Z")


def lines(number: int, tenant: str = "acme"):
    return LINES.gathered([Line(tenant, calls) for calls in range(number)], NoFacts())


def test_the_worst_rows_come_first_and_it_says_how_many_more_there_are():
    metadata = evidence_metadata(lines(10_000), PREVIEW, "lines")
    assert list(metadata) == ["evidence", "evidence not shown", "calls total"]
    table = metadata["evidence"]
    assert [record.data["calls"] for record in table.records] == [str(calls) for calls in range(9999, 9979, -1)]
    assert metadata["evidence not shown"] == "9,980 more rows; above are the worst 20 of 10,000"
    assert [(column.name, column.description) for column in table.schema.columns] == [
        ("calls", "number of calls"),
        ("tenant", "its id"),
    ]


def test_hostile_text_stays_in_its_cell():
    (record,) = evidence_metadata(lines(1, HOSTILE), PREVIEW, "lines")["evidence"].records
    shown = record.data["tenant"].replace(BREAK, "")
    assert shown.startswith("<script>alert(1)</script> \\x1b[31m")  # as text: a table's cell is never HTML
    assert "\n" not in shown
    assert len(shown) < 120  # of a word of 300 letters, what a line can hold
    (record,) = evidence_metadata(lines(1, "a tenant " * 100), PREVIEW, "lines")["evidence"].records
    assert record.data["tenant"].endswith("… (899 characters)")
    assert len(record.data["tenant"]) < 300


def test_a_picture_that_cannot_be_drawn_takes_nothing_from_the_evidence():
    metadata = evidence_metadata(lines(1), replace(PREVIEW, picture=lambda _: 1 / 0), "lines")
    assert metadata["picture"].value == "could not be drawn: ZeroDivisionError: division by zero"
    assert len(metadata["evidence"].records) == 1
    assert "picture" not in evidence_metadata(lines(1), replace(PREVIEW, picture=lambda _: None), "lines")


def test_failed_reads_come_first_and_the_others_are_counted():
    failed = replace(READ, status=ReadStatus.DENIED, error="no")
    metadata = reading_metadata(replace(lines(3), reads=(*[READ] * 80, failed)))
    assert (metadata["dagster/row_count"], metadata["reads not whole"]) == (3, 1)
    assert [record.data["status"] for record in metadata["reads"].records][:2] == [str(ReadStatus.DENIED), str(ReadStatus.OK)]
    assert metadata["reads not shown"] == f"31 more: 31 {ReadStatus.OK}"


def test_what_it_cost_is_numbers_and_the_calls_by_operation():
    assert cost_metadata(1.23456, {"a:B": 2, "a:C": 5, "a:D": 0}, 0.0000018) == {
        "seconds": 1.235,
        "aws calls": 7,
        "aws calls by operation": "5 a:C, 2 a:B",
        "aws list price usd": 2e-06,
    }


@pytest.mark.parametrize("evidence", EVIDENCE, ids=lambda each: each.name)
def test_each_table_explains_its_columns_and_its_assets_can_be_selected(evidence):
    (schema,) = column_schema(evidence.table).values()
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns if not column.description] == []
    without_unit = [
        f"{each.name}: {each.description}" for each in schema.columns if _is_number(each) and not UNIT.search(each.description)
    ]
    assert without_unit == []
    assert asset_tags(evidence.name, evidence.section)["phase5/section"] == evidence.section


def test_an_asset_has_the_tag_of_each_row_that_is_judged_from_it():
    assert asset_tags("breaker_snapshot", "2") == {
        "phase5/section": "2",
        "phase5/row": "2.1",
        "phase5/row-2.1": "",
        "phase5/row-2.2": "",
    }
    assert asset_tags("registered_tools", "1") == {"phase5/section": "1"}


def test_the_selections_of_the_documentation_find_what_it_says():
    """`docs/dagster-ui.md` names them."""
    text = (ROOT / "docs" / "dagster-ui.md").read_text(encoding="utf-8")
    graph = build_defs().resolve_asset_graph()
    found = {
        chosen: {key.to_user_string() for key in dg.AssetSelection.from_string(chosen).resolve(graph)}
        for chosen in re.findall(r"`(\+?(?:group|tag|owner|kind):[^`]+)`", text)
    }
    assert found['group:"1_dashboards"'] == {"slo_alarms", "alarm_replay", "runbook"}
    assert found['group:"shared_inputs"'] | found['group:"1_dashboards"'] >= found['tag:"phase5/section"="1"']
    assert found['tag:"phase5/row-2.2"'] == {"breaker_snapshot"}
    assert found['tag:"phase5/row-tool_slo_met"'] == found['tag:"phase5/row"="1.1"'] == {"tool_slo_summary"}
    assert found['+tag:"phase5/row-1.2"'] >= {"slo_alarms", "tool_slo_summary", "registered_tools"}
    assert all(found.values())
