"""Items of the tables of autonomy and its budgets, and of every table that names accounts: row 5.1."""

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import NAMING, TABLES, healthy, item

READS = "items of the tables of autonomy, budgets, intents and tables that name accounts (`ccnative/autonomy`, `named_accounts`)"
MALFORMED = "`budget_record_malformed` or another blocking finding of row 5.1; never PASS"

#: (table, sort key, attribute) of the sound platform, with values that the platform never writes.
BROKEN = (
    (
        "budget_state",
        "BUDGET_STATE#2026-11-22",
        "total",
        ({"N": "-1"}, {"S": "4"}, {"N": "NaN"}, {"N": "4.5"}, {"N": "1e400"}, None),
    ),
    ("budget_state", "BUDGET_STATE#2026-11-22", "counts", ({"L": []}, {"M": {"X": {"S": "1"}}}, {"M": {"X": {"N": "-1"}}}, 5)),
    ("budget_state", "BUDGET_STATE#2026-11-22", "sk", ({"S": "BUDGET_STATE#2026-13-45"}, {"S": "BUDGET_STATE#"}, {"N": "1"})),
    (
        "budget_state",
        "BUDGET#CONFIG",
        "max_autonomous_per_day",
        ({"N": "Infinity"}, {"N": "-2"}, {"S": "5"}, {"BOOL": True}, None),
    ),
    ("decision_budget", "BUDGET", "daily_decisions_remaining", ({"N": "NaN"}, {"S": "7"}, {"N": "1e999999999"}, None)),
    ("autonomy_config", "AUTONOMY#", "mode", ({"S": "WHATEVER"}, {"N": "1"}, {"S": ""}, None)),
    ("autonomy_config", "ALLOWLIST#AUTO_EXEC", "action_types", ({"S": "X"}, {"L": [{"N": "1"}]}, {"M": {}}, 3)),
)


def fuzz(data: bytes) -> None:
    """Judges altered tables; one record that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    platform = healthy()
    if not data:
        assert platform.judged().verdict is Verdict.PASS
    if broken:
        role, sort_key, name, values = source.one_of(BROKEN)
        platform.found(role, sort_key)[name] = value = source.one_of(values)
    else:
        role = source.one_of(sorted(TABLES))
        found = source.changed(platform.tables[role], attributes=True)
        platform.tables[role] = found if isinstance(found, list) else [found]
    naming = source.one_of(sorted(NAMING))
    found = source.changed([item(pk="ACCOUNT#acme#eu", tenantId="acme", accountId="eu")], attributes=True)
    platform.naming[naming] = found if isinstance(found, list) else [found]
    verdict = platform.judged().verdict
    assert not broken or verdict is not Verdict.PASS, f"a broken record passes: {role} {sort_key} {name} = {value}"
