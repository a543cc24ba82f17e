"""Entries, outcomes and attempts of executions: the two checks on them."""

from datetime import timedelta

from phase5_ops.sandbox.state.records import ATTEMPTS, LEDGER, OUTCOMES
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.executions.platform import Execution, Platform
from phase5_ops_tests.sections.replay.audit.ledgers import dynamodb

READS = "entries of the ledger, outcomes and attempts of executions (`ccnative/executions`)"
MALFORMED = "`execution_record_malformed` or another blocking finding of the check on ends; never PASS"

SOUND = Execution(1, timedelta(minutes=30))
ITEMS = {
    LEDGER: [dynamodb(entry) for entry in SOUND.entries],
    OUTCOMES: [dynamodb(SOUND.outcome)],
    ATTEMPTS: [dynamodb(SOUND.attempt)],
}
BROKEN = {
    LEDGER: {
        "timestamp": ({"S": "yesterday"}, {"S": "2026-11-23T10:00:00"}, {"N": "1"}, None),
        "tenantId": ({"S": ""}, {"N": "1"}, {"S": "  "}, None, []),
        "traceId": ({"S": ""}, {"M": {}}, None, {"BOOL": False}),
        "accountId": ({"S": ""}, {"NULL": True}, None),
        "data": ({"S": "{}"}, {"L": []}, {"M": {"action_intent_id": {"N": "1"}}}, None),
        "eventType": ({"S": " EXECUTION_STARTED"}, {"S": "action_executed"}),
        "entryId": ({"S": "entry-1700000000000-x"}, {"S": ""}, {"N": "1"}, None),
        "sk": ({"S": "ENTRY#2020-01-01T00:00:00.000Z#x"}, {"S": "x"}),
    },
    OUTCOMES: {
        "status": ({"S": "RUNNING"}, {"N": "1"}, None),
        "attempt_count": ({"N": "-1"}, {"N": "1e999"}, {"S": "1"}, None),
        "completed_at": ({"S": ""}, {"S": "2026-11-23"}, {"N": "1"}, None),
        "trace_id": ({"S": ""}, {"S": "other"}, None),
        "sk": ({"S": "OUTCOME#"}, {"S": "x"}, {"B": "eA=="}, None),
    },
    ATTEMPTS: {
        "status": ({"S": "running"}, {"L": []}, None),
        "started_at": ({"S": "now"}, {"N": "1"}, None),
        "updated_at": ({"S": "now"}, {"S": ""}, None),
        "pk": ({"S": "TENANT#"}, {"S": ""}, None),
    },
}


def fuzz(data: bytes) -> None:
    """Judges altered records of executions; one that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    whole = Platform.of(Execution(2))
    whole.items = {table: list(items) for table, items in ITEMS.items()}
    if not data:
        assert whole.ends().verdict is Verdict.PASS
        return
    if broken:
        table = source.one_of(sorted(BROKEN))
        name = source.one_of(sorted(BROKEN[table]))
        place = source.one_of(range(len(ITEMS[table])))
        whole.items[table][place] = {**whole.items[table][place], name: source.one_of(BROKEN[table][name])}
        judged = whole.ends()
        assert judged.verdict.blocks, f"a broken record passes: {name} {whole.items[table][place]}"
        whole.measures()
        return
    for table, items in ITEMS.items():
        changed = source.changed(items, attributes=True, most=3)
        whole.items[table] = changed if isinstance(changed, list) else [changed]
    whole.ends()
    whole.measures()
