"""What Cost Explorer answers, in exact decimals: cost lines by day, tenant tag and connector tag, and the totals. Pure.

An answer is taken page by page, so that the raw pages need not be kept. What does not look like an answer of GetCostAndUsage is
recorded as a problem in words; it is neither dropped nor counted as zero. A tag group key comes as `tag$value`; an empty value
means that the cost has no such tag. Amounts are exact to ten decimals, the most that Cost Explorer gives.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from phase5_ops.ccnative.attributes import shown

UNBLENDED, AMORTIZED = "UnblendedCost", "AmortizedCost"
METRICS = (UNBLENDED, AMORTIZED)  # FOCUS: BilledCost and EffectiveCost; both come in one request

SCALE = 10
QUANTUM = Decimal(1).scaleb(-SCALE)
AMOUNT = pa.decimal128(38, SCALE)
LINES = pa.schema(
    [
        ("day", pa.string()),
        ("tenant", pa.string()),  # value of the tenant tag; "" for costs without the tag
        ("connector", pa.string()),
        ("currency", pa.string()),
        ("billed", AMOUNT),
        ("effective", AMOUNT),
    ]
)

MAX_PROBLEMS = 20  # listed one by one; the rest is only counted

_SHOWN = 60  # most characters of a value in a problem: one line of a finding
_LARGEST = Decimal(10) ** 15
_PLAIN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")  # what an amount usually looks like: nothing to round, no exponent
_AS_TEXT = pa.schema([field if field.type == pa.string() else (field.name, pa.string()) for field in LINES])
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class CostQuery:
    """What is asked: daily costs from `start` to before `end`, of these accounts and services (none: all)."""

    start: date
    end: date
    tenant_tag: str
    connector_tag: str
    accounts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def days(self) -> list[str]:
        """Every day asked for, ISO-8601."""
        return [(self.start + timedelta(days=n)).isoformat() for n in range((self.end - self.start).days)]

    def filter(self) -> dict[str, Any] | None:
        """The scope as Cost Explorer's filter expression; None if everything is in scope."""
        terms = [
            {"Dimensions": {"Key": key, "Values": list(values)}}
            for key, values in (("LINKED_ACCOUNT", self.accounts), ("SERVICE", self.services))
            if values
        ]
        return {"And": terms} if len(terms) > 1 else terms[0] if terms else None


@dataclass(frozen=True, slots=True)
class CostTag:
    """A cost allocation tag as ListCostAllocationTags shows it; `updated` is when its status last changed, if AWS says so."""

    key: str
    status: str
    updated: str | None

    @property
    def active(self) -> bool:
        """True if costs are split by it."""
        return self.status == "Active"


@dataclass(frozen=True, slots=True)
class DayTotal:
    """The total of one day, from the ungrouped answer; `estimated` is True if either answer says so."""

    day: str
    currency: str | None  # None where there is no cost
    billed: Decimal
    effective: Decimal
    estimated: bool


@dataclass(frozen=True, slots=True)
class BudgetAlerts:
    """What AWS Budgets has: cost budgets in force, and the name of the first one found with an alert; None if none has."""

    budgets: int
    alerting: str | None


class _Unreadable(Exception):
    """A part of an answer is not what Cost Explorer documents."""


