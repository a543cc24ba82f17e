r"""The encodings that a log line may hide an id behind, and where they stand in a text: a list of edits for each kind. Pure.

Known: colours and other terminal sequences; NUL bytes; characters that nobody sees (zero width, soft hyphen, direction marks:
Unicode's Default_Ignorable_Code_Point); percent codes in either case (`%2D`, `%c3%a9`, `%u002d`); backslash escapes of JSON and
of programming languages (`\u002d` with surrogate pairs, `\x2d`, `\u{2d}`, `\U0000002d`, `\/`, `\_`, `\0`, `\033[`, `\303\251`);
HTML and XML entities (`&#45;`, `&#x2d;`, `&amp;`); letters whose accents are characters of their own (NFD); base64 where asked.

An edit says that the bytes [at, end) stand for other bytes, at most as many. One edit is one layer of one encoding: `\\u002d` is
an escaped backslash before `u002d`, and becomes a hyphen by the next pass. Bytes that are no whole, valid code stay as they are.
What nobody sees becomes one NUL byte, so that both readings can be searched: with it as a separator, and without it.

Not known, on purpose: quoted-printable (`tenant=2D...` is an ordinary field and value), other octal escapes than of ESC, NUL and
UTF-8 (`\101` may be a folder), escapes of folders' names such as `\a`, full-width and look-alike letters, and ids that a line
break cuts in two.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from enum import IntFlag
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phase5_ops.isolation.log_tokens import Bytes, Flags, Ints

NUL, ESC, NEWLINE, RETURN, BACKSLASH, PERCENT = 0, 27, 10, 13, 92, 37
LONGEST_EDIT = 12  # bytes that an edit may put in the place of what it replaces, but for base64


class Layer(IntFlag):
    """Kinds of encodings, as bits."""

    TERMINAL = 1
    NUL = 2
    INVISIBLE = 4
    PERCENT = 8
    BACKSLASH = 16
    ENTITY = 32
    COMPOSED = 64
    BASE64 = 128
    CASE = 256


LAYER_NAMES = {
    Layer.TERMINAL: "terminal colours",
    Layer.NUL: "NUL bytes",
    Layer.INVISIBLE: "invisible characters",
    Layer.PERCENT: "percent codes",
    Layer.BACKSLASH: "backslash escapes",
    Layer.ENTITY: "HTML entities",
    Layer.COMPOSED: "letters with separate accents",
    Layer.BASE64: "base64",
    Layer.CASE: "letter case",
}


def names_of(layers: Layer | int) -> list[str]:
    """The layers in words."""
    return [LAYER_NAMES[layer] for layer in Layer if layer & layers]


class Edits(NamedTuple):
    """Edits of a text, each array one long: [at, end) becomes the first `sizes` bytes of a row of `values`, by a layer.

    `matters` is False where the engine reads the text as well without the edit: a separator that is no part of any id.
    """

    at: Ints
    ends: Ints
    values: Bytes  # two-dimensional
    sizes: Ints
    layers: npt.NDArray[np.int32]
    matters: Flags

    def only(self, chosen: Flags | Ints) -> "Edits":
        """The chosen ones."""
        return Edits(*(part[chosen] for part in self))


def _none() -> Edits:
    empty = np.empty(0, np.int64)
    return Edits(empty, empty, np.empty((0, LONGEST_EDIT), np.uint8), empty, np.empty(0, np.int32), np.empty(0, np.bool_))


def _edits(at: Ints, ends: Ints, values: Ints, layer: Layer, matters: Flags | bool = True) -> Edits:
    """Edits that put one byte."""
    if not len(at):
        return _none()
    texts = np.zeros((len(at), LONGEST_EDIT), np.uint8)
    texts[:, 0] = values
    return Edits(
        at.astype(np.int64),
        np.broadcast_to(ends, at.shape).astype(np.int64),
        texts,
        np.ones(len(at), np.int64),
        np.full(len(at), layer, np.int32),
        np.broadcast_to(np.asarray(matters), at.shape).copy(),
    )


def _points(at: Ints, ends: Ints, points: Ints, layer: Layer) -> Edits:
    """Edits that put one character each; those that are none (lone surrogates, beyond Unicode) are left out."""
    valid = ((points < 0xD800) | (points > 0xDFFF)) & (points <= 0x10FFFF)
    at, ends, points = at[valid], ends[valid], points[valid]
    edits = _edits(at, ends, _quiet(points), layer)
    wide = np.flatnonzero(points >= 0x80)
    for size, low, high in ((2, 0x80, 0x7FF), (3, 0x800, 0xFFFF), (4, 0x10000, 0x10FFFF)):
        chosen = wide[(points[wide] >= low) & (points[wide] <= high)]
        rest = points[chosen]
        for offset in range(size - 1, 0, -1):
            edits.values[chosen, offset] = 0x80 | (rest & 0x3F)
            rest = rest >> 6
        edits.values[chosen, 0] = ((0xF00 >> size) & 0xFF) | rest
        edits.sizes[chosen] = size
    return edits


def _quiet(values: Ints) -> Ints:
    """The values with line ends as carriage returns: a decoded line end ends no line of the log."""
    return np.where(values == NEWLINE, RETURN, values)


def _texts(found: Iterable[tuple[int, int, bytes]], layer: Layer) -> Edits:
    """Edits of any texts (start, end, new bytes), each no longer than what it replaces."""
    rows = [row for row in found if len(row[2]) <= row[1] - row[0]]
    if not rows:
        return _none()
    width = max(LONGEST_EDIT, *(len(text) for _, _, text in rows))
    values = np.frombuffer(b"".join(text.ljust(width, b"\0") for _, _, text in rows), np.uint8).reshape(len(rows), width).copy()
    values[values == NEWLINE] = RETURN
    return Edits(
        np.array([start for start, _, _ in rows], np.int64),
        np.array([end for _, end, _ in rows], np.int64),
        values,
        np.array([len(text) for _, _, text in rows], np.int64),
        np.full(len(rows), layer, np.int32),
        np.ones(len(rows), np.bool_),
    )


_HEX_VALUE = np.full(256, -1, np.int64)
for _digit in "0123456789abcdefABCDEF":
    _HEX_VALUE[ord(_digit)] = int(_digit, 16)


class _View:
    """A text whose bytes may be asked for beyond its end, where they are line ends."""

    def __init__(self, data: Bytes) -> None:
        self.data = data
        self._last = len(data) - 1

    def at(self, positions: Ints) -> Bytes:
        found = self.data[np.minimum(positions, self._last)]
        beyond = positions > self._last
        return np.where(beyond, np.uint8(NEWLINE), found) if beyond.any() else found

    def number(self, at: Ints, digits: int) -> Ints:
        """The hexadecimal number of so many digits at these positions; -1 where there is none."""
        value = np.zeros(len(at), np.int64)
        for offset in range(digits):
            digit = _HEX_VALUE[self.at(at + offset)]
            value = np.where((value < 0) | (digit < 0), -1, value * 16 + digit)
        return value


def _utf8_runs(at: Ints, values: Ints, width: int) -> Flags:
    """Which of these byte codes, `width` bytes apart where they follow each other, are part of a whole character of UTF-8."""
    part = np.zeros(len(at), np.bool_)
    for size, low, high in ((2, 0xC2, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xF4)):
        lead = np.flatnonzero((values >= low) & (values <= high))
        lead = lead[lead + size <= len(at)]
        for offset in range(1, size):
            follower = values[lead + offset]
            fine = (at[lead + offset] == at[lead] + width * offset) & (follower & 0xC0 == 0x80)
            if offset == 1:  # no longer form than needed, no surrogates, nothing beyond Unicode
                first = values[lead]
                fine &= ~((first == 0xE0) & (follower < 0xA0)) & ~((first == 0xED) & (follower > 0x9F))
                fine &= ~((first == 0xF0) & (follower < 0x90)) & ~((first == 0xF4) & (follower > 0x8F))
            lead = lead[fine]
        for offset in range(size):
            part[lead + offset] = True
    return part


def percent_codes(data: Bytes) -> Iterator[Edits]:
    """`%2D`, of UTF-8 in either case, and `%u002d`."""
    view, at = _View(data), np.flatnonzero(data == PERCENT)
    value = view.number(at + 1, 2)
    codes, value_of = at[value >= 0], value[value >= 0]
    ascii = value_of < 0x80
    high, high_value = codes[~ascii], value_of[~ascii]
    whole = _utf8_runs(high, high_value, 3)
    codes = np.concatenate([codes[ascii], high[whole]])
    yield _edits(codes, codes + 3, _quiet(np.concatenate([value_of[ascii], high_value[whole]])), Layer.PERCENT)
    long = at[view.at(at + 1) == ord("u")]
    yield from _utf16_codes(view, long, long + 2, 4, Layer.PERCENT)


def _utf16_codes(view: _View, at: Ints, digits: Ints, size: int, layer: Layer) -> Iterator[Edits]:
    """Codes of UTF-16 with four digits at `digits`; two that are a surrogate pair are one character."""
    value = view.number(digits, size)
    at, digits, value = at[value >= 0], digits[value >= 0], value[value >= 0]
    if not len(at):
        return
    ends = digits + size
    pair = np.zeros(len(at), np.bool_)
    pair[:-1] = (value[:-1] & 0xFC00 == 0xD800) & (value[1:] & 0xFC00 == 0xDC00) & (at[1:] == ends[:-1])
    high = np.flatnonzero(pair)
    joined = 0x10000 + ((value[high] & 0x3FF) << 10) + (value[high + 1] & 0x3FF)
    yield _points(at[high], ends[high + 1], joined, layer)
    alone = ~pair
    alone[high + 1] = False
    yield _points(at[alone], ends[alone], value[alone], layer)


_PLAIN = np.full(256, -1, np.int64)  # what a backslash and one of these bytes stand for
for _letter, _meant in zip("nrtbfv", (RETURN, RETURN, 9, 11, 11, 11), strict=True):
    _PLAIN[ord(_letter)] = _meant
for _sign in "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~":
    _PLAIN[ord(_sign)] = ord(_sign)
_CODED = np.zeros(256, np.bool_)
_CODED[[ord(c) for c in "uUxe0123"]] = True
_ODD_ESCAPES = re.compile(
    rb"(?<!\\)(?:\\\\)*(\\(?:u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|(e|033)(?=\[)|(000|0(?![0-7]))))", re.ASCII
)


def backslash_escapes(data: Bytes, separators: frozenset[int]) -> Iterator[Edits]:
    r"""`\u002d`, `\x2d`, `\/`, `\\`, ...; of the plain ones only those matter that stand for a character of an id."""
    at = np.flatnonzero(data == BACKSLASH)
    view = _View(data)
    following = view.at(at + 1)
    needed = np.zeros(256, np.bool_)
    needed[[ord("-"), ord("_"), *(byte for byte in separators if byte < 0x80)]] = True
    coded = _CODED[following]
    if not coded.any() and not needed[_PLAIN[following].clip(0)].any():
        return
    starts_run = np.ones(len(at), np.bool_)
    starts_run[1:] = at[1:] != at[:-1] + 1
    order = np.arange(len(at))
    active = (order - np.maximum.accumulate(np.where(starts_run, order, 0))) % 2 == 0
    run = np.cumsum(starts_run) - 1
    after = view.at(at[np.append(np.flatnonzero(starts_run)[1:] - 1, len(at) - 1)] + 1)  # what a run of backslashes stands before
    leads_on = (_CODED[after] | needed[_PLAIN[after].clip(0)])[run]
    at, following = at[active], following[active]
    meant = _PLAIN[following]
    plain = meant >= 0
    matters = needed[meant[plain]]
    pairs = following[plain] == BACKSLASH
    if pairs.any():
        matters = matters | (pairs & leads_on[active][plain])
    yield _edits(at[plain], at[plain] + 2, meant[plain], Layer.BACKSLASH, matters)
    unicode = at[following == ord("u")]
    yield from _utf16_codes(view, unicode, unicode + 2, 4, Layer.BACKSLASH)
    hexed = at[following == ord("x")]
    yield from _byte_codes(hexed, view.number(hexed + 2, 2), 4, latin=True)
    octal = at[(following == ord("2")) | (following == ord("3"))]
    digits = [view.at(octal + n).astype(np.int64) - ord("0") for n in (1, 2, 3)]
    fine = (digits[1] >= 0) & (digits[1] < 8) & (digits[2] >= 0) & (digits[2] < 8)
    yield from _byte_codes(octal, np.where(fine, digits[0] * 64 + digits[1] * 8 + digits[2], -1), 4, latin=False)
    if np.isin(following, [ord(c) for c in "Ue0"]).any() or (view.at(unicode + 2) == ord("{")).any():
        yield _texts(_odd_escapes(data.tobytes()), Layer.BACKSLASH)


def _byte_codes(at: Ints, value: Ints, width: int, *, latin: bool) -> Iterator[Edits]:
    """Codes of bytes: ASCII, UTF-8, and with `latin` else the character of that number."""
    at, value = at[value >= 0], value[value >= 0]
    low = value < 0x80
    yield _edits(at[low], at[low] + width, _quiet(value[low]), Layer.BACKSLASH)
    at, value = at[~low], value[~low]
    whole = _utf8_runs(at, value, width)
    yield _edits(at[whole], at[whole] + width, value[whole], Layer.BACKSLASH)
    if latin:
        yield _points(at[~whole], at[~whole] + width, value[~whole], Layer.BACKSLASH)


def _odd_escapes(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in _ODD_ESCAPES.finditer(text):
        digits = match[2] or match[3]
        value = int(digits, 16) if digits else ESC if match[4] else NUL
        if value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF:
            yield match.start(1), match.end(1), chr(value).encode()


_LONGEST_NAME = max(map(len, html5))
_NAME_BYTES = np.zeros(256, np.bool_)
_NAME_BYTES[[*range(ord("0"), ord("9") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = True
_ENTITY = re.compile(rb"&(?:#(?:[xX]([0-9a-fA-F]{1,8})|([0-9]{1,10}));?|([A-Za-z][A-Za-z0-9]{1,%d};))" % _LONGEST_NAME)


def entities(data: Bytes) -> Iterator[Edits]:
    """`&#45;`, `&#x2d;`, with or without the semicolon, and the names of HTML 5."""
    view, at = _View(data), np.flatnonzero(data == ord("&"))
    following = view.at(at + 1)
    if (_NAME_BYTES[following] | (following == ord("#"))).any():
        text = data.tobytes()
        matches = filter(None, (_ENTITY.match(text, start) for start in at.tolist()))
        yield _texts(_entities(matches), Layer.ENTITY)


def _entities(matches: Iterable[re.Match[bytes]]) -> Iterator[tuple[int, int, bytes]]:
    for match in matches:
        if match[3]:
            meant = html5.get(match[3].decode())
        else:
            point = int(match[1], 16) if match[1] else int(match[2])
            meant = chr(point) if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF else None
        if meant is not None:
            yield match.start(), match.end(), meant.encode()


_CSI_BYTES = np.zeros(256, np.bool_)
_CSI_BYTES[0x20:0x40] = True
_LONGEST_CSI = 64
_AFTER_ESC = np.zeros(256, np.bool_)  # sequences of two bytes
_AFTER_ESC[[ord(c) for c in "\\]PX^_78=>cDEHMNOZ"]] = True
_CARET = re.compile(rb"\^\[\[[0-9;:?]{0,32}[@-~]")


def terminal_sequences(data: Bytes) -> Iterator[Edits]:
    """Colours and cursor movements (ECMA-48), also as `cat -v` and editors show them (`^[[31m`): each becomes NUL.

    Of a title or link (`ESC ] 8 ; ; address ESC \\`) only the bytes around it go: the address stays to be searched.
    """
    view, at = _View(data), np.flatnonzero(data == ESC)
    if len(at):
        following = view.at(at + 1)
        ends = at + np.where(_AFTER_ESC[following], 2, 1)
        charset = (following == ord("(")) | (following == ord(")"))
        ends = np.where(charset & _NAME_BYTES[view.at(at + 2)], at + 3, ends)
        sequence = np.flatnonzero(following == ord("["))
        stop = at[sequence] + 2
        for _ in range(_LONGEST_CSI):
            more = _CSI_BYTES[view.at(stop)]
            if not more.any():
                break
            stop = stop + more
        final = view.at(stop)
        ends[sequence] = np.where((final >= 0x40) & (final <= 0x7E), stop + 1, at[sequence] + 2)
        known = (ends > at + 1) | ((following != NUL) & (following < 0x80))  # else what hides its other half goes first
        yield _edits(at[known], ends[known], np.zeros(int(known.sum()), np.int64), Layer.TERMINAL)
    if ord("^") in data:
        yield _texts(((m.start(), m.end(), b"\0") for m in _CARET.finditer(data.tobytes())), Layer.TERMINAL)


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
    """Tables by code point: what nobody sees, and what joins the letter before it; and by the first two bytes of either."""

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
    """Characters that nobody sees become NUL; a letter and the accents after it become one character (NFC)."""
    known = _characters()
    at = np.flatnonzero(data >= 0xC2)
    view = _View(data)
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
    yield _edits(at[unseen], (at + size)[unseen], np.zeros(int(unseen.sum()), np.int64), Layer.INVISIBLE)
    marks = at[known.joins[point]]
    if len(marks):
        yield _texts(_composed(data.tobytes(), marks.tolist(), known.joins), Layer.COMPOSED)


def _composed(text: bytes, marks: list[int], joins: Flags) -> Iterator[tuple[int, int, bytes]]:
    """Letters before marks with all the marks after them, as one where NFC has it."""
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


_SHORTEST_BASE64 = 8
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{%d,}={0,2}" % _SHORTEST_BASE64)
_BETWEEN = re.compile(rb"[/+_-]")


def base64_texts(data: Bytes) -> Iterator[Edits]:
    """Runs of base64, in either alphabet and with or without padding, that hold text in UTF-8; or the parts of such a run."""
    yield _texts(_base64_runs(data.tobytes()), Layer.BASE64)


def _base64_runs(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in _BASE64_RUN.finditer(text):
        meant = _base64_text(match[0])
        if meant is not None:
            yield match.start(), match.end(), meant
            continue
        start = match.start()
        for part in _BETWEEN.split(match[0]):
            if len(part) >= _SHORTEST_BASE64 and len(part) < len(match[0]) and (meant := _base64_text(part)) is not None:
                yield start, start + len(part), meant
            start += len(part) + 1


def _base64_text(run: bytes) -> bytes | None:
    bare = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    if len(bare) % 4 == 1:
        return None
    try:
        meant = base64.b64decode(bare + b"=" * (-len(bare) % 4))
        text = meant.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    readable = all(character.isprintable() or character in "\t\r\n\x1b\0" for character in text)
    return b" " + meant + b" " if readable else None  # what is beside the code is beside no word of the text


Finder = Callable[[Bytes], Iterator[Edits]]


def find_edits(data: Bytes, *, separators: frozenset[int], with_base64: bool) -> Edits:
    """All edits of one pass over a text, ordered, none overlapping another: the earlier wins, of two at one place the longer."""
    found: list[Edits] = []
    raw = data.tobytes()  # a search of bytes for one of them is faster than any array operation
    if ESC in raw or ord("^") in raw:
        found += terminal_sequences(data)
    if PERCENT in raw:
        found += percent_codes(data)
    if BACKSLASH in raw:
        found += backslash_escapes(data, separators)
    if ord("&") in raw:
        found += entities(data)
    if not raw.isascii():
        found += invisible_and_accents(data)
    if with_base64:
        found += base64_texts(data)
    found = [edits for edits in found if len(edits.at)]
    if not found:
        return _none()
    width = max(edits.values.shape[1] for edits in found)
    padded = [edits._replace(values=np.pad(edits.values, ((0, 0), (0, width - edits.values.shape[1])))) for edits in found]
    edits = Edits(*(np.concatenate(column) for column in zip(*padded, strict=True)))
    edits = edits.only(np.lexsort((-edits.ends, edits.at)))
    if (np.maximum.accumulate(edits.ends)[:-1] > edits.at[1:]).any():
        edits = edits.only(_apart(edits.at.tolist(), edits.ends.tolist()))
    return edits


def _apart(starts: list[int], ends: list[int]) -> Ints:
    """The first of spans that overlap, in order."""
    kept, reach = [], 0
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start >= reach:
            kept.append(index)
            reach = end
    return np.array(kept, np.int64)
