"""Parts of a ledger: whatever the files, the cuts and the processes, their merge is the ledger that was read as one."""

import io
import json
import os
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.ledger import REPLAY_TYPES, Ledger
from phase5_ops.input_files.locations import DiskLocation
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.replay.audit import ledger_part
from phase5_ops.sections.replay.audit.data_file import DataFile, read_data_file
from phase5_ops.sections.replay.audit.exports import plan_reading
from phase5_ops.sections.replay.audit.files import judge_parts
from phase5_ops.sections.replay.audit.ledger_merge import FileParts, merged
from phase5_ops.sections.replay.audit.ledger_part import Change, LedgerPart, PartLedger, PartUnreadable
from phase5_ops.sections.replay.audit.pairing import pair_replays
from phase5_ops.sections.replay.audit.processes import processes_for, read_files
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.replay.audit.exports import lines, write_export
from phase5_ops_tests.sections.replay.audit.ledgers import NOW_MS, audit_paths, dynamodb, entry, repeated, replay

ORDINARY = [dynamodb(entry(event, NOW_MS - 7, trace="o")) for event in ("EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL")]
ODD = [
    {**dynamodb(entry("REPLAY_STARTED", NOW_MS - 5, trace="x")), "gsi1pk": {"S": "TRACE#y"}},
    {**dynamodb(entry("ACTION_FAILED", NOW_MS - 5, trace="trace-a")), "timestamp": {"N": "7"}},
    {**dynamodb(entry("REPLAY_REQUESTED", NOW_MS - 5, trace="z")), "accountId": {"S": "\ud800"}},
    {"pk": {"S": "TENANT#acme"}},
    7,
    {},
]
POOL = [
    *(dynamodb(item) for name in "abc" for item in replay(name=name)),
    *(dynamodb(repeated(item)) for item in replay(name="a")),
    *({**dynamodb(item), "traceId": {"S": "elsewhere"}} for item in replay(name="b")),
    *ORDINARY,
    *ODD,
]  # fmt: skip


def in_one(items):
    """The same without parts: every entry of a relevant type kept, repeats dropped, conflicts refused."""
    ledger = Ledger("ledger", NOW_MS)
    for item in items:
        ledger.add(item)
    unique = list(dict.fromkeys(ledger.entries))
    repeats, ledger.entries = len(ledger.entries) - len(unique), unique
    seen = set()
    for each in unique:
        if (each.pk, each.sk) in seen:
            ledger.refuse(f"{each.pk} / {each.sk}", "item", "the input holds this key twice, with different content")
        seen.add((each.pk, each.sk))
    return ledger, repeats


def parts_of(items, most=3):
    parts = []
    ledger = PartLedger("ledger", NOW_MS, lambda part: parts.append(LedgerPart.from_bytes(part.to_bytes())), most)
    for item in items:
        ledger.add(item)
    ledger.end(None, answers=0, unfinished=0, empty=False)
    return FileParts(parts)


def by_time(replays):
    return sorted(map(repr, replays))


@given(st.lists(st.sampled_from(POOL), max_size=40), st.lists(st.integers(0, 40), max_size=3), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_the_merge_of_parts_is_the_ledger_read_as_one(items, cuts, most):
    whole, repeats = in_one(items)
    ends = sorted({0, *(cut for cut in cuts if cut <= len(items)), len(items)})
    files = [parts_of(items[begin:end], most) for begin, end in pairwise(ends)]
    found = merged(files, "ledger")
    assert (found.ledger.items, found.ledger.newest, found.repeats) == (whole.items, whole.newest, repeats)
    assert sorted(found.ledger.malformed, key=repr) == sorted(whole.malformed, key=repr)
    assert found.ledger.malformed_count == whole.malformed_count
    assert by_time(pair_replays(found.ledger.entries, ReplayPolicy())) == by_time(pair_replays(whole.entries, ReplayPolicy()))


def test_only_what_can_belong_to_a_replay_is_unpacked():
    found = merged([parts_of([*POOL, *(dynamodb(entry("ACTION_EXECUTED", n, trace=f"n{n}")) for n in range(50))])], "ledger")
    traces = {each.trace for each in found.ledger.entries if each.event in REPLAY_TYPES}
    assert {each.trace for each in found.ledger.entries} == traces


def test_a_part_survives_as_bytes():
    part = parts_of(POOL, most=1000).parts[0]
    again = LedgerPart.from_bytes(part.to_bytes())
    assert again.to_bytes() == part.to_bytes()
    assert again.malformed == part.malformed != ()


def with_changes():
    parts = []
    ledger = PartLedger("ledger", NOW_MS, parts.append)
    ledger.note_change(Change("deleted", "TENANT#acme", "ENTRY#1", 7))
    ledger.end(None, answers=1, unfinished=1, empty=True)
    return parts[0]


def test_changes_survive_as_bytes():
    again = LedgerPart.from_bytes(with_changes().to_bytes())
    assert (again.changes, list(again.deleted), again.empty) == (
        (Change("deleted", "TENANT#acme", "ENTRY#1", 7),),
        [ledger_part.key_digest("TENANT#acme", "ENTRY#1")],
        True,
    )


@pytest.mark.parametrize("kept", [0, 1, 40, 0.3, 0.6, 0.9, -9, -1])
def test_bytes_that_are_cut_off_are_no_part(kept):
    data = parts_of(POOL, most=1000).parts[0].to_bytes()
    with pytest.raises(PartUnreadable):
        LedgerPart.from_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])


