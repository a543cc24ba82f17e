"""Row 2.2: no breaker is open or stuck without its operator action; none was closed by hand."""

from datetime import timedelta

import pytest

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.sections.breakers.evidence import DAY
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.breakers.support import NOW, OFF, TENANTS, Platform, T, codes, number, read, slots, state, tenant

pytestmark = pytest.mark.slow

CRM = [slots("crm_salesforce")]
NOTES_AND_TASKS = {"disabled_action_types": {"L": [{"S": "CREATE_INTERNAL_NOTE"}, {"S": "CREATE_INTERNAL_TASK"}]}}


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def platform(*items, **more):
    """The connector `internal` as `items` say, with slots; crm_salesforce healthy."""
    return Platform(items=[*items, slots("internal"), *CRM], **more)


def found(platform):
    """Verdict and code of what row 2.2 finds."""
    return [(str(finding.verdict), finding.code) for finding in platform.operated().findings]


def open_since(seconds, **more):
    """`internal` opened `seconds` ago and called a minute ago."""
    return platform(state("internal", "OPEN", start=T - seconds), datapoints={"internal": ago(60), "crm_salesforce": NOW}, **more)


# Open


def test_all_closed_passes():
    judgement = Platform().operated()
    assert (judgement.verdict, codes(judgement)) == (Verdict.PASS, [])
    assert judgement.summary == "0 of 2 observed breakers not closed"


def test_open_with_its_deadline_ahead_is_a_warning():
    item = state("internal", "OPEN", start=T - 5)
    assert codes(platform(item).operated()) == [("WARN", "breaker_open", "internal")]


def test_open_past_its_deadline_without_traffic_is_idle():
    item = state("internal", "OPEN", start=T - 3 * DAY)
    idle = platform(item, datapoints={"internal": ago(3 * DAY + 10), "crm_salesforce": NOW})
    assert codes(idle.operated()) == [("WARN", "open_idle", "internal")]


def test_open_past_its_deadline_with_traffic_is_open_until_the_time_is_up():
    assert found(open_since(599)) == [("WARN", "breaker_open")]


def test_open_for_more_than_ten_minutes_under_traffic_needs_its_operator_action():
    judgement = open_since(601).operated()
    assert codes(judgement) == [("FAIL", "open_breaker_without_operator_action", "internal")]
    assert "CREATE_INTERNAL_NOTE, CREATE_INTERNAL_TASK" in judgement.findings[0].expected
    assert "still enabled for 2 of 2 active tenant(s): tenant-a, tenant-b" in judgement.findings[0].seen
    assert judgement.findings[0].link == "https://example.org/r.md#circuit-breaker-open"


@pytest.mark.parametrize(
    "tenants",
    [
        [tenant("a", **OFF), tenant("b", **OFF)],
        [tenant("a", **NOTES_AND_TASKS), tenant("b", **OFF)],
        [tenant("a", **OFF), tenant("b", status={"S": "Suspended"})],
        [tenant("a", disabled_action_types={"SS": ["CREATE_INTERNAL_NOTE", "CREATE_INTERNAL_TASK", "OTHER"]})],
    ],
)
def test_open_with_its_operator_action_is_a_warning_that_says_so(tenants):
    judgement = open_since(3600, tenants=tenants).operated()
    assert codes(judgement) == [("WARN", "breaker_open", "internal")]
    assert "operator action in place" in judgement.findings[0].seen


@pytest.mark.parametrize(
    "tenants",
    [
        [],
        [tenant("a", status={"S": "deleted"}, **OFF)],
        [tenant("a", **OFF), tenant("b")],
        [tenant("a", **OFF), {"tenantId": {"S": "b"}}],
        [tenant("a", disabled_action_types={"L": [{"S": "CREATE_INTERNAL_NOTE"}]})],
        [tenant("a", execution_enabled={"BOOL": True}, disabled_action_types={"L": []})],
    ],
)
def test_a_kill_switch_that_leaves_someone_running_is_no_operator_action(tenants):
    assert found(open_since(3600, tenants=tenants)) == [("FAIL", "open_breaker_without_operator_action")]


