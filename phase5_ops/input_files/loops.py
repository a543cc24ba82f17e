"""Loops over bytes as machine code: how they are compiled, and the search for the beginnings of packed data. Pure.

Importing this imports numba, so it is loaded late (`late_module`). What was compiled is kept beside the source or in the user's
cache; where neither can be written, it is compiled anew in each process. All loops release the interpreter lock.

A reader needs to know of numba: integers have 64 bits, signed ones are never mixed with unsigned ones (that makes floats), and
global names are constants.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numba import njit, uint8, uint64

from phase5_ops.input_files.kinds import BEGINNINGS_IN_BASE64

Bytes = npt.NDArray[np.uint8]

_BEGINNINGS = np.array([list(beginning[:4]) for beginning in BEGINNINGS_IN_BASE64], np.uint8)
_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP, _ENVELOPE = (tuple(beginning) for beginning in _BEGINNINGS)
_NEWLINE, _BRACE, _ZERO = ord("\n"), ord("{"), ord("0")
_EITHER = ord("[") ^ ord("{")
_STRIP = 1 << 12  # bytes: what is noted of a strip stays in the nearest cache
_SAMPLE = np.frombuffer(b"of text", np.uint8)  # read only, as the bytes of files are


def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's dispatcher
    """The function as machine code."""
    return _machine_code(function, "never")


def inlined(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's dispatcher
    """The function as machine code in place of each call of it, which would cost more than what it does."""
    return _machine_code(function, "always")


def _machine_code(function: Callable[..., Any], inline: Literal["never", "always"]) -> Any:  # noqa: ANN401 - numba's dispatcher
    try:
        return njit(nogil=True, inline=inline, cache=True)(function)
    except RuntimeError:  # no folder where it could be kept
        return njit(nogil=True, inline=inline)(function)


@inlined
def _any(flags: Bytes) -> Any:  # noqa: ANN401
    """Whether one of them is set."""
    seen = uint64(0)
    for word in flags.view(np.uint64):
        seen |= word
    return seen != uint64(0)


@compiled
def packed_begins(data: Bytes) -> bool:
    """Whether the first four bytes of a beginning of packed data are in a text."""
    found = np.zeros(_STRIP, np.uint8)
    for strip in range(0, len(data) - 3, _STRIP):
        size = min(_STRIP, len(data) - 3 - strip)
        first, second, third = data[strip : strip + size], data[strip + 1 : strip + 1 + size], data[strip + 2 : strip + 2 + size]
        flags = found[:size]
        for at in range(size):  # three bytes of each, all at once: a fourth takes longer, and changes little
            a, b, c = first[at], second[at], third[at]
            flags[at] = uint8(
                ((a == _GZIP[0]) & (b == _GZIP[1]) & (c == _GZIP[2]))
                | ((a == _ZSTD[0]) & (b == _ZSTD[1]) & (c == _ZSTD[2]))
                | ((a == _BZIP2[0]) & (b == _BZIP2[1]) & (c == _BZIP2[2]))
                | ((a == _XZ[0]) & (b == _XZ[1]) & (c == _XZ[2]))
                | ((a == _ZIP[0]) & (b == _ZIP[1]) & (c == _ZIP[2]))
                | ((a == _ENVELOPE[0]) & (b == _ENVELOPE[1]) & (c == _ENVELOPE[2]))
            )
        if _any(found):
            for at in range(size):
                for number in range(len(_BEGINNINGS)):
                    if flags[at] and (data[strip + at : strip + at + 4] == _BEGINNINGS[number]).all():
                        return True
            flags[:] = 0
    return False


@compiled
def line_begins_document(data: Bytes) -> bool:
    """Whether there may be a line, after a line end, that begins with a bracket or brace and goes on with no digit."""
    found = np.zeros(_STRIP, np.uint8)
    for strip in range(0, len(data) - 2, _STRIP):
        size = min(_STRIP, len(data) - 2 - strip)
        first, second, third = data[strip : strip + size], data[strip + 1 : strip + 1 + size], data[strip + 2 : strip + 2 + size]
        flags = found[:size]
        for at in range(size):
            opens = (second[at] | uint8(_EITHER)) == uint8(_BRACE)
            flags[at] = uint8((first[at] == uint8(_NEWLINE)) & opens & (uint8(third[at] - uint8(_ZERO)) > uint8(9)))
        if _any(found):
            return True
    return len(data) > 1 and data[-2] == _NEWLINE and (data[-1] | _EITHER) == _BRACE


def prepare() -> None:
    """Compiles what is not compiled yet."""
    line_begins_document(_SAMPLE)
    packed_begins(_SAMPLE)
