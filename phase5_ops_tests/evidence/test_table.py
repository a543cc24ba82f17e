"""A declared table: its schema, its typed rows, and what stands beside them in the Parquet file."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pandas as pd
import pandera.errors
import pytest

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import Column, DeclaredTable, NoFacts, observed_at
from phase5_ops.reads import Read, ReadStatus
from phase5_ops_tests.evidence.kept_tables import assert_kept

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
READ = Read("dynamodb:Scan", "t", ReadStatus.OK, None, 1, "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:01.000Z")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Thing:
    name: Annotated[str, "how it is called", Column(unique=True)]
    colour: Annotated[Colour, "of its surface"]
    parts: Annotated[tuple[Part, ...], "of which it is made"]
    made_at: Annotated[datetime | None, "when it was made"]
    cost: Annotated[Decimal, "USD", Column("x_Cost", check=Decimal.is_finite)]
    count: Annotated[int | None, "how many there are"]
    good: Annotated[bool | None, "null where nobody looked"]
    size: Annotated[int, "metres", Column(least=0)] = 1
    more: Annotated[dict[str, Any] | None, "whatever else"] = None


@dataclass(frozen=True)
class ThingFacts:
    where: str
    seen: tuple[Part, ...] = ()
    note: str | None = None


THINGS = DeclaredTable(Thing, ThingFacts)
ONE = Thing("a", Colour.RED, (Part("p", (1, 2)), Part("q")), NOW, Decimal("1.20"), 2**60 + 1, None, 3, {"ü": [None]})
TWO = Thing("b", Colour.BLUE, (), None, Decimal(0), None, good=True)


def test_rows_and_what_stands_beside_them_are_kept(tmp_path):
    table = THINGS.gathered([ONE, TWO], ThingFacts("here", (Part("\ud800"),))).with_reads([READ], NOW)
    assert list(table.rows) == [ONE, TWO]
    assert_kept(table, tmp_path)
    assert_kept(THINGS.gathered([], ThingFacts("here", note="empty")), tmp_path)


def test_a_table_without_rows_has_the_types_of_one_with_rows():
    full, empty = THINGS.gathered([ONE, TWO], ThingFacts("")), THINGS.gathered([], ThingFacts(""))
    assert empty.frame.dtypes.to_dict() == full.frame.dtypes.to_dict()


def test_the_file_holds_plain_columns_and_json(tmp_path):
    store = EvidenceStore(tmp_path)
    store.write_table("run-1", "a", THINGS.gathered([ONE], ThingFacts("here")).with_reads([READ], NOW))
    frame = pd.read_parquet(store.table_path("run-1", "a"))
    assert frame.attrs == {"where": "here", "seen": [], "reads": [READ.as_entry()], "observed_at": "2026-11-23T12:00:00.000Z"}
    assert list(frame.columns) == ["name", "colour", "parts", "made_at", "x_Cost", "count", "good", "size", "more"]
    assert frame.loc[0, "parts"] == '[{"name": "p", "sizes": [1, 2]}, {"name": "q", "sizes": []}]'
    assert frame.loc[0, "colour"] == "red"


def test_nothing_beside_the_rows_is_copied_with_each_column():
    """As pandas does while it writes a file: it copies a frame's attributes deeply whenever it takes a column."""
    gathered = THINGS.gathered([ONE], ThingFacts("here", (Part("p"), Part("q")))).with_reads([READ], NOW)
    kept = THINGS.to_keep(gathered)
    column = kept["name"]
    assert [part["name"] for part in kept.attrs["seen"]] == ["p", "q"]
    assert {name for name, value in kept.attrs.items() if column.attrs[name] is not value} == set()


def test_evidence_that_says_less_is_read(tmp_path):
    """Of an earlier version: fewer facts, further ones and columns, no reads."""
    store = EvidenceStore(tmp_path)
    frame = THINGS.gathered([ONE], ThingFacts("here")).frame.assign(gone=1)
    frame.attrs = {"where": "there", "gone": 1}
    path = store.table_path("run-1", "a")
    path.parent.mkdir(parents=True)
    frame.to_parquet(path, index=False)
    table = store.read_table("run-1", "a", THINGS)
    assert (list(table.rows), table.facts, table.reads, table.observed_at) == ([ONE], ThingFacts("there"), (), None)