def test_a_connector_without_registered_action_types_needs_the_whole_switch():
    item = state("calendar", "OPEN", start=T - 3600)
    everything_listed = [tenant("a", disabled_action_types={"L": [{"S": "CREATE_EVENT"}]})]
    datapoints = {"calendar": NOW, "internal": NOW, "crm_salesforce": NOW}
    assert ("FAIL", "open_breaker_without_operator_action") in found(
        platform(item, tenants=everything_listed, datapoints=datapoints)
    )
    assert found(platform(item, tenants=[tenant("a", **OFF)], datapoints=datapoints)) == [("WARN", "breaker_open")]


@pytest.mark.parametrize(
    "broken",
    [
        {"name": {"S": "x"}},
        tenant(""),
        tenant("b", execution_enabled={"S": "false"}),
        tenant("b", disabled_action_types={"S": "all"}),
        tenant("b", disabled_action_types={"L": [{"N": "1"}]}),
        tenant("b", status={"N": "1"}),
        17,
    ],
)
def test_a_malformed_tenant_is_an_error_and_no_operator_action(broken):
    judgement = open_since(3600, tenants=[tenant("a", **OFF), broken]).operated()
    assert [finding.code for finding in judgement.findings] == ["tenant_record_malformed", "open_breaker_without_operator_action"]
    assert judgement.verdict is Verdict.ERROR
    assert judgement.findings[0].subject.startswith(f"{TENANTS}: ")
    assert open_since(3600, tenants=[broken]).observable().verdict is Verdict.PASS


def re_openings(count, *, gap=5):
    """`internal` seen OPEN at its opening and after each of `count` bad probes, the last time as it is now."""
    step = 30 + gap
    starts = [T - 10 - step * (count - index) for index in range(count + 1)]
    seen = platform(state("internal", "OPEN", start=starts[-1]), datapoints={"internal": NOW, "crm_salesforce": NOW})
    for start in starts[:-1]:
        seen.seen_before(state("internal", "OPEN", start=start), slots("internal"), seconds_ago=T - start - 5)
    return seen


def test_re_opened_three_cooldowns_in_a_row_needs_the_operator_action():
    assert found(re_openings(2)) == [("WARN", "breaker_open")]
    assert found(re_openings(3)) == [("FAIL", "open_breaker_without_operator_action")]
    assert "re-opened 3 times in a row" in re_openings(3).operated().findings[0].seen


def test_the_same_opening_seen_again_is_no_re_opening():
    seen = platform(state("internal", "OPEN", start=T - 20))
    for seconds in (15, 10, 5, 1):
        seen.seen_before(state("internal", "OPEN", start=T - 20), slots("internal"), seconds_ago=seconds)
    assert found(seen) == [("WARN", "breaker_open")]


def test_a_deadline_moved_by_a_late_failure_is_no_re_opening():
    seen = platform(state("internal", "OPEN", start=T - 20, open_until_epoch_sec=number(T + 18)))
    for moved in range(4):
        item = state("internal", "OPEN", start=T - 20, open_until_epoch_sec=number(T + 10 + moved))
        seen.seen_before(item, slots("internal"), seconds_ago=10 - moved)
    assert found(seen) == [("WARN", "breaker_open")]


def test_a_gap_in_which_it_may_have_been_closed_is_not_guessed():
    assert found(re_openings(4, gap=331)) == [("WARN", "breaker_open")]


def test_a_closed_snapshot_in_between_ends_the_series():
    seen = re_openings(3)
    closed = platform()
    closed.seen_before(state("internal", start=T - 20), slots("internal"), seconds_ago=20)
    seen.history += closed.history
    assert ("WARN", "breaker_open") in found(seen)
    assert "open_breaker_without_operator_action" not in [code for _, code in found(seen)]


def test_half_open_between_two_openings_belongs_to_the_series():
    seen = re_openings(3)
    half = platform()
    half.seen_before(state("internal", "HALF_OPEN", start=T - 45, written=T - 12), slots("internal"), seconds_ago=11)
    seen.history += half.history
    assert found(seen) == [("FAIL", "open_breaker_without_operator_action")]


