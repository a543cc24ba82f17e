"""Loops over bytes as machine code: how they are compiled, and those over the bytes of files. Pure.

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
from phase5_ops.input_files.log_documents import EVENT_NEWLINE

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_BEGINNINGS = np.array([list(beginning[:4]) for beginning in BEGINNINGS_IN_BASE64], np.uint8)
_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP, _ENVELOPE = (tuple(beginning) for beginning in _BEGINNINGS)
_NEWLINE, _BRACE, _ZERO = ord("\n"), ord("{"), ord("0")
_EITHER = ord("[") ^ ord("{")
_STRIP = 1 << 12  # bytes: what is noted of a strip stays in the nearest cache
_QUOTE, _BACKSLASH, _COMMA, _BLANK, _RETURN, _U, _A = (ord(letter) for letter in '"\\, \rua')
_BREAK = EVENT_NEWLINE[0]
_ID, _TIMESTAMP, _MESSAGE, _END_OF_EVENT, _END = (
    np.frombuffer(part, np.uint8) for part in (b'{"id":"', b'","timestamp":', b',"message":"', b'"}', b"]}")
)
_MOST_DIGITS = 18  # of a number that has 64 bits
_ESCAPES = np.zeros(256, np.uint8)  # the letter after a backslash -> what both stand for; 0 where a message is not written so
_ESCAPES[[*b'"\\nrtbf']] = [*b'"\\' + EVENT_NEWLINE + b"\r\t\b\f"]
_CONTROLS = np.array([code not in b"\b\t\n\x0b\f\r" for code in range(_BLANK)])  # those that are written as \u00 and two digits
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


@inlined
def _past(text: Bytes, at: int, expected: Bytes) -> int:
    """Where the text goes on after what is expected at a place; -1 where that is not there, or the place is -1."""
    if at < 0 or at + len(expected) > len(text):
        return -1
    for number in range(len(expected)):
        if text[at + number] != expected[number]:
            return -1
    return at + len(expected)


@compiled
def event_lines(text: Bytes, at: int, lines: Bytes, times: Numbers) -> tuple[int, int]:
    """Reads the events of an envelope in compact JSON, to its end, where each has an id, a timestamp and a message alone.

    Args:
        text: the envelope, in UTF-8.
        at: where the first event begins.
        lines: takes the messages as lines; as long as the text.
        times: takes the timestamps; long enough for as many events as the text can hold.

    Returns:
        How many events there are, and how many bytes their lines have; no events where the text goes on in any other way, or in
        another spelling than the one that orjson writes.
    """
    count = size = 0
    while True:
        at = _past(text, at, _ID)
        if at < 0:
            return 0, 0
        while at < len(text) and text[at] >= _BLANK and text[at] != _QUOTE and text[at] != _BACKSLASH:
            at += 1
        at = _past(text, at, _TIMESTAMP)
        moment, first = 0, at
        while 0 <= at < len(text) and 0 <= text[at] - _ZERO <= 9 and at - first < _MOST_DIGITS:  # noqa: PLR2004 - a digit
            moment, at = 10 * moment + (text[at] - _ZERO), at + 1
        if at == first or (text[first] == _ZERO and at - first > 1):
            return 0, 0
        at = _past(text, at, _MESSAGE)
        if at < 0:
            return 0, 0
        begin = size
        while at < len(text) and text[at] != _QUOTE:
            letter = text[at]
            if letter < _BLANK:
                return 0, 0
            if letter == _BACKSLASH:
                letter, at = _escaped(text, at + 1)
                if at < 0:
                    return 0, 0
            lines[size], size, at = letter, size + 1, at + 1
        while size > begin and (lines[size - 1] == _RETURN or lines[size - 1] == _BREAK):
            size -= 1
        lines[size], size, times[count], count = _NEWLINE, size + 1, moment, count + 1
        at = _past(text, at, _END_OF_EVENT)
        if at < 0 or at == len(text) or text[at] != _COMMA:
            return (count, size) if _past(text, at, _END) == len(text) else (0, 0)
        at += 1


@compiled
def _escaped(text: Bytes, at: int) -> tuple[int, int]:
    """What an escape stands for, and where its last letter is; -1 where no message is written so."""
    if at >= len(text):
        return 0, -1
    if _ESCAPES[text[at]]:
        return _ESCAPES[text[at]], at
    if at + 4 >= len(text) or text[at] != _U or text[at + 1] != _ZERO or text[at + 2] != _ZERO:
        return 0, -1
    high, low = text[at + 3] - _ZERO, text[at + 4] - _ZERO
    if low > 9:  # noqa: PLR2004 - the last digit
        low = text[at + 4] - _A + 10
        if low < 10:  # noqa: PLR2004 - a capital: orjson writes small letters
            return 0, -1
    code = 16 * high + low
    return (code, at + 4) if 0 <= low < 16 and 0 <= code < _BLANK and _CONTROLS[code] else (0, -1)  # noqa: PLR2004


def prepare() -> None:
    """Compiles what is not compiled yet."""
    event_lines(_SAMPLE, 0, np.empty(0, np.uint8), np.empty(0, np.int64))
    line_begins_document(_SAMPLE)
    packed_begins(_SAMPLE)
