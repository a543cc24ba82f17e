"""Tokens of log text and their hashes: which bytes belong to letters and digits, and 64-bit hashes of many spans at once. Pure.

The multipliers of a hash are drawn from a secret, so that nobody can prepare two texts with one hash. Every process has a secret
of its own; parts of one scan that are made in several processes, or kept on disk, share one.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from phase5_ops.input_files.late_module import LateModule

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: The compiled loops, which take over once this much was scanned: loading them takes longer than scanning it.
LOOPS = LateModule("phase5_ops.sections.isolation.logs.compiled", worth_from=16 << 20)
WORD = 8  # bytes compared at once
MAX_ID_BYTES = 512
MAX_KEY_BYTES = 256
#: Bytes that a scan may look at before and after the part it reports on: contexts, the longest id, the longest trace id.
LOOKBEHIND, LOOKAHEAD = MAX_ID_BYTES + 64, MAX_ID_BYTES + 256
PADDING = LOOKAHEAD + WORD  # zeros after the last byte of a hashed text
FIRST_NON_ASCII = 128

#: Of a longer span, whatever it is, the first bytes are hashed.
MAX_HASHED_BYTES = MAX_ID_BYTES + MAX_KEY_BYTES
_MULTIPLIERS = MAX_HASHED_BYTES // WORD + 2
MASKS = np.array([(1 << (8 * n)) - 1 for n in range(WORD)] + [(1 << 64) - 1], np.uint64)  # the first n bytes of a word
_SHIFT = np.uint64(29)
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing


@dataclass(frozen=True)
class HashKey:
    """The secret from which the multipliers of a scan's hashes are drawn; hashes of different secrets cannot be compared."""

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @cached_property
    def multipliers(self) -> Hashes:
        """Odd numbers of 64 bits."""
        drawn = np.frombuffer(hashlib.shake_256(self.secret).digest(WORD * _MULTIPLIERS), "<u8")
        return (drawn | np.uint64(1)).astype(np.uint64)


#: The key of this process.
OWN_KEY = HashKey()


def token_bytes(data: Bytes, scratch: npt.NDArray[np.uint8] | None = None) -> Flags:
    """For every byte, whether it belongs to a letter, digit, `_` or `-`; letters and digits of any script, in UTF-8.

    Bytes that are not UTF-8 separate tokens. `scratch` is three rows of memory as long as `data`; the answer is in the first.
    """
    rows = np.empty((3, len(data)), np.uint8) if scratch is None else scratch
    flags, other, work = rows[0].view(np.bool_), rows[1].view(np.bool_), rows[2]
    np.bitwise_or(data, np.uint8(32), out=work)
    np.subtract(work, np.uint8(97), out=work)
    np.less(work, np.uint8(26), out=flags)
    np.subtract(data, np.uint8(48), out=work)
    flags |= np.less(work, np.uint8(10), out=other)
    flags |= np.equal(data, np.uint8(ord("_")), out=other)
    flags |= np.equal(data, np.uint8(ord("-")), out=other)
    if len(data) and data.max() >= FIRST_NON_ASCII:
        _mark_other_scripts(data, flags)
    answer: Flags = flags
    return answer


def _mark_other_scripts(data: Bytes, flags: Flags) -> None:
    """Sets the flags of the bytes of letters and digits beyond ASCII."""
    for lead_low, lead_high, size in ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF4, 4)):
        at = np.flatnonzero((data >= lead_low) & (data <= lead_high))
        at = at[at <= len(data) - size]
        if not len(at):
            continue
        point = data[at].astype(np.uint32) & np.uint32(0x7F >> size)
        valid = np.ones(len(at), np.bool_)
        for offset in range(1, size):
            follower = data[at + offset]
            valid &= (follower & np.uint8(0xC0)) == np.uint8(0x80)
            point = (point << np.uint32(6)) | (follower & np.uint8(0x3F))
        valid &= point >= np.uint32((0x80, 0x800, 0x10000)[size - 2])
        valid &= point <= np.uint32(0x10FFFF)
        distinct, inverse = np.unique(point[valid], return_inverse=True)
        letter = np.array([chr(value).isalnum() for value in distinct.tolist()], np.bool_)
        if letter.any():
            chosen = at[valid][letter[inverse]]
            for offset in range(size):
                flags[chosen + offset] = True


class TokenWords:
    """Eight bytes at any position of a block, without copying the block; needs `PADDING` bytes after the last position.

    Attributes:
        view: the words by their position.
        multipliers: those of the key with which spans of the block are hashed.
    """

    def __init__(self, data: Bytes, key: HashKey = OWN_KEY) -> None:
        self.view: Hashes = np.ndarray((len(data) - WORD + 1,), "<u8", data, 0, (1,))
        self.multipliers = key.multipliers

    def at(self, positions: Ints) -> Hashes:
        """The words that begin at these positions."""
        return self.view[positions]


def span_hashes(words: TokenWords, starts: Ints, lengths: Ints) -> Hashes:
    """A 64-bit hash of the bytes [start, start + length) of each span: its first word, its last word, and those between."""
    first = words.at(starts)
    first &= MASKS[np.minimum(lengths, WORD)]
    first ^= lengths.astype(np.uint64) * words.multipliers[-1]
    hashes = _mixed(first, words.multipliers[0])
    active = _where(lengths > WORD)
    offset = 0
    while active is not None:
        spans, sizes = starts[active], lengths[active]
        offset += WORD
        word = words.at(spans + np.minimum(offset, sizes - WORD))  # the last word overlaps the one before it
        word ^= hashes[active]
        hashes[active] = _mixed(word, words.multipliers[offset // WORD])
        active = _where(lengths > offset + WORD)
    return hashes


def _mixed(word: Hashes, multiplier: np.uint64) -> Hashes:
    word *= multiplier
    word ^= word >> _SHIFT
    return word


def _where(flags: Flags) -> Ints | slice | None:
    """Index of the true ones: None for none, a slice (which copies nothing) for all."""
    count = np.count_nonzero(flags)
    return None if not count else slice(None) if count == len(flags) else np.flatnonzero(flags)


def anchor_slots(words: TokenWords, starts: Ints, lengths: Ints, bits: int) -> Ints:
    """Hashes of `bits` bits of the first word and the length of each span; they filter most spans out."""
    first = words.at(starts) & MASKS[np.minimum(lengths, WORD)]
    mixed = (first ^ (lengths.astype(np.uint64) * words.multipliers[-1])) * words.multipliers[0]
    slots: Ints = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    return slots


def key_hash(value: str, key: HashKey = OWN_KEY) -> int:
    """The hash under which `Hits.key` has a trace, intent or request id."""
    return int(key_hashes([value], key)[0])


def key_hashes(values: Sequence[str], key: HashKey = OWN_KEY) -> Hashes:
    """`key_hash` of many values at once; of a longer value the first MAX_KEY_BYTES bytes."""
    raws = [value.encode("utf-8", "surrogatepass")[:MAX_KEY_BYTES] for value in values]
    if not raws:
        return np.empty(0, np.uint64)
    lengths = np.array([len(raw) for raw in raws], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    return span_hashes(TokenWords(np.frombuffer(b"".join(raws) + bytes(PADDING), np.uint8), key), starts, lengths)
