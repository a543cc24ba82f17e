"""The dictionary of a log scan: tenant ids and field names in every spelling, ready to be looked up by their tokens. Pure."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.log_lines import REQUEST_FIELDS, SIGNAL_FIELDS, TENANT_FIELDS, WORK_FIELDS
from phase5_ops.sections.isolation.logs.tokens import (
    MAX_ID_BYTES,
    PADDING,
    Flags,
    Hashes,
    HashKey,
    Ints,
    TokenWords,
    anchor_slots,
    span_hashes,
    token_bytes,
)

NO_FIELD, TENANT_FIELD, WORK_FIELD, REQUEST_FIELD, SIGNAL_FIELD = 0, 1, 2, 3, 4

_ASCII_TOKEN = re.compile(rb"[A-Za-z0-9_-]+")
_UNESCAPED = re.compile(r"[ !#-\[\]-~]*")  # characters that JSON does not escape
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")  # characters that an address does not escape


@dataclass
class DictionaryEntry:
    """What an id or field name stands for."""

    text: bytes
    tenant: int = -1
    field_kind: int = NO_FIELD


class Shape(NamedTuple):
    """The form of an id: separator bytes before its first token, number of tokens, separator bytes after the last."""

    lead: int
    tokens: int
    trail: int


@dataclass(frozen=True)
class TenantDictionary:
    """The tenant ids to look for, by index.

    Attributes:
        ids: the ids, as given.
        structured_only: indexes of ids that are too short or too common for free text; they count only in structured places.
    """

    ids: tuple[str, ...]
    structured_only: frozenset[int] = frozenset()


@dataclass
class TokenTable:
    """The entries of one shape, ready for lookup: allowed lengths, a filter on the first word, hashes, and the bytes."""

    shape: Shape
    indexes: Ints  # numbers of the entries, in the order of `hashes`
    hashes: Hashes  # sorted
    slots: npt.NDArray[np.int32]  # by the first bits of a hash: where it would be in `hashes`
    crowded: bool  # two hashes share a slot
    lengths_ok: Flags  # by length of the span
    anchor_lengths_ok: Flags  # by length of the first token
    anchor_bits: Flags  # by hash of the first token's length and first word

    @classmethod
    def of(cls, shape: Shape, entries: list[DictionaryEntry], numbers: Sequence[int], key: HashKey) -> "TokenTable":
        """The table of these entries, all of one shape; `numbers` are their numbers in the list of all entries."""
        lengths = np.array([len(entry.text) for entry in entries], np.int64)
        joined = b"".join(entry.text for entry in entries) + bytes(PADDING)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        data = np.frombuffer(joined, np.uint8)
        words = TokenWords(data, key)
        hashes = span_hashes(words, starts, lengths)
        order = np.argsort(hashes, kind="stable")
        anchor_starts = starts + shape.lead
        anchor_lengths = np.array([_length_of_first_token(entry.text) for entry in entries], np.int64)
        bits = max(12, min(20, int(np.ceil(np.log2(len(entries) * 64)))))
        anchor_bits = np.zeros(1 << bits, np.bool_)
        anchor_bits[anchor_slots(words, anchor_starts, anchor_lengths, bits)] = True
        slots = np.zeros(1 << bits, np.int32)
        slot_of = (hashes[order] >> np.uint64(64 - bits)).astype(np.int64)
        slots[slot_of[::-1]] = np.arange(len(order), dtype=np.int32)[::-1]  # the first hash of each slot
        return cls(
            shape,
            np.array(numbers, np.int64)[order],
            hashes[order],
            slots,
            bool((np.diff(slot_of) == 0).any()),
            _allowed(lengths),
            _allowed(anchor_lengths),
            anchor_bits,
        )

    @property
    def bits(self) -> int:
        """How many of a hash's bits choose a slot."""
        return int(self.anchor_bits.size).bit_length() - 1

    def place(self, hashes: Hashes) -> Ints:
        """Where each hash would be in `self.hashes`; it is not there if another hash is at that place."""
        place = self.slots[(hashes >> np.uint64(64 - self.bits)).astype(np.int64)].astype(np.int64)
        if self.crowded:
            elsewhere = np.flatnonzero(self.hashes[place] != hashes)
            sorted_place = np.searchsorted(self.hashes, hashes[elsewhere])
            place[elsewhere] = np.minimum(sorted_place, len(self.hashes) - 1)
        return place


