"""What the Control Center answers to the probes of rows 3.1 and 3.3, and what their replays leave in the ledger."""

import json
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.sections.replay.probes.evidence import (
    REPLAY_PROBES_SENT,
    SentFacts,
    attribute_entries,
    probe_table,
    sent_row,
)
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.replay.probes import test_judge as sound

READS = "answers to the replay probes, and the ledger entries that they leave (`sections/replay/probes`)"
MALFORMED = "a blocking finding of rows 3.1 and 3.3; a probe that was let in, or a replay that left nothing, never passes"

STATUS = (202, 200, 201, 299, 300, 400, 401, 403, 404, 409, 422, 429, 500, 100, 0, -1, 10**6)
#: Whoever is let in by these is let in wrongly.
CLOSED = [probe for probe in sound.PLAN if probe.expect not in sound.MAY_WORK and probe.name != "other_client"]


def drawn_answer(source: Source) -> HttpAnswer:
    """An answer as the client of the probes may give it."""
    problem = source.one_of(list(Problem)) if source.chance(2) else None
    status = None if problem and source.chance(2) else source.one_of(STATUS)
    body = source.json_text(source.value()) if source.chance(2) else source.text()
    return HttpAnswer(status, problem, source.text()[:400] if problem else "", body[:400], float(source.number(60_000)))


def fuzz(data: bytes) -> None:
    """Judges altered answers and entries; a probe that was surely let in, or a replay without a trace, never passes."""
    source = Source(data)
    let_in = source.one_of(CLOSED) if source.chance(3) else None
    traceless = source.chance(6)
    altered = {source.one_of(sound.PLAN).name: drawn_answer(source) for _ in range(source.number(3))}
    asked = {**sound.EXPECTED, **{name: sent_row(sound.PROBES[name], answer, None) for name, answer in altered.items()}}
    if let_in is not None:
        yes = HttpAnswer(source.one_of((200, 202, 299)), None, "", source.text()[:400], 1.0)
        asked[let_in.name] = sent_row(let_in, yes, None)
    rows = list(asked.values())
    try:
        left = [] if traceless else [(tenant, _item(source, item)) for tenant, item in sound.HEALTHY]
    except UNREADABLE:
        assert data, "the sound entries are refused"
        return
    sent = REPLAY_PROBES_SENT.gathered(rows, SentFacts(context={"requesters": [sound.USER], "mode": "full"}))
    table = probe_table(sent, attribute_entries(rows, left), []).with_reads([sound.READ], sound.NOW)
    links = ConsoleLinks("us-west-2")
    verdicts = [judge(table, links=links, ledger_table="ledger").verdict for judge in (judge_authorization, judge_permissions)]
    assert data or set(verdicts) == {Verdict.PASS}, f"the sound answers do not pass: {verdicts}"
    assert not traceless or Verdict.PASS not in verdicts, "replays without a trace pass"
    if let_in is not None:
        assert verdicts[let_in.row == "3.3"] is not Verdict.PASS, f"{let_in.name} was let in and passes"


def _item(source: Source, item: Any) -> Any:
    """An entry, now and then with a few places changed, as the ledger's query gives it."""
    if not source.chance(4):
        return item
    changed = source.changed(item, attributes=True)
    (found,) = answered("dynamodb", "Query", json.dumps({"Items": [changed]}))["Items"]
    return found