def test_not_closed_for_ten_minutes_by_history_is_found_although_the_last_opening_is_young():
    """The chain of openings, each within a cooldown and a call timeout of the one before."""
    seen = platform(state("internal", "OPEN", start=T - 10), datapoints={"internal": NOW, "crm_salesforce": NOW})
    for start in (T - 650, T - 320):
        seen.seen_before(state("internal", "OPEN", start=start), slots("internal"), seconds_ago=T - start - 5)
    assert found(seen) == [("FAIL", "open_breaker_without_operator_action")]
    assert "not closed for 10.8 min" in seen.operated().findings[0].seen


def test_half_open_within_a_series_under_traffic_needs_the_operator_action_too():
    half = state("internal", "HALF_OPEN", start=T - 700, written=T - 10)
    datapoints = {"internal": ago(60), "crm_salesforce": NOW}
    seen = platform(half, datapoints=datapoints)
    seen.seen_before(state("internal", "OPEN", start=T - 700), slots("internal"), seconds_ago=690)
    assert found(seen) == [("FAIL", "open_breaker_without_operator_action")]
    seen.tenants = [tenant("a", **OFF)]
    assert found(seen) == [("WARN", "breaker_open")]


def test_the_first_probe_after_a_long_idle_time_is_no_fault():
    half = state("internal", "HALF_OPEN", start=T - DAY, written=T - 2)
    assert found(platform(half, datapoints={"internal": ago(DAY + 10), "crm_salesforce": NOW})) == []


def test_open_without_deadline_is_judged_by_its_last_write():
    item = state("internal", "OPEN", start=T - 3600, open_until_epoch_sec=None)
    assert found(platform(item)) == [("FAIL", "open_breaker_without_operator_action")]
    assert found(platform(item, datapoints={"crm_salesforce": NOW})) == [("WARN", "open_idle")]


# Half open


@pytest.mark.parametrize("probe", [{"BOOL": True}, {"BOOL": False}, None])
def test_half_open_for_longer_than_a_probe_takes_is_stuck(probe):
    item = state("internal", "HALF_OPEN", start=T - 900, written=T - 331, half_open_probe_in_flight=probe)
    judgement = platform(item, datapoints={"crm_salesforce": NOW}).operated()
    assert codes(judgement) == [("FAIL", "half_open_stuck", "internal")]
    assert ("its probe in flight" in judgement.findings[0].seen) is (probe == {"BOOL": True})
    young = state("internal", "HALF_OPEN", start=T - 900, written=T - 330, half_open_probe_in_flight=probe)
    assert found(platform(young, datapoints={"crm_salesforce": NOW})) == []


def test_the_same_half_open_in_an_earlier_snapshot_is_stuck_whatever_its_ttl_says():
    item = state("internal", "HALF_OPEN", start=T - 900, written=T + 100)
    seen = platform(item, datapoints={"crm_salesforce": NOW})
    assert found(seen) == []
    seen.seen_before(item, slots("internal"), seconds_ago=331)
    assert found(seen) == [("FAIL", "half_open_stuck")]


@pytest.mark.parametrize("ttl", [None, number(T + 30 * DAY)])
def test_a_half_open_that_its_ttl_cannot_date_decides_nothing(ttl):
    item = state("internal", "HALF_OPEN", start=T - 60, ttl_epoch_sec=ttl)
    assert found(platform(item, datapoints={"crm_salesforce": NOW})) == [("INCONCLUSIVE", "half_open_stuck")]


# Slots


def test_more_calls_in_flight_than_slots_are_leaked():
    assert Platform(items=[slots("internal", 20), *CRM]).operated().verdict is Verdict.PASS
    assert codes(Platform(items=[slots("internal", 21), *CRM]).operated()) == [("FAIL", "slot_leaked", "internal")]


@pytest.mark.parametrize(("last", "verdict"), [(ago(900), Verdict.PASS), (ago(901), Verdict.FAIL), (None, Verdict.FAIL)])
def test_a_slot_in_use_without_a_data_point_for_15_minutes_is_leaked(last, verdict):
    seen = Platform(items=[slots("internal", 1), *CRM], datapoints={"internal": last, "crm_salesforce": NOW})
    assert seen.operated().verdict is verdict


def test_data_points_count_for_the_connector_under_its_gateway_form_too():
    seen = Platform(items=[slots("internal", 1), *CRM], datapoints={"internal-create-note___internal": NOW})
    assert seen.operated().verdict is Verdict.PASS


