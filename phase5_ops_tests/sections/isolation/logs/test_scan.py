import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phase5_ops.input_files.archives import blocks
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.scan import LineScanner
from phase5_ops.sections.isolation.logs.tokens import LOOKAHEAD, LOOKBEHIND, HashKey, key_hash, key_hashes
from phase5_ops_tests.sections.isolation.logs.naive_log_scan import as_rows, naive_hits

pytestmark = pytest.mark.slow

PIECES = [
    "a",
    "acme",
    "acme-eu",
    "acme6-eu",
    "Kunde.12",
    "Kunde",
    "12",
    "org_1f",
    "x@y.z",
    "y.z",
    "mü",
    "ß",
    "日本",
    "a b",
    "é",
    ".",
    "::",
    "(a|b)*",
    "tenant_id",
    "trace_id",
    "null",
    "-",
    "_",
    "7",
    "tenant-00001",
    "0f8fad5b-d9cd-469f-a165-70867728950e",
    "\\",
    '"',
    "%2F",
    "\\n",
    "\\t",
    "\\u0022",
    "\n",
    "\r\n",
    "\x00",
    " ",
    "/",
    "#",
    "TENANT#",
    '":"',
    "“",
    "\u0301",
    "n",
    "u",
    "22",
    "٣",
]
REQUEST = b"258a907b-ec90-43a2-8a89-66aa9c1cc52f"
IDS = st.lists(
    st.one_of(
        st.sampled_from([piece for piece in PIECES if piece.strip() and "\n" not in piece]),
        st.lists(st.sampled_from([p for p in PIECES if "\n" not in p]), min_size=1, max_size=4).map("".join).filter(str.strip),
        st.text("ab1.-_é ", min_size=1, max_size=20).filter(str.strip),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)
NOISE = [b"\xff", b"\xc3", b"\xe6\x97", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xc0\xaf"]


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    ids = draw(IDS)
    part = st.one_of(st.sampled_from(ids).map(str.encode), st.sampled_from(PIECES).map(str.encode), st.sampled_from(NOISE))
    return b"".join(draw(st.lists(part, max_size=30))), ids


@settings(max_examples=600)
@given(logs())
@example((b"tenant acme-eu", ["acme"]))
@example((b"Kunde.12 Kunde.123 Kunde.1", ["Kunde.12", "Kunde"]))
def test_every_hit_of_the_naive_reference_is_found_and_no_other(case: tuple[bytes, list[str]]):
    data, ids = case
    assert sorted(as_rows(LineScanner(TenantDictionary(tuple(ids))).scan(data))) == naive_hits(data, ids)


@settings(max_examples=100)
@given(logs(), st.integers(1, 40), st.integers(0, 2000))
def test_cutting_into_blocks_and_cutting_long_lines_changes_nothing(case: tuple[bytes, list[str]], size: int, longest: int):
    data, ids = case
    scanner = LineScanner(TenantDictionary(tuple(ids)))
    data = data * 20
    found, line, offset = [], 0, 0
    for block in blocks(io.BytesIO(data), lookbehind=LOOKBEHIND, lookahead=LOOKAHEAD, size=size * 10, longest=longest):
        hits = scanner.scan(block.raw, begin=block.begin, stop=block.stop)
        found += [(n + line, a + offset - block.begin, b + offset - block.begin, i) for n, a, b, i in as_rows(hits)]
        line += hits.lines
        offset += block.stop - block.begin
    assert sorted(found) == sorted(as_rows(scanner.scan(data)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"tenant_id":"acme"}', [True]),
        (b'{"tenantId": "acme"}', [True]),
        (rb'{"body":"{\"tenant_id\":\"acme\"}"}', [True]),
        (rb'{"body":"{\\\"tenantId\\\": \\\"acme\\\"}"}', [True]),
        (b"tenant_id=acme", [True]),
        (b"tenantId: 'acme'", [True]),
        (b'{"tenant_id":null,"x":"acme"}', [False]),
        (b'{"account_id":"acme"}', [False]),
        (b"TENANT#acme", [False]),
    ],
)
def test_the_value_of_a_tenant_field_is_told_from_other_places(line: bytes, expected: list[bool]):
    assert LineScanner(TenantDictionary(("acme",))).scan(line).in_field.tolist() == expected


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (b"a null line", 0),
        (b'{"tenant_id":"null"}', 1),
        (b"TENANT#null#ACCOUNT#a1", 1),
        (b"s3://bucket/audit-exports/null/exp-1.json", 1),
        (b"execution://null/acct/ai_1", 1),
        (b"path /null/x", 0),
    ],
)
def test_an_id_too_common_for_free_text_counts_in_structured_places_only(line: bytes, count: int):
    assert len(LineScanner(TenantDictionary(("null",), frozenset({0}))).scan(line).line) == count


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (b'{"trace_id":"trace-1-ab","action_intent_id":"ai_1_x"}', [("trace-1-ab", False), ("ai_1_x", False)]),
        (rb'{"m":"{\"traceId\":\"t.1:x\"}"}', [("t.1:x", False)]),
        (
            b"2026-11-23T09:08:03.525Z\t258a907b-ec90-43a2-8a89-66aa9c1cc52f\tINFO\tx",
            [("258a907b-ec90-43a2-8a89-66aa9c1cc52f", True)],
        ),
        (b"START RequestId: " + REQUEST + b" Version: 1", [(REQUEST.decode(), True)]),
        (b'{"signalId":"exec-ai_1_x-acct-a1-ACTION_EXECUTED"}', [("ai_1_x", False)]),
        (b'{"signalId":"other-1"}', []),
        (b'{"requestId":"r-1"}', [("r-1", True)]),
        (b'{"trace_id":"unknown","action_intent_id":null}', []),
        (b"executionTraceId=trace-9, more", [("trace-9", False)]),
    ],
)
def test_traces_intents_and_requests_of_a_line_are_found(line: bytes, keys: list[tuple[str, bool]]):
    hits = LineScanner(TenantDictionary(("acme",))).scan(line)
    assert list(zip(hits.key.tolist(), hits.key_is_request.tolist(), strict=True)) == [(key_hash(k), r) for k, r in keys]
    assert key_hashes([k for k, _ in keys]).tolist() == hits.key.tolist()


