"""Evidence tables in the report: which rows and columns, every value short text, and moments and lists as people read them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import pytest

from phase5_ops.evidence.preview import Preview
from phase5_ops.evidence.table import DeclaredTable, NoFacts
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.report.html.tables import MOST_ROWS, shown_table


@dataclass(frozen=True)
class Line:
    tenant: Annotated[str, "its id"]
    calls: Annotated[int, "of a day"] = 0
    share: Annotated[float | None, "of all"] = None
    opened: Annotated[int | None, "epoch seconds"] = None
    ended: Annotated[int | None, "epoch milliseconds of the end"] = None
    seen: Annotated[datetime | None, "when"] = None
    on: Annotated[bool, "whether"] = False
    accounts: Annotated[list[str], "ids"] = ()
    more: Annotated[dict[str, int], "by type"] = None
    cost: Annotated[Decimal | None, "USD"] = None


TABLE = DeclaredTable(Line, NoFacts)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def gathered(*lines: Line):
    return TABLE.gathered(lines, NoFacts())


def line(tenant: str, **values) -> Line:
    return Line(tenant, **{"accounts": [], "more": {}, **values})


def test_values_read_as_people_write_them():
    shown = shown_table(
        "lines",
        gathered(
            line(
                "acme",
                calls=12345,
                share=1 / 3,
                opened=1_800_000_000,
                ended=1_800_000_000_123,
                seen=NOW,
                on=True,
                accounts=["a", "b"],
                more={"x": 1},
                cost=Decimal("188.9920000000"),
            )
        ),
        None,
    )
    for text in (
        '<th scope="row">acme</th>',
        '<td class="number">12345</td>',
        '<td class="number">0.333333</td>',
        "<td>2027-01-15T08:00:00.000Z</td>",
        "<td>2027-01-15T08:00:00.123Z</td>",
        "<td>2026-11-23T12:00:00.000Z</td>",
        "<td>yes</td>",
        "<td>a, b</td>",
        "<td>{&#34;x&#34;: 1}</td>",
        '<td class="number">188.992</td>',
    ):
        assert text in shown.body


def test_what_is_empty_stays_empty():
    assert shown_table("lines", gathered(line("acme")), None).body.count("<td></td>") == 5


@pytest.mark.parametrize(("amount", "said"), [("0E-10", "0"), ("100", "100"), ("-0.50", "-0.5"), ("1E+3", "1000")])
def test_money_has_all_of_its_digits_and_no_zeros_behind_them(amount: str, said: str):
    assert f">{said}<" in shown_table("lines", gathered(line("acme", cost=Decimal(amount))), None).body


def test_hostile_and_long_values_are_short_text():
    body = shown_table("lines", gathered(line("<script>alert(1)</script>"), line("x" * 400), line("")), None).body
    assert "<script>" not in body
    assert "x" * 301 not in body
    assert "(400 characters)" in body


def test_moments_that_no_calendar_has_are_shown_as_the_number():
    assert "<td>9000000000000000000</td>" in shown_table("lines", gathered(line("acme", ended=9 * 10**18)), None).body


def test_a_preview_chooses_columns_and_order_and_the_worst_are_kept_of_too_many():
    preview = Preview(("tenant", "calls"), lambda frame: frame.sort_values("calls", ascending=False), lambda _: {})
    shown = shown_table("lines", gathered(*(line(f"t{n}", calls=n) for n in range(MOST_ROWS + 5))), preview)
    assert [column.name for column in shown.columns] == ["tenant", "calls"]
    assert (shown.shown, shown.total) == (MOST_ROWS, MOST_ROWS + 5)
    assert shown.body.startswith(f'<tr><th scope="row">t{MOST_ROWS + 4}</th>')


def test_reads_that_did_not_succeed_are_counted():
    reads = [
        Read("dynamodb:Scan", "t", status, None, 1, "2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z")
        for status in (ReadStatus.OK, ReadStatus.DENIED)
    ]
    shown = shown_table("lines", gathered(line("acme")).with_reads(reads, NOW), None)
    assert shown.reads == (2, 1)
    assert shown.observed_at == "2026-11-23T12:00:00.000Z"
