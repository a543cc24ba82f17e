"""Records of configuration and the ledger's entries of their changes: changes_are_audited."""

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.costs.changes.changed_platform import Raw, audited, item_of

READS = "records of configuration, and ledger entries of their changes (`ccnative/configuration_changes`)"
MALFORMED = "`change_record_malformed` or another blocking finding of changes_are_audited; never PASS"

#: Attributes of a record, and of an entry, with values that the platform never writes.
BROKEN_RECORDS = (
    ("updated_at", ({"N": "1"}, {"S": "2026-13-45T00:00:00Z"}, {"S": "9999-99-99"}, {"S": ""}, {"L": []}, 5)),
    ("updated_by", ({"N": "1"}, {"M": {}}, {"S": "unknown"}, {"S": "\u200b"})),
)
BROKEN_ENTRIES = (
    ("data", ({"S": "changed"}, {"M": {}}, {"L": []}, None)),
    ("timestamp", ({"S": "2026-11-23"}, {"N": "1"}, {"S": "never"})),
    ("tenantId", ({"S": "globex"}, {"N": "1"}, {"S": ""})),
    ("eventType", ({"S": "SIGNAL"}, {"S": ""})),
)


def fuzz(data: bytes) -> None:
    """Judges altered records and entries; one that is surely broken never passes."""
    source = Source(data)
    platform = audited()
    if not data:
        assert platform.judged().verdict is Verdict.PASS
    broken = source.chance(2)
    held, values = source.one_of(((platform.records, BROKEN_RECORDS), (platform.entries, BROKEN_ENTRIES)))
    place = source.one_of(range(len(held)))
    if broken:
        name, wrong = source.one_of(values)
        held[place][name] = value = Raw(source.one_of(wrong))
    else:
        changed = source.changed(item_of(held[place]), attributes=True)
        held[place] = {name: Raw(value) for name, value in changed.items()} if isinstance(changed, dict) else {"pk": Raw(changed)}
    verdict = platform.judged().verdict
    assert not broken or verdict is not Verdict.PASS, f"a broken record passes: {name} = {value}"
