"""Ids behind encodings: which are known, that decoding makes no lawful line a finding, and that it agrees with the reference."""

import base64
import html
import io
import json
import random
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phase5_ops.input_files.archives import blocks
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.edits import Layer
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops_tests.sections.isolation.logs.naive_log_scan import as_rows, naive_layered_hits

pytestmark = pytest.mark.slow

IDS = ("acme", "acme-eu", "globex-x", "mü ller", "a/b.c", "ops@acme.example", "日本-1", "Müller_GmbH", "😀-ops")


def percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def in_utf16(form: str) -> Callable[[str], str]:
    return lambda text: "".join(
        form % int.from_bytes(text.encode("utf-16-be")[n : n + 2], "big") for n in range(0, len(text.encode("utf-16-be")), 2)
    )


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as written": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "\\u": in_utf16("\\u%04x"),
    "\\U": lambda text: "".join(f"\\U{ord(letter):08X}" for letter in text),
    "\\u{}": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "\\x": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "\\ooo": lambda text: "".join(
        letter if ord(letter) < 128 else f"\\{ord(letter):o}" for letter in text.encode().decode("latin-1")
    ),
    "regex": lambda text: "".join("\\" + letter if letter in "-./@_" else letter for letter in text),
    "address": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "percent": percent,
    "%u": in_utf16("%%u%04x"),
    "lower case percent": lambda text: "".join(c if c.isalnum() and c.isascii() else percent(c) for c in text),
    "entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "entities of signs": lambda text: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in text),
    "XML": html.escape,
    "bold half": lambda text: text[:2] + "\x1b[1;31m" + text[2:] + "\x1b[0m",
    "colours as text": lambda text: f"\\u001b[32m{text}\\u001b[39m",
    "colours of a shell": lambda text: f"\\033[1m{text}\\e[0m",
    "colours as cat shows them": lambda text: f"^[[31m{text}^[[0m",
    "NUL": "\0".join,
    "NUL as text": lambda text: f"\\x00{text}\\u0000",
    "zero width": "\u200b".join,
    "soft hyphen": "\u00ad".join,
    "direction marks": lambda text: f"\u202a{text[:1]}\u200e{text[1:]}\u202c",
}
names = st.sampled_from(sorted(ENCODINGS))


def scanner(ids: tuple[str, ...] | list[str] = IDS, **options: bool) -> LayeredScanner:
    return LayeredScanner(TenantDictionary(tuple(ids)), **options)


def found(line: str, ids: tuple[str, ...] = IDS, **options: bool) -> list[str]:
    return [ids[tenant] for *_, tenant in as_rows(scanner(ids, **options).scan(line.encode("utf-8", "surrogatepass")))]


@pytest.mark.parametrize("outer", sorted(ENCODINGS))
def test_each_id_is_found_in_each_encoding_of_each_encoding_and_no_other_is(outer: str):
    written = [(inner, tenant) for inner in sorted(ENCODINGS) for tenant in range(len(IDS))]
    lines = [f"x {ENCODINGS[outer](ENCODINGS[inner](IDS[tenant]))} y" for inner, tenant in written]
    hits = scanner().scan("\n".join(lines).encode())
    found = [(written[line][0], line, tenant) for line, tenant in zip(hits.line.tolist(), hits.tenant.tolist(), strict=True)]
    assert found == [(inner, line, tenant) for line, (inner, tenant) in enumerate(written)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tenant=globex%2Dx", ["globex-x"]),
        ("globex%252525252525252dx", ["globex-x"]),  # as many layers as are taken off
        ("m%c3%bc+ller m%C3%bc%20ller", ["mü ller", "mü ller"]),
        ("mu\u0308 ller", ["mü ller"]),  # letter and accent
        ("acme&hyphen;eu", ["acme"]),  # a hyphen of its own kind separates words, as it does unencoded
        ("acme&amp;#45;eu", ["acme-eu"]),
        ("acme-eu&nbsp;&lt;acme&gt;", ["acme-eu", "acme"]),
        ("\x1b]8;;http://x/acme\x1b\\acme-eu\x1b]8;;\x1b\\", ["acme", "acme-eu"]),  # address and text of a link
        ("key\0acme\0other\0globex-x\0", ["acme", "globex-x"]),  # fields between NUL bytes
        ("\x1b[1mINFO\x1b[0macme", ["acme"]),  # a colour may be all that separates words
        # what is beside an id is told from the decoded text
        ("acme%2Deu acme\\u002deu acme&#45;eu acme\\x2deu acme\\-eu", ["acme-eu"] * 5),
        ("acme%2Dzz my%2Dacme \\u0061acme acme\\u00e9 acme&#97; acmeo\u0301", []),
        ("ac%20me a%0Acme ac\\nme", []),
        ("acme%20x %2Facme\\nacme\\u0022acme\\u0022", ["acme"] * 4),
        # what is no whole code stays as it is
        ("100%acme 5%de-x acme%zz \\u00zacme", ["acme", "acme"]),
        ("C:\\acme\\new", ["acme"]),
        ("acme%C3 acme\\ud83d acme%ff", ["acme"] * 3),
        # not looked at, and the charter says so
        ("acme=2Deu", ["acme"]),
        ("glo\nbex-x", []),
        ("GLOBEX-X", []),
        (base64.b64encode(b"globex-x").decode(), []),
    ],
)
def test_what_is_found_behind_encodings(line: str, expected: list[str]):
    assert found(line) == expected


