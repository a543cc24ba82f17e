"""Text as people are shown it: from outside on a terminal, what a model refuses, a list cut short, what was meant. Pure."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import PlainValidator, ValidationError
from pydantic_core import ErrorDetails


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal or hide a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def storable(text: str) -> str:
    """The text; halves of surrogate pairs, which JSON can write and no table or UTF-8 can hold, become a backslash and a code."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def first_few(texts: Sequence[str], most: int = 6) -> str:
    """The first of these texts, and how many more there are: `a, b and 3 more`."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def quoted(text: str, mark: str) -> str:
    """The text between quotation marks of this kind, in languages where a backslash keeps one from ending it."""
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


def in_one_line(error: ValidationError) -> str:
    """What a model refuses, and where, in one line."""
    return "; ".join(": ".join([".".join(map(str, each["loc"])), refusal(each)]) for each in error.errors())


#: What a value must be, by the type of pydantic's error; the braces are filled from its context.
_REFUSALS: Mapping[str, str] = {
    "bool_parsing": "needs true or false",
    "bool_type": "needs true or false",
    "bytes_type": "needs text",
    "date_from_datetime_parsing": "needs a date, e.g. 2026-11-23",
    "datetime_from_date_parsing": "needs an ISO-8601 timestamp with a time zone, e.g. 2026-11-23T09:16:41Z",
    "datetime_object_invalid": "needs an ISO-8601 timestamp with a time zone, e.g. 2026-11-23T09:16:41Z",
    "datetime_parsing": "needs an ISO-8601 timestamp with a time zone, e.g. 2026-11-23T09:16:41Z",
    "datetime_type": "needs an ISO-8601 timestamp with a time zone, e.g. 2026-11-23T09:16:41Z",
    "dict_type": "needs a mapping",
    "enum": "needs {expected}",
    "extra_forbidden": "is not known here",
    "finite_number": "needs a finite number",
    "float_parsing": "needs a number",
    "float_type": "needs a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "needs a whole number",
    "int_parsing": "needs a whole number",
    "int_parsing_size": "needs a smaller whole number",
    "int_type": "needs a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "needs a list",
    "literal_error": "needs {expected}",
    "missing": "is missing",
    "model_attributes_type": "needs a mapping",
    "model_type": "needs a mapping",
    "multiple_of": "must be a multiple of {multiple_of}",
    "path_type": "needs the path of a file or folder",
    "set_type": "needs a list",
    "string_pattern_mismatch": "must look like {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "needs text",
    "string_unicode": "needs text",
    "timezone_aware": "needs a time zone, e.g. 2026-11-23T09:16:41Z",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "tuple_type": "needs a list",
    "url_parsing": "needs an address, e.g. https://ops.example.com",
    "url_scheme": "needs an address that begins with http:// or https://",
    "url_type": "needs an address, e.g. https://ops.example.com",
    "value_error": "{error}",
}


def refusal(problem: ErrorDetails) -> str:
    """What a model says of a value that it does not take, in words for people; pydantic's own where there are none."""
    words = _REFUSALS.get(problem["type"])
    return problem["msg"] if words is None else words.format(**problem.get("ctx", {}))


_SHORTEST_TYPO = 4


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None if none is near. Letter case, - and _ do not count."""
    if len(name) < _SHORTEST_TYPO:  # nearly everything is near
        return next((each for each in known if _spelling(each) == _spelling(name)), None)
    by_spelling = {_spelling(each): each for each in known}
    close = difflib.get_close_matches(_spelling(name), by_spelling, n=1)
    return by_spelling[close[0]] if close else None


def _spelling(name: str) -> str:
    return name.casefold().replace("-", "_")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean X?` for what is appended to an error about a name, else `; ` and what is to be done otherwise."""
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; {otherwise}" if otherwise else ""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a text: {type(value).__name__}")  # noqa: TRY004 - pydantic takes no TypeError
    return value


#: Any text of a model's field. Pydantic's own check takes bytes, and refuses halves of surrogate pairs, which JSON may have.
Text = Annotated[str, PlainValidator(_text)]
