"""Values of resources that hold parameters, and names that formats make of them. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from phase5_ops.remedies.model import RemedyParameter


class NotInThisFormat(Exception):
    """A format has no way to write the resource; the message says why, and what to use instead."""


def mapped(value: Any, change: Callable[[str | RemedyParameter], Any]) -> Any:  # noqa: ANN401 - any JSON value, perhaps with parameters
    """The value with every text and parameter in it changed; names of members stay."""
    if isinstance(value, Mapping):
        return {name: mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(each, change) for each in value]
    return change(value) if isinstance(value, str | RemedyParameter) else value


def parameters_in(value: Any) -> list[RemedyParameter]:  # noqa: ANN401 - see `mapped`
    """The parameters in a value, each once."""
    found: list[RemedyParameter] = []

    def note(each: str | RemedyParameter) -> str | RemedyParameter:
        if isinstance(each, RemedyParameter) and each not in found:
            found.append(each)
        return each

    mapped(value, note)
    return found


def with_placeholders(value: Any) -> Iterable[str | RemedyParameter]:  # noqa: ANN401 - see `mapped`
    """The value as JSON in ASCII, cut at its parameters, which stand inside the quotes of a text."""
    number = 0
    while (mark := f"<{number}:") in json.dumps(mapped(value, lambda each: each if isinstance(each, str) else "")):
        number += 1
    known = {f"{mark}{each.name}>": each for each in parameters_in(value)}
    text = json.dumps(mapped(value, lambda each: each if isinstance(each, str) else f"{mark}{each.name}>"))
    for part in re.split(f"({re.escape(mark)}[A-Za-z]+>)", text):
        yield known.get(part, part)


def words_of(name: str) -> list[str]:
    """The words of a parameter's name: `AlertTopicArn` is alert, topic, arn."""
    return [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]


def identifier(kind: str, name: str) -> str:
    """A name of letters and digits that is the same in every output: `AlarmCcNativeCrmErrors1f3a9c20`."""
    words = "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", name))[:40]
    return f"{kind}{words}{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
