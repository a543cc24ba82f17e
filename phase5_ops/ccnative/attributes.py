"""Reading single attributes of a DynamoDB item in DynamoDB JSON (`{"S": "OPEN"}`), strictly. Pure.

An attribute of a wrong type or form raises `AttributeProblem`, which names it; an absent one is None (or a problem if required).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, TypeVar

from phase5_ops.clock import parse_iso
from phase5_ops.verdict import Finding, FindingCode

T = TypeVar("T")

#: Whole numbers beyond this are no count and no epoch second, and do not survive JSON.
MAX_NUMBER = 2**53


@dataclass(frozen=True, slots=True)
class MalformedRecord:
    """An item that is not what the platform writes: its table, its key, the attribute at fault and what is wrong with it."""

    table: str
    key: str
    attribute: str
    problem: str

    def finding(self, code: FindingCode, link: str | None, *, expected: str = "an item as the platform writes it") -> Finding:
        """What a judge says of it."""
        return code.at(f"{self.table}: {self.key}: {self.attribute}", expected=expected, seen=self.problem, link=link)


class AttributeProblem(Exception):
    """An attribute is missing or is not what the platform writes."""

    def __init__(self, attribute: str, problem: str) -> None:
        super().__init__(f"{attribute}: {problem}")
        self.attribute = attribute
        self.problem = problem


def shown(value: object, limit: int = 80) -> str:
    """A value as it can stand in a finding: one line, at most `limit` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def as_item(value: object) -> Mapping[str, Any]:
    """`value`, which must be an item.

    Raises:
        AttributeProblem: it is no mapping.
    """
    if not isinstance(value, Mapping):
        raise AttributeProblem("item", "not an item in DynamoDB JSON")
    return value


def key_text(item: Mapping[str, Any], name: str) -> str:
    """A key attribute for display, whatever it holds."""
    value = item.get(name)
    bare = value.get("S") if isinstance(value, Mapping) else None
    return bare if isinstance(bare, str) else shown(value)


def attribute(item: Mapping[str, Any], name: str, *kinds: str) -> Any:  # noqa: ANN401 - whatever DynamoDB holds
    """The bare value of attribute `name`, which must have one of the DynamoDB types `kinds`; None if it is absent.

    Raises:
        AttributeProblem: another type.
    """
    if name not in item:
        return None
    value = item[name]
    if isinstance(value, Mapping) and len(value) == 1:
        kind, bare = next(iter(value.items()))
        if kind in kinds:
            return bare
    raise AttributeProblem(name, f"expected DynamoDB type {' or '.join(kinds)}, found {shown(value)}")


def text(item: Mapping[str, Any], name: str) -> str | None:
    """The text (S) of attribute `name`; None if it is absent.

    Raises:
        AttributeProblem: another type.
    """
    value = attribute(item, name, "S")
    if value is not None and not isinstance(value, str):
        raise AttributeProblem(name, f"expected text, found {shown(value)}")
    return value


def whole_number(item: Mapping[str, Any], name: str) -> int | None:
    """The whole number >= 0 (N) of attribute `name`: a count or an epoch second; None if it is absent.

    Raises:
        AttributeProblem: another type, not whole, negative, or beyond `MAX_NUMBER`.
    """
    if name not in item:
        return None
    value = attribute(item, name, "N")
    number = _decimal(value)
    if number.is_nan() or not 0 <= number <= MAX_NUMBER or number != number.to_integral_value():
        raise AttributeProblem(name, f"expected a whole number of at least 0, found {shown(value)}")
    return int(number)


def number(item: Mapping[str, Any], name: str) -> float:
    """The finite number (N), of either sign, of attribute `name`.

    Raises:
        AttributeProblem: it is absent, of another type, or not finite.
    """
    value = required(attribute(item, name, "N"), name)
    found = _decimal(value)
    if not found.is_finite() or not isfinite(bare := float(found)):  # also what is beyond every float
        raise AttributeProblem(name, f"expected a number, found {shown(value)}")
    return bare


def _decimal(value: object) -> Decimal:
    """A number as DynamoDB writes it; NaN for anything else."""
    try:
        return Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        return Decimal("NaN")


def moment(item: Mapping[str, Any], name: str) -> datetime | None:
    """The timestamp (ISO-8601 with a time zone) of attribute `name` as UTC; None if it is absent.

    Raises:
        AttributeProblem: another type, or no such timestamp.
    """
    stamp = text(item, name)
    try:
        return None if stamp is None else parse_iso(stamp)
    except ValueError as error:
        raise AttributeProblem(name, f"expected an ISO-8601 timestamp with a time zone, found {shown(stamp)}") from error


def flag(item: Mapping[str, Any], name: str) -> bool | None:
    """The truth value (BOOL) of attribute `name`; None if it is absent.

    Raises:
        AttributeProblem: another type.
    """
    value = attribute(item, name, "BOOL")
    if value is not None and not isinstance(value, bool):
        raise AttributeProblem(name, f"expected true or false, found {shown(value)}")
    return value


def texts(item: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """The texts of a list (L of S) or a string set (SS); None if the attribute is absent.

    Raises:
        AttributeProblem: another type, or an entry that is no text.
    """
    value = attribute(item, name, "L", "SS")
    if value is None and name not in item:
        return None
    if not isinstance(value, (list, tuple)):
        raise AttributeProblem(name, f"expected a list of texts, found {shown(value)}")
    entries = [entry.get("S") if isinstance(entry, Mapping) else entry for entry in value]
    found = tuple(entry for entry in entries if isinstance(entry, str))
    if len(found) < len(entries):
        raise AttributeProblem(name, f"expected a list of texts, found {shown(value)}")
    return found


def required(value: T | None, name: str) -> T:
    """`value` of attribute `name`, which must be there.

    Raises:
        AttributeProblem: it is None.
    """
    if value is None:
        raise AttributeProblem(name, "missing")
    return value
