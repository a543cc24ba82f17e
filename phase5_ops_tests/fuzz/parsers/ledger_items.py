"""Items of the ledger, of execution outcomes and attempts: row 3.2."""

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.replay.audit.ledgers import Audit, dynamodb, entry, outcome, replay

READS = "items of the ledger, execution outcomes and attempts (`ccnative/ledger`, `ccnative/executions/records`)"
MALFORMED = "`ledger_record_malformed` or another blocking finding of row 3.2; never PASS"

PLAIN = replay(name="one")
ITEMS = [dynamodb(item) for item in PLAIN]
BROKEN = {
    "eventType": ({"N": "1"}, {"S": ""}, {"S": "\ud800"}, None, {"S": " REPLAY_STARTED"}, {"L": []}),
    "timestamp": ({"S": "yesterday"}, {"S": "2026-11-23T10:00:00"}, {"N": "1"}, {"S": "\u0662\u066026-11-23T10:00:00.000Z"}, 7),
    "tenantId": ({"S": ""}, {"S": "  "}, {"N": "1"}, {"S": "\ud800"}, None, []),
    "traceId": ({"S": ""}, {"M": {}}, None, {"BOOL": False}),
    "entryId": ({"S": ""}, {"N": "5"}, None),
    "pk": ({"S": ""}, {"S": "TENANT#"}, {"N": "1"}, None),
    "sk": ({"S": "ENTRY#"}, {"S": "x"}, {"B": "eA=="}, None),
    "data": ({"S": "{}"}, {"L": []}, {"M": {"action_intent_id": {"N": "1"}}}, None),
}


def fuzz(data: bytes) -> None:
    """Audits a ledger of altered entries; one entry of a replay that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    outcomes = [outcome("ai_1_a", "trace-one", "SUCCEEDED")]
    if not data:
        assert Audit(ITEMS, outcomes=outcomes).judged().verdict is Verdict.PASS
    plain = source.chance(4)
    items = source.changed(PLAIN if plain else ITEMS, attributes=not plain)
    found = Audit(
        items if isinstance(items, list) else [items],
        outcomes=_listed(source.changed(outcomes, attributes=True, most=2)),
        attempts=_listed(source.changed(outcomes, attributes=True, most=2)) if source.chance(3) else [],
    )
    if broken:
        at = int(1000 * found.now.timestamp()) - 60_000
        item = dynamodb(entry("REPLAY_REQUESTED", at, trace="replay-request-broken", intent="ai_2_b"))
        name = source.one_of(sorted(BROKEN))
        found.items.append({**item, name: source.one_of(BROKEN[name])})
    judged = found.judged()
    assert not broken or judged.verdict is not Verdict.PASS, f"a broken entry passes: {name} {found.items[-1][name]}"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
