"""Text from outside as it may be shown on a terminal. Pure."""

from pydantic import ValidationError


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal or hide a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def in_one_line(error: ValidationError) -> str:
    """What a model does not take, and where."""
    return "; ".join(": ".join([".".join(map(str, each["loc"])), each["msg"]]) for each in error.errors())
