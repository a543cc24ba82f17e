"""Evidence tables: each is declared once, as a dataclass whose fields are the columns; what was gathered is one value.

A field's type gives the column's type, and whether it may be empty; its annotation says what it holds, with the unit, and what
pandas and pandera need beyond that (`Column`). From this come the schema that every table satisfies, the columns that
Dagster shows, and the rows that judges read. Lists, mappings and dataclasses are stored as JSON text. What must not live here:
the content of a particular table, reading, Dagster.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from math import isnan
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from phase5_ops.clock import iso, parse_iso
from phase5_ops.reads import Read
from phase5_ops.text import storable

if TYPE_CHECKING:
    import pandas as pd  # seconds of import time that a command without tables does not need
    import pandera.pandas as pa

Row = TypeVar("Row")
Facts = TypeVar("Facts")
Value = TypeVar("Value")

_DTYPES = {str: "str", bool: "bool", int: "int64", float: "float64", datetime: "datetime64[us, UTC]", Decimal: "object"}
_EMPTY_DTYPES = {"bool": "boolean", "int64": "Int64", "float64": "Float64"}  # of pandas, for columns with empty cells
_JSON = "json"
_MAYBE_HALF_A_PAIR = re.compile(r"\\ud[89a-f]|[\ud800-\udfff]")  # half of a surrogate pair in JSON text, or an escaped pair


@dataclass(frozen=True, slots=True)
class Column:
    """What a field's type does not say of its column.

    Attributes:
        name: of the column; default: the field's.
        dtype: of pandas; default: what fits the type.
        unique: no value stands twice.
        among: the allowed values; default: those of an enum.
        least: the smallest allowed value.
        check: a further condition on each value.
        json: options of `json.dumps`, for a column that is kept as JSON text.
    """

    name: str = ""
    dtype: str = ""
    unique: bool = False
    among: Sequence[str] = ()
    least: int | None = None
    check: Callable[[Any], bool] | None = None
    json: Mapping[str, Any] = field(default_factory=dict)


class DeclaredColumn:
    """One column as it is declared."""

    def __init__(self, attribute: str, hint: Any) -> None:  # noqa: ANN401 - a type, perhaps annotated
        said = getattr(hint, "__metadata__", ())
        declared = next((each for each in reversed(said) if isinstance(each, Column)), Column())
        self.description = next((each for each in reversed(said) if isinstance(each, str)), "")
        options = get_args(bare := getattr(hint, "__origin__", hint) if said else hint)
        self.nullable = NoneType in options
        kind = next(each for each in options if each is not NoneType) if self.nullable else bare
        self.attribute, self.name, self.unique = attribute, declared.name or attribute, declared.unique
        self.enum = kind if isinstance(kind, type) and issubclass(kind, StrEnum) else None
        self.json = None if self.enum or kind in _DTYPES else TypeAdapter(kind)
        self._kinds = {int, float} if kind is float else {kind} if kind in _DTYPES else set()
        self.dumping: dict[str, Any] = {"default": to_jsonable_python, **declared.json}
        found = "str" if self.enum or self.json else _DTYPES[kind]
        self._is_text = found == "str"
        self.dtype = declared.dtype or (_EMPTY_DTYPES.get(found, found) if self.nullable else found)
        self.among = [*declared.among, *(self.enum or ())]
        self.least, self.check = declared.least, declared.check
        self.type = _JSON if self.json else "decimal" if kind is Decimal else self.dtype

    @property
    def limits(self) -> list[str]:
        """The allowed values, in words."""
        among = [f"one of {', '.join(self.among)}"] if self.among else []
        return [*among, *([f"at least {self.least}"] if self.least is not None else [])]

    def column(self) -> "pa.Column":
        """The column of the schema; `written` gives it its type."""
        import pandera.pandas as pa

        checks = [pa.Check.isin(self.among)] if self.among else []
        checks += [pa.Check.ge(self.least)] if self.least is not None else []
        checks += [pa.Check(self.check, element_wise=True)] if self.check else []
        return pa.Column(None, checks, nullable=self.nullable, unique=self.unique)

    def values(self, rows: Sequence[object]) -> list[Any]:
        """The cells of these rows."""
        values = [getattr(row, self.attribute) for row in rows]
        return self._texts(values) if self.json else values

    def written(self, values: Sequence[Any], index: "pd.Index[Any]") -> "pd.Series[Any]":
        """The column of these cells."""
        import pandas as pd

        try:
            column: pd.Series[Any] = pd.Series(values, dtype=self._pandas_dtype, index=index)
        except UnicodeEncodeError:
            column = pd.Series([_storable(value) for value in values], dtype=self._pandas_dtype, index=index)
        return column

    @cached_property
    def _pandas_dtype(self) -> Any:  # noqa: ANN401 - of numpy or pandas
        from pandas.api.types import pandas_dtype

        return pandas_dtype(self.dtype)

    def surely_valid(self, values: Sequence[Any]) -> bool:
        """Whether the schema has nothing against these cells; False where only the schema itself can tell."""
        kinds = {type(value) for value in values} - ({NoneType} if self.nullable else set())
        there = [value for value in values if value is not None]
        return (
            all(kind in self._kinds or (issubclass(kind, str) and self._is_text) for kind in kinds)
            and not (self._kinds & {float, Decimal} and any(map(isnan, there)))
            and not (self.unique and len(set(values)) < len(values))
            and not (self.among and not set(self.among).issuperset(there))
            and not (self.least is not None and min(there, default=self.least) < self.least)
            and not (self.check and not all(map(self.check, there)))
        )

    def _texts(self, values: Sequence[Any]) -> list[str | None]:
        """The values as JSON; an object that many rows share is dumped once."""
        different = {id(each): each for each in values}
        texts = {key: None if each is None else self._text_of(each) for key, each in different.items()}
        return [texts[id(each)] for each in values]

    def _text_of(self, value: object) -> str:
        text = json.dumps(value, **self.dumping)
        if not _MAYBE_HALF_A_PAIR.search(text):
            return text
        return json.dumps(_storable(json.loads(text)), **self.dumping)

    def read(self, frame: "pd.DataFrame") -> list[Any]:
        """The values of the column; an empty cell of any kind is None, and equal texts give the same value."""
        cells = frame[self.name]
        values: list[Any] = cells.tolist()
        if (empty := cells.array.isna()).any():
            values = [None if nothing else value for value, nothing in zip(values, empty, strict=True)]
        if self.enum or self.json:
            known = {text: None if text is None else self._of_text(text) for text in set(values)}
            return [known[text] for text in values]
        return values

    def _of_text(self, text: str) -> Any:  # noqa: ANN401 - of the field's type
        return self.enum(text) if self.enum else self.json.validate_python(json.loads(text)) if self.json else text


def _storable(value: Any) -> Any:  # noqa: ANN401 - JSON values, dataclasses of them, cells
    """The value with every text in it as a table can hold it, see `storable`."""
    if isinstance(value, str):
        return storable(value) if type(value) is str else value
    if isinstance(value, Mapping):
        return {_storable(name): _storable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_storable, value)) if type(value) in (list, tuple) else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _storable(getattr(value, each.name)) for each in fields(value) if each.init})
    return value


class _NotCopied:
    """What pandas, which copies a frame's attributes deeply with each of its columns, leaves as it is."""

    def __deepcopy__(self, _: object) -> Self:
        return self


