"""changes_are_audited: which entry tells of which change, who is nobody, and what cannot be judged."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from phase5_ops.ccnative.configuration_changes import ConfigurationRecords
from phase5_ops.clock import iso
from phase5_ops.policy import ChangePolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.costs.changes.evidence import ChangeAudit
from phase5_ops.sections.costs.changes.preview import PREVIEW
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.costs.changes.changed_platform import (
    ALLOWLIST,
    BUDGET,
    CONFIG,
    DEFAULT_MODE,
    LEDGER,
    MODE,
    NOW,
    SWITCHES,
    WHO,
    Item,
    Platform,
    Raw,
    audited,
    item_of,
)

RECORDS = [MODE, DEFAULT_MODE, ALLOWLIST, BUDGET, SWITCHES]


def test_changes_of_every_kind_that_the_ledger_tells_of_pass():
    judgement = audited().judged()
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    assert judgement.facts["changes_in_window"] == judgement.facts["changes_with_entry"] == 5


def test_what_the_platform_was_observed_to_write_fails():
    """`updated_by` is unknown, and no entry is written of anything (capture of its real code)."""
    platform = Platform()
    for record in RECORDS:
        platform.changed(record, told=False)
    platform.records[0]["updated_by"] = "unknown"
    assert platform.codes() == ["change_by_nobody", *["change_not_audited"] * 5]
    assert platform.judged().verdict is Verdict.FAIL


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.get("sk", "switches")))
def test_an_entry_of_another_time_tenant_or_record_does_not_count(record):
    for change in (
        moved(timedelta(seconds=-61)),
        lambda entry: entry.update(tenantId="globex"),
        lambda entry: entry["data"].update(tenant_id="globex"),
        lambda entry: (entry.update(accountId="eu"), entry["data"].update(account_id="us")),
        lambda entry: entry.update(eventType="POLICY_SET"),
    ):
        platform = Platform()
        _, entry = platform.changed(record)
        change(entry)
        assert platform.codes() == ["change_not_audited"]
    platform = Platform()
    platform.changed(record, told=False)
    others = [each for each in RECORDS if each is not record]
    for other in others:
        platform.changed(other)
    judgement = platform.judged()
    assert [finding.code for finding in judgement.findings] == ["change_not_audited"]
    assert judgement.findings[0].seen == f"none; {len(others)} entries of other changes of the tenant"


def moved(span: timedelta, *, written: timedelta | None = None) -> Callable[[Item], None]:
    """Dates an entry by so much otherwise; `written`: its entry id by so much."""

    def change(entry: Item) -> None:
        at = datetime.fromisoformat(entry["timestamp"]) + span
        milliseconds = int((at + (written or timedelta())).timestamp() * 1000)
        entry["timestamp"], entry["entryId"] = iso(at), f"entry-{milliseconds}-moved"
        entry["sk"] = f"ENTRY#{entry['timestamp']}#{entry['entryId']}"

    return change


@pytest.mark.parametrize(
    "change",
    [
        moved(timedelta(), written=timedelta(days=3)),  # written when somebody asked for it
        moved(timedelta(), written=timedelta(seconds=-61)),
        lambda entry: entry.update(sk=entry["sk"].replace(":41.", ":45.")),
        lambda entry: entry.update(entryId="entry-1795000000000-another"),
    ],
)
def test_an_entry_that_was_written_at_another_time_than_it_says_is_malformed(change):
    platform = Platform()
    _, entry = platform.changed(MODE, days_ago=3)
    change(entry)
    assert platform.codes() == ["change_not_audited", "change_record_malformed"]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (MODE, {"eventType": "AUTONOMY_MODE_UPDATED"}),
        (ALLOWLIST, {"eventType": "ALLOWLIST_CHANGED", "data": {"changed_by": WHO, "reason": "why"}}),
        (ALLOWLIST, {"data": {"sk": "ALLOWLIST#AUTO_EXEC", "changed_by": WHO, "reason": "why"}}),
        (
            BUDGET,
            {"eventType": "BUDGET_CONFIG_UPDATED", "accountId": None, "data": {"account_id": "eu", "actor": WHO, "reason": "x1"}},
        ),
        (SWITCHES, {"eventType": "KILL_SWITCH_UPDATED", "userId": WHO, "data": {"justification": "a drill"}}),
        (SWITCHES, {"data": {"pk": "TENANT#acme", "changed_by": WHO, "reason": "a drill"}}),
        (BUDGET, {"data": {"max_per_action_type": BUDGET["max_per_action_type"], "changed_by": WHO, "reason": "more"}}),
        (MODE, {"accountId": None, "data": {"pk": MODE["pk"], "sk": MODE["sk"], "updated_by": WHO, "change_reason": "why"}}),
    ],
)
def test_other_reasonable_shapes_of_an_entry_are_understood(record, told):
    platform = Platform()
    _, entry = platform.changed(record)
    entry |= told
    assert platform.codes() == []


def test_an_entry_that_names_another_records_key_does_not_count():
    for named in ({"sk": "AUTONOMY#DEFAULT"}, {"pk": "TENANT#acme#ACCOUNT#us", "sk": MODE["sk"]}, {"pk": "TENANT#acme"}):
        platform = Platform()
        _, entry = platform.changed(MODE)
        entry["data"] |= named
        assert platform.codes() == ["change_not_audited"]


def test_event_types_of_the_platforms_own_are_settings():
    platform = Platform(policy=ChangePolicy(budget_events=("LIMIT_SET",)))
    _, entry = platform.changed(BUDGET)
    assert platform.codes() == ["change_not_audited"]
    entry["eventType"] = "LIMIT_SET"
    assert platform.codes() == []


@pytest.mark.parametrize(
    "name",
    [
        "unknown",
        "",
        " ",
        "System",
        "SYSTEM ",
        "n/a",
        "anonymous",
        "api",
        "null",
        "\u200b",
        None,
        "root",
        "system@corp.example",
        "[system]",
        '"system"',
        "system-user",
        "admin, root",
        "unknown, system",
        "service account",
        "SYSTEM\\admin",
        "mailto:system@corp.example",
        "admin+ops@corp.example",
        "arn:aws:iam::123456789012:root",
        "root.",
    ],
)
def test_nobody_is_named_by_such_names(name):
    platform = Platform()
    _, entry = platform.changed(BUDGET)
    entry["data"]["changed_by"] = name
    assert platform.codes() == ["change_by_nobody"]
    platform = Platform()
    item, _ = platform.changed(MODE)
    item["updated_by"] = name
    assert platform.codes() == ([] if name is None else ["change_by_nobody"])  # a record need not say who


@pytest.mark.parametrize(
    "name", ["dana", "seller-1", "System Dana", "+1 555 0100", "deploy-bot@example.com", "arn:aws:iam::123456789012:user/dana"]
)
def test_somebody_is_named_by_such_names(name):
    platform = Platform()
    item, entry = platform.changed(MODE)
    item["updated_by"] = entry["data"]["changed_by"] = name
    assert platform.codes() == []


@pytest.mark.parametrize(
    "reason", [None, "", "-", "n/a", "${reason}", "undefined", "no reason", "unknown reason", "none given", "reason: none"]
)
def test_a_reason_that_says_nothing_is_none(reason):
    platform = Platform()
    _, entry = platform.changed(SWITCHES)
    entry["data"]["reason"] = reason
    assert platform.codes() == ["change_without_reason"]


def test_record_and_entry_name_the_same_person_in_any_letter_case():
    platform = Platform()
    item, _ = platform.changed(MODE)
    item["updated_by"] = WHO.upper()
    assert platform.codes() == []
    item["updated_by"] = "lee.wong@example.com"
    assert platform.codes() == ["change_author_differs"]


@pytest.mark.parametrize(
    ("record", "other"),
    [
        (MODE, {"mode": "DISABLED"}),
        (ALLOWLIST, {"action_types": ["CREATE_CRM_TASK"]}),
        (BUDGET, {"max_autonomous_per_day": 50}),
        (BUDGET, {"max_per_action_type": {}}),
        (SWITCHES, {"execution_enabled": True}),
        (SWITCHES, {"disabled_action_types": []}),
    ],
)
def test_an_entry_of_other_values_is_found(record, other):
    platform = Platform()
    _, entry = platform.changed(record)
    entry["data"] |= other
    (finding,) = platform.judged().findings
    assert (finding.code, finding.seen.split()[-1]) == ("change_entry_differs", next(iter(other)))


def test_values_that_a_record_does_not_have_are_the_platforms_defaults_and_lists_have_no_order():
    platform = Platform()
    item, entry = platform.changed(SWITCHES)
    del item["execution_enabled"]
    entry["data"]["execution_enabled"] = True
    _, entry = platform.changed(ALLOWLIST)
    entry["data"]["action_types"] = ["B", "CREATE_CRM_TASK"]
    item, entry = platform.changed(BUDGET)
    del item["max_per_action_type"]
    entry["data"]["max_per_action_type"] = None
    assert platform.codes() == []


def test_of_two_changes_within_a_minute_the_entry_that_fits_the_record_counts():
    platform = Platform()
    platform.changed(BUDGET, days_ago=3 - 20 / 86_400, max_autonomous_per_day=9)
    item, _ = platform.changed(BUDGET)
    platform.records = [item]  # the table shows the last change alone
    assert platform.codes() == []
    assert platform.table().rows[0].entries == 2


def test_a_young_change_may_still_get_its_entry():
    platform = Platform()
    platform.changed(MODE, days_ago=30 / 86_400, told=False)
    assert platform.judged().verdict is Verdict.INCONCLUSIVE
    platform.changed(BUDGET, days_ago=61 / 86_400, told=False)
    assert platform.judged().verdict is Verdict.FAIL


def test_changes_before_the_window_are_counted_and_said_to_whoever_signs():
    platform = audited()
    platform.changed(BUDGET, days_ago=31, told=False, pk="TENANT#acme#ACCOUNT#us")
    judgement = platform.judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["changed_before_window"] == 1
    platform.policy = ChangePolicy(lookback_days=32)
    assert platform.codes() == ["change_not_audited"]


def test_kill_switches_that_were_never_set_are_no_change_and_a_tenants_other_stamp_is_not_theirs():
    platform = Platform(records=[{"tenantId": "globex", "status": "active", "updatedAt": iso(NOW)}])
    judgement = platform.judged()
    assert (judgement.verdict, judgement.facts["kill_switches_never_set"]) == (Verdict.PASS, 1)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.get("sk", "switches")))
def test_a_record_that_does_not_say_when_it_was_changed_is_not_judged(record):
    platform = Platform(records=[dict(record)])
    (finding,) = platform.judged().findings
    assert (finding.code, finding.verdict) == ("change_not_dated", Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    "change", [{"updated_at": "yesterday"}, {"updated_at": Raw({"N": "5"})}, {"updated_by": 5}, {"sk": "X#1"}, {"pk": "acme"}]
)
def test_a_malformed_record_is_an_error_that_names_it(change):
    platform = audited()
    platform.records[0] |= change
    (finding,) = platform.judged().findings
    assert (finding.code, finding.verdict) == ("change_record_malformed", Verdict.ERROR)


def test_a_malformed_entry_of_a_change_is_an_error_too():
    platform = audited()
    platform.entries[3]["data"] = "changed"
    assert platform.codes() == ["change_not_audited", "change_record_malformed"]
    platform.entries[3]["timestamp"] = "late"
    assert platform.codes() == ["change_not_audited", "change_record_malformed"]


def test_a_change_ahead_of_the_clock_is_an_error():
    platform = Platform()
    platform.changed(MODE, days_ago=-1)
    assert platform.codes() == ["change_record_malformed"]
    platform = Platform()
    platform.changed(MODE, days_ago=-30 / 86_400)  # a clock that is a little ahead
    assert platform.codes() == []


def test_what_could_not_be_read_is_an_error_and_no_entry_is_missed_because_of_it():
    platform = audited()
    platform.entries.clear()
    platform.statuses[LEDGER] = ReadStatus.DENIED
    assert platform.codes() == ["read_failed"]
    platform = audited()
    platform.statuses[CONFIG] = ReadStatus.TIMEOUT
    assert platform.judged().verdict is Verdict.ERROR


def test_nothing_read_is_not_judged_and_test_tenants_are_left_out():
    assert Platform().codes() == ["nothing_judged"]
    platform = audited()
    platform.changed(SWITCHES, tenantId="canary", told=False)
    assert platform.codes() == ["change_not_audited"]
    platform.canaries = frozenset({"canary"})
    judgement = platform.judged()
    assert (judgement.verdict, judgement.facts["test_tenants_left_out"]) == (Verdict.PASS, 1)


def test_near_changes_of_a_tenant_are_one_stretch_of_the_ledger():
    from phase5_ops_tests.sections.costs.budgets.autonomy_platform import item

    records = ConfigurationRecords()
    for account, minutes in (("a", 0), ("b", 10), ("c", 24), ("d", 60)):
        moment = iso(NOW - timedelta(days=2, minutes=minutes))
        records.add([item(pk=f"TENANT#acme#ACCOUNT#{account}", sk="BUDGET#CONFIG", updated_at=moment)], "budgets")
    records.add([item(pk="TENANT#globex#ACCOUNT#a", sk="BUDGET#CONFIG", updated_at=iso(NOW))], "budgets")
    spans = ChangeAudit(records, NOW, NOW, ChangePolicy()).spans()
    assert [pk for pk, _, _ in spans] == ["TENANT#acme", "TENANT#acme", "TENANT#globex"]
    assert spans[2][1:] == ("ENTRY#2026-11-23T09:15:41.000Z", "ENTRY#2026-11-23T09:17:41.000Z~")


def test_people_see_changes_without_an_entry_first():
    platform = audited()
    platform.changed(BUDGET, told=False, pk="TENANT#zeta#ACCOUNT#1")
    table = platform.table()
    first = PREVIEW.worst_first(table.frame).iloc[0]
    assert first["tenant"] == "zeta"
    assert PREVIEW.figures(table)["changes_without_entry"] == 1


@pytest.mark.parametrize("record", [MODE, BUDGET])
def test_a_sort_key_alone_is_of_the_account_that_the_entry_names(record):
    platform = Platform()
    _, entry = platform.changed(record)
    entry |= {"accountId": "another", "data": {"sk": record["sk"], "changed_by": WHO, "reason": "why not"}}
    assert platform.codes() == ["change_not_audited"]


def test_one_table_that_holds_both_kinds_of_record_is_read_twice_and_judged_once():
    records = ConfigurationRecords()
    for _ in ("autonomy_config", "autonomy_budget_state"):
        records.add([item_of(MODE | {"updated_at": iso(NOW)})], CONFIG)
    assert len(ChangeAudit(records, NOW, NOW, ChangePolicy()).table(LEDGER, (CONFIG,)).rows) == 1
