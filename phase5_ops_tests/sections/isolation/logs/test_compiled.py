"""The compiled loops find what the operations on whole arrays find, in the same order, whatever the text."""

import io
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phase5_ops.input_files import log_parts, packed_text
from phase5_ops.input_files.log_parts import LogParts
from phase5_ops.sections.isolation.logs import attribution, tokens
from phase5_ops.sections.isolation.logs.attribution import OwnerTable
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.scan import Hits, LineScanner
from phase5_ops_tests.sections.isolation.logs.test_scan import IDS, NOISE, PIECES, REQUEST

pytestmark = pytest.mark.slow

FIELDS = [
    *['"tenantId":"', "tenant_id=", '\\"traceId\\": \\"', '"trace_id":"', "action_intent_id", "signalId: "],
    *[
        "exec-ai_1_x-acct-a1-X",
        "exec-",
        "exec",
        '"requestId":"',
        "RequestId: ",
        "START ",
        "END ",
        "REPORT ",
        '"type":"platform.start",',
        "r-1",
        "unknown",
    ],
    *["\t" + REQUEST.decode() + "\t", "t.1:x", "a.b.c.d.e.f.g.h.i.j.k", "x" * 257, "x" * 800, "=", ":", " ", '"', ",", "TENANT#"],
]


@pytest.fixture(scope="module", autouse=True)
def loops():
    """The loops, loaded for this module alone."""
    tokens.LOOPS.load()
    yield tokens.LOOPS.loaded
    tokens.LOOPS.loaded = None


def by_arrays(work):
    """What the work gives without the loops."""
    loaded, tokens.LOOPS.loaded = tokens.LOOPS.loaded, None
    try:
        return work()
    finally:
        tokens.LOOPS.loaded = loaded


def assert_same(one: Hits, other: Hits) -> None:
    for each in fields(Hits):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, np.ndarray):
            assert (each.name, a.dtype, a.tolist()) == (each.name, b.dtype, b.tolist())
        else:
            assert (each.name, a) == (each.name, b)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[bytes, list[str], int, int]:
    """A block, ids, and the bounds of what is reported on."""
    ids = draw(IDS)
    texts = st.one_of(st.sampled_from(ids), st.sampled_from(PIECES), st.sampled_from(FIELDS), st.sampled_from(FIELDS))
    data = b"".join(draw(st.lists(st.one_of(texts.map(str.encode), st.sampled_from(NOISE)), max_size=40)))
    begin = draw(st.integers(0, len(data)))
    return data, ids, begin, draw(st.integers(begin, len(data)))


@settings(max_examples=400)
@given(blocks())
@example((b"", ["acme"], 0, 0))
@example((b'"tenant_id":"trace_id":"acme.b"', ["acme", "trace_id"], 0, 31))
@example((b'"signalId":"exec-ai_1-x","signalId":"exec-"', ["acme"], 0, 43))
@example((b" " * 8_170 + b'"tenantId":"acme"\nacme acme-eu ' * 300, ["acme", "acme-eu"], 8_171, 17_000))
@example((b" " * 8_170 + b'"tenantId":"acme"\nacme \xc3\xa4acme acme.' * 300, ["acme", "acme."], 0, 17_000))
def test_both_engines_find_the_same(case: tuple[bytes, list[str], int, int]):
    data, ids, begin, stop = case
    dictionary = TenantDictionary(tuple(ids), frozenset({0}))
    compiled, arrays = LineScanner(dictionary), LineScanner(dictionary)
    found = compiled.scan(data, begin=begin, stop=stop)
    assert compiled._compiled is not None
    assert_same(found, by_arrays(lambda: arrays.scan(data, begin=begin, stop=stop)))
    assert arrays._compiled is None


def test_a_block_with_more_of_something_than_memory_was_set_aside_for_is_scanned_by_arrays():
    scanner = LineScanner(TenantDictionary(tuple("abcdefgh")))
    text = b"a b c d " * 4_000
    assert scanner._compiled is None
    found = scanner.scan(text)
    assert scanner._compiled is not None
    assert found.start.tolist() == list(range(0, len(text), 2))


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=30), max_size=6))
def test_owners_are_kept_and_forgotten_alike(batches: list[list[tuple[int, int]]]):
    def after() -> list[object]:
        table = OwnerTable(limit=20)
        said: list[object] = []
        for batch in batches:
            keys = np.array([key for key, _ in batch], np.uint64)
            table.add(keys, np.array([owner for _, owner in batch], np.int64))
            said.append((len(table), table.forgotten, table.get(np.arange(42, dtype=np.uint64)).tolist()))
        return said

    assert after() == by_arrays(after)
    assert attribution.LOOPS is tokens.LOOPS


@given(st.lists(st.sampled_from([b"H4sI", b"KLUv", b"Qlpo", b"/Td6", b"UEsD", b"eyJt", b"eyJ", b"a", b"4sI", b" "]), max_size=8))
def test_the_quick_look_for_packed_data_is_the_same(pieces: list[bytes]):
    text, quick = b"".join(pieces), packed_text.BYTE_LOOPS
    arrays = packed_text._may_begin(text)
    quick.load()
    try:
        assert packed_text._may_begin(text) == arrays
    finally:
        quick.loaded = None


LINES = [
    b"\n",
    b"{",
    b"[",
    b'"',
    b'{"logGroup":',
    b'{"events":[]}',
    b"[2",
    b"{9",
    b"\r\n",
    b"\xef\xbb\xbf{",
    b"text ",
    b" ",
    b"\xbb",
]


@given(st.lists(st.sampled_from(LINES), max_size=12), st.sampled_from([0, 4_090, 4_094, 8_190]), st.booleans(), st.booleans())
def test_the_quick_look_for_documents_finds_the_same_beginning(pieces: list[bytes], before: int, line_start: bool, passed: bool):
    chunk = b"x" * before + b"".join(pieces) + b"y"

    def first() -> int | None:
        parts = LogParts(io.BytesIO(), lookbehind=0, lookahead=0)
        parts._line_start, parts._passed = line_start, passed
        return parts._beginning(chunk)

    arrays, quick = first(), log_parts.BYTE_LOOPS
    quick.load()
    try:
        assert first() == arrays
    finally:
        quick.loaded = None
