"""Fields of log lines and their values: the trace, intent or request of a line, and where invocations begin and end. Pure."""

import re
from typing import NamedTuple

import numpy as np

from phase5_ops.ccnative.log_lines import SIGNAL_PREFIX
from phase5_ops.sections.isolation.logs.tokens import (
    MASKS,
    MAX_HASHED_BYTES,
    WORD,
    Bytes,
    Flags,
    Hashes,
    Ints,
    TokenWords,
    span_hashes,
)

LEAD = WORD  # zeros before the first byte of a block
MAX_KEY_PARTS = 8
MAX_INTENT_BYTES = 48
MAX_GAP = 12

#: Lambda's own lines around an invocation in its JSON format. Lines after `platform.runtimeDone` still belong to the invocation,
#: as the function's extensions may write them. Quotes are escaped or doubled where a collector or table keeps the line as text.
_PLATFORM_EVENT = re.compile(rb'"type\\*"+\s*:\s*\\*"+platform\.(start|report|end)\\*"')

#: Between a field's name and its value: quotes, escaped quotes, colon or equals sign, blanks.
GAP = np.zeros(256, np.bool_)
GAP[[ord(c) for c in "\\\"':= "]] = True
#: Bytes that end a value.
END_OF_VALUE = np.zeros(256, np.bool_)
END_OF_VALUE[[0, *(ord(c) for c in "\"'\\ ,;}])>&\t\r\n\v")]] = True


class Tokens(NamedTuple):
    """The tokens of a block: starts and ends."""

    starts: Ints
    ends: Ints


class FieldValues(NamedTuple):
    """Values of fields: start and end, start of the field's name, and the index of the name that each belongs to."""

    starts: Ints
    ends: Ints
    names: Ints
    of: Ints

    def only(self, chosen: Flags) -> "FieldValues":
        """The chosen ones."""
        return FieldValues(*(part[chosen] for part in self))


class SeenInBlock(NamedTuple):
    """What was seen in a block, before it is decided which of it counts.

    Attributes:
        start, end, tenant: ids, in no order.
        fields: starts of the values of tenant fields.
        requests: request ids that follow a field's name.
        key_line, key, key_start, key_is_request: as in `scan.Hits`, with the zeros before the block counted.
        newlines: line ends in the reported part.
    """

    start: Ints
    end: Ints
    tenant: Ints
    fields: Ints
    requests: FieldValues
    key_line: Ints
    key: Hashes
    key_start: Ints
    key_is_request: Flags
    newlines: Ints


def values_of(data: Bytes, words: TokenWords, tokens: Tokens, names: Ints) -> FieldValues:
    r"""The values after the field names at these tokens.

    A value follows after quotes, colon or equals sign, escaped or not: `"trace_id":"T"`, `\\"trace_id\\": \\"T\\"`, `trace_id=T`.
    """
    of = np.flatnonzero((names >= 0) & (names + 1 < len(tokens.starts)))
    after = names[of] + 1
    ends, starts = tokens.ends[names[of]], tokens.starts[after]
    gap = starts - ends
    plain = (gap == 3) & ((words.at(ends) & MASKS[3]) == np.uint64(int.from_bytes(b'":"', "little")))
    other = np.flatnonzero(~plain & (gap <= MAX_GAP) & (gap > 0))
    if len(other):
        fine, assigned = np.ones(len(other), np.bool_), np.zeros(len(other), np.bool_)
        for offset in range(MAX_GAP):
            within = gap[other] > offset
            byte = data[ends[other] + offset]
            fine &= ~within | GAP[byte]
            assigned |= within & ((byte == ord(":")) | (byte == ord("=")))
        plain[other] = fine & assigned
    of, after, starts = of[plain], after[plain], starts[plain]
    value_ends = tokens.ends[after]
    for _ in range(MAX_KEY_PARTS):  # a value with separators of its own, `a.b:c`
        more = np.flatnonzero(~END_OF_VALUE[data[value_ends]] & (after + 1 < len(tokens.starts)))
        more = more[tokens.starts[after[more] + 1] == value_ends[more] + 1]
        if not len(more):
            break
        after[more] += 1
        value_ends[more] = tokens.ends[after[more]]
    return FieldValues(starts, value_ends, tokens.starts[names[of]], of)


def intents_of_signals(data: Bytes, values: FieldValues, signals: Flags) -> tuple[FieldValues, Flags]:
    """The values, with signal ids cut to the intent in them, and which of the signals hold an intent."""
    starts, ends = values.starts.copy(), values.ends.copy()
    at = np.flatnonzero(signals)
    for offset, wanted in enumerate(SIGNAL_PREFIX.encode()):
        at = at[data[starts[at] + offset] == wanted]
    starts[at] += len(SIGNAL_PREFIX)
    is_dash = data[starts[at][:, None] + np.arange(MAX_INTENT_BYTES)] == ord("-")
    ends[at] = np.where(is_dash.any(axis=1), np.minimum(starts[at] + is_dash.argmax(axis=1), ends[at]), ends[at])
    found = np.zeros(len(signals), np.bool_)
    found[at[ends[at] > starts[at]]] = True
    return values._replace(starts=starts, ends=ends), found


def platform_events(raw: bytes, data: Bytes, requests: FieldValues, newlines: Ints) -> tuple[Flags, Flags]:
    """Which of these request ids stand on Lambda's JSON lines that begin an invocation, and which on those that end one."""
    opens, closes = np.zeros(len(requests.starts), np.bool_), np.zeros(len(requests.starts), np.bool_)
    quoted = (data[requests.names - 1] == ord('"')).any()  # else nothing can match
    matches = list(_PLATFORM_EVENT.finditer(raw)) if quoted else []
    if matches:
        order = np.argsort(requests.starts, kind="stable")
        lines = np.searchsorted(newlines, requests.starts[order])
        wanted = np.searchsorted(newlines, np.array([match.start() for match in matches]) + LEAD)
        place = np.minimum(np.searchsorted(lines, wanted), len(lines) - 1)  # the first request of the line
        there = lines[place] == wanted
        starting = np.array([match[1] == b"start" for match in matches])
        opens[order[place[there & starting]]] = True
        closes[order[place[there & ~starting]]] = True
    return opens, closes


def scopes(words: TokenWords, values: FieldValues, opening: Flags, closing: Flags) -> tuple[Ints, Hashes, Flags]:
    """Lambda's `START RequestId: <id>`, `END RequestId: <id>` and `REPORT RequestId: <id>`: position, key, whether it opens.

    `opening` and `closing` are the values that JSON lines say to open or close an invocation.
    """
    starts, ends, before = values.starts, values.ends, values.names
    word = words.at(before - WORD)
    opens = (word >> np.uint64(16)) == np.uint64(int.from_bytes(b"START ", "little"))
    closes = (word >> np.uint64(32)) == np.uint64(int.from_bytes(b"END ", "little"))
    closes |= (word >> np.uint64(8)) == np.uint64(int.from_bytes(b"REPORT ", "little"))
    opens |= opening
    closes |= closing
    chosen = opens | closes
    starts, ends, opens = starts[chosen], ends[chosen], opens[chosen]
    lengths = np.minimum(ends - starts, MAX_HASHED_BYTES)
    keys = span_hashes(words, starts, lengths) if len(starts) else np.empty(0, np.uint64)
    order = np.argsort(starts, kind="stable")
    return starts[order], keys[order], opens[order]
