"""Cost Explorer of the sandbox: real queries answered from billing lines. moto alone replays canned answers in order.

`installed` grafts the operations onto moto's response class, as `cloudwatch.py` does. GetCostAndUsage knows periods (DAILY and
MONTHLY), every cost metric, grouping by one or two tags or dimensions, filters (And, Or, Not, Dimensions, Tags with match
options) and paging. Days of the running month are estimated, as on a real bill that is not closed.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import add
from typing import Any
from unittest.mock import patch

from moto.ce.responses import CostExplorerResponse
from moto.core.exceptions import JsonRESTError

from phase5_ops.sandbox.aws.bill import BillingLine
from phase5_ops.sandbox.aws.clock import PlatformClock

PAGE_SIZE = 5000  # groups a page, about what the service gives

_WEEK = [Decimal(text) for text in ("1", "1.03", "0.98", "1.01", "1.05", "0.92", "0.9")]  # a day's part of the usual cost
_AMORTIZED = {"AmortizedCost", "NetAmortizedCost"}
_METRICS = {"UnblendedCost", "BlendedCost", "NetUnblendedCost"} | _AMORTIZED
_DIMENSIONS: dict[str, Callable[[BillingLine], str]] = {
    "SERVICE": lambda line: line.service,
    "LINKED_ACCOUNT": lambda line: line.account,
    "RECORD_TYPE": lambda line: line.record_type,
}
_MAX_GROUPS = 2

_Sums = dict[tuple[tuple[str, ...], str], tuple[Decimal, ...]]  # group and currency -> the amount of each metric asked for


class CostExplorerError(JsonRESTError):  # type: ignore[misc]  # moto is not typed
    """An error as the service words it."""


@dataclass
class _Setup:
    """What is installed. `pages` holds answers that go on: token -> rest of the answer."""

    clock: PlatformClock
    lines: Sequence[BillingLine]
    tags: dict[str, str]
    tags_updated: str
    page_size: int
    pages: dict[str, list[dict[str, Any]]]


_installed: _Setup | None = None


@contextmanager
def installed(
    clock: PlatformClock,
    *,
    lines: Sequence[BillingLine] = (),
    tags: Mapping[str, str] | None = None,
    tags_updated: str = "2026-01-15T00:00:00Z",
    page_size: int = PAGE_SIZE,
) -> Iterator[None]:
    """Answers from these lines in the block; in a block within it, from that one's.

    Args:
        clock: the platform's clock; today decides what is estimated.
        lines: what the bill is made of.
        tags: cost allocation tags and their status (`Active`, `Inactive`).
        tags_updated: when the status of the tags last changed.
        page_size: groups a page.
    """
    global _installed  # noqa: PLW0603 - moto's class exists once a process, and so does what replaces it
    before = _installed
    _installed = _Setup(clock, lines, dict(tags or {}), tags_updated, page_size, {})
    operations = patch.multiple(
        CostExplorerResponse,
        create=True,
        get_cost_and_usage=_get_cost_and_usage,
        list_cost_allocation_tags=_list_cost_allocation_tags,
        update_cost_allocation_tags_status=_update_cost_allocation_tags_status,
    )
    try:
        with operations:
            yield
    finally:
        _installed = before


def _setup() -> _Setup:
    if _installed is None:
        raise RuntimeError("the sandbox's Cost Explorer answers only within `installed()`")
    return _installed


def _list_cost_allocation_tags(self: CostExplorerResponse) -> str:
    setup, request = _setup(), json.loads(self.body or "{}")
    wanted, status = request.get("TagKeys"), request.get("Status")
    tags = [
        {"TagKey": key, "Type": "UserDefined", "Status": state, "LastUpdatedDate": setup.tags_updated}
        for key, state in sorted(setup.tags.items())
        if (not wanted or key in wanted) and status in (None, state) and request.get("Type") in (None, "UserDefined")
    ]
    return json.dumps({"CostAllocationTags": tags})


def _update_cost_allocation_tags_status(self: CostExplorerResponse) -> str:
    """Takes effect at once, and for the days before, too: as on AWS a day later, with a backfill."""
    setup, errors = _setup(), []
    for entry in json.loads(self.body)["CostAllocationTagsStatus"]:
        if entry["TagKey"] not in setup.tags:
            errors.append({"TagKey": entry["TagKey"], "Code": "TagKeysNotFoundException", "Message": "Tag keys not found"})
        else:
            setup.tags[entry["TagKey"]] = entry["Status"]
    return json.dumps({"Errors": errors})


def _get_cost_and_usage(self: CostExplorerResponse) -> str:
    setup, request = _setup(), json.loads(self.body)
    if token := request.get("NextPageToken"):
        if token not in setup.pages:
            raise CostExplorerError("InvalidNextTokenException", "The pagination token is invalid.")
        results = setup.pages[token]
    else:
        results = answer(setup.lines, request, setup.clock.now().date(), setup.tags)
    page, rest = _first_page(results, setup.page_size)
    response: dict[str, Any] = {"ResultsByTime": page, "DimensionValueAttributes": []}
    if request.get("GroupBy"):
        response["GroupDefinitions"] = request["GroupBy"]
    if rest:
        response["NextPageToken"] = secrets.token_hex(16)
        setup.pages[response["NextPageToken"]] = rest
    return json.dumps(response)


def _first_page(results: list[dict[str, Any]], size: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """As many results as have `size` groups together, and the rest; a period may go on on the next page."""
    page, room = [], size
    for position, result in enumerate(results):
        groups = result["Groups"]
        if len(groups) > room:
            page += [{**result, "Groups": groups[:room]}] if room else []
            return page, [{**result, "Groups": groups[room:]}, *results[position + 1 :]]
        page.append(result)
        room -= len(groups)
    return page, []


def answer(
    lines: Iterable[BillingLine], request: Mapping[str, Any], today: date, tags: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The whole ResultsByTime of a request.

    Args:
        lines: what the bill is made of.
        request: the request's body.
        today: the platform's today.
        tags: cost allocation tags with their status; costs are not split by one that is not active.

    Raises:
        CostExplorerError: the request is not valid.
    """
    start, end, metrics, groups = _checked(request)
    grouped = bool(groups)
    chosen = [line for line in lines if not (line.total_only if grouped else line.grouped_only)]
    matches = _matcher(request.get("Filter"), tags)
    chosen = [line for line in chosen if matches(line)]
    keys = [(tuple(_group_key(group, line, tags) for group in groups), line.currency) for line in chosen]
    results = []
    for first, last in _periods(start, end, request["Granularity"]):
        sums: _Sums = {}
        for day in _days(first, last):
            age, weekday = (today - day).days, day.weekday()
            for line, key in zip(chosen, keys, strict=True):
                if line.until_days <= age <= line.from_days:
                    costs = tuple(_cost(_daily(line, metric), weekday) for metric in metrics)
                    before = sums.get(key)
                    sums[key] = costs if before is None else tuple(map(add, before, costs))
        results.append(_result(first, last, sums, metrics, grouped=grouped, today=today))
    return results


