"""Invisible parts of a text: terminal sequences and invisible characters; also letters with separate accents. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from phase5_ops.sections.isolation.logs.edits import ESC, NAME_BYTES, NUL, Edits, Layer, View, edits_of, in_order, text_edits
from phase5_ops.sections.isolation.logs.tokens import FIRST_NON_ASCII, Bytes, Flags

_CSI_BYTES = np.zeros(256, np.bool_)
_CSI_BYTES[0x20:0x40] = True
_LONGEST_CSI = 64
_AFTER_ESC = np.zeros(256, np.bool_)  # sequences of two bytes
_AFTER_ESC[[ord(c) for c in "\\]PX^_78=>cDEHMNOZ"]] = True
_CARET = re.compile(rb"\^\[\[[0-9;:?]{0,32}[@A-Za-z~]")


def terminal_sequences(data: Bytes) -> Iterator[Edits]:
    r"""Colours and cursor movements (ECMA-48), also as `cat -v` and editors show them (`^[[31m`): each becomes NUL.

    Of a title or link (`ESC ] 8 ; ; address ESC \`) only the bytes around it become NUL: the address is still searched.
    """
    yield from escape_sequences(data)
    yield from caret_sequences(data.tobytes())


def escape_sequences(data: Bytes) -> Iterator[Edits]:
    """Sequences that begin with the byte ESC."""
    view, at = View(data), np.flatnonzero(data == ESC)
    if not len(at):
        return
    following = view.at(at + 1)
    ends = at + np.where(_AFTER_ESC[following], 2, 1)
    charset = (following == ord("(")) | (following == ord(")"))
    ends = np.where(charset & NAME_BYTES[view.at(at + 2)], at + 3, ends)
    sequence = np.flatnonzero(following == ord("["))
    stop = at[sequence] + 2
    for _ in range(_LONGEST_CSI):
        more = _CSI_BYTES[view.at(stop)]
        if not more.any():
            break
        stop = stop + more
    final = view.at(stop)
    ends[sequence] = np.where((final >= 0x40) & (final <= 0x7E), stop + 1, at[sequence] + 2)
    known = (ends > at + 1) | ((following != NUL) & (following < FIRST_NON_ASCII))  # else what hides its second byte goes first
    yield edits_of(at[known], ends[known], np.zeros(int(known.sum()), np.int64), Layer.TERMINAL)


def caret_sequences(text: bytes) -> Iterator[Edits]:
    """Sequences in which ESC is written as two signs, `^[`."""
    yield text_edits(((m.start(), m.end(), b"\0") for m in _CARET.finditer(text)), Layer.TERMINAL)


#: Default_Ignorable_Code_Point that are not of category Cf: joiners, fillers, selectors, and places kept for more of them.
_IGNORABLE = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)


class _Characters(NamedTuple):
    """Tables by code point: invisible characters, and those that join the letter before; `heads`: first two bytes of either."""

    invisible: Flags
    joins: Flags
    heads: Flags


@lru_cache(maxsize=1)
def _characters() -> _Characters:
    invisible, joins = np.zeros(0x110000, np.bool_), np.zeros(0x110000, np.bool_)
    for low, high in _IGNORABLE:
        invisible[low : high + 1] = True
    for point in (*range(0x80, 0x20000), *range(0xE0000, 0xE0200)):
        character = chr(point)
        if unicodedata.category(character) == "Cf":
            invisible[point] = True
        elif unicodedata.combining(character):
            joins[point] = True
    joins[0x1161:0x1176] = joins[0x11A8:0x11C3] = True  # vowels and last consonants of Hangul
    for point in (0x09BE, 0x09D7, 0x0B3E, 0x0B56, 0x0B57, 0x0BBE, 0x0BD7, 0x0CC2, 0x0CD5, 0x0CD6, 0x0D3E, 0x0D57, 0x0DCF, 0x0DDF):
        joins[point] = True
    for point in (0x102E, 0x1B35):
        joins[point] = True
    joins &= ~invisible
    heads = np.zeros(1 << 16, np.bool_)
    for point in np.flatnonzero(invisible | joins).tolist():
        raw = chr(point).encode()
        heads[raw[0] << 8 | raw[1]] = True
    return _Characters(invisible, joins, heads)


def invisible_and_accents(data: Bytes) -> Iterator[Edits]:
    """Invisible characters become NUL; a letter and the accents after it become one character (NFC)."""
    known = _characters()
    at = np.flatnonzero(data >= 0xC2)
    view = View(data)
    at = at[known.heads[(data[at].astype(np.int64) << 8) | view.at(at + 1)]]
    if not len(at):
        return
    lead = data[at]
    size = np.where(lead < 0xE0, 2, np.where(lead < 0xF0, 3, 4))
    point = (lead & (0x7F >> size).astype(np.uint8)).astype(np.int64)
    valid = np.ones(len(at), np.bool_)
    for offset in range(1, 4):
        within = size > offset
        follower = view.at(at + offset)
        valid &= ~within | (follower & 0xC0 == 0x80)
        point = np.where(within, (point << 6) | (follower & 0x3F), point)
    point = np.where(valid, point, 0).clip(0, 0x10FFFF)
    unseen = known.invisible[point]
    yield edits_of(at[unseen], (at + size)[unseen], np.zeros(int(unseen.sum()), np.int64), Layer.INVISIBLE)
    marks = at[known.joins[point]]
    if len(marks):
        yield text_edits(_composed(data.tobytes(), marks.tolist(), known.joins), Layer.COMPOSED)


def _composed(text: bytes, marks: list[int], joins: Flags) -> Iterator[tuple[int, int, bytes]]:
    """Each letter with all the marks after it, composed, where NFC composes it."""
    done = 0
    for mark in marks:
        if mark < done:
            continue
        start = mark - 1
        while start > 0 and text[start] & 0xC0 == 0x80 and mark - start < 4:
            start -= 1
        end = mark
        while end < len(text):
            size = 2 if text[end] < 0xE0 else 3 if text[end] < 0xF0 else 4
            try:
                following = text[end : end + size].decode()
            except UnicodeDecodeError:
                break
            if len(following) != 1 or not joins[ord(following)]:
                break
            end += size
        done = end
        if start < 0:
            continue
        try:
            cluster = text[start:end].decode()
        except UnicodeDecodeError:
            continue
        composed = unicodedata.normalize("NFC", cluster)
        if composed != cluster:
            yield start, end, composed.encode()


def unseen(data: Bytes) -> Edits:
    """The edits that remove invisible text: terminal sequences and invisible characters, wherever they stand."""
    found = [edits for edits in terminal_sequences(data) if len(edits.at)]
    if (data >= FIRST_NON_ASCII).any():
        found += [edits for edits in invisible_and_accents(data) if len(edits.at) and edits.layers[0] == Layer.INVISIBLE]
    return in_order(found)
