"""The log scan as one would write it without thinking of speed: the reference that the engine is compared with.

Written apart from the engine: it decodes every code of every line, byte by byte, and then looks for every spelling.
"""

import html.entities
import json
import re
import string
from unicodedata import normalize
from urllib.parse import quote

from phase5_ops.sections.isolation.logs.scan import Hits

_ESCAPED = re.compile(rb"\\(?:[nrtbfv]|u[0-9a-fA-F]{4})\Z|%[0-9a-fA-F]{2}\Z")


def _is_token(data: bytes, at: int) -> bool:
    """Whether the character that the byte at `at` belongs to is a letter, digit, `_` or `-`."""
    if not 0 <= at < len(data):
        return False
    if data[at] < 128:
        return chr(data[at]).isalnum() or data[at] in b"_-"
    for start in range(max(0, at - 3), at + 1):
        for size in (2, 3, 4):
            if start + size > at:
                try:
                    text = data[start : start + size].decode("utf-8")
                except UnicodeDecodeError:
                    continue
                if len(text) == 1:
                    return text.isalnum()
    return False


def _left_is_free(data: bytes, at: int) -> bool:
    return not _is_token(data, at - 1) or bool(_ESCAPED.search(data[max(0, at - 6) : at]) and _is_token(data, at))


def as_rows(hits: Hits) -> list[tuple[int, int, int, int]]:
    """The tenant hits of the engine as tuples (line, start, end, tenant)."""
    return list(zip(*(part.tolist() for part in (hits.line, hits.start, hits.end, hits.tenant)), strict=True))


def naive_hits(data: bytes, ids: list[str]) -> list[tuple[int, int, int, int]]:
    """(line, start, end, index of the id) of every id with no letter, digit, `_` or `-` beside it and in no longer hit."""
    forms: dict[bytes, int] = {}
    for index, name in enumerate(ids):
        forms.setdefault(name.encode(), index)
    for index, name in enumerate(ids):
        for text in (name, normalize("NFC", name), name.replace(" ", "+")):
            forms.setdefault(text.encode(), index)
            for ascii_only in (True, False):
                forms.setdefault(json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode(), index)
        forms.setdefault(quote(name, safe="").encode(), index)
    spans = set()
    for form, index in forms.items():
        at = data.find(form)
        while at >= 0:
            end = at + len(form)
            if _left_is_free(data, at) and not _is_token(data, end):
                spans.add((at, end, index))
            at = data.find(form, at + 1)
    outer = [(a, b, i) for a, b, i in spans if not any(c <= a and b <= d and (c, d) != (a, b) for c, d, _ in spans)]
    return sorted((data.count(b"\n", 0, a), a, b, i) for a, b, i in outer)


Byte = tuple[int, int, int]  # its value, and the bytes [first, last) of the log that it was made of

_UNSEEN = frozenset(map(chr, range(0x202A, 0x202F))) | frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2064\u3164\ufe0f\ufeff\uffa0"
)
_SIMPLE = {"n": "\r", "r": "\r", "t": "\t", "b": "\v", "f": "\v", "v": "\v"}
_TERMINAL = re.compile(
    rb"\x1b(?:\[[ -?]{0,64}[@-~]|\[|[()][A-Za-z0-9]|[\\\]PX^_78=>cDEHMNOZ]|(?![\0\x80-\xff]))|\^\[\[[0-9;:?]{0,32}[@A-Za-z~]"
)
_UTF16 = re.compile(rb"(?:(?:\\u|%u)[0-9a-fA-F]{4}){1,2}")
_BYTE_CODE = {
    "%": re.compile(rb"%([0-9a-fA-F]{2})"),
    "x": re.compile(rb"\\x([0-9a-fA-F]{2})"),
    "o": re.compile(rb"\\([23][0-7]{2})"),
}
_POINT = re.compile(rb"\\u\{([0-9a-fA-F]{1,6})\}|\\U([0-9a-fA-F]{8})|&#[xX]([0-9a-fA-F]{1,8});?")
_DECIMAL = re.compile(rb"&#([0-9]{1,10});?")
_NAMED = re.compile(rb"&[A-Za-z][A-Za-z0-9]+;")
_OF_NOTHING = re.compile(rb"\\(?:(e|033)(?=\[)|000|0(?![0-7]))")

Codes = list[tuple[int, bytes]]  # end of each code, and what it stands for


def _character(point: int) -> bytes | None:
    return None if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF else chr(point).encode()


