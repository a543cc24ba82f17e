"""What is recognised by its layout is what the strict parser reads; every other line is left to it."""

import io
import json
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.sections.replay.audit import data_file, line_layouts
from phase5_ops.sections.replay.audit.data_file import DataFile, read_data_file
from phase5_ops.sections.replay.audit.ledger_documents import LedgerDocuments
from phase5_ops.sections.replay.audit.line_layouts import LineLayouts
from phase5_ops.sections.replay.audit.usual_entries import usual_entries
from phase5_ops_tests.sections.replay.audit.exports import lines
from phase5_ops_tests.sections.replay.audit.ledgers import MINUTE, NOW_MS, dynamodb, entry


def story(number, *, indexed=True):
    """Six lines, of the same layouts whatever the number below a thousand."""
    at, trace = NOW_MS - MINUTE - number, f"trace-{number:03}"
    events = ("REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED", "SIGNAL", "POLICY_EVALUATED")
    for event in events:
        item = entry(event, at, trace=trace)
        if event == "ACTION_EXECUTED":
            item["data"] |= {"status": "SUCCEEDED", "refs": [{"system": "CRM"}], "count": 1}
        if indexed:
            item |= {"gsi1pk": f"TRACE#{trace}", "gsi1sk": item["timestamp"], "gsi2pk": item["pk"], "gsi2sk": item["timestamp"]}
        yield {"Item": dynamodb(item)}


COMPACT = [line + b"\n" for number in range(4) for line in lines(story(number)).splitlines()]
SPACED = [json.dumps(value).encode() + b"\n" for number in range(4) for value in story(number, indexed=False)]
BARE = [json.dumps(value["Item"]).encode() + b"\n" for number in range(4) for value in story(number)]


def read(content, *, quick):
    parts = []

    def documents(*arguments, quick=None, **more):
        return LedgerDocuments(*arguments, quick=quick if read.quick else None, **more)

    read.quick = quick
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_file, "LedgerDocuments", documents)
        read_data_file(DataFile("file", partial(io.BytesIO, content)), NOW_MS, parts.append)
    entries = [each for part in parts for block in part.blocks for each in block.entries(range(block.rows))]
    last = parts[-1].read
    return (
        sorted(map(repr, entries)),
        [record for part in parts for record in part.malformed],
        [sum(part.items for part in parts), parts[-1].newest, sorted(key for part in parts for key in part.keys.tolist())],
        (last.status, last.error),
    )


def recognised(content):
    """The lines that need not be parsed, and those of them whose entries are as the platform writes them."""
    ends = np.cumsum([len(line) for line in content])
    found = list(LineLayouts(json.loads).alike(b"".join(content), ends - [len(line) for line in content], ends))
    taken = [usual.rows for lines in found if (usual := usual_entries(lines, NOW_MS)) is not None]
    return [sorted(np.concatenate([*rows, ()]).tolist()) for rows in ([lines.rows for lines in found], taken)]


@pytest.mark.parametrize("content", [COMPACT, SPACED, BARE])
def test_lines_of_one_layout_are_recognised(content):
    every = list(range(len(content)))
    assert recognised([*content, b"{}\n" * 32]) == [every, every]
    assert read(b"".join(content), quick=True) == read(b"".join(content), quick=False)


@pytest.mark.parametrize(
    ("was", "written"),
    [
        (b'"trace-', b'"trace\\u002d'), (b"acme", b"acm\xff"), (b"acme", b"ac\tme"), (b"acme", b"ac\x7fme"), (b"acme", b'ac"me'),
        (b'"S":"acct-1"', b'"S":"\\ud800"'), (b"}\n", b"\n"), (b"}\n", b"} {}\n"), (b'"pk":', b'"sk":{"S":"x"},"pk":'),
        (b'{"Item":', b'{"Item":{},"Item":'), (b'"data"', b'"pk"'),
    ],
)  # fmt: skip
def test_what_a_parser_may_read_in_two_ways_is_not_recognised(was, written):
    content = [line.replace(was, written, 1) for line in COMPACT]
    assert recognised([*content, b"{}\n" * 32]) == [[], []]
    assert read(b"".join(content), quick=True) == read(b"".join(content), quick=False)


