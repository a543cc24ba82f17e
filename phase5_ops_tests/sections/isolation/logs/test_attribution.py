"""Whose a line is: every way a line gets its owner, and what happens to lines that get none."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from phase5_ops.policy import LogException, LogScanPolicy
from phase5_ops.sandbox.state.ordinary_logs import execution_logs, ledger_items, logged, ordinary_executions
from phase5_ops.sections.isolation.logs import dictionary as log_dictionary
from phase5_ops.sections.isolation.logs import scan as log_scan
from phase5_ops.sections.isolation.logs.attribution import UNKNOWN, OwnerTable
from phase5_ops.sections.isolation.logs.evidence import Dictionary, LedgerOwners, dictionary_of
from phase5_ops.sections.isolation.logs.run import Event, LogRun, LogScan
from phase5_ops.sections.isolation.logs.tokens import LOOPS, Hashes, Ints, key_hash, key_hashes

GROUP = "/aws/lambda/cc-native-tool-invoker"
NASTY = (
    "a",
    "null",
    "acme",
    "acme-eu",
    "mü-ller",
    "TENANT",
    "0f8fad5b-d9cd-469f-a165-70867728950e",
    "ops@acme.example",
    "a.b",
    "日本",
)


def line(message: str, **fields: Any) -> str:
    return logged("2026-11-23T09:08:03.525Z", "INFO", "ToolInvokerHandler", message, fields)


def scan(
    lines: Sequence[str | tuple[str, str]], ids: Sequence[str] = ("acme", "globex"), *, judged_from: int = 0, **options: Any
) -> LogScan:
    """Scans events of one group; a line may be given as (stream, message)."""
    events = [("stream", each) if isinstance(each, str) else each for each in lines]
    with LogRun(dictionary(ids).tenants, threads=1, **options) as run:
        run.events(GROUP, [Event(stream, n, message) for n, (stream, message) in enumerate(events)], judged_from=judged_from)
        return run.finish()


def dictionary(ids: Sequence[str]) -> Dictionary:
    return dictionary_of(ids, LogScanPolicy())


def leaks(found: LogScan) -> list[tuple[str, str]]:
    return [(hit.owner, hit.foreign) for hit in found.foreign]


def test_a_line_that_names_another_tenant_than_its_trace_has_in_the_ledger_is_a_hit():
    found = scan([line("x", trace_id="trace-1-a", tenant_id="globex")], ledger={"trace-1-a": "acme"})
    assert leaks(found) == [("acme", "globex")]
    hit = found.foreign[0]
    assert (hit.group, hit.stream, hit.line, hit.time) == (GROUP, "stream", 1, "1970-01-01T00:00:00.000Z")


def test_without_a_ledger_the_first_line_with_a_tenant_field_says_whose_a_trace_is():
    found = scan([line("x", traceId="trace-1-a", tenantId="acme"), line("of globex", trace_id="trace-1-a")])
    assert leaks(found) == [("acme", "globex")]


def test_a_line_before_the_one_that_says_whose_its_trace_is_is_judged_at_the_end():
    found = scan([line("of globex", trace_id="trace-1-a"), line("x", trace_id="trace-1-a", tenant_id="acme")])
    assert leaks(found) == [("acme", "globex")]


def test_a_line_without_ids_belongs_to_the_invocation_that_its_stream_is_in():
    start = "START RequestId: 258a907b-ec90-43a2-8a89-66aa9c1cc52f Version: 1"
    end = "END RequestId: 258a907b-ec90-43a2-8a89-66aa9c1cc52f"
    owned = line("x", trace_id="trace-1-a")
    found = scan([start, owned, "Error: globex", end, "Error: globex"], ledger={"trace-1-a": "acme"})
    assert leaks(found) == [("acme", "globex")]
    assert found.totals[GROUP].unattributed == 1


def test_streams_of_one_group_do_not_mix():
    a, b = line("x", trace_id="trace-1-a"), line("x", trace_id="trace-1-b")
    found = scan(
        [("s1", a), ("s2", b), ("s1", "of acme"), ("s2", "of globex")], ledger={"trace-1-a": "acme", "trace-1-b": "globex"}
    )
    assert leaks(found) == []
    assert found.totals[GROUP].unattributed == 0


def test_a_request_id_joins_lines_across_streams_and_blocks():
    request = "258a907b-ec90-43a2-8a89-66aa9c1cc52f"
    first, second = (f"2026-11-23T09:08:03.525Z\t{request}\tINFO\t{text}" for text in (line("x", trace_id="trace-1-a"), "globex"))
    found = scan([("s1", first), ("s2", second)], ledger={"trace-1-a": "acme"})
    assert leaks(found) == [("acme", "globex")]
    assert found.foreign[0].request == request


def test_a_line_that_names_a_foreign_trace_beside_its_own_is_judged_against_both():
    found = scan(
        [line("x", action_intent_id="ai_2", trace_id="trace-1-a", tenant_id="globex")],
        ledger={"trace-1-a": "acme", "ai_2": "globex"},
    )
    assert leaks(found) == [("acme", "globex")]


def test_lines_without_a_known_owner_are_counted_and_no_hit():
    found = scan([("s1", line("x", tenant_id="globex")), ("s2", line("x", trace_id="trace-9", tenant_id="acme"))], ledger={})
    assert leaks(found) == []
    assert (found.totals[GROUP].naming, found.totals[GROUP].unattributed) == (2, 2)


@pytest.mark.parametrize(
    ("own", "other", "hits"),
    [
        ("acme", "globex", [("acme", "globex")]),
        ("acme", "acme", []),
        ("can-a", "can-b", []),
        ("can-a", "globex", [("can-a", "globex")]),
    ],
)
def test_a_line_without_ids_must_not_name_another_tenant_than_its_own_field(own, other, hits):
    """Two test tenants in one line may be a probe's, of which nothing tells without ids."""
    found = scan(
        [line(f"of {other}", tenant_id=own)], ("acme", "globex", "can-a", "can-b"), canaries=frozenset({"can-a", "can-b"})
    )
    assert leaks(found) == hits
    assert found.totals[GROUP].unattributed == 1


