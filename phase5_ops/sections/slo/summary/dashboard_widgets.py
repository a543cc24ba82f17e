"""The metric widgets of a CloudWatch dashboard that show the present, with all their entries spelled out. Pure.

Source: CloudWatch API reference, "Dashboard body structure and syntax". Within a widget `.` repeats the part of the line above,
`...` repeats as many as are left out. A widget without size, or whose time range has a fixed end in the past, draws nothing of
the present.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Options = Mapping[str, Any]

_OTHER_WIDGETS = ("alarm", "custom", "explorer", "log", "text")
_DEFAULT_SIZE = 6
_SECONDS = re.compile(r"-?P(?=.)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a widget: `fields` (namespace, name, dimension names and values) of a metric; empty for an expression."""

    fields: Sequence[str]
    options: Options


@dataclass(frozen=True, slots=True)
class Widget:
    """A metric widget.

    Attributes:
        name: its title, or its place among the widgets.
        properties: what holds for all its entries.
        entries: the metrics and expressions.
    """

    name: str
    properties: Options
    entries: Sequence[Entry]


def draws_metrics(widget: object) -> bool:
    """Whether a widget may draw metrics by name; False for the other types that are known."""
    return not (isinstance(widget, dict) and widget.get("type") in _OTHER_WIDGETS)


def spelled_out(widget: Any) -> Any:  # noqa: ANN401 - JSON
    """The widget with `.` and `...` of its metrics replaced by what they stand for."""
    properties = widget.get("properties") if isinstance(widget, dict) else None
    if not isinstance(properties, dict) or not isinstance(properties.get("metrics"), list):
        return widget
    above: list[str] = []
    rows: list[Any] = []
    for row in properties["metrics"]:
        if isinstance(row, list):
            fields = _repeated([part for part in row if isinstance(part, str)], above)
            above = fields or above
            row = [*fields, *(part for part in row if not isinstance(part, str))]  # noqa: PLW2901 - the same row
        rows.append(row)
    return widget | {"properties": properties | {"metrics": rows}}


def live_widgets(content: Options, now: datetime | None, unread: list[str]) -> Iterator[Widget]:
    """The metric widgets that have a size and show the present.

    Args:
        content: the dashboard, its widgets spelled out.
        now: tells a time range of the past from one that is still running; None: any fixed end counts as past.
        unread: takes what is not understood.
    """
    for at, widget in enumerate(content.get("widgets", []), start=1):
        kind = widget.get("type") if isinstance(widget, dict) else None
        properties = widget.get("properties") if kind == "metric" else None
        if not isinstance(properties, dict):
            unread.append(f"widget {at} of type {kind}")
            continue
        own_range = any(properties.get(key) is not None for key in ("start", "end"))
        sized = all(_positive(widget.get(key, _DEFAULT_SIZE)) for key in ("width", "height"))
        if sized and _live(properties if own_range else content, now):
            name = str(properties.get("title") or f"widget {at}")
            yield Widget(name, properties, list(_entries(properties.get("metrics", []), name, unread)))


def _entries(metrics: object, widget: str, unread: list[str]) -> Iterator[Entry]:
    if not isinstance(metrics, list):
        unread.append(f"metrics of {widget}")
        return
    for row in metrics:
        last = row[-1] if isinstance(row, list) and row else None
        options = last if isinstance(last, dict) else {}
        fields = row[: len(row) - bool(options or last == {})] if isinstance(row, list) else []
        if not (fields or options) or not all(isinstance(part, str) for part in fields):
            unread.append(f"{row} in {widget}")
            continue
        yield Entry(fields, options)


def _repeated(parts: Sequence[str], above: Sequence[str]) -> list[str]:
    if "..." in parts:
        at = parts.index("...")
        rest = parts[at + 1 :]
        parts = [*parts[:at], *above[at : len(above) - len(rest)], *rest]
    return [above[at] if part == "." and at < len(above) else part for at, part in enumerate(parts)]


def _positive(size: object) -> bool:
    return isinstance(size, int | float) and not isinstance(size, bool) and size >= 1


def _live(scope: Options, now: datetime | None) -> bool:
    """Whether a time range reaches the present: it has no end, or one that is not over."""
    start, end = scope.get("start"), scope.get("end")
    if not (start is None or _relative(start) or _begun(start, now)):
        return False
    if end is None or (_relative(end) and not re.search("[1-9]", str(end))):
        return start is None or not _relative(start) or re.search("[1-9]", str(start)) is not None
    moment = _moment(end)
    return moment is not None and now is not None and moment > now


def _relative(text: object) -> bool:
    return isinstance(text, str) and _SECONDS.fullmatch(text) is not None


def _begun(text: object, now: datetime | None) -> bool:
    moment = _moment(text)
    return moment is not None and (now is None or moment <= now)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
