"""Cost Explorer's answers, tenants and outcomes: row 5.2."""

import json

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.costs.bill.cost_platform import Bill, amounts, outcome, tenant

READS = "Cost Explorer's answers, items of tenants and of execution outcomes (`aws/cost_answers`, `ccnative/tenant_register`)"
MALFORMED = "`cost_unreadable`, `cost_record_malformed`, or another blocking finding of row 5.2; never PASS"

#: Metrics of a group as Cost Explorer never gives them.
BROKEN_METRICS = (
    {},
    None,
    [],
    amounts("NaN"),
    amounts("Infinity"),
    amounts(""),
    amounts(None),
    amounts("1e999999999"),
    amounts("3", unit=None),
    {"UnblendedCost": {"Amount": "3", "Unit": "USD"}},
    {"UnblendedCost": "3", "AmortizedCost": "3"},
)
BROKEN_KEYS = ([], ["tenant$acme"], "tenant$acme", None, [1, 2], ["acme", "internal"], ["tenant$acme", "connector$x", "tenant$y"])


def fuzz(data: bytes) -> None:
    """Judges the report of altered answers; a group that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    if not data:
        assert Bill().judged().verdict is Verdict.PASS

    def change(grouped: list, total: list) -> None:
        for pages in (grouped, total):
            if source.chance(2):
                pages[:] = _listed(source.changed(pages))
        if broken:
            group = {"Keys": ["tenant$acme", "connector$internal"], "Metrics": amounts("0")}
            group |= {"Metrics": source.one_of(BROKEN_METRICS)} if source.chance(2) else {"Keys": source.one_of(BROKEN_KEYS)}
            day = {"TimePeriod": {"Start": "2026-11-20", "End": "2026-11-21"}, "Estimated": True, "Total": {}, "Groups": [group]}
            grouped.append({"ResultsByTime": [day]})
        for pages in (grouped, total):
            pages[:] = [answered("ce", "GetCostAndUsage", json.dumps(page)) for page in pages]

    bill = Bill(change=change)
    if source.chance(2):
        bill.tenants = _listed(source.changed([tenant("acme"), tenant("globex")], attributes=True))
        bill.outcomes = _listed(source.changed([outcome("acme"), outcome("globex")], attributes=True))
    try:
        verdict = bill.judged().verdict
    except UNREADABLE:
        assert data, "the sound answer is refused"
        return
    assert not broken or verdict is not Verdict.PASS, "a broken group passes"


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [value]