def test_lines_before_the_window_only_say_whose_the_others_are():
    found = scan(["x", line("globex", trace_id="trace-1-a"), "of globex"], judged_from=2, ledger={"trace-1-a": "acme"})
    assert leaks(found) == [("acme", "globex")]
    assert found.totals[GROUP].naming == 1


def test_the_two_test_tenants_may_name_each_other_in_a_probe_of_ours_only():
    lines = [
        line("x", action_intent_id="ai_probe", tenant_id="globex"),
        line("x", action_intent_id="ai_other", tenant_id="globex"),
    ]
    found = scan(
        lines,
        ledger={"ai_probe": "acme", "ai_other": "acme"},
        canaries=frozenset({"acme", "globex"}),
        probes=("ai_probe",),
    )
    assert found.totals[GROUP].probes_set_aside == 1
    assert leaks(found) == [("acme", "globex")]


def test_an_invocation_on_the_allow_list_is_set_aside_and_counted():
    exception = LogException(log_group="*tool-invoker", message="Nightly batch", justification="works on every tenant")
    found = scan(
        [line("Nightly batch", trace_id="trace-1-a", tenants="acme,globex")], ledger={"trace-1-a": "acme"}, exceptions=[exception]
    )
    assert leaks(found) == []
    assert found.totals[GROUP].listed_set_aside == 1


def test_the_excerpt_shows_the_foreign_id_and_nothing_else_of_the_line():
    secret = line("Card 4111111111111111 of globex", trace_id="trace-1-a", body="secret-payload", tenant_id="globex")
    found = scan([secret], ledger={"trace-1-a": "acme"})
    for hit in found.foreign:
        assert "globex" in hit.excerpt
        assert not any(word in hit.excerpt for word in ("4111", "secret", "payload", "Card"))


