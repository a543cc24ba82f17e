"""Values drawn from bytes: a fuzzer's, hypothesis's, or those of a kept input. Equal bytes give equal values.

Zero, or no bytes left, always means the plainest choice, so that no bytes at all give a seed as it is: each fuzz function shows
with them that its oracle can tell a sound input from a broken one.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

#: Texts that parsers have stumbled over: numbers that are none, halves of surrogate pairs, other digits, separators, long ones.
TEXTS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\u0663",
    "\uff11",
    "é",
    "e\u0301",
    "\r\n",
    "\t",
    "NaN",
    "-Infinity",
    "sNaN",
    "1e999999999",
    "-0",
    "0x10",
    "1_000",
    "9" * 25,
    "9" * 5_000,
    "null",
    "true",
    "{",
    "[" * 2_000,
    '{"a":' * 950,
    "\\u0000",
    "\\ud800",
    "..",
    "../../etc/passwd",
    "#",
    "##",
    "TENANT#",
    "TENANT#a#ACCOUNT#",
    "ENTRY##",
    "2026-02-30T00:00:00Z",
    "2026-11-23",
    "2026-11-23T09:00:00",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-W47-1T00:00:00Z",
    "20261123T090000Z",
    "a" * 20_000,
    "a " * 10_000,
    "((((" * 200,
    "${" * 500,
    "\\" * 501,
    '"' * 501,
    "<b>|`*_",
    "%00%ff",
    "arn:aws:iam::1:role/x",
)


class Source:
    """Draws values from bytes, the first first.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes were not drawn yet."""
        return len(self._data) - self._at

    def number(self, most: int) -> int:
        """A number from 0 to `most`."""
        size = max(1, (most.bit_length() + 7) // 8)
        return int.from_bytes(self.raw(size), "big") % (most + 1)

    def raw(self, size: int) -> bytes:
        """The next `size` bytes, fewer where no more are left."""
        found = self._data[self._at : self._at + size]
        self._at += len(found)
        return found

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.raw(self.left)

    def chance(self, one_in: int) -> bool:
        """True once in a while; never where no bytes are left."""
        return self.left > 0 and self.number(one_in - 1) == one_in - 1

    def one_of(self, options: Sequence[T]) -> T:
        """One of these; the first where no bytes are left."""
        return options[self.number(len(options) - 1)]

    def text(self) -> str:
        """A text: one that parsers have stumbled over, or one of the bytes' own."""
        if self.chance(3):
            return self.raw(self.number(24)).decode("utf-8", "surrogateescape")
        return self.one_of(TEXTS)

    def value(self, depth: int = 3) -> Any:
        """Any value of JSON, NaN and numbers beyond every range included."""
        plain = (None, True, False, 0, -1, 2**53 + 1, 2**63, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf"), [], {}, "")
        kind = self.number(9)
        if kind <= 3 or depth == 0:
            return self.one_of(plain)
        if kind <= 6:
            return self.text()
        if kind == 7:
            return [self.value(depth - 1) for _ in range(self.number(3))]
        if kind == 8:
            return {self.text(): self.value(depth - 1) for _ in range(self.number(3))}
        return nested(self.one_of((2, 30, 200)))

    def attribute(self) -> Any:
        """An attribute of a DynamoDB item, mostly in the form of DynamoDB JSON."""
        if self.chance(6):
            return self.value()
        kind = self.one_of(("S", "N", "BOOL", "NULL", "L", "M", "SS", "NS", "B"))
        if self.chance(2):
            return {
                kind: {"S": self.text(), "N": self.text(), "BOOL": True, "NULL": True, "L": [], "M": {}}.get(kind, self.text())
            }
        return {kind: self.value(2)}

    def changed(self, seed: T, *, attributes: bool = False, most: int = 4) -> T:
        """A copy of a value with a few places changed: replaced, removed, doubled, renamed.

        Args:
            seed: of mappings, lists and plain values.
            attributes: whether what stands there instead is drawn by `attribute`, for items of DynamoDB.
            most: how many places are changed at most.
        """
        holder = [copy.deepcopy(seed)]
        for _ in range(self.number(most)):
            places = list(_places(holder))
            place, key = places[self.number(len(places) - 1)]
            drawn = self.attribute if attributes and isinstance(place, dict) else self.value
            match self.number(5):
                case 0 | 1 | 2:
                    place[key] = drawn()
                case 3 if place is not holder:
                    del place[key]
                case 4 if isinstance(place, dict):
                    place[self.text()] = place.pop(key)
                case _ if isinstance(place, list) and place is not holder:
                    place.insert(key, copy.deepcopy(place[key]))
                case _:
                    place[key] = [place[key]]
        return holder[0]

    def json_text(self, value: object) -> str:
        """A value as JSON text, as writers other than Python's may write it: NaN, repeated names, other escapes."""
        found = json.dumps(value, ensure_ascii=not self.chance(3), default=str)
        if self.chance(5) and found.startswith("{") and len(found) > 2:
            found = found[:-1] + "," + found[1:]
        return found

    def spliced(self, text: str, pieces: Sequence[str] = ()) -> str:
        """A text with a few pieces put in, cut out, or repeated.

        Args:
            text: what it is made of.
            pieces: those of its language, beside `TEXTS`.
        """
        for _ in range(self.number(4)):
            at = self.number(max(len(text), 1) - 1)
            match self.number(3):
                case 0:
                    text = text[:at] + (self.one_of(pieces) if pieces and self.chance(2) else self.text()) + text[at:]
                case 1:
                    text = text[:at] + text[at + 1 + self.number(40) :]
                case 2:
                    piece = text[at : at + 1 + self.number(30)]
                    text = text[:at] + piece * (1 + self.number(300)) + text[at:]
                case _:
                    text = text[:at]
        return text

    def spliced_bytes(self, content: bytes) -> bytes:
        """Bytes with a few of them put in, cut out, altered, or repeated."""
        for _ in range(self.number(4)):
            at = self.number(max(len(content), 1) - 1)
            match self.number(3):
                case 0:
                    content = content[:at] + self.raw(1 + self.number(15)) + content[at:]
                case 1:
                    content = content[:at] + content[at + 1 + self.number(40) :]
                case 2:
                    content = content[:at] + bytes([self.number(255)]) + content[at + 1 :]
                case _:
                    content = content[:at] + content[at : at + 40] * (1 + self.number(300)) + content[at:]
        return content


def nested(depth: int) -> list[Any]:
    """A list in a list in a list, so deep."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def _places(value: Any) -> Any:
    """Every (holder, key) below a value, breadth first; of long lists the first and last few."""
    level = [value]
    for _ in range(8):
        below = []
        for holder in level:
            keys = (
                list(holder)
                if isinstance(holder, dict)
                else [*range(min(len(holder), 12)), *range(max(12, len(holder) - 4), len(holder))]
            )
            for key in keys:
                yield holder, key
                if isinstance(holder[key], dict | list):
                    below.append(holder[key])
        level = below
