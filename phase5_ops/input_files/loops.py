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
from numba import njit, uint32

from phase5_ops.input_files.kinds import BEGINNINGS_IN_BASE64

_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP, _ENVELOPE = (
    np.uint32(int.from_bytes(beginning[:4], "little")) for beginning in BEGINNINGS_IN_BASE64
)


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


@compiled
def one_begins(words: npt.NDArray[np.uint32]) -> bool:
    """Whether one of these words is the beginning of packed data."""
    found = uint32(0)
    for at in range(len(words)):
        word = words[at]
        found |= uint32(word == _GZIP)  # each by itself, so that many words are compared at once
        found |= uint32(word == _ZSTD)
        found |= uint32(word == _BZIP2)
        found |= uint32(word == _XZ)
        found |= uint32(word == _ZIP)
        found |= uint32(word == _ENVELOPE)
    return bool(found != uint32(0))


def prepare() -> None:
    """Compiles what is not compiled yet."""
    for offset in range(2):  # words that stand where a processor likes them to, and others
        one_begins(np.frombuffer(b"of text", "<u4", 1, offset))