@dataclass
class CostAnswers:
    """Takes the pages of the grouped and of the ungrouped answer to `query`."""

    query: CostQuery
    problems: list[str] = field(default_factory=list)
    further_problems: int = 0
    _estimated: dict[str, bool] = field(default_factory=dict)
    _grouped_days: set[str] = field(default_factory=set)
    _totals: dict[str, tuple[str | None, Decimal, Decimal]] = field(default_factory=dict)
    _chunks: list[pa.Table] = field(default_factory=list)

    def take_grouped(self, page: Mapping[str, Any]) -> None:
        """One page of the answer grouped by the two tags; a day may span several pages."""
        lines: list[tuple[str, ...]] = []
        for day, result in self._results(page, "grouped answer"):
            self._grouped_days.add(day)
            groups = result.get("Groups")
            if not isinstance(groups, list):
                self._problem(f"grouped answer: {day}: no list of groups")
                continue
            for group in groups:
                try:
                    line = self._line(day, group)
                except _Unreadable as problem:
                    self._problem(f"grouped answer: {day}: {problem}")
                else:
                    if line is not None:
                        lines.append(line)
        # Amounts are texts until here: Arrow converts whole columns to decimals, many times faster than one by one.
        columns = list(zip(*lines, strict=True)) or [()] * len(LINES)
        self._chunks.append(pa.table(columns, schema=_AS_TEXT).cast(LINES))

    def _line(self, day: str, group: object) -> tuple[str, ...] | None:
        """The line of `LINES`, amounts as texts; None for a zero without a currency, which is left out."""
        if not isinstance(group, dict):
            raise _Unreadable("a group that is no object")
        keys = group.get("Keys")
        if not isinstance(keys, list) or len(keys) != 2:  # noqa: PLR2004 - as many as were asked for
            raise _Unreadable(f"group keys {shown(keys, _SHOWN)}")
        tenant = _tag_value(keys[0], self.query.tenant_tag)
        connector = _tag_value(keys[1], self.query.connector_tag)
        currency, billed, effective = _costs(group.get("Metrics"))
        return None if currency is None else (day, tenant, connector, currency, billed, effective)

    def take_total(self, page: Mapping[str, Any]) -> None:
        """One page of the ungrouped answer."""
        for day, result in self._results(page, "total"):
            if day in self._totals:
                self._problem(f"total: {day} twice")
                continue
            try:
                currency, billed, effective = _costs(result.get("Total"))
                self._totals[day] = (currency, Decimal(billed), Decimal(effective))
            except _Unreadable as problem:
                self._problem(f"total: {day}: {problem}")

    def _results(self, page: Mapping[str, Any], what: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Day and result of every day of a page that was asked for."""
        results = page.get("ResultsByTime")
        if not isinstance(results, list):
            self._problem(f"{what}: no ResultsByTime")
            return
        asked = set(self.query.days())
        for entry in results:
            result = entry if isinstance(entry, Mapping) else {}
            period = result.get("TimePeriod")
            start = period.get("Start") if isinstance(period, Mapping) else None
            if not isinstance(period, Mapping) or not isinstance(start, str) or start not in asked:
                self._problem(f"{what}: a period from {shown(start, _SHOWN)}, which was not asked for")
                continue
            if period.get("End") != (date.fromisoformat(start) + timedelta(days=1)).isoformat():
                self._problem(f"{what}: {start}: the period ends {shown(period.get('End'), _SHOWN)}, not a day later")
                continue
            if not isinstance(result.get("Estimated"), bool):
                self._problem(f"{what}: {start}: does not say whether it is estimated")
            self._estimated[start] = self._estimated.get(start, False) or result.get("Estimated") is not False
            yield start, result

    def _problem(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)
        else:
            self.further_problems += 1

    def finish(self) -> tuple[pa.Table, list[DayTotal]]:
        """The lines in the order of `LINES`, and the total of every day; notes days that are missing and groups that came twice.

        A day without a total is not in the list.
        """
        lines = pa.concat_tables(self._chunks) if self._chunks else LINES.empty_table()
        for what, seen in (("grouped answer", self._grouped_days), ("total", set(self._totals))):
            missing = sorted(set(self.query.days()) - seen)
            if missing:
                self._problem(f"{what}: {len(missing)} days are missing, the first is {missing[0]}")
        twice = lines.num_rows - sum(_distinct_groups(lines, day) for day in self._grouped_days)
        if twice:
            self._problem(f"grouped answer: {twice} groups came twice")
        totals = [
            DayTotal(day, currency, billed, effective, self._estimated[day])
            for day, (currency, billed, effective) in sorted(self._totals.items())
        ]
        return lines, totals


def _distinct_groups(lines: pa.Table, day: str) -> int:
    """Different groups of one day; day by day, since a set of all lines would need more memory than the lines."""
    of_day = lines.filter(pc.equal(lines["day"], day))
    return int(of_day.group_by(["tenant", "connector", "currency"]).aggregate([]).num_rows)


def _tag_value(key: object, tag: str) -> str:
    prefix = f"{tag}$"
    if not isinstance(key, str) or not key.startswith(prefix):
        raise _Unreadable(f"group key {shown(key, _SHOWN)}, expected {prefix}<value>")
    try:
        key.encode()
    except UnicodeEncodeError:  # half of a character, as an escape of JSON can say it
        raise _Unreadable(f"group key {shown(key, _SHOWN)}, which is no text") from None
    return key[len(prefix) :]


def _costs(metrics: object) -> tuple[str | None, str, str]:
    """Currency (None where nothing was spent and none is named), unblended and amortized cost as plain decimal texts."""
    if not isinstance(metrics, dict):
        raise _Unreadable("no metrics")
    billed_unit, billed = _amount(metrics, UNBLENDED)
    effective_unit, effective = _amount(metrics, AMORTIZED)
    if billed_unit != effective_unit and billed_unit is not None and effective_unit is not None:
        raise _Unreadable(f"two currencies in one line: {', '.join(sorted((billed_unit, effective_unit)))}")
    return billed_unit or effective_unit, billed, effective


def _amount(metrics: Mapping[str, Any], metric: str) -> tuple[str | None, str]:
    entry = metrics.get(metric)
    if not isinstance(entry, dict):
        raise _Unreadable(f"no {metric}")
    text, unit = entry.get("Amount"), entry.get("Unit")
    known_unit = isinstance(unit, str) and _is_currency(unit)
    if known_unit and isinstance(text, str) and _PLAIN.fullmatch(text):
        return unit, text
    try:
        amount = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not -_LARGEST < amount < _LARGEST:
        raise _Unreadable(f"{metric} {shown(text, _SHOWN)} is no amount")
    if not known_unit:
        if amount:
            raise _Unreadable(f"{metric} in {shown(unit, _SHOWN)}, which is no currency")
        return None, "0"
    return unit, format(amount.quantize(QUANTUM), "f")


@lru_cache(maxsize=64)
def _is_currency(unit: str) -> bool:
    return _CURRENCY.fullmatch(unit) is not None
