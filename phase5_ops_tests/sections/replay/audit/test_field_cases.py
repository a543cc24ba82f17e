"""Ledgers in the shapes of files that people have published: each is read whole, or named as not read."""

import gzip
import json
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.clock import parse_iso
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.places import FIELD_CASES
from phase5_ops_tests.sections.replay.audit.ledgers import audit_paths, dynamodb, replay

CASES = FIELD_CASES / "ledger"
NOW = parse_iso("2026-03-01T12:00:00Z")


def judged(*paths: Path) -> Judgement:
    return audit_paths(paths, now=NOW)


def test_the_whole_ledger_passes():
    assert judged(CASES / "ok.jsonl").verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["bad.jsonl", "batch_write_backup.json", "batch_get_pretty.json", "single_item_pretty.json"])
def test_an_orphan_is_found_in_every_shape(name: str):
    found = judged(CASES / "ok.jsonl", CASES / name)
    assert found.verdict is Verdict.FAIL
    assert "replay_started_without_request" in {finding.code for finding in found.findings}


def test_a_scan_beside_an_export_is_read_too():
    found = judged(CASES / "export_beside_scan")
    assert found.verdict is Verdict.FAIL
    assert any("t2" in finding.subject for finding in found.findings)


ORPHAN = dynamodb(replay()[1])
GOOD = [dynamodb(item) for item in replay(name="one")]
KNOWN = {
    "scan": lambda items: json.dumps({"Items": items, "Count": len(items)}, indent=1),
    "put": lambda items: json.dumps({"t": [{"PutRequest": {"Item": item}} for item in items]}, indent=1),
    "batch get": lambda items: json.dumps({"Responses": {"t": items}}, indent=1),
    "statements": lambda items: json.dumps({"Responses": [{"TableName": "t", "Item": item} for item in items]}, indent=1),
    "lines": lambda items: "".join(json.dumps(item) + "\n" for item in items),
    "pretty items": lambda items: "\n".join(json.dumps(item, indent=1) for item in items),
}
UNKNOWN = {
    "nested answer": lambda items: json.dumps({"data": {"ledger": {"Items": items}}}, indent=1),
    "another member": lambda items: json.dumps({"Rows": items}, indent=1),
    "stream records": lambda items: json.dumps({"Records": [{"dynamodb": {"NewImage": item}} for item in items]}),
    "changes": lambda items: "".join(json.dumps({"Keys": {}, "NewImage": item}) + "\n" for item in items),
    "twice": lambda items: f'{{"Items": {json.dumps(items)}, "Items": []}}',
    "item twice": lambda items: f'{{"Item": {json.dumps(items[-1])}, "Item": {json.dumps(GOOD[0])}}}',
    "item twice over lines": lambda items: f'{{\n"Item": {json.dumps(items[-1])},\n"Item": {json.dumps(GOOD[0])}\n}}',
    "no json": lambda items: f"ledger dump:\n{items}",
    "yaml": lambda items: f"Items:\n- {json.dumps(items)}\n",
}


@hypothesis.given(
    parts=st.lists(st.tuples(st.sampled_from([*KNOWN, *UNKNOWN]), st.booleans(), st.booleans()), min_size=1, max_size=4),
    planted=st.integers(0, 3),
)
@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_a_violation_in_any_part_never_passes_and_no_part_is_left_unnamed(tmp_path_factory, parts, planted):
    folder = tmp_path_factory.mktemp("ledger")
    orphan = planted % len(parts)
    for number, (shape, packed, deep) in enumerate(parts):
        items = [*GOOD, ORPHAN] if number == orphan else GOOD
        content = {**KNOWN, **UNKNOWN}[shape](items).encode()
        file = folder / ("sub" if deep else ".") / f"part-{number}.dat"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(gzip.compress(content) if packed else content)
    found = audit_paths([folder], now=None)
    assert found.verdict.blocks
    for number, (shape, _, _) in enumerate(parts):
        if shape in UNKNOWN:
            assert any(f"part-{number}.dat" in finding.subject and finding.verdict is Verdict.ERROR for finding in found.findings)
    if not {shape for shape, _, _ in parts} & UNKNOWN.keys():
        assert found.verdict is Verdict.FAIL


def test_a_file_without_items_is_said(tmp_path):
    (tmp_path / "a.jsonl").write_text(KNOWN["lines"](GOOD))
    (tmp_path / "b.json").write_text('{"Items": [], "Count": 0}')
    found = audit_paths([tmp_path], now=None)
    assert found.verdict is Verdict.WARN
    assert [finding.subject for finding in found.findings] == [str(tmp_path / "b.json")]


@pytest.mark.parametrize(
    "stray", ["notes.txt", "AWSDynamoDB/01234567890123-abcdef01/data/more.json.gz", "AWSDynamoDB/x/_started"]
)
def test_what_is_no_part_of_the_ledger_is_named(tmp_path, stray: str):
    for file in (CASES / "export_beside_scan" / "AWSDynamoDB").rglob("*"):
        if file.is_file():
            copy = tmp_path / file.relative_to(CASES / "export_beside_scan")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    assert judged(tmp_path).verdict is Verdict.PASS
    (tmp_path / stray).parent.mkdir(exist_ok=True)
    (tmp_path / stray).write_bytes(b"notes\n")
    found = judged(tmp_path)
    assert found.verdict.blocks
    assert any(Path(stray).parts[-1].split("_started")[0] in finding.subject for finding in found.findings)
