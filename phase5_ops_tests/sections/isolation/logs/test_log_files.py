"""Every byte of a log file is accounted for: scanned as what it is, or its file is named as not read."""

import gzip
import itertools
import json
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.input_files import log_documents, log_parts
from phase5_ops.input_files.log_documents import envelope_lines
from phase5_ops.policy import LogScanPolicy
from phase5_ops.sections.isolation.logs.files import scan_files
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.places import FIELD_CASES
from phase5_ops_tests.sections.isolation.logs.log_shapes import GROUP, PACKINGS, SHAPES, TENANTS, UNKNOWN, Invocation

pytestmark = pytest.mark.slow

CASES = FIELD_CASES / "logs"
A, B, LEAK = Invocation(1, "acme"), Invocation(2, "globex"), Invocation(3, "acme", leaks=True)


def scan(*paths: Path, ids: tuple[str, ...] = TENANTS) -> Judgement:
    return scan_files([str(path) for path in paths], list(ids), LogScanPolicy())


def codes(judgement: Judgement) -> list[str]:
    return sorted(finding.code for finding in judgement.findings)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["good.log"], Verdict.PASS),
        (["bad.log"], Verdict.FAIL),
        (["good.log", "bad.double.gz"], Verdict.FAIL),
        (["good.log", "bad.zip"], Verdict.FAIL),
        (["good.log", "bad.log.bz2"], Verdict.FAIL),
        (["firehose_ok"], Verdict.PASS),
        (["firehose_newline_ok"], Verdict.PASS),
        (["firehose_bad"], Verdict.FAIL),
        (["firehose_ok", "firehose_bad"], Verdict.FAIL),
        (["lambda_json_bad.log"], Verdict.FAIL),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_a_field_case_has_its_right_value(names: list[str], expected: Verdict):
    ids = tuple((CASES / "tenants.txt").read_text().split())
    assert scan(*(CASES / name for name in names), ids=ids).verdict == expected


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("packing", sorted(PACKINGS))
def test_every_shape_is_read_in_every_packing(shape: str, packing: str, tmp_path: Path):
    file = tmp_path / "file"
    for invocations, expected in (((A, B), Verdict.PASS), ((B, LEAK), Verdict.FAIL), ((LEAK, B), Verdict.FAIL)):
        file.write_bytes(PACKINGS[packing](SHAPES[shape](*invocations).encode()))
        judgement = scan(file)
        assert judgement.verdict == expected, judgement.findings
        assert set(codes(judgement)) <= {"foreign_tenant_in_log"}


@pytest.mark.parametrize("unknown", sorted(UNKNOWN))
def test_what_is_not_known_is_named_wherever_it_is(unknown: str, tmp_path: Path):
    good, data = tmp_path / "good.log", UNKNOWN[unknown](SHAPES["text"](B, LEAK).encode())
    good.write_text(SHAPES["text"](A, B))
    for name, content in (
        ("alone", data),
        ("after text", good.read_bytes() + data),
        ("after text.gz", gzip.compress(good.read_bytes() + data)),
    ):
        if unknown == "unknown document" and name != "alone":
            continue  # there it is what a function printed, and one event
        if unknown == "another encoding" and name == "alone":
            pass
        file = tmp_path / name
        file.write_bytes(content)
        judgement = scan(good, file)
        assert judgement.verdict not in (Verdict.PASS, Verdict.WARN), name
        assert any(finding.subject.startswith(str(file)) for finding in judgement.findings), name
        file.unlink()


def test_text_after_text_of_another_width_is_seen_or_named(tmp_path: Path):
    file, wide, narrow = tmp_path / "file", SHAPES["text"](A, B).encode("utf-16"), SHAPES["text"](B, LEAK).encode()
    file.write_bytes(wide + narrow)
    judgement = scan(file)
    assert (judgement.verdict, codes(judgement)) == (Verdict.ERROR, ["log_group_unreadable"])  # and what came before is judged
    file.write_bytes(SHAPES["text"](A, B).encode() + SHAPES["text"](B, LEAK).encode("utf-16"))
    assert scan(file).verdict not in (Verdict.PASS, Verdict.WARN)


def test_an_event_of_an_envelope_is_shown_with_its_group_stream_time_and_file(tmp_path: Path):
    file = tmp_path / "delivered"
    file.write_text(SHAPES["envelopes joined"](B, LEAK))
    (finding,) = scan(file).findings
    assert finding.subject == f"{GROUP} stream-3 in {file} line 8, 2026-11-23T09:08:03.002Z"


