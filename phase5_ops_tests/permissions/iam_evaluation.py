"""Decides a request by printed policies, as IAM does for the parts of its language that they are written in.

What a policy contains beside these parts is an error, so that nothing of it goes unjudged.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from phase5_ops_tests.permissions.iam_requests import IamRequest

Statement = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Grant:
    """A part of a statement that may be needed by itself: an action on one of its resources, or with one of its key patterns."""

    sid: str
    action: str
    on: str


def grants_of(statements: Iterable[Statement]) -> set[Grant]:
    """Everything that these statements allow."""
    return {
        Grant(each["Sid"], action, on)
        for each in statements
        for action in each["Action"]
        for on in (*each["Resource"], *_keys(each))
    }


def granting(request: IamRequest, statements: Sequence[Statement]) -> set[Grant]:
    """The grants by which the request is allowed; none where it is denied."""
    found = set()
    for statement in statements:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
        assert statement["Effect"] == "Allow", statement
        if request.action not in statement["Action"] or not _conditions_hold(statement, request):
            continue
        resources = [each for each in statement["Resource"] if matches(each, request.resource)]
        if resources:
            asked = [value for values in request.keys.values() for value in values]
            keys = [each for each in _keys(statement) if any(matches(each, value) for value in asked)]
            found |= {Grant(statement["Sid"], request.action, on) for on in (*resources, *keys)}
    return found


def matches(pattern: str, value: str) -> bool:
    """Whether a pattern with IAM's wildcards `*` and `?` stands for the value."""
    return bool(_compiled(pattern).fullmatch(value))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(each, re.escape(each)) for each in pattern), re.DOTALL)


def _conditions(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, [values] if isinstance(values, str) else list(values)


def _keys(statement: Statement) -> list[str]:
    return [value for operator, _, values in _conditions(statement) if operator != "Null" for value in values]


def _conditions_hold(statement: Statement, request: IamRequest) -> bool:
    return all(_holds(operator, request.keys.get(key), values) for operator, key, values in _conditions(statement))


def _holds(operator: str, asked: Sequence[str] | None, values: Sequence[str]) -> bool:
    match operator:
        case "Null":  # "false": the key must be there
            return (asked is None) == (values == ["true"])
        case "ForAllValues:StringLike":  # true where there is none: that is what `Null` is for
            return all(any(matches(value, each) for value in values) for each in asked or ())
        case "ForAnyValue:StringEquals":
            return any(each in values for each in asked or ())
        case "StringEquals":
            return asked is not None and len(asked) == 1 and asked[0] in values
    raise NotImplementedError(f"condition operator {operator}")