def _allowed(lengths: Ints) -> Flags:
    """By length, whether an entry has that length; the last place stands for all greater lengths."""
    allowed = np.zeros(MAX_ID_BYTES + 2, np.bool_)
    allowed[lengths] = True
    return allowed


def _length_of_first_token(text: bytes) -> int:
    start, end = token_spans(text)[0]
    return end - start


def token_spans(text: bytes) -> list[tuple[int, int]]:
    """Start and end of each token of a text."""
    if text.isascii():
        return [match.span() for match in _ASCII_TOKEN.finditer(text)]
    flags = np.concatenate([[False], token_bytes(np.frombuffer(text, np.uint8)), [False]])
    edges = np.flatnonzero(flags[1:] != flags[:-1])
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def shape_of(text: bytes) -> Shape:
    """The shape of a text."""
    spans = token_spans(text)
    if not spans:
        return Shape(len(text), 0, 0)
    return Shape(spans[0][0], len(spans), len(text) - spans[-1][1])


def entries_of(ids: Sequence[str]) -> list[DictionaryEntry]:
    """Every text to look up: the ids in all their spellings, and the names of fields."""
    entries: dict[bytes, DictionaryEntry] = {}
    for kind, names in (
        (TENANT_FIELD, TENANT_FIELDS),
        (WORK_FIELD, WORK_FIELDS),
        (REQUEST_FIELD, REQUEST_FIELDS),
        (SIGNAL_FIELD, SIGNAL_FIELDS),
    ):
        for name in names:
            entries[name.encode()] = DictionaryEntry(name.encode(), field_kind=kind)
    forms = [(number, raw) for number, name in enumerate(ids) for raw in spellings(name)]
    literal = {name.encode("utf-8", "surrogatepass"): number for number, name in reversed(list(enumerate(ids)))}
    for number, raw in forms:
        if not raw or len(raw) > MAX_ID_BYTES:
            continue
        entry = entries.setdefault(raw, DictionaryEntry(raw))
        if entry.tenant < 0:
            entry.tenant = literal.get(raw, number)  # a text that is itself an id is not another id's spelling
    return list(entries.values())


def spellings(name: str) -> tuple[bytes, ...]:
    """The bytes that may stand for an id: as it is, composed (NFC), with `+` for blanks, escaped as in JSON or an address."""
    texts = list(dict.fromkeys([name, normalize("NFC", name), name.replace(" ", "+")]))
    if not _UNESCAPED.fullmatch(name):
        texts += [json.dumps(name, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
    raws = [text.encode("utf-8", "surrogatepass") for text in texts]
    if not _UNRESERVED.fullmatch(name):
        raws.append(quote(raws[0], safe="").encode())
    return tuple(dict.fromkeys(raws))


def lower_case(text: bytes) -> bytes:
    """The text in lower case, of the same length: letters whose lower case has another length in UTF-8 stay as they are."""
    if text.isascii():
        return text.lower()
    written = text.decode("utf-8", "surrogateescape")
    lower = {ord(letter): letter.lower() for letter in set(written) if not "\ud800" <= letter <= "\udfff"}
    same = {point: meant for point, meant in lower.items() if len(meant.encode()) == len(chr(point).encode())}
    return written.translate(same).encode("utf-8", "surrogateescape")


def told_by_case(ids: Sequence[str]) -> tuple[str, ...]:
    """The ids in lower case; "" for an id that differs from another by case alone, as in another case it could be either."""
    lower = [lower_case(name.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") for name in ids]
    counts = Counter(lower)
    return tuple(name if counts[name] == 1 else "" for name in lower)
