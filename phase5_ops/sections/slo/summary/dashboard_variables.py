"""What a CloudWatch dashboard shows when it is opened: its variables set to their default values. Pure.

A property variable changes all instances of a JSON property, or of a dimension, in all widgets; a pattern variable changes what
a regular expression matches across the dashboard. A default that is not known here (the first that a search finds, or one that
is not among the variable's values) hides what it touches; a variable that is not understood may hide everything, so that the
dashboard counts as showing nothing.

Source: CloudWatch API reference, "Dashboard body structure and syntax", "Variables array structure".
"""

import json
import re
from collections.abc import Callable
from typing import Any

from phase5_ops.sections.slo.summary.dashboard_widgets import Options, draws_metrics, spelled_out

Found = Callable[[str, str, str], bool]
"""Whether a search finds a metric that has this value of this dimension."""

NOT_KNOWN = "(not known)"
"""Stands for a value that is not known here; no metric, region or account is called so."""

_FIRST = "__FIRST"
_IMPLIED = ("accountId", "region")  # each metric widget has them, written or not
_LONGEST_PATTERN, _LONGEST_TEXT = 255, 4096
_ESCAPED = re.compile(r"\\[^0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)  # an escaped character, a class of characters
_ENDLESS = re.compile(r"[*+]|\{\d+,\d*\}")
_TOO_MUCH = re.compile(r"\(\?|\\|\)[*+{]")  # look-around, references, repeated groups


class _NotUnderstood(ValueError):
    """The variable cannot be evaluated; the message says why."""


def opened(content: Options, found: Found, unread: list[str]) -> Options:
    """The dashboard as it is when it is opened, its widgets spelled out; without widgets where that cannot be told.

    Args:
        content: the dashboard body, `widgets` being a list.
        found: looks metrics up, for variables whose values come from a search.
        unread: takes what is not understood, and variables whose default is not known.
    """
    shown: dict[str, Any] = {key: value for key, value in content.items() if key != "variables"}
    shown["widgets"] = [spelled_out(widget) for widget in content["widgets"] if draws_metrics(widget)]
    variables = content.get("variables") or []
    try:
        if not isinstance(variables, list):
            raise _NotUnderstood("variables that are no list")  # noqa: TRY301 - as what one variable raises
        for variable in variables:
            shown = _applied(shown, variable, found, unread)
    except (_NotUnderstood, RecursionError) as error:
        unread.append(str(error))
        return shown | {"widgets": []}
    return shown


def _applied(content: dict[str, Any], variable: object, found: Found, unread: list[str]) -> dict[str, Any]:
    if not isinstance(variable, dict):
        raise _NotUnderstood(f"variable {variable}")
    name = f"variable {variable.get('id') or variable.get('property') or variable.get('pattern')}"
    kind = variable.get("type")
    target = variable.get(kind) if kind in ("property", "pattern") else None
    if not isinstance(target, str) or not target:
        raise _NotUnderstood(f"{name} of type {kind}")
    default = variable.get("defaultValue")
    if default is None:
        return content
    if not isinstance(default, str | int | float):
        raise _NotUnderstood(f"{name} with the default {default}")
    if not _known(variable, default, found):
        unread.append(f"{name}, whose value is not known when the dashboard is opened")
        default = NOT_KNOWN
    if kind == "pattern":
        changed: dict[str, Any] = _with_pattern(content, _pattern(target, default, name), str(default))
        if not isinstance(changed.get("widgets"), list):
            raise _NotUnderstood(f"{name}, which leaves no widgets")
        return changed
    return content | {"widgets": [_with_property(widget, target, default, name) for widget in map(_explicit, content["widgets"])]}


def _known(variable: Options, default: object, found: Found) -> bool:
    """Whether the default is the value that a user finds: one of the listed values, or one that the search finds."""
    if variable.get("inputType") == "input":
        return True
    values = variable.get("values")
    if isinstance(values, list) and values:
        return default in [value.get("value") for value in values if isinstance(value, dict)]
    search, dimension = variable.get("search"), variable.get("populateFrom")
    if isinstance(search, str) and isinstance(dimension, str):
        return default != _FIRST and found(search, dimension, str(default))
    return False


def _explicit(widget: Any) -> Any:  # noqa: ANN401 - JSON
    """The widget with its implied properties written out."""
    if not isinstance(widget, dict) or widget.get("type") != "metric" or not isinstance(widget.get("properties"), dict):
        return widget
    return widget | {"properties": dict.fromkeys(_IMPLIED) | widget["properties"]}


def _with_property(node: Any, target: str, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    """The node with all instances of a property, or of a dimension, changed."""
    if isinstance(node, dict):
        return {key: value if key == target else _within(key, each, target, value, name) for key, each in node.items()}
    return [_with_property(each, target, value, name) for each in node] if isinstance(node, list) else node


def _within(key: str, node: Any, target: str, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    if key == "expression" and isinstance(node, str):
        return _expression(node, target, value, name)
    if key == "metrics" and isinstance(node, list):
        node = [_dimension(row, target, value) for row in node]
    return _with_property(node, target, value, name)


def _dimension(row: Any, target: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """A metric (namespace, name, dimension, value, ...) with the value of one dimension changed."""
    if not isinstance(row, list):
        return row
    names = range(2, len(row) - 1, 2)
    return [str(value) if at - 1 in names and row[at - 1] == target else part for at, part in enumerate(row)]


def _expression(text: str, target: str, value: Any, name: str) -> str:  # noqa: ANN401 - JSON
    """The expression; marked so that it is not understood where it asks for another value of what the variable changes."""
    asks = re.search(rf"""\b{re.escape(target)}["']?\s*(=|!=|NOT\b|IN\b)""", text, re.IGNORECASE)
    return f"({text}, which {name} may change)" if asks and str(value) not in text else text


def _pattern(text: str, value: object, name: str) -> re.Pattern[str]:
    """A regular expression that JavaScript and Python read alike, and that takes no more than quadratic time.

    Raises:
        _NotUnderstood: any other expression.
    """
    plain = _ESCAPED.sub("x", text)
    spans = '"' in text  # it may match from one property into the next
    simple = len(text) <= _LONGEST_PATTERN and not _TOO_MUCH.search(plain) and len(_ENDLESS.findall(plain)) <= 1
    try:
        if spans or not simple or "$" in str(value):
            raise _NotUnderstood(f"{name} with the pattern {text[:_LONGEST_PATTERN]}")
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise _NotUnderstood(f"{name}: {error}") from error


def _with_pattern(node: Any, pattern: re.Pattern[str], value: str) -> Any:  # noqa: ANN401 - JSON
    """The node with every match of the pattern replaced, in all its texts, keys and numbers."""
    if isinstance(node, dict):
        return {_with_pattern(key, pattern, value): _with_pattern(each, pattern, value) for key, each in node.items()}
    if isinstance(node, list):
        return [_with_pattern(each, pattern, value) for each in node]
    if isinstance(node, str):
        if len(node) > _LONGEST_TEXT:
            raise _NotUnderstood(f"a text of {len(node)} characters, which a pattern may change")
        return pattern.sub(lambda _: value, node)
    written = json.dumps(node)
    changed = pattern.sub(lambda _: value, written)
    try:
        return node if changed == written else json.loads(changed)
    except ValueError:
        return changed
