"""Row 2.1: is every breaker's state observable."""

import pytest

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.breakers.evidence import DAY
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.breakers.support import TABLE, TENANTS, Platform, T, codes, number, read, slots, state

INTERNAL = [state("internal"), slots("internal")]
CRM = [slots("crm_salesforce")]


def test_a_healthy_platform_passes():
    judgement = Platform().observable()
    assert (judgement.verdict, codes(judgement)) == (Verdict.PASS, [])
    assert judgement.summary == "2 of 2 connectors observed: crm_salesforce CLOSED (never failed), internal CLOSED"
    assert judgement.facts["never_failed"] == 1
    assert judgement.evidence


def test_no_connector_at_all_decides_nothing():
    platform = Platform(items=[])
    platform.registered = ()
    assert codes(platform.observable()) == [("INCONCLUSIVE", "nothing_judged", "evidence")]
    assert platform.operated().verdict is Verdict.INCONCLUSIVE


def test_a_connector_that_was_never_called_decides_nothing():
    platform = Platform(items=INTERNAL)
    assert codes(platform.observable()) == [("INCONCLUSIVE", "breaker_not_observed", "crm_salesforce")]
    assert platform.operated().verdict is Verdict.PASS


def test_a_connector_of_the_settings_must_be_there():
    assert codes(Platform(connectors=("erp",)).observable()) == [("INCONCLUSIVE", "breaker_not_observed", "erp")]


def test_a_documented_connector_need_not_be_there_and_may():
    platform = Platform(items=[*INTERNAL, *CRM, state("calendar")])
    assert platform.observable().verdict is Verdict.PASS


def test_absence_is_not_judged_when_the_table_was_not_read_whole():
    platform = Platform(items=INTERNAL, reads=[read(status=ReadStatus.DENIED)])
    assert codes(platform.observable()) == [("ERROR", "read_failed", f"dynamodb:Scan {TABLE}")]


def test_reads_that_do_not_bear_on_the_row_do_not_close_it():
    failed = [
        read(resource=TENANTS, status=ReadStatus.DENIED),
        read("cloudwatch:GetMetricData", "metrics", ReadStatus.THROTTLED),
        read("cloudwatch:GetDashboard", "tools", ReadStatus.DENIED),
    ]
    platform = Platform(reads=[read(), *failed])
    assert platform.observable().verdict is Verdict.PASS
    assert {finding.subject for finding in platform.operated().findings} == {
        f"dynamodb:Scan {TENANTS}",
        "cloudwatch:GetMetricData metrics",
    }


def test_a_table_without_reads_is_an_error():
    platform = Platform(reads=[])
    assert ("ERROR", "reads_missing", "evidence") in codes(platform.observable())
    assert ("ERROR", "reads_missing", "evidence") in codes(platform.operated())


@pytest.mark.parametrize("written", ["open", "BROKEN", ""])
def test_a_state_of_another_name_is_invalid_in_both_rows(written):
    platform = Platform(items=[state("internal", written), *CRM])
    assert codes(platform.observable()) == [("FAIL", "breaker_state_invalid", "internal")]
    assert codes(platform.operated()) == [("FAIL", "breaker_state_invalid", "internal")]


def test_a_deadline_far_after_its_window_is_invalid():
    item = state("internal", "OPEN", start=T - 60, open_until_epoch_sec=number(T - 60 + 601))
    assert codes(Platform(items=[item, *CRM]).observable()) == [("FAIL", "breaker_state_invalid", "internal")]
    item = state("internal", "OPEN", start=T - 60, open_until_epoch_sec=number(T - 60 + 600))
    assert Platform(items=[item, *CRM]).observable().verdict is Verdict.PASS


def test_a_deadline_before_its_window_is_what_a_late_failure_of_an_open_breaker_writes():
    item = state("internal", "OPEN", start=T - 60, open_until_epoch_sec=number(T - 200))
    assert Platform(items=[item, *CRM]).observable().verdict is Verdict.PASS


@pytest.mark.parametrize(("ahead", "verdict"), [(300, Verdict.PASS), (301, Verdict.FAIL), (2**52 - T, Verdict.FAIL)])
def test_a_window_may_start_ahead_of_now_by_the_clock_skew_only(ahead, verdict):
    assert Platform(items=[state("internal", start=T + ahead), *CRM]).observable().verdict is verdict


def test_an_open_breaker_needs_its_deadline():
    item = state("internal", "OPEN", open_until_epoch_sec=None)
    assert codes(Platform(items=[item, *CRM]).observable()) == [("FAIL", "open_without_deadline", "internal")]


def test_a_state_needs_a_ttl_and_slots_do_not():
    item = state("internal", ttl_epoch_sec=None)
    assert codes(Platform(items=[item, *CRM]).observable()) == [("FAIL", "breaker_ttl_missing", "internal")]


