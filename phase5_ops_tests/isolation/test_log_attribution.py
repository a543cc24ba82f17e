"""Whose a line is: every way a line gets its owner, and what happens to lines that get none."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from phase5_ops.isolation.log_attribution import UNKNOWN, OwnerTable
from phase5_ops.isolation.log_evidence import Dictionary, LedgerOwners, dictionary_of
from phase5_ops.isolation.log_run import Event, LogRun, LogScan
from phase5_ops.isolation.log_scan import key_hashes
from phase5_ops.policy import LogException, LogScanPolicy
from phase5_ops.sandbox.ordinary_logs import execution_logs, ledger_items, logged, ordinary_executions

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
    return logged(1_795_424_883_525, "INFO", "ToolInvokerHandler", message, fields)


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
