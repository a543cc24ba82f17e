"""Text as people are shown it: from outside on a terminal, what a model refuses, a list cut short. Pure."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import PlainValidator, ValidationError


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal or hide a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def first_few(texts: Sequence[str], most: int = 6) -> str:
    """The first of these texts, and how many more there are: `a, b and 3 more`."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def in_one_line(error: ValidationError) -> str:
    """What a model refuses, and where, in one line."""
    return "; ".join(": ".join([".".join(map(str, each["loc"])), each["msg"]]) for each in error.errors())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a text: {type(value).__name__}")  # noqa: TRY004 - pydantic takes no TypeError
    return value


#: Any text of a model's field. Pydantic's own check takes bytes, and refuses halves of surrogate pairs, which JSON may have.
Text = Annotated[str, PlainValidator(_text)]
