"""The audit over files: every form in which a ledger is handed over, and every way in which a file can be broken."""

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from phase5_ops.cli import app as cli
from phase5_ops.report import file_audit
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, audit_paths, dynamodb, replay

pytestmark = pytest.mark.slow

INCONCLUSIVE = Verdict.INCONCLUSIVE

WHOLE = [dynamodb(item) for item in (*replay(name="one"), *replay(name="two", minutes_ago=90, failed=True))]
BROKEN = [item for item in WHOLE if item["eventType"] != {"S": "REPLAY_STARTED"}]


def answer(items, **more):
    return {"Items": items, "Count": len(items), "ScannedCount": len(items), **more}


def lines(entries):
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def by_table(items, member):
    return {"cc-native-ledger": [member(item) for item in items]}


def pretty(value):
    return json.dumps(value, indent=4).encode()


FORMS = {
    "batch get": lambda items: pretty({"Responses": by_table(items, lambda item: item), "UnprocessedKeys": {}}),
    "batch get on one line": lambda items: lines([{"Responses": by_table(items, lambda item: item), "UnprocessedKeys": {}}]),
    "transact get": lambda items: pretty({"Responses": [{"Item": item} for item in items] + [{}]}),
    "put requests": lambda items: pretty(by_table(items, lambda item: {"PutRequest": {"Item": item}})),
    "put requests on one line": lambda items: lines([by_table(items, lambda item: {"PutRequest": {"Item": item}})]),
    "request items": lambda items: pretty({"RequestItems": by_table(items, lambda item: {"PutRequest": {"Item": item}})}),
    "put requests as lines": lambda items: lines({"PutRequest": {"Item": item}} for item in items),
    "get items, each over many lines": lambda items: b"\n".join(pretty({"Item": item}) for item in items),
    "items, each over many lines": lambda items: b"\n".join(pretty(item) for item in items),
    "items joined without line ends": lambda items: b"".join(json.dumps(item).encode() for item in items),
    "scan answers over many lines, joined": lambda items: pretty(answer(items[:3], NextToken="x")) + pretty(answer(items[3:])),
    "a list of scan answers": lambda items: pretty([answer(items[:3], NextToken="x"), answer(items[3:])]),
    "scan answer": lambda items: json.dumps(answer(items)).encode(),
    "scan answer over many lines": lambda items: json.dumps({"TableName": "t", **answer(items)}, indent=1).encode(),
    "scan answers as lines": lambda items: lines([answer(items[:3], LastEvaluatedKey={"pk": {"S": "x"}}), answer(items[3:])]),
    "lines": lines,
    "lines of Item": lambda items: lines({"Item": item} for item in items),
    "a list": lambda items: json.dumps(items).encode(),
    "a list over many lines": lambda items: json.dumps(items, indent=2).encode(),
    "lines after a byte order mark and blanks": lambda items: b"\xef\xbb\xbf" + lines(items).replace(b"\n", b"\n\n"),
}
PACKED = {"plain": bytes, "gzip": gzip.compress, "zstd": lambda content: pa.compress(content, codec="zstd", asbytes=True)}


@pytest.fixture
def judged(tmp_path):
    def judge(*contents, now=NOW):
        paths = [content for content in contents if isinstance(content, Path)]
        for number, content in enumerate(content for content in contents if not isinstance(content, Path)):
            path = tmp_path / f"ledger-{number}"
            path.write_bytes(content)
            paths.append(path)
        return audit_paths(paths, now=now)

    return judge


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_alike(judged, form, packed):
    good, bad = (judged(PACKED[packed](FORMS[form](items))) for items in (WHOLE, BROKEN))
    assert (good.verdict, good.facts["completed"], good.facts["failed"], good.facts["ledger_items"]) == (Verdict.PASS, 1, 1, 10)
    assert bad.verdict is Verdict.FAIL
    assert {finding.code for finding in bad.findings} == {"replay_not_started", "replay_finished_without_start"}


def test_plain_items_are_read(judged):
    assert judged(lines(replay())).verdict is Verdict.PASS


def test_several_files_are_one_ledger_and_what_comes_twice_counts_once(judged):
    found = judged(lines(WHOLE[:4]), lines(WHOLE[2:]))
    assert (found.verdict, found.facts["files"], found.facts["repeated_items"]) == (Verdict.PASS, 2, 2)


def test_one_key_with_two_contents_is_malformed(judged):
    other = {**WHOLE[0], "traceId": {"S": "another"}}
    assert "ledger_record_malformed" in {finding.code for finding in judged(lines([*WHOLE, other])).findings}


