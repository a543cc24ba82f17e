"""The log scan as one would write it without thinking of speed: the reference that the engine is compared with."""

import json
import re
from unicodedata import normalize
from urllib.parse import quote

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