@pytest.mark.parametrize(
    ("was", "written", "taken"),
    [
        (b"ENTRY#", b"entry#", "SIGNAL"), (b'"TRACE#', b'"trace#', "SIGNAL"), (b'"S":"acct-1"', b'"S":NaN', "SIGNAL"),
        (b'"S":"acct-1"', b'"N":1e999', "SIGNAL"), (b'"tenantId":{"S":"acme"', b'"tenantId":{"S":"emca"', "SIGNAL"),
        (b'"traceId":{"S"', b'"traceId":{"B"', "SIGNAL"), (b'"timestamp":{"S":"2', b'"timestamp":{"S":"9', ""),
        (b'"timestamp":{"S"', b'"timestamp":{"N"', ""), (b'"ACTION_EXECUTED"', b'"action_executed"', "REPLAY EXECUTION SIGNAL"),
        (b'"SIGNAL"', b'"signal"', "REPLAY EXECUTION ACTION signal"), (b'"SIGNAL"', b'"      "', "REPLAY EXECUTION ACTION"),
    ],
)  # fmt: skip
def test_only_entries_in_which_nothing_is_odd_are_taken_without_a_close_look(was, written, taken):
    content = [line.replace(was, written, 1) for line in COMPACT]
    found = recognised([*content, b"{}\n" * 32])[1]
    kinds = {re.search(rb'"eventType":{"S":"([A-Za-z]+)', content[int(row)])[1].decode() for row in found}
    assert kinds - {"POLICY"} == set(taken.split())
    assert read(b"".join(content), quick=True) == read(b"".join(content), quick=False)


CHANGES = st.one_of(
    st.tuples(st.just("byte"), st.integers(0, 2000), st.sampled_from(b'"\\{}[],: \tzT0#-\x80\xff\x00')),
    st.tuples(st.just("cut"), st.integers(0, 2000), st.integers(1, 30)),
    st.tuples(st.just("copy"), st.integers(0, 2000), st.integers(1, 60)),
    st.tuples(
        st.just("word"),
        st.sampled_from(
            [
                (b"acme", b"emca"), (b'"pk"', b'"sk"'), (b'"sk"', b'"s\\u006b"'), (b"TENANT#", b"TENANT "), (b"T", b"t"),
                (b"2026-11", b"2026-13"), (b"\n", b"\r\n"), (b"2026-", b"2999-"), (b"2026-", b"0000-"), (b"T1", b" 1"),
                (b"Z#entry", b"Z-entry"), (b'{"S":"trace', b'{"N":"trace'), (b"SIGNAL", b"REPLAY"), (b"NULL", b"null"),
                (b"ACTION_EXECUTED", b"REPLAY_EXECUTED"), (b"EXECUTION_STARTED", b"execution_started"), (b"count", b"refs0"),
                (b"trace-", b"      "), (b"entryId", b"eventId"), (b"data", b'pk":{"S":"x"},"data'), (b"acct-1", b"acct\x7f1"),
                (b"acct-1", "ac\u00e7t1".encode()), (b'"S":"acct-1"', b'"S":NaN'), (b'"S":"acct-1"', b'"N":1e999'),
                (b'"S":"acct-1"', b'"S":123456789012345678901234567890'), (b"acct-1", b"\\ud800"), (b"acct-1", b"\\u0041-1"),
                (b'{"S":"acct-1"}', b'{"S":"acct-1","S":"acct-2"}'), (b'"gsi1pk":{"S":"T', b'"gsi1pk":{"S":"t'),
            ]
        ),
        st.just(0),
    ),
)  # fmt: skip


def changed(line, change):
    kind, what, more = change
    if kind == "word":
        return line.replace(*what)
    at = what % len(line)
    if kind == "byte":
        return line[:at] + bytes([more]) + line[at + 1 :]
    return line[:at] + line[at + more :] if kind == "cut" else line[: at + more] + line[at:]


@given(
    st.sampled_from([COMPACT, SPACED, BARE]),
    st.lists(st.tuples(st.integers(0, 23), st.lists(CHANGES, max_size=2)), max_size=4),
    st.sampled_from([1, 4]),
)
@settings(max_examples=250, deadline=None)
def test_lines_that_differ_from_a_layout_are_read_as_the_parser_reads_them(content, odd, fewest):
    made = [*content]
    for number, changes in odd:
        line = content[number]
        for change in changes:
            line = changed(line, change) or line
        made.append(line)
    made += content[:6]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_layouts, "_FEWEST", fewest)
        quick = read(b"".join(made), quick=True)
    assert quick == read(b"".join(made), quick=False)


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_where_blocks_end_makes_no_difference(monkeypatch, size):
    content = b"".join(COMPACT) + b"\n" + b"".join(SPACED).rstrip()
    whole = read(content, quick=False)
    for name in ("_READ_BYTES", "_BLOCK_BYTES"):
        monkeypatch.setattr(f"phase5_ops.sections.replay.audit.ledger_documents.{name}", size)
        assert read(content, quick=True) == whole


@pytest.mark.parametrize("longest", [200, 700, 720, 5000])
def test_a_line_that_is_too_long_ends_the_reading_alike(monkeypatch, longest):
    monkeypatch.setattr("phase5_ops.sections.replay.audit.ledger_documents.LINE_BYTES", longest)
    content = b"".join([*COMPACT[1:3], COMPACT[4], b"x" * 5000 + b"\n", *COMPACT[:6]])
    assert read(content, quick=True) == read(content, quick=False)