def test_unknown_activity_leaks_nothing_but_is_an_error():
    seen = Platform(items=[slots("internal", 1), *CRM], datapoints={})
    seen.reads.append(read("cloudwatch:ListMetrics", "CCNative/Execution", ReadStatus.TIMEOUT))
    assert found(seen) == [("ERROR", "read_failed")]


@pytest.mark.parametrize(("seconds", "point", "verdict"), [(300, NOW, "FAIL"), (300, ago(400), "WARN"), (299, NOW, None)])
def test_slots_that_never_move_are_leaked_unless_calls_ended(seconds, point, verdict):
    seen = Platform(items=[slots("internal", 2), *CRM])
    seen.seen_before(slots("internal", 2), seconds_ago=seconds, datapoint=point)
    seen.seen_before(slots("internal", 2), seconds_ago=30, datapoint=point)
    assert found(seen) == ([(verdict, "slot_leaked")] if verdict else [])


def test_slots_that_moved_in_between_are_not_leaked():
    seen = Platform(items=[slots("internal", 2), *CRM])
    seen.seen_before(slots("internal", 2), seconds_ago=900, datapoint=NOW)
    seen.seen_before(slots("internal", 1), seconds_ago=600, datapoint=NOW)
    seen.seen_before(slots("internal", 2), seconds_ago=100, datapoint=NOW)
    assert found(seen) == []


# Closed by hand


def test_closed_with_a_window_before_an_earlier_deadline_was_closed_by_hand():
    seen = platform(state("internal", start=T - 20))
    seen.seen_before(state("internal", "OPEN", start=T - 25), slots("internal"), seconds_ago=22)
    assert codes(seen.operated()) == [("FAIL", "closed_by_hand", "internal")]


@pytest.mark.parametrize(("hours", "verdict"), [(1, "FAIL"), (48, "WARN")])
@pytest.mark.parametrize("closed", [state("internal", start=T - 200_000), None])
def test_a_breaker_closed_by_hand_is_remembered_after_its_next_success(hours, verdict, closed):
    """Between two kept snapshots somebody closed or deleted it; that it works again does not undo that."""
    seen = platform(state("internal", start=T - 5))
    before = hours * 3600
    seen.seen_before(state("internal", "OPEN", start=T - before - 60, written=T), slots("internal"), seconds_ago=before + 50)
    hand_closed = [state("internal", start=T - before - 60)] if closed else []
    seen.seen_before(*hand_closed, slots("internal"), seconds_ago=before + 40)
    assert found(seen) == [(verdict, "closed_by_hand")]


def test_closed_by_a_probe_after_the_deadline_is_fine():
    seen = platform(state("internal", start=T - 5))
    seen.seen_before(state("internal", "OPEN", start=T - 60), slots("internal"), seconds_ago=40)
    seen.seen_before(state("internal", "HALF_OPEN", start=T - 60, written=T - 8), slots("internal"), seconds_ago=7)
    assert found(seen) == []


def test_closed_but_still_holding_a_deadline_was_closed_by_hand():
    item = state("internal", start=T - 20, open_until_epoch_sec=number(T + 10))
    assert found(platform(item)) == [("FAIL", "closed_by_hand")]


@pytest.mark.parametrize("left", [{"open_until_epoch_sec": number(T - 570)}, {"half_open_probe_in_flight": {"BOOL": True}}])
def test_closed_with_what_only_open_and_half_open_have_was_closed_by_hand_whatever_succeeded_since(left):
    assert found(platform(state("internal", start=T - 10, **left))) == [("FAIL", "closed_by_hand")]


def test_half_open_then_closed_with_the_same_window_was_closed_by_hand():
    seen = platform(state("internal", start=T - 600))
    seen.seen_before(state("internal", "HALF_OPEN", start=T - 600, written=T - 100), slots("internal"), seconds_ago=90)
    assert found(seen) == [("FAIL", "closed_by_hand")]


@pytest.mark.parametrize("left", [[slots("internal"), *CRM], CRM])
def test_a_state_gone_before_its_ttl_was_removed_by_hand(left):
    seen = Platform(items=left)
    seen.seen_before(state("internal", "OPEN"), slots("internal"), seconds_ago=50)
    assert found(seen) == [("FAIL", "closed_by_hand")]