@pytest.mark.parametrize(
    ("name", "seconds", "verdict"),
    [
        ("CLOSED", 7 * DAY, Verdict.PASS),
        ("CLOSED", 7 * DAY - 1, Verdict.FAIL),
        ("CLOSED", 30 * DAY, Verdict.PASS),
        ("OPEN", 30 * DAY + 1, Verdict.FAIL),
        ("HALF_OPEN", 30 * DAY + 1, Verdict.PASS),
        ("HALF_OPEN", 7 * DAY - 1, Verdict.FAIL),
    ],
)
def test_the_ttl_lies_7_to_30_days_after_the_window_start(name, seconds, verdict):
    item = state("internal", name, ttl_epoch_sec=number(T - 60 + seconds))
    judgement = Platform(items=[item, *CRM]).observable()
    assert judgement.verdict is verdict
    assert [finding.code for finding in judgement.findings] == ["breaker_ttl_out_of_range"] * (verdict is Verdict.FAIL)


def test_an_expired_state_counts_as_absent():
    expired = state("internal", "OPEN", start=T - 15 * DAY)
    judgement = Platform(items=[expired, slots("internal"), *CRM]).observable()
    assert judgement.verdict is Verdict.PASS
    assert "internal CLOSED (expired)" in judgement.summary
    without_slots = Platform(items=[expired, *CRM]).observable()
    assert codes(without_slots) == [("INCONCLUSIVE", "breaker_not_observed", "internal")]
    assert without_slots.findings[0].seen == "only a STATE item whose ttl has passed"


def test_a_ttl_in_the_past_does_not_hide_that_it_was_written_too_short():
    item = state("internal", "OPEN", ttl_epoch_sec=number(T - 1))
    assert codes(Platform(items=[item, slots("internal"), *CRM]).observable()) == [
        ("FAIL", "breaker_ttl_out_of_range", "internal")
    ]


def test_an_unknown_connector_is_named():
    platform = Platform(items=[*INTERNAL, *CRM, slots("payroll")])
    assert codes(platform.observable()) == [("FAIL", "connector_unknown", "payroll")]


def test_the_gateway_form_of_a_connector_is_not_canonical():
    """The tool invoker keeps a breaker per gateway target; the canonical connector is then not observed."""
    platform = Platform(items=[slots("internal-create-note___internal"), *CRM])
    assert codes(platform.observable()) == [
        ("FAIL", "connector_not_canonical", "internal-create-note___internal"),
        ("INCONCLUSIVE", "breaker_not_observed", "internal"),
    ]


@pytest.mark.parametrize(
    ("item", "attribute"),
    [
        (state("internal", failure_count={"S": "five"}), "failure_count"),
        (state("internal", failure_count=number(-1)), "failure_count"),
        (state("internal", failure_count={"N": "1.5"}), "failure_count"),
        (state("internal", window_start_epoch_sec={"N": "NaN"}), "window_start_epoch_sec"),
        (state("internal", window_start_epoch_sec=None), "window_start_epoch_sec"),
        (state("internal", state=None), "state"),
        (state("internal", state={"N": "1"}), "state"),
        (state("internal", ttl_epoch_sec={"S": "tomorrow"}), "ttl_epoch_sec"),
        (state("internal", "OPEN", open_until_epoch_sec={"NULL": True}), "open_until_epoch_sec"),
        (state("internal", "HALF_OPEN", half_open_probe_in_flight={"S": "true"}), "half_open_probe_in_flight"),
        (state("internal", sk={"S": "STATUS"}), "sk"),
        (state("internal", sk=None), "sk"),
        (state("internal", pk={"S": "TENANT#tenant-a"}), "pk"),
        (state("internal", pk={"S": "CONNECTOR#"}), "pk"),
        (state("internal", pk=None), "pk"),
        ({**slots("internal"), "in_flight_count": number(-2)}, "in_flight_count"),
        ("no item", "item"),
    ],
)
def test_a_malformed_item_is_named_and_the_other_connectors_are_still_judged(item, attribute):
    platform = Platform(items=[item, *CRM, state("calendar", "SHUT")])
    judgement = platform.observable()
    malformed = [finding for finding in judgement.findings if finding.code == "breaker_record_malformed"]
    assert judgement.verdict is Verdict.ERROR
    assert malformed[0].subject.startswith(f"{TABLE}: ")
    assert malformed[0].subject.endswith(f": {attribute}")
    assert ("FAIL", "breaker_state_invalid", "calendar") in codes(judgement)
    assert ("ERROR", "breaker_record_malformed", malformed[0].subject) in codes(platform.operated())


def test_a_malformed_state_is_neither_closed_nor_unobserved():
    platform = Platform(items=[state("internal", failure_count=None), *CRM])
    assert [finding.code for finding in platform.observable().findings] == ["breaker_record_malformed"]
    assert platform.observable().facts["closed"] == 1


def test_findings_link_to_the_item_in_the_console():
    finding = Platform(items=[state("internal", "BROKEN"), *CRM]).observable().findings[0]
    assert "us-west-2.console.aws.amazon.com" in finding.link
    assert "CONNECTOR%23internal" in finding.link


def test_closed_with_as_many_failures_as_open_a_breaker_is_no_state_of_the_platform():
    """The platform opens at five; a hand that sets only the state leaves the count as it was."""
    for count, expected in ((5, [("FAIL", "breaker_state_invalid", "internal")]), (4, [])):
        items = [state("internal", failure_count=number(count)), slots("internal"), slots("crm_salesforce")]
        assert codes(Platform(items=items).observable()) == expected