@pytest.mark.parametrize(
    ("content", "verdict", "code", "seen"),
    [
        (b"", Verdict.ERROR, "read_failed", "empty"),
        (b"\n \n", Verdict.ERROR, "read_failed", "blank"),
        (b"\x7fELF\x02\x00\x00junk\x00", Verdict.ERROR, "read_failed", "ELF"),
        (b"hello\nworld\n", Verdict.ERROR, "ledger_record_malformed", "not JSON"),
        (gzip.compress(lines(WHOLE))[:-9], Verdict.ERROR, "read_failed", "invalid"),
        (PACKED["zstd"](lines(WHOLE))[:-9], Verdict.ERROR, "read_failed", "invalid"),
        (b"\x1f\x8bjunk" * 9, Verdict.ERROR, "read_failed", "invalid"),
        (b'{"Items": [\n' + json.dumps(WHOLE[0]).encode() + b",\n", Verdict.ERROR, "read_failed", "not whole JSON"),
        (lines(WHOLE) + b'{"pk": {"S": "TEN', Verdict.ERROR, "ledger_record_malformed", "not JSON"),
        (lines(WHOLE) + b"[" * 100_000 + b"\n", Verdict.ERROR, "ledger_record_malformed", "not JSON"),
        (b'{"pk": {"S": "TEN\n' + lines(WHOLE), Verdict.ERROR, "ledger_record_malformed", "not JSON"),
        (lines([*WHOLE, 7]), Verdict.ERROR, "ledger_record_malformed", "not an item"),
        (lines([{"Keys": {}, "NewImage": WHOLE[0]}]), Verdict.ERROR, "read_failed", "incremental"),
        (lines([answer(WHOLE, LastEvaluatedKey={"pk": {"S": "x"}})]), Verdict.INCONCLUSIVE, "partial_data", "pages are missing"),
        (json.dumps(answer(WHOLE, NextToken="x"), indent=1).encode(), Verdict.INCONCLUSIVE, "partial_data", "pages are missing"),
        (lines([{**answer(WHOLE), "Count": 11}]), Verdict.INCONCLUSIVE, "partial_data", "Count 11"),
        (b"{}\n", Verdict.ERROR, "ledger_record_malformed", "not an item"),
        (b'{"Items": []}', Verdict.INCONCLUSIVE, "no_replay_in_window", "none"),
        (b"[]", Verdict.INCONCLUSIVE, "no_replay_in_window", "none"),
        (b'{\n "other": 1\n}\n', Verdict.ERROR, "read_failed", "an object with 'other'"),
        (b"[" * 100_000, Verdict.ERROR, "read_failed", "nested deeper"),
        (pretty({**answer(WHOLE), "More": [WHOLE[0]]}), Verdict.ERROR, "read_failed", "'More', which is not understood"),
        (lines([{**answer(WHOLE), "More": [WHOLE[0]]}]), Verdict.ERROR, "ledger_record_malformed", "'More'"),
        (
            pretty({"Responses": {"t": WHOLE}, "UnprocessedKeys": {"t": {"Keys": [1]}}}),
            INCONCLUSIVE,
            "partial_data",
            "Unprocessed",
        ),
        (pretty({"t": [{"PutRequest": {"Item": WHOLE[0]}}, {"DeleteRequest": {}}]}), Verdict.ERROR, "read_failed", "a deletion"),
        (pretty({"Records": [{"dynamodb": {"NewImage": WHOLE[0]}}]}), Verdict.ERROR, "read_failed", "stream"),
        (pretty({"Table": {"ItemCount": 3}}), Verdict.ERROR, "read_failed", "description"),
        (b'$ion_1_0 {Item:{pk:"TENANT#t"}}\n', Verdict.ERROR, "read_failed", "Ion"),
        (b"\xe0\x01\x00\xea\x81", Verdict.ERROR, "read_failed", "Ion"),
        (b'{"Items": [\n' + b'{"M":\n' * 100_000, Verdict.ERROR, "read_failed", "nested deeper"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),  # what is packed holds the time of packing
)
def test_a_broken_file_never_passes_and_says_what_is_wrong(judged, content, verdict, code, seen):
    found = judged(content)
    assert found.verdict is verdict
    assert any(seen in finding.seen for finding in found.findings if finding.code == code)


def test_a_file_that_breaks_off_beside_a_whole_one_is_not_the_whole_ledger(judged):
    found = judged(lines(WHOLE), gzip.compress(lines(replay(minutes_ago=20)))[:-9])
    assert (found.verdict, {finding.code for finding in found.findings}) == (Verdict.ERROR, {"read_failed"})


def test_without_a_fixed_time_the_newest_entry_is_now(judged):
    young = [dynamodb(item) for item in replay(minutes_ago=0.1)[:1]]
    found = judged(lines([*WHOLE, *young]), now=None)
    assert (found.verdict, found.facts["under_way"], found.facts["evaluated_at"]) == (Verdict.PASS, 1, "2026-11-23T11:59:54.000Z")


def test_replays_before_the_window_are_counted(judged):
    found = judged(lines([*WHOLE, *(dynamodb(item) for item in replay(minutes_ago=9 * 24 * 60)[:1])]))
    assert (found.verdict, found.facts["replays_before_window"]) == (Verdict.PASS, 1)


@pytest.fixture
def export(tmp_path):
    """An export as DynamoDB writes it, in two files."""
    folder = tmp_path / "AWSDynamoDB" / "01600000000000-abcd"
    (folder / "data").mkdir(parents=True)
    named = []
    for number, items in enumerate((WHOLE[:4], WHOLE[4:])):
        content = gzip.compress(lines({"Item": item} for item in items))
        (folder / "data" / f"{number}.json.gz").write_bytes(content)
        checksum = base64.b64encode(hashlib.md5(content).digest()).decode()
        key = f"prefix/AWSDynamoDB/01600000000000-abcd/data/{number}.json.gz"
        named.append({"itemCount": len(items), "md5Checksum": checksum, "etag": "e", "dataFileS3Key": key})
    (folder / "manifest-files.json").write_bytes(lines(named))
    summary = {"version": "2020-06-30", "outputFormat": "DYNAMODB_JSON", "itemCount": 10}
    (folder / "manifest-summary.json").write_text(json.dumps(summary))
    return folder


def test_an_export_is_read_by_its_manifest(judged, export, tmp_path):
    (export / "_started").touch()
    for name in ("files", "summary"):
        content = (export / f"manifest-{name}.json").read_bytes()
        (export / f"manifest-{name}.md5").write_text(base64.b64encode(hashlib.md5(content).digest()).decode())
    assert judged(tmp_path).verdict is Verdict.PASS


def manifest(export, **changes):
    path = export / "manifest-summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("change", "verdict", "seen"),
    [
        (lambda export: (export / "data" / "1.json.gz").unlink(), Verdict.ERROR, "named by the manifest"),
        (lambda export: (export / "data" / "1.json.gz").write_bytes(gzip.compress(b"")), Verdict.ERROR, "MD5"),
        (lambda export: (export / "manifest-files.json").write_text("x"), Verdict.ERROR, "manifest cannot be read"),
        (lambda export: manifest(export, itemCount=11), Verdict.ERROR, "the export has 11 items"),
        (lambda export: manifest(export, outputFormat="ION"), Verdict.ERROR, "export format"),
    ],
)
def test_an_export_that_its_manifest_does_not_describe_never_passes(judged, export, change, verdict, seen):
    change(export)
    found = judged(export)
    assert found.verdict is verdict
    assert any(seen in finding.seen for finding in found.findings)


