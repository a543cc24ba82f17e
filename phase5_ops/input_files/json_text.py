"""JSON that others wrote: any value, or one error, however it is nested. Pure."""

import json
from collections.abc import Callable, Sequence
from typing import Any


def json_value(
    text: str | bytes,
    *,
    pairs: Callable[[Sequence[tuple[str, Any]]], Any] | None = None,
    fractions: Callable[[str], Any] | None = None,
) -> Any:  # noqa: ANN401
    """The value of JSON text.

    Args:
        text: the text, or its bytes in UTF-8, UTF-16 or UTF-32.
        pairs: makes an object of its members; default: a dict, in which the last of two equal names counts.
        fractions: makes a number of its text, where it has a fraction or an exponent; default: a float.

    Raises:
        ValueError: it is not JSON, nested deeper than Python's own parser can follow, or a number is none for `fractions`.
    """
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_float=fractions)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except ArithmeticError as error:
        raise ValueError("it has a number that is too large") from error
