"""A scan by parts that were scanned elsewhere gives what a scan of the whole gives, byte for byte."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from phase5_ops.input_files.archives import Archive, files
from phase5_ops.policy import LogException, LogScanPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sandbox.state.ordinary_logs import logged
from phase5_ops.sections.isolation.logs import attribution, parts
from phase5_ops.sections.isolation.logs.evidence import dictionary_of, scan_facts, scan_rows
from phase5_ops.sections.isolation.logs.files import as_json, scan_files
from phase5_ops.sections.isolation.logs.judge import judge_log_scan
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops.sections.isolation.logs.parts import LogPartUnreadable, PartRun, ScannedPart
from phase5_ops.sections.isolation.logs.pieces import Scanning
from phase5_ops.sections.isolation.logs.reading import missing_reads, scan_archive
from phase5_ops.sections.isolation.logs.run import Event, LogRun, LogScan
from phase5_ops_tests.places import FIELD_CASES
from phase5_ops_tests.sections.isolation.logs.log_shapes import TENANTS

CASES = FIELD_CASES / "logs"
GROUPS = ("/aws/lambda/cc-native-tool-invoker", "/aws/lambda/cc-native-execution-recorder")
EXCEPTION = LogException(log_group="*recorder", message="of every tenant", justification="a batch job by its nature")
SECRET = "do-not-keep-me"


def scanning(ids: Sequence[str], policy: LogScanPolicy) -> Scanning:
    scanner = LayeredScanner(dictionary_of(ids, policy).tenants, base64=policy.base64, any_case=policy.any_letter_case)
    return Scanning(scanner, policy.exceptions)


def failure(error: Exception) -> tuple[ReadStatus, str]:
    return ReadStatus.FAILED, str(error)


def kept(part: PartRun) -> ScannedPart:
    """As it comes back from where it was kept."""
    return ScannedPart.from_bytes(part.finish().to_bytes(), tenants=len(part._recorder._ids))


def scan_files_by_parts(paths: Sequence[Path], ids: Sequence[str], policy: LogScanPolicy) -> str:
    """As `scan_files`, each file a part."""
    dictionary, how, reads = dictionary_of(ids, policy), scanning(ids, policy), []
    archives = [archive for path in paths for archive in files([str(path)])]
    with LogRun(dictionary.tenants, exceptions=policy.exceptions, base64=policy.base64, threads=1) as run:
        for archive in archives:
            part = PartRun(archive.name, how, dictionary.tenants.ids)
            reads += scan_archive(part, archive, failure)
            run.merge(kept(part), again_of(archive))
        scan = run.finish()
        reads += missing_reads(run)
        assert run.not_read_again == {}
    facts = {**scan_facts(scan, dictionary), "files": len(archives)}
    return as_json(judge_log_scan(scan_rows(scan, dictionary), facts=facts, reads=reads, policy=policy))


def again_of(archive: Archive) -> Callable[[PartRun], str | None]:
    def again(look: PartRun) -> str | None:
        scan_archive(look, archive, failure)
        return None

    return again


def test_files_by_parts_give_the_same_document():
    ids = (CASES / "tenants.txt").read_text().split()
    paths, policy = [path for path in sorted(CASES.iterdir()) if path.name != "tenants.txt"], LogScanPolicy(base64=True)
    whole = as_json(scan_files([str(path) for path in paths], ids, policy))
    assert scan_files_by_parts(paths, ids, policy) == whole
    assert sum(finding["code"] == "foreign_tenant_in_log" for finding in json.loads(whole)["findings"]) > 5


def random_events(chosen: random.Random) -> dict[str, list[Event]]:
    """Events of two groups in order of time: invocations one after the other in each stream; some name another tenant."""
    events: dict[str, list[Event]] = {group: [] for group in GROUPS}
    for group, stream in ((group, f"stream-{number}") for group in GROUPS for number in range(3)):
        moment = chosen.randrange(5)
        for _ in range(4):
            number = chosen.randrange(8)
            for message in invocation(number, chosen):
                events[group].append(Event(stream, moment, message))
                moment += chosen.randrange(6)
    return {group: sorted(found, key=lambda event: event.time) for group, found in events.items()}


def invocation(number: int, chosen: random.Random) -> list[str]:
    """The lines of one invocation; its trace is in the ledger for most numbers."""
    request, trace = f"11111111-aaaa-4bbb-8ccc-{chosen.randrange(10**6):012d}", f"trace-{number}"
    prefix, named = f"2026-11-23T09:08:03.525Z\t{request}\tINFO\t", chosen.choice(TENANTS)
    fields = {"requestId": request, "trace_id": trace, "tenant_id": chosen.choice((TENANTS[number % 2], named))}
    return [
        f"START RequestId: {request} Version: 1",
        logged("2026-11-23T09:08:03.525Z", "INFO", "Tool", chosen.choice((SECRET, "mail of every tenant")), fields),
        chosen.choice((f"{prefix}sent to {named}", f"Error: {SECRET}")),
        f"Error: {named.replace('e', '%65')}",
        f"END RequestId: {request}",
    ]


def as_document(scan: LogScan) -> str:
    return json.dumps([{group: asdict(each) for group, each in scan.totals.items()}, [asdict(hit) for hit in scan.foreign]])


@pytest.mark.parametrize("seed", range(12))
def test_events_by_hours_give_the_same_rows(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Traces cross the hours; blocks, pages and batches are small and cut at other places by hours than in the whole."""
    chosen, policy = random.Random(seed), LogScanPolicy(exceptions=(EXCEPTION,))
    events, dictionary = random_events(chosen), dictionary_of(TENANTS, policy)
    monkeypatch.setattr(attribution, "BATCH_BYTES", chosen.choice((1, 300, 1 << 20)))
    options = {"canaries": frozenset(TENANTS), "probes": ["trace-1"], "exceptions": policy.exceptions, "threads": 1}
    options["ledger"] = {f"trace-{number}": TENANTS[number % 2] for number in range(6)}
    page = chosen.choice((7, 60))
    with LogRun(dictionary.tenants, **options) as run:
        for group in GROUPS:
            for begin in range(0, len(events[group]), page):
                run.events(group, events[group][begin : begin + page], judged_from=10)
        whole = run.finish()
    monkeypatch.setattr(parts, "BLOCK_BYTES", chosen.choice((200, 1 << 20)))
    how = scanning(TENANTS, policy)
    with LogRun(dictionary.tenants, **options) as run:
        for group in GROUPS:
            for hour in range(0, 100, 20):
                inside = [event for event in events[group] if hour <= event.time < hour + 20]
                part = PartRun(f"{group} {hour}", how, TENANTS)
                for event in inside:
                    part.events(group, [event])

                def again(look: PartRun, group: str = group, inside: list[Event] = inside) -> None:
                    look.events(group, inside)

                run.merge(kept(part), again, judged_from=10)
        by_hours = run.finish()
        assert run.not_read_again == {}
    assert whole.foreign
    assert as_document(by_hours) == as_document(whole)