def test_start_opens_an_invocation_and_end_or_report_closes_it():
    log = b"START RequestId: r-1 Version: 1\nx\nEND RequestId: r-1\nREPORT RequestId: r-1\tDuration: 1 ms\n"
    hits = LineScanner(TenantDictionary(("acme",))).scan(log)
    assert list(zip(hits.scope_line.tolist(), hits.scope_opens.tolist(), strict=True)) == [(0, True), (2, False), (3, False)]


def test_ten_thousand_ids_that_share_both_ends_are_told_apart():
    ids = tuple(f"customer-{n:06d}-production" for n in range(10_000))
    log = "\n".join(ids[::-1]).encode()
    assert LineScanner(TenantDictionary(ids)).scan(log).tenant.tolist() == list(range(9_999, -1, -1))


def test_scans_with_one_secret_hash_alike_and_scans_with_another_do_not():
    line = b'"trace_id":"trace-1"'
    one, same, other = (LineScanner(TenantDictionary(("acme",)), HashKey(secret)) for secret in (b"1", b"1", b"2"))
    assert one.scan(line).key.tolist() == same.scan(line).key.tolist() == [key_hash("trace-1", HashKey(b"1"))]
    assert other.scan(line).key.tolist() == [key_hash("trace-1", HashKey(b"2"))] != one.scan(line).key.tolist()


@pytest.mark.parametrize("length", [256, 257, 768, 784, 785, 5_000])
def test_a_request_id_of_any_length_opens_an_invocation(length: int):
    hits = LineScanner(TenantDictionary(("acme",))).scan(b"START RequestId: " + b"x" * length + b" Version: 1\n")
    assert (hits.scope_line.tolist(), hits.scope_opens.tolist()) == ([0], [True])