class _Entries(_NotCopied, list[Any]):
    """A list among the attributes of a frame."""


class _Fields(_NotCopied, dict[str, Any]):
    """A mapping among the attributes of a frame."""


def _not_copied(value: object) -> object:
    return _Fields(value) if isinstance(value, dict) else _Entries(value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class NoFacts:
    """The facts of a table that needs none."""


class DeclaredTable(Generic[Row, Facts]):
    """A declared table: `row` is a dataclass of its columns, in their order; `facts` one of what is known besides the rows.

    Facts are kept as JSON; one whose default is None is left out while it is None. `unique`: attributes whose combined values
    must not repeat.
    """

    def __init__(self, row: type[Row], facts: type[Facts], *, unique: Sequence[str] = ()) -> None:
        self._row, self._facts_type, self._unique = row, facts, unique

    @cached_property
    def columns(self) -> Sequence[DeclaredColumn]:
        """The columns: name, type, description, limits."""
        hints = get_type_hints(self._row, include_extras=True)
        return tuple(DeclaredColumn(each.name, hints[each.name]) for each in fields(self._row))  # type: ignore[arg-type]

    @cached_property
    def schema(self) -> "pa.DataFrameSchema":
        """The schema that every such table must satisfy."""
        import pandera.pandas as pa

        unique = [column.name for column in self.columns if column.attribute in self._unique]
        return pa.DataFrameSchema({column.name: column.column() for column in self.columns}, strict=True, unique=unique or None)

    @cached_property
    def _facts(self) -> TypeAdapter[Facts]:
        return TypeAdapter(self._facts_type)

    def gathered(self, rows: Iterable[Row], facts: Facts) -> "GatheredTable[Row, Facts]":
        """The table of these rows; the caller adds how it was read, see `GatheredTable.with_reads`.

        Raises:
            pandera.errors.SchemaError: a value is not as declared.
        """
        cells = self._cells(rows)
        frame = self._frame(cells)
        if not self._surely_valid(cells):
            frame = self.schema.validate(frame)
        return GatheredTable(self, frame, _storable(facts))

    def frame(self, rows: Iterable[Row]) -> "pd.DataFrame":
        """The frame of these rows, not validated."""
        return self._frame(self._cells(rows))

    def _cells(self, rows: Iterable[Row]) -> list[list[Any]]:
        """The cells of these rows, column by column."""
        listed = list(rows)
        return [column.values(listed) for column in self.columns]

    def _frame(self, cells: Sequence[Sequence[Any]]) -> "pd.DataFrame":
        import pandas as pd

        index = pd.RangeIndex(len(cells[0]) if cells else 0)
        given = zip(self.columns, cells, strict=True)
        return pd.DataFrame({column.name: column.written(values, index) for column, values in given}, index=index, copy=False)

    def _surely_valid(self, cells: Sequence[Sequence[Any]]) -> bool:
        """Whether the schema has nothing against these cells, found out without pandera, which is slow to load and to ask."""
        given = list(zip(self.columns, cells, strict=True))
        together = [values for column, values in given if column.attribute in self._unique]
        return all(column.surely_valid(values) for column, values in given) and (
            not together or len(set(zip(*together, strict=True))) == len(together[0])
        )

    def rows(self, frame: "pd.DataFrame") -> Sequence[Row]:
        """The rows of a table as typed values."""
        return [self._row(*values) for values in zip(*(column.read(frame) for column in self.columns), strict=True)]

    def kept(self, frame: "pd.DataFrame", digest: str = "") -> "GatheredTable[Row, Facts]":
        """What was gathered, from the frame of a Parquet file; `digest` is the file's.

        Raises:
            KeyError, ValueError: what is stored beside the rows cannot be understood.
        """
        beside, frame.attrs = frame.attrs, {}
        reads = tuple(Read.from_entry(entry) for entry in beside.get("reads") or ())
        stamp = beside.get("observed_at")
        facts = self._facts.validate_python(beside)
        return GatheredTable(self, frame, facts, reads, parse_iso(str(stamp)) if stamp else None, digest)

    def to_keep(self, gathered: "GatheredTable[Row, Facts]") -> "pd.DataFrame":
        """The inverse of `kept`: a frame whose attributes, which its Parquet file has too, hold everything beside the rows."""
        frame, values = gathered.frame.copy(deep=False), self._facts.dump_python(gathered.facts)
        optional = {each.name for each in fields(self._facts_type) if each.default is None}  # type: ignore[arg-type]
        frame.attrs = {name: _not_copied(value) for name, value in values.items() if value is not None or name not in optional}
        frame.attrs["reads"] = _Entries(read.as_entry() for read in gathered.reads)
        frame.attrs |= {"observed_at": iso(gathered.observed_at)} if gathered.observed_at else {}
        return frame


@dataclass(frozen=True, eq=False)
class GatheredTable(Generic[Row, Facts]):
    """Evidence: a table with what is known beside its rows, and how and when it was read.

    Attributes:
        table: its declaration.
        frame: the rows, as the declaration's schema wants them.
        facts: what is known beside the rows.
        reads: every read behind it; a table without any is not trusted.
        observed_at: evaluation time of the run that read it; None where that is not said.
        digest: of the file that it was kept in; "" of one that comes from no file.
    """

    table: DeclaredTable[Row, Facts]
    frame: "pd.DataFrame"
    facts: Facts
    reads: Sequence[Read] = ()
    observed_at: datetime | None = None
    digest: str = ""

    @cached_property
    def rows(self) -> Sequence[Row]:
        """The rows as typed values, in the table's order."""
        return self.table.rows(self.frame)

    def with_reads(self, reads: Iterable[Read], observed_at: datetime) -> Self:
        """The same, saying how and when it was read."""
        return replace(self, reads=tuple(map(_storable, reads)), observed_at=observed_at)


def filled(value: Value | None) -> Value:
    """The value of a cell that no row of this kind leaves empty.

    Raises:
        TypeError: the cell is empty.
    """
    if value is None:
        raise TypeError("a cell is empty that no row of this kind leaves empty")
    return value


Tables = Mapping[str, GatheredTable[Any, Any]]


def observed_at(tables: Tables) -> datetime | None:
    """When the oldest of these tables was read; None if one of them does not say."""
    stamps = [table.observed_at for table in tables.values()]
    return None if not stamps or None in stamps else min(stamp for stamp in stamps if stamp)