def test_envelopes_that_are_read_as_lines_say_the_same_as_event_by_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of several groups and streams, with messages of several lines, and one envelope among them that is not read so."""
    texts = []
    for number in range(60):
        invocation = Invocation(number, TENANTS[number % len(TENANTS)], leaks=number in {7, 41})
        events = [
            {**event, "message": f"{event['message']}\r\n" if number % 3 else event["message"]} for event in invocation.events()
        ]
        if number == 20:
            events[0]["more"] = 1
        about = {"messageType": "DATA_MESSAGE", "logGroup": f"{GROUP}-{number // 25}", "logStream": f"s-{number % 4}"}
        texts.append(json.dumps({**about, "logEvents": events}, separators=(",", ":")))
    file = tmp_path / "delivered"
    file.write_text("".join(texts))
    late, taken = log_documents.BYTE_LOOPS, list[bool]()
    monkeypatch.setattr(late, "loaded", late.loaded)
    late.load()
    monkeypatch.setattr(log_parts, "envelope_lines", lambda text: taken.append(bool(found := envelope_lines(text))) or found)
    by_lines = scan(file)
    assert (taken.count(True), taken.count(False), by_lines.verdict) == (58, 2, Verdict.FAIL)
    monkeypatch.setattr(log_parts, "envelope_lines", lambda _: None)
    assert scan(file) == by_lines


def test_streams_go_on_from_one_envelope_and_file_to_the_next(tmp_path: Path):
    head, tail = LEAK.events()[:2], LEAK.events()[2:]
    for name, events in (("1", head), ("2", tail)):
        envelope = {"messageType": "DATA_MESSAGE", "logGroup": GROUP, "logStream": "s", "logEvents": events}
        (tmp_path / name).write_text(json.dumps(envelope))
    assert scan(tmp_path / "1", tmp_path / "2").verdict == Verdict.FAIL


def test_members_that_are_not_known_are_scanned_with_their_event(tmp_path: Path):
    file, events = tmp_path / "file", A.events()
    events[1]["extractedFields"] = {"1": "globex"}
    file.write_text(json.dumps({"logGroup": GROUP, "logStream": "s", "logEvents": events}))
    assert scan(file).verdict == Verdict.FAIL
    events[1] = {**A.events()[1], "message": {"said": A.events()[1]["message"], "of": "globex"}}
    file.write_text(json.dumps({"logGroup": GROUP, "logStream": "s", "logEvents": events}))
    assert scan(file).verdict == Verdict.FAIL


def test_a_member_given_twice_hides_nothing(tmp_path: Path):
    file, envelope = tmp_path / "file", SHAPES["envelopes on lines"](A, B)
    file.write_text(envelope.replace('"message": "sent mail', '"message": "of globex, acme", "message": "sent mail'))
    assert scan(file).verdict not in (Verdict.PASS, Verdict.WARN)


def test_an_answer_that_goes_on_elsewhere_is_not_the_whole(tmp_path: Path):
    first, last = json.loads(SHAPES["answer on a line"](A, B)), SHAPES["answer on a line"](B, B)
    (tmp_path / "1.json").write_text(json.dumps({**first, "nextToken": "x"}))
    judgement = scan(tmp_path)
    assert (judgement.verdict, codes(judgement)) == (Verdict.INCONCLUSIVE, ["log_window_incomplete"])
    (tmp_path / "2.json").write_text(last)
    assert scan(tmp_path).verdict == Verdict.PASS


def test_a_query_that_did_not_end_is_not_the_whole(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text(SHAPES["query"](A, B).replace("Complete", "Running"))
    assert codes(scan(file)) == ["log_window_incomplete"]


def test_the_marker_of_an_export_holds_no_line(tmp_path: Path):
    (tmp_path / "aws-logs-write-test").write_text("Permission Check Successful")
    judgement = scan(tmp_path)
    assert (judgement.verdict, codes(judgement)) == (Verdict.INCONCLUSIVE, ["no_log_lines"])
    (tmp_path / "000000.gz").write_bytes(gzip.compress(SHAPES["export"](A, B).encode()))
    judgement = scan(tmp_path)
    assert (judgement.verdict, judgement.facts["lines"]) == (Verdict.PASS, 10)


def test_a_document_that_a_function_printed_over_lines_is_one_event(tmp_path: Path):
    file = tmp_path / "file"
    printed = json.dumps({"trace_id": "trace-1-x", "note": "for globex"}, indent=2)
    file.write_text(SHAPES["text"](A, B) + printed + "\n" + SHAPES["text"](B, LEAK))
    lines = [finding.subject for finding in scan(file).findings]
    assert lines == [f"{file} line 11", f"{file} line 22"]


def test_lines_that_only_look_like_documents_stay_lines(tmp_path: Path):
    file = tmp_path / "file"
    odd = [
        '{"events":[{"message":"x"}],"tenant_id":"acme","trace_id":"trace-1-x"}',
        "{ not: 'json' }",
        "{",
        '[{"a":1}',
        '{"owner":"x"}',
        "[",
    ]
    file.write_text("\n".join([*A.lines(), *odd, *LEAK.lines(), "{"]))
    judgement = scan(file)
    assert (judgement.facts["lines"], codes(judgement)) == (17, ["foreign_tenant_in_log"])
    assert judgement.findings[0].subject.startswith(f"{file} line 14")


def test_an_answer_larger_than_memory_is_read_an_event_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phase5_ops.input_files.log_parts.KEPT_CHARACTERS", 2_000)
    monkeypatch.setattr("phase5_ops.input_files.log_parts.CHUNK_BYTES", 700)
    file = tmp_path / "file"
    for shape, (first, second) in itertools.product(
        ("answer over lines", "envelopes joined", "list of events"), ((A, B), (B, LEAK))
    ):
        file.write_text(SHAPES[shape](first, second) * 3)
        judgement = scan(file)
        assert judgement.verdict == (Verdict.FAIL if second.leaks else Verdict.PASS), shape


invocations = st.builds(Invocation, st.integers(1, 10**6), st.sampled_from(TENANTS), st.sampled_from([False, False, False, True]))
pairs = st.tuples(invocations, invocations).filter(lambda pair: pair[0].number != pair[1].number)


#: One JSON document each: behind lines of text such a document is a line of two tenants, which closes the row.
DOCUMENTS = frozenset({"list of messages", "events of a stream"})


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    st.lists(
        st.tuples(pairs, st.sampled_from(sorted(SHAPES)), st.sampled_from([*sorted(PACKINGS), *sorted(UNKNOWN)]), st.booleans()),
        min_size=1,
        max_size=5,
        unique_by=lambda part: part[0][0].number,
    )
)
def test_no_violation_passes_and_no_part_that_was_not_read_goes_unnamed(
    parts: list[tuple[tuple[Invocation, Invocation], str, str, bool]],
):
    numbers = [invocation.number for pair, *_ in parts for invocation in pair]
    hypothesis.assume(len(set(numbers)) == len(numbers))
    with tempfile.TemporaryDirectory() as name:
        folder, unread, leaks = Path(name), set[Path](), False
        for number, (pair, shape, packing, joined) in enumerate(parts):
            text = SHAPES[shape](*pair).encode()
            data = PACKINGS[packing](text) if packing in PACKINGS else UNKNOWN[packing](text)
            file = folder / str(number)
            if (
                joined and shape not in DOCUMENTS and packing in ("plain", "encrypted", "LZ4", "Snappy frames")
            ):  # more of one file, after lines of text
                text = SHAPES["text"](Invocation(2_000_000 + number, "acme"), Invocation(3_000_000 + number, "globex")).encode()
                data = text + data
            if packing in UNKNOWN:
                unread.add(file)
            leaks |= any(invocation.leaks for invocation in pair)
            file.write_bytes(data)
        judgement = scan(folder)
        named = {finding.subject for finding in judgement.findings if finding.code.startswith("log_")}
        assert all(any(subject.startswith(str(file)) for subject in named) for file in unread), (unread, judgement.findings)
        if leaks or unread:
            assert judgement.verdict not in (Verdict.PASS, Verdict.WARN)
        else:
            assert judgement.verdict == Verdict.PASS, judgement.findings


def test_of_an_envelope_that_breaks_off_the_whole_events_before_are_judged(tmp_path: Path):
    file, packed = tmp_path / "file.gz", gzip.compress(SHAPES["envelopes joined"](LEAK, B).encode() * 500, 0)
    file.write_bytes(packed[: len(packed) * 2 // 3])
    judgement = scan(file)
    assert (judgement.verdict, set(codes(judgement))) == (Verdict.FAIL, {"foreign_tenant_in_log", "log_window_incomplete"})


def test_a_document_that_goes_on_in_another_shape_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phase5_ops.input_files.log_parts.KEPT_CHARACTERS", 500)
    file, answer = tmp_path / "file", json.loads(SHAPES["answer on a line"](A, B))
    answer["events"].append({"text": "another"})
    file.write_text(json.dumps(answer))
    assert (scan(file).verdict, codes(scan(file))) == (Verdict.ERROR, ["log_group_unreadable"])


def test_records_that_are_no_logs_stay_a_line_of_the_function_that_printed_them(tmp_path: Path):
    file = tmp_path / "file"
    records = json.dumps({"Records": [{"kinesis": {"data": "AAECAwQF"}}]})
    file.write_text("\n".join([records, *A.lines(), records, *LEAK.lines()]) + "\n")
    judgement = scan(file)
    assert (judgement.facts["lines"], codes(judgement)) == (12, ["foreign_tenant_in_log"])
