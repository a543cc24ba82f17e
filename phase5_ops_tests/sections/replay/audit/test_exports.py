"""DynamoDB exports: full and incremental, alone and together, and every way in which one can be broken."""

import gzip
import json
from itertools import chain

import pytest

from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.replay.audit.exports import ARN, lines, md5, record, seal, write_export
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, audit_paths, dynamodb, entry, of, replay

ONE = [dynamodb(item) for item in replay(name="one")]
TWO = [dynamodb(item) for item in replay(name="two", minutes_ago=90, failed=True)]
WHOLE = [*ONE, *TWO]
LATER = [dynamodb(item) for item in replay(name="later", minutes_ago=20)]
CHANGES = {"incremental": True, "exportFromTime": "2026-11-23T11:30:00.000Z", "exportToTime": "2026-11-23T12:00:00.000Z"}
BEFORE = {"exportTime": "2026-11-23T11:30:00.000Z"}


def codes(found):
    return {finding.code for finding in found.findings}


def seen(found, code):
    return " ".join(f"{finding.subject}: {finding.seen}" for finding in found.findings if finding.code == code)


def test_a_full_export_is_read_by_its_manifest(tmp_path):
    write_export(tmp_path, [WHOLE[:4], WHOLE[4:]])
    found = audit_paths([tmp_path], table="cc-native-ledger")
    assert (found.verdict, found.facts["ledger_items"], found.facts["completed"]) == (Verdict.PASS, 10, 1)
    assert found.facts["exports"].endswith("full, as of 2026-11-23T12:00:00.000Z")
    assert found.facts["manifests_without_checksum_file"] == 0


def test_the_folder_of_the_export_alone_is_enough(tmp_path):
    assert audit_paths([write_export(tmp_path, [WHOLE])]).verdict is Verdict.PASS


def test_an_empty_partition_has_an_empty_file(tmp_path):
    found = audit_paths([write_export(tmp_path, [WHOLE, []])])
    assert (found.verdict, found.facts["files_without_items"]) == (Verdict.PASS, 0)


def test_an_export_without_any_item_shows_nothing(tmp_path):
    found = audit_paths([write_export(tmp_path, [[], []])])
    assert (found.verdict, codes(found)) == (Verdict.INCONCLUSIVE, {"no_replay_in_window"})


def repack(folder, number, change, *, items=None):
    """Changes a data file and the manifest's line on it."""
    path = folder / "data" / f"{folder.name}-{number}.json.gz"
    content = gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0)
    path.write_bytes(content)
    change_line(folder, number, md5Checksum=md5(content), **({} if items is None else {"itemCount": items}))


def change_line(folder, number, **changes):
    path = folder / "manifest-files.json"
    named = [json.loads(line) for line in path.read_text().splitlines()]
    named[number] |= changes
    path.write_bytes(lines(named))
    seal(folder)


def data(folder, number):
    return folder / "data" / f"{folder.name}-{number}.json.gz"


def overwrite(path, content):
    path.write_bytes(content)