def test_a_letter_and_its_accent_are_one_letter_at_the_end_of_an_id_too():
    assert found("mu\u0308 e\u0301", ("mu", "e")) == []
    assert found("Mu\u0308ller", ("Müller", "Mu", "ller")) == ["Müller"]


def test_an_id_that_looks_like_an_encoding_is_found_as_it_stands():
    ids = ("a%2Fb", "a/b", "41cme", "u0041", "a+b c")
    assert found("a%2Fb", ids) == ["a%2Fb"]
    assert found("a%252Fb a\\/b", ids) == ["a%2Fb", "a/b"]
    assert found("%41cme", ids) == ["41cme"]
    assert found("a%2Bb+c a%2bb%20c", ids) == ["a+b c", "a+b c"]


def test_letter_case_and_base64_are_looked_through_where_policy_asks():
    assert found("GLOBEX-X Acme%2DEU MÜ+LLER", any_case=True) == ["globex-x", "acme-eu", "mü ller"]
    assert found("ACME Acme", ("acme", "Acme"), any_case=True) == ["Acme"]  # what could be either is nobody's
    for text in ("globex-x", '{"tenant":"globex-x"}', "globex%2Dx", "xx globex-x yy"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            run = encode(text.encode()).decode()
            assert found(f"body={run} z", base64=True) == ["globex-x"]
            assert found(f"/bucket/{run.rstrip('=')}/key", base64=True) == ["globex-x"]
    assert found("my-" + base64.b64encode(b"acme-eu and more").decode(), base64=True) == ["acme-eu"]
    run = base64.b64encode(b"ab?globex-x?" * 3).decode()
    assert "/" in run
    assert found(f"{quote(run, safe='')} z", base64=True) == ["globex-x"] * 3  # its own signs are bared first
    assert found(json.dumps({"body": run}).replace("/", "\\/"), base64=True) == ["globex-x"] * 3
    long = base64.b64encode(b"some words, " * 4000 + b"globex-x" + b" and some more" * 4000).decode()
    assert found(f"body={long}", base64=True) == ["globex-x"]
    both = base64.b64encode(b'{"tenant_id":"acme","note":"globex%2dx, acme-eu"}').decode()
    assert found(f"body={both}", base64=True) == ["acme", "globex-x", "acme-eu"]  # not only the first of a run


def test_a_hit_says_how_it_is_written_how_it_reads_and_what_hid_it():
    raw = b"\nx acme%2Deu \x1b[1mglobex-x"
    hits = scanner().scan(raw)
    assert [raw[a:b] for _, a, b, _ in as_rows(hits)] == [b"acme%2Deu", b"globex-x"]
    assert [hits.decoded[n].text for n in (0, 1)] == [b"acme-eu", b"globex-x"]
    assert hits.decoded[0].layers == Layer.PERCENT | Layer.TERMINAL  # of its line


def test_fields_traces_and_structured_places_are_read_behind_encodings():
    line = json.dumps({"body": json.dumps({"tenant_id": "null", "trace_id": "trace-1"})}).replace('\\"', "\\u0022")
    hits = LayeredScanner(TenantDictionary(("null",), frozenset({0}))).scan(line.encode())
    assert (hits.in_field.tolist(), len(hits.key)) == ([True], 1)
    plain = LayeredScanner(TenantDictionary(("null",))).scan(b'"trace_id":"trace-1"')
    assert hits.key.tolist() == plain.key.tolist()
    shared = LayeredScanner(TenantDictionary(("null",))).scan(b'"trace_id":"trace\\u002d1"')
    assert shared.key.tolist() == plain.key.tolist()  # the whole trace, and not what stands before the code


def test_what_is_encoded_deeper_than_is_looked_is_counted():
    assert scanner().scan(f"a\nglobex%{'25' * 8}2dx\n".encode()).too_deep == 1
    assert scanner().scan(f"a\nglobex%{'25' * 7}2dx\n".encode()).too_deep == 0


PIECES = [
    *(
        "acme",
        "-",
        "eu",
        "acme-eu",
        "x",
        "_",
        " ",
        ".",
        "/",
        "+",
        "=",
        ":",
        ";",
        "#",
        "\n",
        "\r\n",
        "n",
        "u",
        "2d",
        "41",
        "%",
        "&",
        "\\",
    ),
    *(
        "[",
        "[31m",
        "\x1b",
        "^[",
        "\x1b[0m",
        "\x1b]8;;",
        "\x1b\\",
        "\x1b(B",
        "\0",
        "\u200b",
        "\u00ad",
        "\u0301",
        "e",
        "é",
        "日",
        "\u3164",
    ),
    *(
        "%2D",
        "%2d",
        "%252D",
        "%C3",
        "%a9",
        "%20",
        "%0a",
        "%00",
        "%u00e9",
        "\\u002d",
        "\\u002D",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "\\u{2d}",
    ),
    *(
        "\\x2d",
        "\\xc3",
        "\\xa9",
        "\\xe9",
        "\\303",
        "\\251",
        "\\033[1m",
        "\\e[",
        "\\0",
        "\\n",
        "\\t",
        '\\"',
        "\\/",
        "\\-",
        "\\\\",
        "\\U0000002d",
    ),
    *("&#45;", "&#x2d;", "&#45", "&amp;", "&lowbar;", "&shy;", "&#0;", "&eacute;", '"', "trace_id", "tenant_id"),
]
NOISE = [b"\xff", b"\xc3", b"\xe6\x97", b"\xe2\x80"]


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    id_part = st.sampled_from(["acme", "eu", "-", "x", "e", "é", "日", ".", " ", "/", "+", "_", "41"])
    ids = draw(
        st.lists(
            st.lists(id_part, min_size=1, max_size=4).map("".join).filter(lambda name: any(c.isalnum() for c in name)),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    encoded = st.builds(lambda name, one, two: ENCODINGS[two](ENCODINGS[one](name)), st.sampled_from(ids), names, names)
    part = st.one_of(encoded.map(str.encode), st.sampled_from(PIECES).map(str.encode), st.sampled_from(NOISE))
    return b"".join(draw(st.lists(part, max_size=12))), ids


@settings(max_examples=400)
@given(logs())
@example((b"acme%2Deu acme%2Dx %2Dacme", ["acme", "acme-eu"]))
@example((b"\x1b\\\\u002dacme", ["acme"]))
@example((b"x\x1b\\\\e[\\u{5c}033[1m_41\\U0000002d", ["_41"]))  # the backslash of a terminal sequence escapes nothing
@example((b"\\%E6%97%A5%C2%AD%E6%97%A5", ["\u65e5\u65e5"]))  # an escaped sign begins no code, nor is half a letter one
@example((b"%00\\%u00e9%u0078", ["\u00e9x"]))
@example(("-\\^\u200b[[31m\u65e5\u65e5^[[0m".encode(), ["\u65e5\u65e5"]))
@example((b"\\\\%u0025%u0075%u0030%u0030%u0036%u0031cme", ["acme"]))
def test_every_line_names_the_tenants_that_the_naive_reference_finds_and_no_others(case: tuple[bytes, list[str]]):
    data, ids = case
    found = {(line, tenant) for line, _, _, tenant in as_rows(scanner(ids).scan(data))}
    assert found == {(line, tenant) for line, _, _, tenant in naive_layered_hits(data, ids)}


@settings(max_examples=60)
@given(logs(), st.integers(60, 600), st.integers(0, 1500))
def test_cutting_into_blocks_and_cutting_long_lines_changes_nothing(case: tuple[bytes, list[str]], size: int, longest: int):
    data, ids = case
    every, data = scanner(ids), data * 10
    rows, line, offset = [], 0, 0
    for block in blocks(io.BytesIO(data), lookbehind=1024, lookahead=1024, size=size, longest=longest):
        hits = every.scan(block.raw, begin=block.begin, stop=block.stop)
        rows += [(n + line, a + offset - block.begin, b + offset - block.begin, i) for n, a, b, i in as_rows(hits)]
        line += hits.lines
        offset += block.stop - block.begin
    assert sorted(rows) == sorted(as_rows(every.scan(data)))


def test_lawful_lines_of_a_platform_whose_ids_nest_are_no_findings_in_any_encoding():
    chosen, ids = random.Random(5), ("acme", "acme-eu", "acme-eu-2", "eu", "acme_eu", "acme.eu")
    written = [(name, chosen.choice(list(ENCODINGS)), inner) for name in ids for inner in ENCODINGS for _ in range(4)]
    lines = [f"for {ENCODINGS[outer](ENCODINGS[inner](name))}, done" for name, outer, inner in written]
    hits = scanner(ids).scan("\n".join(lines).encode())
    found = [(*written[line], line, ids[tenant]) for line, tenant in zip(hits.line.tolist(), hits.tenant.tolist(), strict=True)]
    assert found == [(*how, line, how[0]) for line, how in enumerate(written)]