@pytest.mark.parametrize(
    "changed",
    [
        {"size": -1},
        {"colour": "green"},
        {"cost": Decimal("NaN")},
        {"cost": 1.5},
        {"name": None},
        {"size": None},
        {"made_at": "x"},
    ],
)
def test_a_value_that_is_not_as_declared_makes_no_table(changed):
    with pytest.raises((pandera.errors.SchemaError, ValueError, TypeError)):
        THINGS.gathered([replace(ONE, **changed)], ThingFacts("here"))


ODD = [
    *(None, float("nan"), pd.NaT, Decimal("NaN"), Decimal("Infinity")),
    *("", "a", "red", "green", Colour.BLUE, Colour.RED, (), NOW, NOW.replace(tzinfo=None)),
    *(-1, 0, 1, True, False, 1.0, 1.5, Decimal(1), Decimal("1.20")),
]


@pytest.mark.parametrize("column", [each.attribute for each in THINGS.columns if not each.json])
@pytest.mark.parametrize("unique", [(), ("colour", "cost"), ("made_at", "size")])
def test_whatever_is_taken_without_asking_the_schema_satisfies_it(column, unique):
    table = DeclaredTable(Thing, NoFacts, unique=unique)
    taken = 0
    for value in ODD:
        cells = table._cells([ONE, replace(TWO, **{column: value})])
        if table._surely_valid(cells):
            table.schema.validate(table._frame(cells))
            taken += 1
    assert taken


@dataclass(frozen=True)
class Measure:
    share: Annotated[float, "of all"] = 0.5
    cost: Annotated[Decimal, "USD"] = Decimal(1)


@pytest.mark.parametrize("changed", [{"share": float("nan")}, {"cost": Decimal("NaN")}])
def test_no_number_is_as_bad_as_an_empty_cell(changed):
    with pytest.raises(pandera.errors.SchemaError, match="null"):
        DeclaredTable(Measure, NoFacts).gathered([Measure(), replace(Measure(), **changed)], NoFacts())


def test_what_is_as_declared_is_taken_without_pandera(monkeypatch):
    monkeypatch.setattr(DeclaredTable, "schema", None)
    assert list(THINGS.gathered([ONE, TWO], ThingFacts("here")).rows) == [ONE, TWO]


def test_values_that_stand_once_stand_once():
    with pytest.raises(pandera.errors.SchemaError, match="name"):
        THINGS.gathered([ONE, ONE], ThingFacts("here"))
    pairs = DeclaredTable(Thing, NoFacts, unique=("colour", "cost"))
    pairs.gathered([ONE, replace(TWO, colour=Colour.RED)], NoFacts())
    with pytest.raises(pandera.errors.SchemaError, match="x_Cost"):
        pairs.gathered([ONE, replace(ONE, name="c")], NoFacts())


def test_a_column_says_what_it_holds():
    told = {column.name: (column.type, column.nullable, column.unique, column.limits) for column in THINGS.columns}
    assert told["name"] == ("str", False, True, [])
    assert told["colour"] == ("str", False, False, ["one of red, blue"])
    assert told["parts"] == ("json", False, False, [])
    assert told["x_Cost"] == ("decimal", False, False, [])
    assert told["count"] == ("Int64", True, False, [])
    assert told["size"] == ("int64", False, False, ["at least 0"])
    assert {column.description for column in THINGS.columns} >= {"metres", "USD"}


def test_tables_are_as_old_as_the_oldest():
    new = THINGS.gathered([], ThingFacts("")).with_reads([READ], NOW)
    old = new.with_reads([READ], NOW.replace(hour=1))
    assert observed_at({"a": new, "b": old}) == NOW.replace(hour=1)
    assert observed_at({"a": new, "b": replace(new, observed_at=None)}) is None
    assert observed_at({}) is None


def test_halves_of_surrogate_pairs_are_kept_as_what_every_reader_can_take(tmp_path):
    """JSON can write them, so a name or a description of another service may hold them; UTF-8 and Parquet cannot."""
    odd, shown = "a\ud800 \U0001f600", "a\\ud800 \U0001f600"
    rows = [replace(ONE, name=odd, parts=(Part(odd),), more={odd: [odd]}), TWO]
    facts = ThingFacts(odd, (Part(odd),), odd)
    table = THINGS.gathered(rows, facts).with_reads([replace(READ, error=odd)], NOW)
    assert table.rows[0] == replace(ONE, name=shown, parts=(Part(shown),), more={shown: [shown]})
    assert table.facts == ThingFacts(shown, (Part(shown),), shown)
    assert table.reads[0].error == shown
    assert_kept(table, tmp_path)