def _daily(line: BillingLine, metric: str) -> str:
    return line.amortized if metric in _AMORTIZED and line.amortized is not None else line.daily


@lru_cache(maxsize=10_000)  # thousands of lines cost the same on the same days
def _cost(daily: str, weekday: int) -> Decimal:
    return Decimal(daily) * _WEEK[weekday]


def _checked(request: Mapping[str, Any]) -> tuple[date, date, list[str], list[dict[str, str]]]:
    try:
        start, end = (date.fromisoformat(request["TimePeriod"][name]) for name in ("Start", "End"))
    except (KeyError, ValueError, TypeError) as error:
        raise CostExplorerError("ValidationException", f"Invalid time period: {error}") from error
    if start >= end:
        raise CostExplorerError("ValidationException", "Start date (and hour) should be before end date (and hour)")
    if request.get("Granularity") not in ("DAILY", "MONTHLY"):
        raise CostExplorerError("ValidationException", "Granularity must be DAILY or MONTHLY in the sandbox")
    metrics = request.get("Metrics") or []
    if not metrics or set(metrics) - _METRICS:
        raise CostExplorerError("ValidationException", f"Metrics: one of {', '.join(sorted(_METRICS))}")
    groups = request.get("GroupBy") or []
    if len(groups) > _MAX_GROUPS:
        raise CostExplorerError("ValidationException", "A maximum of 2 group definitions is supported")
    for group in groups:
        if group.get("Type") == "DIMENSION" and group.get("Key") not in _DIMENSIONS:
            raise CostExplorerError("ValidationException", f"Invalid dimension {group.get('Key')}")
        if group.get("Type") not in ("DIMENSION", "TAG"):
            raise CostExplorerError("ValidationException", f"Invalid group definition type {group.get('Type')}")
    return start, end, list(metrics), list(groups)


