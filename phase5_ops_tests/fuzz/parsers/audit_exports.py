"""The file of an audit export, compared with the ledger: audit_export_is_whole."""

import json
from decimal import Decimal
from typing import Any

from phase5_ops.ccnative.audit_exports import KEYS, MalformedExport, entries_of_export
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.exports.test_comparison import ENTRIES, exported, held, judged

READS = "the file of an audit export (`ccnative/audit_exports`, `sections/isolation/exports`)"
MALFORMED = (
    "`export_malformed`, or a finding of audit_export_is_whole; a file that says anything else than the ledger never passes"
)

OWN_KEYS = {entry["entryId"]: {name: entry[name] for name in KEYS & entry.keys()} for entry in ENTRIES}
SOUND = [exported(entry) for entry in ENTRIES]


def fuzz(data: bytes) -> None:
    """Compares altered files with the ledger; only one that says the same passes."""
    source = Source(data)
    text = source.rest().decode("utf-8", "surrogateescape") if source.chance(6) else json.dumps(source.changed(SOUND))
    try:
        file = entries_of_export(text)
    except MalformedExport:
        assert data, "a sound export is refused"
        return
    verdict = judged(held(ENTRIES), file).verdict
    same = sorted(map(_said, file)) == sorted(map(_said, SOUND))
    assert same == (verdict is Verdict.PASS), (
        f"the file says {'the same' if same else 'something else'}, and the verdict is {verdict}"
    )


def _said(entry: dict[str, Any]) -> str:
    """What an entry says, in one spelling: without the keys of the ledger's own entry, and numbers as numbers."""
    own = OWN_KEYS.get(str(entry["entryId"]), {})
    return repr(_plain({name: value for name, value in entry.items() if name not in KEYS or value != own.get(name)}))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return ("number", str(Decimal(str(value)).normalize())) if number else (type(value).__name__, value)