def test_an_unregistered_connector_whose_items_are_gone_is_found_through_the_history():
    seen = Platform()
    seen.seen_before(state("calendar", "OPEN"), slots("calendar"), seconds_ago=50)
    assert codes(seen.operated()) == [("FAIL", "closed_by_hand", "calendar")]
    assert seen.observable().verdict is Verdict.PASS


def test_a_state_that_expired_was_not_removed_by_hand():
    seen = Platform(items=[slots("internal"), *CRM])
    seen.seen_before(state("internal", start=T - 14 * DAY - 100), slots("internal"), seconds_ago=150)
    assert found(seen) == []
    expired = platform(state("internal", "OPEN", start=T - 15 * DAY))
    expired.seen_before(state("internal", "OPEN", start=T - 15 * DAY), slots("internal"), seconds_ago=2 * DAY)
    assert found(expired) == []


def test_absence_proves_nothing_when_the_table_was_not_read_whole():
    seen = Platform(items=CRM, reads=[read(status=ReadStatus.TIMEOUT)])
    seen.seen_before(state("internal", "OPEN"), slots("internal"), seconds_ago=50)
    assert found(seen) == [("ERROR", "read_failed")]


def test_a_malformed_state_is_not_one_that_is_gone():
    seen = platform(state("internal", failure_count=None))
    seen.seen_before(state("internal", "OPEN"), slots("internal"), seconds_ago=50)
    assert found(seen) == [("ERROR", "breaker_record_malformed")]


# Runbook


@pytest.mark.parametrize(
    ("runbook", "code"),
    [
        (None, "runbook_unreadable"),
        ("# Runbook\n\nText.\n", "runbook_anchor_missing"),
        ("# Runbook\n\n## Circuit breaker OPEN\n\n## Next\n\nText.\n", "runbook_section_empty"),
    ],
)
def test_the_runbook_section_must_be_there(runbook, code):
    assert found(Platform(runbook=runbook)) == [("FAIL", code)]


# What the platform's code wrote, as successive snapshots


def av(values):
    kinds = {bool: "BOOL", int: "N", str: "S"}
    return {name: {kinds[type(value)]: value if isinstance(value, bool) else str(value)} for name, value in values.items()}


def crm(name, failures, start, ttl, **more):
    fixed = {"pk": "CONNECTOR#crm_salesforce", "sk": "STATE"}
    times = {"window_start_epoch_sec": start, "ttl_epoch_sec": ttl}
    return av({**fixed, "state": name, "failure_count": failures, **times, **more})


REAL_SERIES = [
    (7.717, crm("CLOSED", 0, 1795425307, 1796634907), []),
    (7.831, crm("OPEN", 5, 1795425307, 1796634907, open_until_epoch_sec=1795425337), ["breaker_open"]),
    (40.117, crm("HALF_OPEN", 5, 1795425307, 1796634938, half_open_probe_in_flight=True), []),
    (41.967, crm("CLOSED", 0, 1795425341, 1796634941), []),
    (42.070, crm("OPEN", 5, 1795425341, 1796634942, open_until_epoch_sec=1795425372), ["breaker_open"]),
    (73.131, crm("OPEN", 5, 1795425373, 1796634973, open_until_epoch_sec=1795425403), ["breaker_open"]),
]


def test_a_real_series_of_transitions_raises_nothing_but_open():
    minute = NOW.replace(minute=15)
    history = []
    for second, item, expected in REAL_SERIES:
        seen = Platform(items=[item, slots("crm_salesforce"), slots("internal")], history=list(history))
        seen.now = minute + timedelta(seconds=second)
        assert [code for _, code in found(seen)] == expected
        assert seen.observable().verdict is Verdict.PASS
        seen.seen_before(item, slots("crm_salesforce"), slots("internal"), seconds_ago=(NOW - seen.now).total_seconds())
        history = seen.history


def test_every_code_of_the_judge_is_unique_and_explained():
    names = [code.code for code in BreakerCode.all()]
    assert len(names) == len(set(names))
    assert all(code.meaning.endswith(".") and code.remedy.endswith(".") for code in BreakerCode.all())


def test_rows_survive_the_trip_through_the_table():
    seen = re_openings(3)
    assert [row.connector for row in seen.table().rows] == ["crm_salesforce", "internal"]
    assert len(seen.table().rows[1].history) == 3