def test_a_part_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(ledger_part, "PART_VERSION", 0)
    data = with_changes().to_bytes()
    monkeypatch.undo()
    with pytest.raises(PartUnreadable, match="version 0"):
        LedgerPart.from_bytes(data)


SPACED = "".join(json.dumps({"Item": item}) + "\n" for item in POOL).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(b": ", b" :  "),
        lambda text: text.replace(b"acct-1", b"acct\\u002d1"),
        lambda text: text.replace(b"acct-1", "kont\u00f6".encode()),
        lambda text: text.replace(b"acct-1", b'a\\": \\"b, {'),
        lambda text: text.replace(b'"pk":', b'"pk": {"S": "x"}, "pk":'),
        lambda text: text.replace(b'{"Item"', b'{"Item": {}, "Item"', 3),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b""),
        lambda text: text.replace(b'"acct-1"', b"1e400", 2),
        lambda text: text.replace(b'"acct-1"', b"NaN", 2),
        lambda text: text.replace(b"acct-1", b"\xff\xfe"),
    ],
)
def test_a_line_is_read_alike_however_it_is_written(monkeypatch, change):
    read = partial(parts_of_file, change(SPACED))
    quick = read()
    monkeypatch.setattr("phase5_ops.sections.replay.audit.ledger_documents._written_plainly", lambda line: None)
    assert [each.to_bytes() for each in quick] == [each.to_bytes() for each in read()]


def parts_of_file(content):
    parts = []
    read_data_file(DataFile("file", partial(io.BytesIO, content)), NOW_MS, parts.append)
    *rest, last = parts
    return [*rest, LedgerPart(**{name: getattr(last, name) for name in LedgerPart.__slots__ if name != "read"})]


@pytest.mark.slow
def test_processes_read_what_one_reads(tmp_path):
    write_export(tmp_path, [POOL[:9], [], POOL[9:-3]])
    alone, together = (audit_paths([tmp_path], processes=count) for count in (0, 2))
    assert together == alone


def killed():
    os._exit(9)


@pytest.mark.slow
def test_a_process_that_dies_is_an_error_of_its_file():
    files = [DataFile("dies", killed), DataFile("whole", partial(io.BytesIO, lines(POOL[:5])))]
    found = {}
    read_files(files, NOW_MS, found.setdefault, processes=1, sizes=[2, 1])
    assert [found[number].read.status for number in (0, 1)] == [ReadStatus.FAILED, ReadStatus.FAILED]
    assert "ended with 9" in found[0].read.error


@pytest.mark.parametrize("kept", [0, 1])
def test_a_file_whose_last_part_is_missing_is_an_error_that_names_it(tmp_path, kept):
    (tmp_path / "ledger.json").write_bytes(lines(map(dynamodb, replay())))
    plan = plan_reading([DiskLocation(tmp_path)])
    parts = []
    read_data_file(plan.files[0].file, None, parts.append)
    begun = [replace(part, read=None) for part in parts[:kept]]
    judged = judge_parts(plan, [begun], policy=ReplayPolicy(), now=None)
    assert judged.verdict is Verdict.ERROR
    assert any("ledger.json" in finding.subject and "last part" in finding.seen for finding in judged.findings)


@pytest.mark.parametrize(("sizes", "processes"), [([10**9], 0), ([1, 2], 0), ([10**9, 10**9], 2)])
def test_processes_are_started_only_where_they_pay(monkeypatch, sizes, processes):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert processes_for(sizes) == processes


def test_one_core_reads_in_one_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert processes_for([10**9] * 9) == 0