def test_a_folder_without_manifest_is_all_its_files(judged, tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(lines(WHOLE[:5])))
    (tmp_path / "b").write_bytes(lines(WHOLE[5:]))
    (tmp_path / ".notes").write_text("hello")
    assert judged(tmp_path).verdict is Verdict.PASS


def test_a_folder_without_ledger_files_is_an_error(judged, tmp_path):
    assert judged(tmp_path).verdict is Verdict.ERROR


def test_the_output_says_what_was_not_looked_at(judged):
    found = judged(lines(WHOLE))
    text, document = file_audit.as_text("Replay audit trail", found, 120), file_audit.as_document("s/v1", found)
    assert "history: not kept for files" in text
    assert set(document) == {"schema", "verdict", "summary", "facts", "findings"}


@pytest.mark.parametrize(
    ("content", "code"), [(lines(WHOLE), 0), (lines(BROKEN), 1), (b"junk", 2), (None, 3)], ids=["pass", "fail", "error", "usage"]
)
def test_the_command_ends_with_the_contracts_exit_code(tmp_path, monkeypatch, capsys, content, code):
    path = tmp_path / "ledger.jsonl"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["phase5", "audit-ledger", str(path), "--format", "json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert (end.value.code, "Traceback" in printed.err) == (code, False)
    if code < 3:
        assert json.loads(printed.out)["schema"] == "phase5.ledger_audit/v1"
    else:
        assert "no such file" in printed.err


def test_a_shell_gets_the_document_and_the_exit_code(tmp_path):
    """In a process of its own, as a pipeline starts it."""
    (tmp_path / "ledger.jsonl").write_bytes(lines(BROKEN))
    command = [sys.executable, "-m", "phase5_ops.cli", "audit-ledger", str(tmp_path / "ledger.jsonl"), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert json.loads(done.stdout)["schema"] == "phase5.ledger_audit/v1"


def test_the_audit_loads_neither_dagster_nor_boto3():
    script = (
        "import sys, phase5_ops.sections.replay.audit.files as m;"
        "print([n for n in ('dagster', 'boto3', 'botocore') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
