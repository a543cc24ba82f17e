"""CloudTrail: data events of the execution (row 4.1), and records of Sign calls (signatures, and who signs)."""

import gzip
import json
from datetime import timedelta

from phase5_ops.aws.data_trail import DataTrail, _NotATrailFile, _records, _take
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.signing.audit import Match, event_in
from phase5_ops.gate.signing.caller import _named
from phase5_ops.sections.isolation.harness.events import parse_event
from phase5_ops.sections.isolation.harness.evidence import ISOLATION_HARNESS, Result
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.gate.signing.test_audit import CLAIM, entries, event, judged
from phase5_ops_tests.sections.isolation.harness.support import NOW
from phase5_ops_tests.sections.isolation.harness.test_trail import B_KEY, OUTCOMES, OWN_KEY, query, read, record

READS = "CloudTrail's data events and records of Sign calls, events of the bus (`harness/trail`, `gate/signing/audit`)"
MALFORMED = "an INVALID read, `reads_not_judged`, or a signature that does not match; never in scope, never MATCHED"

RECORDS = [
    record("GetItem", tableName=OUTCOMES, key=OWN_KEY),
    query("pk = :p", {":p": {"S": OWN_KEY["pk"]}}),
    record("BatchGetItem", requestItems={OUTCOMES: {"keys": [OWN_KEY]}}),
    record("TransactWriteItems", transactItems=[{"put": {"tableName": OUTCOMES, "item": OWN_KEY}}]),
    record("ExecuteStatement", statement=f"SELECT * FROM \"{OUTCOMES}\" WHERE pk = '{OWN_KEY['pk']}'"),
]
FOREIGN = record("GetItem", tableName=OUTCOMES, key=B_KEY)
PIECES = ("'", '"', "SELECT ", "WHERE ", " OR ", " AND ", "(", ")", "?", "IN [", "]", "--", "\x00", "\ud800", "pk", "=", ",", ";")


def fuzz(data: bytes) -> None:
    """Judges altered records; a read of another tenant's key is found whatever stands beside it."""
    source = Source(data)
    if not data:
        assert {row.result for row in read(*RECORDS).rows} == {Result.IN_SCOPE}
    altered = source.changed(RECORDS)
    altered = altered if isinstance(altered, list) else [altered]
    statement = source.spliced(RECORDS[-1]["requestParameters"]["statement"], PIECES)
    altered.append(record("ExecuteStatement", statement=statement))
    content = source.json_text({"Records": [*altered, FOREIGN]}).encode("utf-8", "surrogatepass")
    file = gzip.compress(content, mtime=0) if source.chance(2) else content
    damaged = source.spliced_bytes(file) if source.chance(3) else file
    trail = DataTrail()
    try:
        _take(_records(damaged), trail, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    except (_NotATrailFile, OSError, EOFError):
        assert damaged != file, "a whole file cannot be read"
        return
    except Exception as error:
        if type(error).__module__ != "zlib":
            raise
        return
    rows = read(*trail.records).rows
    ISOLATION_HARNESS.gathered(rows, NoFacts())
    assert damaged != file or any(row.result is Result.VIOLATION for row in rows), "a foreign read is passed over"
    _signatures(source)


def _signatures(source: Source) -> None:
    whole = event()
    changed = source.changed(whole)
    text = source.spliced(source.json_text(changed), ('"', "{", "[" * 2000, "NaN", "\\ud800"))
    found = judged(text)
    entry = entries(text)[0]
    if found.match is Match.MATCHED:
        said = event_in(entry)
        needed = ("requestID", "eventSource", "eventName")
        assert all((said or {}).get(name) == whole[name] for name in needed), "another record matches"
    try:
        (entry,) = answered("cloudtrail", "LookupEvents", json.dumps({"Events": [source.changed(entry, most=1)]}))["Events"]
    except UNREADABLE:
        return
    list(_named([entry, entries(text)[0]], CLAIM.session, "ASIAEXAMPLE"))
    event_in(entry)
    bus = {"source": "cc", "detail-type": "x", "detail": {"tenant_id": "a"}}
    parse_event(source.spliced(source.json_text(source.changed(bus)), ("[" * 2000, "{", '"')))
    json.dumps(found.why)
