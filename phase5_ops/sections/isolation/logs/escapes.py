r"""The encodings that may hide an id in a log line, and where they stand in a text: a list of edits for each kind. Pure.

Known: colours and other terminal sequences; NUL bytes; invisible characters (zero width, soft hyphen, direction marks:
Unicode's Default_Ignorable_Code_Point); percent codes in either case (`%2D`, `%c3%a9`, `%u002d`); backslash escapes of JSON and
of programming languages (`\u002d` with surrogate pairs, `\x2d`, `\u{2d}`, `\U0000002d`, `\/`, `\_`, `\0`, `\033[`, `\303\251`);
HTML and XML entities (`&#45;`, `&#x2d;`, `&amp;`); letters with separate accent characters (NFD); base64 if it is turned on.

An edit says that the bytes [at, end) stand for other bytes, never more of them. One edit is one layer of one encoding: `\\u002d`
is an escaped backslash before `u002d`, and becomes a hyphen in the next pass. Bytes that are no whole, valid code stay as they
are. Invisible text becomes one NUL byte, so that both readings can be searched: with it as a separator, and without it.

Left out on purpose: quoted-printable (`tenant=2D...` is an ordinary field and value), other octal escapes than of ESC, NUL and
UTF-8 (`\101` may be a folder), escapes of folders' names such as `\a`, full-width and look-alike letters, and ids that a line
break cuts in two.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from html.entities import html5

import numpy as np

from phase5_ops.sections.isolation.logs.edits import (
    BACKSLASH,
    ESC,
    NAME_BYTES,
    NEWLINE,
    NUL,
    PERCENT,
    RETURN,
    Edits,
    Layer,
    View,
    character_edits,
    edits_of,
    in_order,
    quiet,
    text_edits,
)
from phase5_ops.sections.isolation.logs.tokens import Bytes, Flags, Ints
from phase5_ops.sections.isolation.logs.unseen import caret_sequences, escape_sequences, invisible_and_accents


def _utf8_runs(at: Ints, values: Ints, width: int) -> Flags:
    """Which of these byte codes, `width` bytes apart where they follow each other, are part of a whole character of UTF-8."""
    part = np.zeros(len(at), np.bool_)
    for size, low, high in ((2, 0xC2, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xF4)):
        lead = np.flatnonzero((values >= low) & (values <= high))
        lead = lead[lead + size <= len(at)]
        if not len(lead):
            continue
        for offset in range(1, size):
            follower = values[lead + offset]
            fine = (at[lead + offset] == at[lead] + width * offset) & (follower & 0xC0 == 0x80)
            if offset == 1:  # no overlong form, no surrogates, nothing beyond Unicode
                first = values[lead]
                fine &= ~((first == 0xE0) & (follower < 0xA0)) & ~((first == 0xED) & (follower > 0x9F))
                fine &= ~((first == 0xF0) & (follower < 0x90)) & ~((first == 0xF4) & (follower > 0x8F))
            lead = lead[fine]
        for offset in range(size):
            part[lead + offset] = True
    return part


def percent_codes(data: Bytes) -> Iterator[Edits]:
    """`%2D`, of UTF-8 in either case, and `%u002d`."""
    view, at = View(data), np.flatnonzero(data == PERCENT)
    value = view.number(at + 1, 2)
    codes, value_of = at[value >= 0], value[value >= 0]
    ascii = value_of < 0x80
    high, high_value = codes[~ascii], value_of[~ascii]
    whole = _utf8_runs(high, high_value, 3)
    codes = np.concatenate([codes[ascii], high[whole]])
    yield edits_of(codes, codes + 3, quiet(np.concatenate([value_of[ascii], high_value[whole]])), Layer.PERCENT)
    long = at[view.at(at + 1) == ord("u")]
    yield from _utf16_codes(view, long, long + 2, 4, Layer.PERCENT)


def _utf16_codes(view: View, at: Ints, digits: Ints, size: int, layer: Layer) -> Iterator[Edits]:
    """Codes of UTF-16 with `size` digits at `digits`; a surrogate pair becomes one character."""
    if not len(at):
        return
    value = view.number(digits, size)
    at, digits, value = at[value >= 0], digits[value >= 0], value[value >= 0]
    if not len(at):
        return
    ends = digits + size
    pair = np.zeros(len(at), np.bool_)
    pair[:-1] = (value[:-1] & 0xFC00 == 0xD800) & (value[1:] & 0xFC00 == 0xDC00) & (at[1:] == ends[:-1])
    high = np.flatnonzero(pair)
    joined = 0x10000 + ((value[high] & 0x3FF) << 10) + (value[high + 1] & 0x3FF)
    yield character_edits(at[high], ends[high + 1], joined, layer)
    alone = ~pair
    alone[high + 1] = False
    yield character_edits(at[alone], ends[alone], value[alone], layer)


_PLAIN = np.full(256, -1, np.int64)  # by byte: what a backslash before it makes of it
for _letter, _meant in zip("nrtbfv", (RETURN, RETURN, 9, 11, 11, 11), strict=True):
    _PLAIN[ord(_letter)] = _meant
for _sign in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~":
    _PLAIN[ord(_sign)] = ord(_sign)
_CODED = np.zeros(256, np.bool_)
_CODED[[ord(c) for c in "uUxe0123"]] = True
_ODD_ESCAPES = re.compile(
    rb"(?<!\\)(?:\\\\)*(\\(?:u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|(e|033)(?=\[)|(000|0(?![0-7]))))", re.ASCII
)


def backslash_escapes(data: Bytes, separators: frozenset[int], *, all_plain: bool) -> Iterator[Edits]:
    r"""`\u002d`, `\x2d`, `\/`, `\\`, ...; a plain one matters only if it stands for a character of an id.

    Without `all_plain`, a text in which no escape matters gives no edits at all, which saves time with JSON within JSON.
    """
    at = np.flatnonzero(data == BACKSLASH)
    view = View(data)
    following = view.at(at + 1)
    needed = np.zeros(256, np.bool_)
    needed[[*b"-_%&^", *(byte for byte in separators if byte < 0x80)]] = True
    coded = _CODED[following]
    if not all_plain and not coded.any() and not needed[_PLAIN[following].clip(0)].any():
        return
    starts_run, active = _starts_run(at), _begins_escape(at)
    run = np.cumsum(starts_run) - 1
    after = view.at(at[np.append(np.flatnonzero(starts_run)[1:] - 1, len(at) - 1)] + 1)  # the byte after each run of backslashes
    leads_on = (_CODED[after] | needed[_PLAIN[after].clip(0)])[run]
    at, following = at[active], following[active]
    meant = _PLAIN[following]
    plain = meant >= 0
    matters = needed[meant[plain]]
    pairs = following[plain] == BACKSLASH
    if pairs.any():
        matters = matters | (pairs & leads_on[active][plain])
    yield edits_of(at[plain], at[plain] + 2, meant[plain], Layer.BACKSLASH, matters)
    unicode = at[following == ord("u")]
    yield from _utf16_codes(view, unicode, unicode + 2, 4, Layer.BACKSLASH)
    hexed = at[following == ord("x")]
    yield from _byte_codes(hexed, view.number(hexed + 2, 2), 4, latin=True)
    octal = at[(following == ord("2")) | (following == ord("3"))]
    digits = [view.at(octal + n).astype(np.int64) - ord("0") for n in (1, 2, 3)]
    fine = (digits[1] >= 0) & (digits[1] < 8) & (digits[2] >= 0) & (digits[2] < 8)
    yield from _byte_codes(octal, np.where(fine, digits[0] * 64 + digits[1] * 8 + digits[2], -1), 4, latin=False)
    if np.isin(following, [ord(c) for c in "Ue0"]).any() or (view.at(unicode + 2) == ord("{")).any():
        yield text_edits(_odd_escapes(data.tobytes()), Layer.BACKSLASH)


def _byte_codes(at: Ints, value: Ints, width: int, *, latin: bool) -> Iterator[Edits]:
    """Codes of bytes: ASCII and UTF-8; with `latin`, any other byte is the character of that number."""
    at, value = at[value >= 0], value[value >= 0]
    if not len(at):
        return
    low = value < 0x80
    yield edits_of(at[low], at[low] + width, quiet(value[low]), Layer.BACKSLASH)
    at, value = at[~low], value[~low]
    whole = _utf8_runs(at, value, width)
    yield edits_of(at[whole], at[whole] + width, value[whole], Layer.BACKSLASH)
    if latin:
        yield character_edits(at[~whole], at[~whole] + width, value[~whole], Layer.BACKSLASH)


def _odd_escapes(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in _ODD_ESCAPES.finditer(text):
        digits = match[2] or match[3]
        value = int(digits, 16) if digits else ESC if match[4] else NUL
        if value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF:
            yield match.start(1), match.end(1), chr(value).encode()


_LONGEST_NAME = max(map(len, html5))
_ENTITY = re.compile(rb"&(?:#(?:[xX]([0-9a-fA-F]{1,8})|([0-9]{1,10}));?|([A-Za-z][A-Za-z0-9]{1,%d};))" % _LONGEST_NAME)


def entities(data: Bytes) -> Iterator[Edits]:
    """`&#45;`, `&#x2d;`, with or without the semicolon, and the names of HTML 5."""
    view, at = View(data), np.flatnonzero(data == ord("&"))
    following = view.at(at + 1)
    if (NAME_BYTES[following] | (following == ord("#"))).any():
        text = data.tobytes()
        matches = filter(None, (_ENTITY.match(text, start) for start in at.tolist()))
        yield text_edits(_entities(matches), Layer.ENTITY)


def _entities(matches: Iterable[re.Match[bytes]]) -> Iterator[tuple[int, int, bytes]]:
    for match in matches:
        if match[3]:
            meant = html5.get(match[3].decode())
        else:
            point = int(match[1], 16) if match[1] else int(match[2])
            meant = chr(point) if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF else None
        if meant is not None:
            yield match.start(), match.end(), meant.encode()


_SHORTEST_BASE64 = 8
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{%d,}={0,2}" % _SHORTEST_BASE64)
_BETWEEN = re.compile(rb"[/+_-]")


def base64_texts(data: Bytes) -> Edits:
    """Runs of base64, in either alphabet and with or without padding, that hold text in UTF-8; or the parts of such a run.

    Every four signs are one edit, so that several ids in one run have different places.
    """
    return in_order([_base64_edits(*run) for run in _base64_runs(data.tobytes())])


def _base64_edits(start: int, end: int, meant: bytes) -> Edits:
    """The edits of one run, with a blank before and after, so that bytes beside the code join no word of its text."""
    at = np.arange(start, end, 4)
    texts = np.frombuffer(meant.replace(b"\n", b"\r").ljust(3 * len(at), b"\0"), np.uint8).reshape(-1, 3)
    edits = edits_of(at, np.minimum(at + 4, end), texts[:, 0].astype(np.int64), Layer.BASE64)
    edits.values[:, :3] = texts
    edits.values[0, :4] = [ord(" "), *texts[0]]
    edits.sizes[:] = 3
    edits.sizes[-1] = len(meant) - 3 * (len(at) - 1) + 1
    edits.values[-1, edits.sizes[-1] - 1] = ord(" ")
    edits.sizes[0] = 4
    return edits


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
    return meant if readable else None


def find_edits(
    data: Bytes, *, separators: frozenset[int], with_base64: bool, all_plain: bool = False, raw: bytes | None = None
) -> Edits:
    """All edits of one pass over a text, as `in_order` has them.

    Args:
        data: the text.
        separators: ASCII bytes of ids that are no letter, digit, `_` or `-`.
        with_base64: base64 is taken off too.
        raw: the text as bytes, if the caller has them.
        all_plain: also the plain escapes of a text in which none of them matters; set when the text is to be edited.
    """
    found: list[Edits] = []
    given, raw = (
        data,
        data.tobytes() if raw is None else raw,
    )  # searching bytes for one byte is faster than any array operation
    if ESC in raw:
        found += escape_sequences(data)
        data = _blanked(data, found)
        raw = data.tobytes()
    if BACKSLASH in raw:
        found += backslash_escapes(data, separators, all_plain=all_plain)
        if any(sign in raw for sign in _BEFORE_CODES):
            data = _without_escaped_signs(data)
            raw = data.tobytes()
    if ord("^") in raw:
        found += caret_sequences(raw)
    if PERCENT in raw:
        found += percent_codes(data)
    if ord("&") in raw:
        found += entities(data)
    if not raw.isascii():
        found += invisible_and_accents(data)
    found = [edits for edits in found if len(edits.at)]
    if with_base64:
        coded = base64_texts(given)
        found += [_alone(coded, found, given)] if all_plain and found and len(coded.at) else [coded]
    return in_order(found)


def _alone(coded: Edits, others: Sequence[Edits], data: Bytes) -> Edits:
    r"""The base64 edits of lines without other edits: base64 is read once its own signs are decoded, such as `%2B` and `\/`."""
    ends = np.flatnonzero(data == NEWLINE)
    taken = np.searchsorted(ends, np.concatenate([edits.at for edits in others]))
    return coded.only(~np.isin(np.searchsorted(ends, coded.at), taken))


#: Signs that begin another code unless a backslash escapes them: `\\%E9` is an escaped per cent sign.
_BEFORE_CODES = (b"\\%", b"\\&", b"\\^")
_TAKEN = np.zeros(256, np.bool_)
_TAKEN[[sign[1] for sign in _BEFORE_CODES]] = True


def _blanked(data: Bytes, found: Sequence[Edits]) -> Bytes:
    """The text with NUL where these edits are, so that no other code begins or goes on there."""
    data = data.copy()
    for edits in found:
        for offset in range(int((edits.ends - edits.at).max(initial=0))):
            at = edits.at + offset
            data[at[at < edits.ends]] = NUL
    return data


def _without_escaped_signs(data: Bytes) -> Bytes:
    """The text with NUL for each sign that a backslash before it makes a plain one."""
    at = np.flatnonzero(data == BACKSLASH)
    escaped = at[_begins_escape(at)] + 1
    data = data.copy()
    escaped = escaped[escaped < len(data)]
    data[escaped[_TAKEN[data[escaped]]]] = NUL
    return data


def _begins_escape(at: Ints) -> Flags:
    """Which of all backslashes of a text begin an escape: in a run of them every other one."""
    order = np.arange(len(at))
    within = order - np.maximum.accumulate(np.where(_starts_run(at), order, 0))
    begins: Flags = within % 2 == 0
    return begins


def _starts_run(at: Ints) -> Flags:
    return np.append(True, at[1:] != at[:-1] + 1)[: len(at)]
