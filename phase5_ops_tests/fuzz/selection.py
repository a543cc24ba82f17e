"""Chooses the inputs of a campaign that are kept for the tests: small ones that together reach the most lines of the product."""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

#: Bytes of all inputs that are kept of a parser, beside those that a fault was found with.
LARGEST = 2_000
_MOST = 400  # inputs that are looked at, the smallest first


def chosen(fuzz: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Of these inputs, the smallest first, each that reaches a line that none before it does, as long as they stay small."""
    reached: set[tuple[str, int]] = set()
    found: list[bytes] = []
    for each in sorted(set(inputs), key=lambda data: (len(data), data))[:_MOST]:
        lines = _lines(fuzz, each)
        if lines - reached and sum(map(len, found)) + len(each) <= LARGEST:
            reached |= lines
            found.append(each)
    return found


def _lines(fuzz: Callable[[bytes], None], data: bytes) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if "/phase5_ops/" not in name:
            return None
        if event == "line":
            found.add((name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        fuzz(data)
    except Exception:  # noqa: BLE001 - a fault, which is kept anyway
        pass
    finally:
        sys.settrace(None)
    return found