FAULTS = {
    "corrupt line": (
        lambda folder: repack(folder, 1, lambda text: text.replace(b'{"Item":{"pk', b'{"Item":{pk', 1)),
        "ledger_record_malformed", "-1.json.gz:1", "not JSON",
    ),
    "a member twice": (
        lambda folder: repack(folder, 1, lambda text: text.replace(b'"sk":', b'"sk":{"S":"x"},"sk":', 1)),
        "ledger_record_malformed", "-1.json.gz:1", "a member is given twice",
    ),
    "truncated gzip": (
        lambda folder: overwrite(data(folder, 1), data(folder, 1).read_bytes()[:-9]),
        "read_failed", "-1.json.gz", "breaks off; the file's MD5 is",
    ),
    "short file": (
        lambda folder: repack(folder, 1, lambda text: text[: text.rindex(b"\n", 0, -1) + 1]),
        "read_failed", "-1.json.gz", "the manifest says 6 items, the file has 5",
    ),
    "more items than the manifest says": (
        lambda folder: repack(folder, 1, lambda text: text + lines([{"Item": LATER[0]}])),
        "read_failed", "-1.json.gz", "the manifest says 6 items, the file has 7",
    ),
    "wrong checksum": (
        lambda folder: change_line(folder, 1, md5Checksum="AAAAAAAAAAAAAAAAAAAAAA=="),
        "read_failed", "-1.json.gz", "the manifest says AAAAAAAAAAAAAAAAAAAAAA==: copy the file again",
    ),
    "missing part": (
        lambda folder: data(folder, 1).unlink(), "read_failed", "-1.json.gz", "named by the manifest: no such file",
    ),
    "a part that no manifest names": (
        lambda folder: overwrite(data(folder, 2), gzip.compress(lines([{"Item": LATER[0]}]))),
        "read_failed", "-2.json.gz", "whose manifest does not name it",
    ),
    "an empty file that should have items": (
        lambda folder: repack(folder, 1, lambda text: b""), "read_failed", "-1.json.gz", "the file is empty",
    ),
    "manifest with another checksum": (
        lambda folder: overwrite(folder / "manifest-files.md5", b"x"),
        "read_failed", "manifest-files.json", "manifest-files.md5 says 'x'",
    ),
    "summary with another checksum": (
        lambda folder: overwrite(folder / "manifest-summary.md5", b"x"), "read_failed", "manifest", "manifest-summary.md5 says",
    ),
    "the count of the summary": (
        lambda folder: seal(folder, itemCount=11), "read_failed", "manifest", "11 items by manifest-summary.json, and 10 by",
    ),
    "no count in the summary": (
        lambda folder: seal(folder, itemCount=None), "read_failed", "manifest", "None items by manifest-summary.json",
    ),
    "no checksum of a file": (
        lambda folder: change_line(folder, 0, md5Checksum=None),
        "read_failed", "manifest", "manifest-files.json:1: md5Checksum None",
    ),
    "no number of items of a file": (
        lambda folder: change_line(folder, 1, itemCount="6"), "read_failed", "manifest", "manifest-files.json:2: itemCount '6'",
    ),
    "a file named twice": (
        lambda folder: change_line(folder, 1, dataFileS3Key=f"x/{folder.name}-0.json.gz"), "read_failed", "manifest", "twice",
    ),
    "a manifest of another export": (
        lambda folder: seal(folder, manifestFilesS3Key="AWSDynamoDB/0-ffff/manifest-files.json"),
        "read_failed", "manifest", "is of the export '0-ffff'",
    ),
    "no data file at all": (
        lambda folder: (overwrite(folder / "manifest-files.json", b""), seal(folder, itemCount=0)),
        "read_failed", "manifest", "names no data file",
    ),
    "no summary": (
        lambda folder: (folder / "manifest-summary.json").unlink(),
        "read_failed", "manifest", "manifest-summary.json is not there",
    ),
    "no list of files": (
        lambda folder: (folder / "manifest-files.json").unlink(), "read_failed", "01795424886810-abcd", "an export without",
    ),
    "Ion": (lambda folder: seal(folder, outputFormat="ION"), "read_failed", "manifest", "export format 'ION'"),
    "another kind": (lambda folder: seal(folder, exportType="DELTA"), "read_failed", "manifest", "exportType 'DELTA'"),
    "another table": (
        lambda folder: seal(folder, tableArn=ARN.replace("ledger", "signals")),
        "read_failed", "manifest", "an export of the table 'cc-native-signals'; the ledger is 'cc-native-ledger'",
    ),
    "no time": (lambda folder: seal(folder, exportTime="soon"), "read_failed", "manifest", "exportTime 'soon' is no time"),
    "a manifest that is no JSON": (
        lambda folder: (overwrite(folder / "manifest-files.json", b"x\n"), seal(folder)),
        "read_failed", "manifest", "the manifest cannot be read: manifest-files.json:1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_export_is_an_error_that_names_what_is_broken(tmp_path, fault):
    change, code, subject, what = FAULTS[fault]
    folder = write_export(tmp_path, [WHOLE[:4], WHOLE[4:]])
    change(folder)
    found = audit_paths([tmp_path], table="cc-native-ledger")
    assert found.verdict is Verdict.ERROR
    assert any(subject in finding.subject and what in finding.seen for finding in found.findings if finding.code == code)


def both(tmp_path, records, *, full=WHOLE, before=BEFORE, **about):
    write_export(tmp_path, [full], **before)
    write_export(tmp_path, [records[:1], records[1:]], "01795424886999-beef", **{**CHANGES, **about})
    return audit_paths([tmp_path], table="cc-native-ledger")


def test_an_incremental_export_goes_on_where_the_full_one_ends(tmp_path):
    found = both(tmp_path, [record(item) for item in LATER])
    assert (found.verdict, found.facts["completed"], found.facts["ledger_items"]) == (Verdict.PASS, 2, 15)


def test_the_folder_of_an_incremental_export_has_its_data_beside_it(tmp_path):
    full = write_export(tmp_path / "full", [WHOLE], **BEFORE)
    changes = write_export(tmp_path, [[record(item) for item in LATER]], "01795424886999-beef", **CHANGES)
    found = audit_paths([full, changes])
    assert (found.verdict, found.facts["completed"]) == (Verdict.PASS, 2)


def test_a_file_among_the_data_of_incremental_exports_that_none_names_is_an_error(tmp_path):
    write_export(tmp_path, [[record(LATER[0])]], "01795424886999-beef", **CHANGES)
    (tmp_path / "AWSDynamoDB" / "data" / "other.json.gz").write_bytes(gzip.compress(lines([record(LATER[1])])))
    found = audit_paths([tmp_path])
    assert (found.verdict, "does not name it" in seen(found, "read_failed")) == (Verdict.ERROR, True)


def test_an_entry_that_an_incremental_export_shows_as_rewritten_is_a_finding(tmp_path):
    rewritten = {**ONE[0], "other": {"S": "x"}}
    found = both(tmp_path, [record(rewritten, ONE[0]), *(record(item) for item in LATER)])
    assert (found.verdict, codes(found)) == (Verdict.FAIL, {"ledger_entry_changed"})
    assert "rewritten at 2026-11-23T09:08:06.810Z" in seen(found, "ledger_entry_changed")
    assert ONE[0]["sk"]["S"] in seen(found, "ledger_entry_changed")


def test_the_entry_as_it_was_rewritten_is_what_is_judged(tmp_path):
    end = of(ONE, {"S": "REPLAY_COMPLETED"})
    other = json.loads(json.dumps(end).replace("ops@acme.example", "somebody@else.example"))
    found = both(tmp_path, [record(other, end)])
    assert codes(found) == {"ledger_entry_changed", "requested_by_missing"}


def test_a_deleted_entry_is_a_finding_and_is_not_judged_as_there(tmp_path):
    found = both(tmp_path, [record(None, of(ONE, {"S": "REPLAY_STARTED"}))])
    assert found.verdict is Verdict.FAIL
    assert {"ledger_entry_missing", "replay_not_started"} <= codes(found)
    assert "deleted at 2026-11-23T09:08:06.810Z" in seen(found, "ledger_entry_missing")


def test_a_deletion_with_the_keys_alone_is_one_too(tmp_path):
    gone = {name: value for name, value in record(ONE[0]).items() if name != "NewImage"}
    assert "ledger_entry_missing" in codes(both(tmp_path, [gone], outputView="NEW_IMAGE"))


def test_an_entry_of_a_type_that_no_replay_has_may_not_be_rewritten_either(tmp_path):
    signal = dynamodb(entry("SIGNAL", 1_795_432_000_000, trace="t"))
    found = both(tmp_path, [record({**signal, "x": {"S": "y"}}, signal)])
    assert codes(found) == {"ledger_entry_changed"}


def test_an_entry_written_again_with_the_same_content_is_counted(tmp_path):
    same = {**ONE[0], "tags": {"SS": ["b", "a"]}}
    found = both(tmp_path, [record({**same, "tags": {"SS": ["a", "b"]}}, same)], full=[*TWO, same, *ONE[1:]])
    assert found.facts["entries_written_again_unchanged"] == 1
    assert found.verdict is Verdict.PASS


def test_without_old_images_a_rewrite_shows_against_the_full_export(tmp_path):
    other = json.loads(json.dumps(ONE[0]).replace("outage", "curiosity"))
    found = both(tmp_path, [record(other)], outputView="NEW_IMAGE")
    assert "ledger_entry_changed" in codes(found)
    assert "between two exports" in seen(found, "ledger_entry_changed")
    assert found.facts["rewritten_entries"].startswith("not all seen")


def test_a_later_full_export_that_lacks_an_entry_shows_its_deletion(tmp_path):
    write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **BEFORE)
    write_export(tmp_path, [[item for item in WHOLE if item is not ONE[1]]], "01795424889999-bbbb")
    found = audit_paths([tmp_path])
    assert {"ledger_entry_missing", "replay_not_started"} <= codes(found)
    assert found.verdict is Verdict.FAIL


def test_two_full_exports_that_agree_are_one_ledger(tmp_path):
    write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **BEFORE)
    write_export(tmp_path, [[*WHOLE, *LATER]], "01795424889999-bbbb")
    found = audit_paths([tmp_path])
    assert (found.verdict, found.facts["repeated_items"], found.facts["completed"]) == (Verdict.PASS, 10, 2)