def _codes_at(raw: bytes, at: int) -> Codes:
    """What begins at a byte: the longest encoding, as one code or as several bytes of one character."""
    found: list[Codes] = []

    def one(end: int, meant: bytes | None) -> None:
        if meant is not None and len(meant) <= end - at:
            found.append([(end, meant)])

    if match := _TERMINAL.match(raw, at):
        one(match.end(), b"\0")
    if match := _UTF16.match(raw, at):
        points = [int(raw[n : n + 4], 16) for n in range(at + 2, match.end(), 6)]
        if len(points) == 2 and 0xD800 <= points[0] < 0xDC00 <= points[1] < 0xE000 and raw[at] == raw[at + 6]:
            one(match.end(), chr(0x10000 + ((points[0] - 0xD800) << 10) + points[1] - 0xDC00).encode())
        else:
            one(at + 6, _character(points[0]))
    for kind, pattern in _BYTE_CODE.items():
        values, ends, end = [], [], at
        while len(values) < 4 and (match := pattern.match(raw, end)):
            values.append(int(match[1], 8 if kind == "o" else 16))
            ends.append(end := match.end())
        for size in range(len(values), 0, -1):
            try:
                text = bytes(values[:size]).decode()
            except UnicodeDecodeError:
                continue
            if len(text) == 1:
                found.append([(ends[n], bytes(values[n : n + 1])) for n in range(size)])
        if kind == "x" and values and values[0] >= 0x80:
            one(ends[0], chr(values[0]).encode())
    if match := _POINT.match(raw, at):
        one(match.end(), _character(int(match[1] or match[2] or match[3], 16)))
    if match := _DECIMAL.match(raw, at):
        one(match.end(), _character(int(match[1])))
    if (match := _NAMED.match(raw, at)) and (named := html.entities.html5.get(match[0][1:].decode())):
        one(match.end(), named.encode())
    if match := _OF_NOTHING.match(raw, at):
        one(match.end(), b"\x1b" if match[1] else b"\0")
    following = raw[at + 1 : at + 2].decode("latin-1")
    if raw[at] == ord("\\") and following and (following in _SIMPLE or (following in string.punctuation)):
        one(at + 2, _SIMPLE.get(following, following).encode())
    for size in range(1, 5):
        letter = raw[at : at + size].decode("utf-8", "replace")
        if len(letter) == 1 and letter != "\ufffd" and len(letter.encode()) == size:
            if letter in _UNSEEN:
                one(at + size, b"\0")
            end = at + size
            while end < len(raw) and (mark := raw[end : end + 2].decode("utf-8", "replace")) and "\u0300" <= mark <= "\u034e":
                end += 2
            cluster = raw[at:end].decode()
            if end > at + size and normalize("NFC", cluster) != cluster:
                one(end, normalize("NFC", cluster).encode())
    return max(found, key=lambda codes: codes[-1][0], default=[])


def _decoded(text: list[Byte]) -> list[Byte]:
    """One layer less."""
    raw, at, out = bytes(value for value, _, _ in text), 0, list[Byte]()
    while at < len(raw):
        codes = _codes_at(raw, at)
        if not codes:
            out.append(text[at])
            at += 1
        for end, meant in codes:
            out += [(13 if value == 10 else value, text[at][1], text[end - 1][2]) for value in meant]
            at = end
    return out


def _one_layer_less(text: list[Byte] | None) -> list[Byte] | None:
    """None where nothing is left to take off."""
    following = None if text is None else _decoded(text)
    return None if following == text else following


def _bare(text: list[Byte]) -> list[Byte]:
    """Without what nobody sees, also where one such thing hides another."""
    for _ in range(8):
        raw, at, out = bytes(value for value, _, _ in text), 0, list[Byte]()
        while at < len(raw):
            letters = [raw[at : at + size].decode("utf-8", "replace") for size in range(1, 5)]
            size = next((n for n, letter in enumerate(letters, 1) if letter in _UNSEEN and len(letter.encode()) == n), 0)
            if match := _TERMINAL.match(raw, at):
                size = match.end() - at
            if size or not raw[at]:
                at += size or 1
            else:
                out.append(text[at])
                at += 1
        if out == text:
            break
        text = out
    return text


def naive_layered_hits(data: bytes, ids: list[str]) -> list[tuple[int, int, int, int]]:
    """`naive_hits` of every reading of every line, with up to eight layers taken off; the same columns."""
    hits, offset = [], 0
    for number, line in enumerate(data.split(b"\n")):
        text = [(value, offset + n, offset + n + 1) for n, value in enumerate(line)]
        hits += [(number, *hit) for hit in _hits_of_line(text, ids)]
        offset += len(line) + 1
    return sorted(hits)


def _hits_of_line(text: list[Byte], ids: list[str]) -> list[tuple[int, int, int]]:
    spans: dict[tuple[int, int], int] = {}
    shown: list[Byte] | None = text
    hidden: list[Byte] | None = None  # nothing unseen is left in it before the next layer is taken off
    for _ in range(9):
        readings = [hidden] if hidden is not None else []
        if shown is not None:
            spans = {span: index for span, index in spans.items() if not _goes_on(span, shown)}
            readings += [shown, [byte for byte in shown if byte[0]]]
            if hidden is None and (bare := _bare(shown)) != shown:
                hidden = bare
                readings.append(bare)
        for reading in readings:
            for _, a, b, index in naive_hits(bytes(value for value, _, _ in reading), ids):
                spans.setdefault((reading[a][1], reading[b - 1][2]), index)
        following, beneath = _one_layer_less(shown), _one_layer_less(hidden)
        shown, hidden = following, None if beneath is None else _bare(beneath)
        if shown is None and hidden is None:
            break
    outer = {(a, b) for a, b in spans if not any(c <= a and b <= d and (c, d) != (a, b) for c, d in spans)}
    return [(a, b, spans[a, b]) for a, b in outer]


def _goes_on(span: tuple[int, int], text: list[Byte]) -> bool:
    """Whether a code beside a span is a letter, digit, `_` or `-` that makes it part of a longer word."""
    raw = bytes(value for value, _, _ in text)
    for n, (_, first, last) in enumerate(text):
        beside = last - first > 1 and (first == span[1] or last == span[0])
        across = span[0] <= first < span[1] < last
        if (beside or across) and _is_token(raw, n):
            return True
    return False