def test_hits_beyond_the_first_thousand_are_counted():
    found = scan([line("globex", trace_id="trace-1-a")] * 1_200, ledger={"trace-1-a": "acme"})
    assert len(found.foreign) == 1_000
    assert found.totals[GROUP].foreign == 1_200


@pytest.mark.parametrize("seed", range(50))
def test_ordinary_lines_of_tenants_with_any_names_give_no_finding(seed: int):
    chosen = random.Random(seed)
    names = [*chosen.sample(NASTY, 6), *(f"{chosen.choice(NASTY)}-{chosen.randrange(99)}" for _ in range(3))]
    names = list(dict.fromkeys(names))
    executions = ordinary_executions(names, 1_795_424_883_000)
    lines = [(each.function, each.message) for execution in executions for each in execution_logs(execution)]
    owners = LedgerOwners()
    for item in [item for execution in executions for item in ledger_items(execution)]:
        owners.add(item)
    found = scan(lines, names, ledger=owners.owners())
    assert not owners.malformed
    assert leaks(found) == []
    assert found.totals[GROUP].unattributed == 0
    assert found.totals[GROUP].naming == 6 * len(executions) - len(executions)


def scan_apart(*parts: Sequence[str]) -> LogScan:
    """Scans each part as a batch of its own, so that what the later ones say is not known to the earlier."""
    with LogRun(dictionary(("acme", "globex")).tenants, threads=1) as run:
        for number, part in enumerate(parts):
            run.events(GROUP, [Event(f"stream-{number}", 1_000 * number + n, message) for n, message in enumerate(part)])
        return run.finish()