def _periods(start: date, end: date, granularity: str) -> Iterator[tuple[date, date]]:
    while start < end:
        following = (
            start + timedelta(days=1) if granularity == "DAILY" else (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        )
        yield start, min(following, end)
        start = following


def _days(first: date, last: date) -> Iterator[date]:
    for n in range((last - first).days):
        yield first + timedelta(days=n)


def _group_key(group: Mapping[str, str], line: BillingLine, tags: Mapping[str, str]) -> str:
    if group["Type"] == "DIMENSION":
        return _DIMENSIONS[group["Key"]](line)
    return f"{group['Key']}${_tag(line, group['Key'], tags)}"


def _tag(line: BillingLine, key: str, tags: Mapping[str, str]) -> str:
    return line.tags.get(key, "") if tags.get(key) == "Active" else ""


def _result(
    first: date,
    last: date,
    sums: _Sums,
    metrics: Sequence[str],
    *,
    grouped: bool,
    today: date,
) -> dict[str, Any]:
    """One period. A group of two currencies comes once for each, which the total cannot: it shows the first."""
    groups = [
        {"Keys": key, "Metrics": _written(tuple(metrics), amounts, currency)} for (key, currency), amounts in sorted(sums.items())
    ]
    nothing = {m: {"Amount": "0", "Unit": "USD"} for m in metrics}
    return {
        "TimePeriod": {"Start": first.isoformat(), "End": last.isoformat()},
        "Total": {} if grouped else groups[0]["Metrics"] if groups else nothing,
        "Groups": groups if grouped else [],
        "Estimated": last > today.replace(day=1),
    }


@lru_cache(maxsize=10_000)  # the same object for all groups that cost the same: nobody changes an answer
def _written(metrics: tuple[str, ...], amounts: tuple[Decimal, ...], currency: str) -> dict[str, dict[str, str]]:
    return {metric: {"Amount": _text(amount), "Unit": currency} for metric, amount in zip(metrics, amounts, strict=True)}


def _text(amount: Decimal) -> str:
    """As the service writes amounts: at most ten decimals, no zeros at the end."""
    return format(amount.quantize(Decimal("1e-10")).normalize(), "f")


def _matcher(expression: Mapping[str, Any] | None, tags: Mapping[str, str]) -> Callable[[BillingLine], bool]:
    """The filter expression as a function of a line.

    Raises:
        CostExplorerError: an operator that the sandbox does not know, or more than one at once.
    """
    if not expression:
        return lambda _: True
    if len(expression) != 1:
        raise CostExplorerError("ValidationException", "Expression must have exactly one root operator")
    operator, content = next(iter(expression.items()))
    if operator in ("And", "Or"):
        parts = [_matcher(part, tags) for part in content]
        combine = all if operator == "And" else any
        return lambda line: combine(part(line) for part in parts)
    if operator == "Not":
        part = _matcher(content, tags)
        return lambda line: not part(line)
    if operator not in ("Dimensions", "Tags"):
        raise CostExplorerError("ValidationException", f"{operator} is not supported in the sandbox")
    key = content["Key"]
    if operator == "Dimensions" and key not in _DIMENSIONS:
        raise CostExplorerError("ValidationException", f"Invalid dimension {key}")
    value_of = _DIMENSIONS[key] if operator == "Dimensions" else lambda line: _tag(line, key, tags)
    fits = _value_matcher(content.get("Values") or [], content.get("MatchOptions") or ["EQUALS"])
    return lambda line: fits(value_of(line))


def _value_matcher(values: Sequence[str], options: Sequence[str]) -> Callable[[str], bool]:
    if "ABSENT" in options:
        return lambda value: value == ""
    fold: Callable[[str], str] = str.casefold if "CASE_INSENSITIVE" in options else str
    wanted = [fold(value) for value in values]
    for option, test in (("STARTS_WITH", str.startswith), ("ENDS_WITH", str.endswith), ("CONTAINS", str.__contains__)):
        if option in options:
            return lambda value, test=test: any(test(fold(value), each) for each in wanted)  # type: ignore[misc]
    return lambda value: fold(value) in wanted