@pytest.fixture
def part() -> PartRun:
    run = PartRun("part", scanning(TENANTS, LogScanPolicy()), TENANTS)
    line = logged("2026-11-23T09:08:03.525Z", "INFO", "Tool", SECRET, {"trace_id": "trace-1", "tenant_id": "globex"})
    run.events(GROUPS[0], [Event("stream", 1, line), Event("stream", 2, "mail to acme")])
    return run


def test_a_part_holds_no_text_of_a_line(part: PartRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "_COMPRESSED", None)
    content = part.finish().to_bytes()
    assert GROUPS[0].encode() in content
    for word in (SECRET, "mail", "trace-1", *TENANTS):
        assert word.encode() not in content


def test_a_part_that_is_not_whole_is_refused(part: PartRun):
    content = part.finish().to_bytes()
    for size in range(0, len(content), 7):
        with pytest.raises(LogPartUnreadable):
            ScannedPart.from_bytes(content[:size], tenants=len(TENANTS))
    with pytest.raises(LogPartUnreadable):
        ScannedPart.from_bytes(content + content, tenants=len(TENANTS))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [5, 0, 0, 0, 2]},
        {"rows": [1, 0]},
        {"rows": None},
        {"lines": [None, 0, 0]},
        {"lines": [2, -1, 0]},
        {"size": [10**30, 1]},
        {"streams": []},
        {"streams": [5]},
        {"streams": None, "timed": 7},
        {"origin": ["a", "b"]},
        {"further": 1},
    ],
)
def test_a_part_whose_head_does_not_fit_its_rows_is_refused(part: PartRun, change: dict):
    content = part.finish().to_bytes()
    size = int.from_bytes(content[:8], "big")
    head = json.loads(content[8 : 8 + size])
    head["blocks"][0] |= change
    changed = json.dumps(head).encode()
    with pytest.raises(LogPartUnreadable):
        ScannedPart.from_bytes(len(changed).to_bytes(8, "big") + changed + content[8 + size :], tenants=len(TENANTS))


def test_a_part_that_names_an_id_that_was_not_searched_for_is_refused(part: PartRun):
    with pytest.raises(LogPartUnreadable, match="an id that there is not"):
        ScannedPart.from_bytes(part.finish().to_bytes(), tenants=1)


def test_a_part_nested_too_deep_is_refused():
    with pytest.raises(LogPartUnreadable):
        ScannedPart.from_bytes((100_000).to_bytes(8, "big") + b"[" * 100_000, tenants=1)


def test_a_part_of_another_version_is_refused(part: PartRun, monkeypatch: pytest.MonkeyPatch):
    content = part.finish().to_bytes()
    monkeypatch.setattr(parts, "VERSION", parts.VERSION + 1)
    with pytest.raises(LogPartUnreadable, match="version 1 of kept parts; this one reads 2"):
        ScannedPart.from_bytes(content, tenants=len(TENANTS))


@pytest.mark.parametrize(
    ("again", "problem"),
    [
        (lambda _: None, "1 lines that name a foreign tenant were not there when it was read again"),
        (lambda look: look.events(GROUPS[0], [Event("stream", 1, "acme")]), "1 lines that name a foreign tenant were not there"),
        (lambda _: "access denied", "access denied"),
    ],
)
def test_a_hit_whose_line_does_not_come_again_is_a_hit_all_the_same(part: PartRun, again, problem: str):
    with LogRun(dictionary_of(TENANTS, LogScanPolicy()).tenants, ledger={"trace-1": "acme"}, threads=1) as run:
        run.merge(kept(part), again)
        scan = run.finish()
    assert [(hit.owner, hit.foreign, hit.line, hit.excerpt) for hit in scan.foreign] == [
        ("acme", "globex", 1, "the line was not found again where it had been read")
    ]
    assert list(run.not_read_again) == ["part"]
    assert run.not_read_again["part"].startswith(problem)