def test_a_hit_that_is_judged_late_keeps_its_place_and_excerpt(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phase5_ops.sections.isolation.logs.attribution.BATCH_BYTES", 1)
    found = scan_apart(["x", line("of globex", trace_id="trace-1-a")], [line("x", trace_id="trace-1-a", tenant_id="acme")])
    (hit,) = found.foreign
    assert (hit.group, hit.stream, hit.line, hit.time) == (GROUP, "stream-0", 2, "1970-01-01T00:00:00.001Z")
    assert (hit.owner, hit.foreign, "globex" in hit.excerpt) == ("acme", "globex", True)


def test_of_late_hits_beyond_the_limit_only_the_group_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phase5_ops.sections.isolation.logs.attribution.BATCH_BYTES", 1)
    monkeypatch.setattr("phase5_ops.sections.isolation.logs.attribution.MAX_PENDING_DETAILED", 3)
    late = [line("of globex", trace_id="trace-1-a")] * 2
    found = scan_apart(late, late, late, [line("x", trace_id="trace-1-a", tenant_id="acme")])
    assert [(hit.owner, hit.foreign, hit.line) for hit in found.foreign] == [("acme", "globex", n) for n in (1, 2, 3, 0, 0, 0)]
    assert "not kept" in found.foreign[-1].excerpt
    assert found.totals[GROUP].foreign == 6


def test_two_texts_of_one_hash_accuse_nobody(monkeypatch: pytest.MonkeyPatch):
    true_hashes, other, foreign = log_scan.span_hashes, key_hash("initex"), key_hash("globex")

    def colliding(words: Any, starts: Ints, lengths: Ints) -> Hashes:
        hashes = true_hashes(words, starts, lengths)
        hashes[hashes == np.uint64(other)] = np.uint64(foreign)
        return hashes

    monkeypatch.setattr(LOOPS, "loaded", None)  # an earlier test may have loaded them, and they have functions of their own
    monkeypatch.setattr(LOOPS, "after", lambda _: None)
    monkeypatch.setattr(log_scan, "span_hashes", colliding)
    for module in (log_scan, log_dictionary):
        monkeypatch.setattr(module, "anchor_slots", lambda _words, starts, *_: np.zeros(len(starts), np.int64))
    owned = {"ledger": {"trace-1-a": "acme"}}
    assert log_scan.LineScanner(dictionary(["globex"]).tenants).scan(b"initex").tenant.tolist() == [0]
    assert leaks(scan([line("initex", trace_id="trace-1-a")], **owned)) == []
    assert leaks(scan([line("initex or globex", trace_id="trace-1-a")], **owned)) == [("acme", "globex")]


def test_a_trace_that_two_tenants_have_in_the_ledger_belongs_to_the_earlier_entry_in_any_order():
    def entry(tenant: str, at: str) -> dict[str, Any]:
        texts = {"sk": f"ENTRY#{at}", "tenantId": tenant, "traceId": "trace-1-a"}
        return {name: {"S": value} for name, value in texts.items()}

    entries = [entry("globex", "2026-11-23T09:00:01.000Z"), entry("acme", "2026-11-23T09:00:00.000Z")]
    for order in (entries, entries[::-1]):
        owners = LedgerOwners()
        for item in order:
            owners.add(item)
        assert owners.owners() == {"trace-1-a": "acme"}


def test_ledger_entries_without_tenant_or_in_another_form_are_counted():
    owners = LedgerOwners()
    for item in (
        {},
        {"tenantId": {"S": ""}},
        {"tenantId": {"N": "1"}},
        "text",
        None,
        {"tenantId": {"S": "a"}, "data": {"S": "x"}},
    ):
        owners.add(item)
    assert (owners.malformed, owners.owners()) == (6, {})


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("stack: Error\\nglobex", True),  # a line break as JSON writes it
        ('{\\"tenantId\\":\\"globex\\"}', True),
        ("/TENANT%23globex/", True),
        ("ops%40globex.example", True),
        ("\u200bglobex\u200b", True),  # beside characters without width
        ("glo\u200bbex", True),  # and with one inside
        ("GLOBEX", False),  # these are seen where policy asks for them
        ("Z2xvYmV4", False),
        ("globex-eu", False),
        ("my-globex", False),
        ("globex.", True),
    ],
)
def test_what_is_seen_of_a_tenant_that_is_written_in_other_ways(text: str, seen: bool):
    ids = ("acme", "globex", "ops@globex.example")
    found = scan([f'{text} "trace_id":"trace-1-a"'], ids, ledger={"trace-1-a": "acme"})
    assert bool(found.foreign) is seen


def test_a_request_id_in_two_streams_is_one_invocation_of_the_tenant_that_comes_first():
    request = '"requestId":"r-1"'
    found = scan(
        [("s1", f'{request} "trace_id":"trace-1-a"'), ("s2", f"{request} of globex"), ("s2", f"{request} of acme")],
        ledger={"trace-1-a": "acme"},
    )
    assert leaks(found) == [("acme", "globex")]


def test_the_owner_table_keeps_the_first_owner_and_grows():
    table, keys = OwnerTable(), key_hashes([f"trace-{n}" for n in range(100_000)])
    table.add(np.concatenate([keys[:10], keys[:10]]), np.array([*range(10), *range(50, 60)]))
    table.add(keys, np.arange(len(keys)) % 7)
    assert table.get(keys[:10]).tolist() == list(range(10))
    assert (table.get(keys[10:]) == np.arange(10, len(keys)) % 7).all()
    assert table.get(key_hashes(["another"])).tolist() == [UNKNOWN]
    assert len(table) == len(keys)


def test_the_owner_table_forgets_the_oldest_and_says_so():
    table = OwnerTable(limit=1_000)
    for start in range(0, 5_000, 500):
        table.add(key_hashes([f"trace-{n}" for n in range(start, start + 500)]), np.zeros(500, np.int64))
    assert len(table) <= 1_000
    assert table.forgotten >= 4_000
    assert (table.get(key_hashes([f"trace-{n}" for n in range(4_500, 5_000)])) == 0).all()