def test_overlapping_incremental_exports_are_one_ledger(tmp_path):
    write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **BEFORE)
    write_export(tmp_path, [[record(item) for item in LATER[:3]]], "01795424881111-bbbb", **CHANGES)
    write_export(
        tmp_path,
        [[record(item) for item in LATER[1:]]],
        "01795424882222-cccc",
        **{**CHANGES, "exportFromTime": "2026-11-23T11:35:00.000Z", "exportToTime": "2026-11-23T12:10:00.000Z"},
    )
    found = audit_paths([tmp_path])
    assert (found.verdict, found.facts["repeated_items"], found.facts["completed"]) == (Verdict.PASS, 2, 2)


def test_exports_of_two_tables_are_not_one_ledger(tmp_path):
    write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **BEFORE)
    write_export(tmp_path, [LATER], "01795424889999-bbbb", tableArn=ARN.replace("ledger", "signals"))
    found = audit_paths([tmp_path])
    assert (found.verdict, "audit one table at a time" in seen(found, "read_failed")) == (Verdict.ERROR, True)


def test_a_table_made_anew_is_another_table(tmp_path):
    write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **BEFORE)
    write_export(tmp_path, [LATER], "01795424889999-bbbb", tableId="another")
    assert audit_paths([tmp_path]).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("full", "changes", "gap"),
    [
        (None, CHANGES, "from 2026-11-16T10:55:00.000Z to 2026-11-23T11:30:00.000Z"),
        ({"exportTime": "2026-11-23T11:00:00.000Z"}, CHANGES, "from 2026-11-23T11:00:00.000Z to 2026-11-23T11:30:00.000Z"),
        (BEFORE, None, "from 2026-11-23T11:30:00.000Z to 2026-11-23T12:00:00.000Z"),
    ],
)
def test_time_that_no_export_covers_is_said(tmp_path, full, changes, gap):
    if full:
        write_export(tmp_path, [WHOLE], "01795424880000-aaaa", **full)
    if changes:
        write_export(tmp_path, [[record(item) for item in chain(LATER, () if full else WHOLE)]], **changes)
    found = audit_paths([tmp_path])
    assert (found.verdict, codes(found)) == (Verdict.INCONCLUSIVE, {"ledger_exports_leave_a_gap"})
    assert gap in " ".join(finding.subject for finding in found.findings)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"Metadata": {}}, "WriteTimestampMicros"),
        ({"Keys": {"pk": {"S": "x"}}}, "no items of the ledger"),
        ({"Keys": {"pk": {"S": "x"}, "sk": {"S": "y"}}}, "another key"),
        ({"OldImage": 7}, "no items of the ledger"),
        ({"Extra": 1}, "no record"),
    ],
)
def test_a_record_that_is_none_is_named_by_file_and_line(tmp_path, change, what):
    found = both(tmp_path, [record(LATER[0]), {**record(LATER[1]), **change}])
    assert found.verdict is Verdict.ERROR
    assert f"beef-1.json.gz:1: line: {what}".split(": line: ")[0] in seen(found, "ledger_record_malformed")
    assert what in seen(found, "ledger_record_malformed")


def test_an_item_among_the_records_is_an_error(tmp_path):
    assert both(tmp_path, [{"Item": LATER[0]}]).verdict is Verdict.ERROR


def test_a_view_that_is_not_known_is_an_error(tmp_path):
    assert "outputView 'KEYS'" in seen(both(tmp_path, [record(LATER[0])], outputView="KEYS"), "read_failed")


def test_an_export_is_judged_as_of_its_newest_entry(tmp_path):
    write_export(tmp_path, [WHOLE], exportTime="2026-11-23T11:30:00.000Z")
    found = audit_paths([tmp_path], now=None)
    assert (found.verdict, found.facts["evaluated_at"] < NOW.isoformat()) == (Verdict.PASS, True)
