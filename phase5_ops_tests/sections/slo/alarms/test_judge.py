"""Row 1.2: what each alarm would do decides; every finding code and verdict is produced here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase5_ops.clock import iso
from phase5_ops.cloudwatch.alarm_answers import Topic
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.judge import judge_no_slo_alarm_firing, judge_slo_alarms
from phase5_ops.sections.slo.alarms.notification_path import DeliveryCode
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    BASE,
    CONNECTOR,
    LINKS,
    MATH,
    NAMESPACE,
    NOW,
    POLICY,
    SLO,
    TOOL,
    TOPIC,
    described,
    dimension_set,
    errors,
    evidence,
    insights,
    judge,
    latency,
    math,
    metric_stat,
    no_tool,
    policy_of_topic,
    read,
    registered,
    summary,
    usual_sets,
    usual_windows,
)

pytestmark = pytest.mark.slow

SUM_OF_TOOL = f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'"
T1, T2 = {**BASE, "tenant_id": "t1"}, {**BASE, "tenant_id": "t2"}


def found(table):
    judgement = judge(table)
    return judgement, [finding.code for finding in judgement.findings]


def codes_of_latency(**changes):
    """Findings with a faultless error alarm and this latency alarm."""
    return found(evidence(latency(**changes), errors()))


def codes_of_errors(**changes):
    """Findings with a faultless latency alarm and this error alarm."""
    judgement, codes = found(evidence(latency(), errors(**changes)))
    return judgement, [code for code in codes if code != "latency_alarm_blind_to_errors"]


def ratio(expression="100 * e / (e + ok)", error_query=None, **changes):
    """An error alarm on a ratio of `e` and `ok`."""
    return errors(
        Metrics=[math("r", expression), error_query or insights("e", SUM_OF_TOOL), metric_stat("ok", "tool_success")], **changes
    )


# --- passing ---


def test_the_recommended_alarms_pass():
    judgement, codes = found(evidence(latency(), errors()))
    assert (judgement.verdict, codes) == (Verdict.PASS, [])
    assert judgement.facts["tools_with_error_alarm"] == 1
    assert judgement.summary == "1 of 1 registered tools have a working latency alarm, 1 of 1 a working error alarm."


def test_the_recommended_alarms_pass_for_a_tool_that_is_called_once_an_hour():
    windows = [dict(w, requests=int(index % 12 == 0)) for index, w in enumerate(usual_windows())]
    measured = summary([(TOOL, CONNECTOR, usual_sets(), windows)])
    assert found(evidence(latency(), errors(), measured=measured))[0].verdict is Verdict.PASS


def test_alarms_on_a_tool_that_has_never_emitted_anything_cannot_fire():
    """Whatever the contract says of where data points would be: what is not emitted sets off no alarm."""
    measured = summary([(TOOL, CONNECTOR, [], [])])
    assert found(evidence(latency(), errors(), measured=measured))[1] == ["alarm_cannot_fire", "alarm_cannot_fire"]


def test_one_faultless_alarm_is_enough():
    _, codes = found(evidence(latency(AlarmName="lax", Threshold=60000), latency(), errors()))
    assert codes == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ExtendedStatistic": "p95"},
        {"ExtendedStatistic": "p99.9", "Threshold": 800},
        {"ExtendedStatistic": "PR(:5000)", "ComparisonOperator": "LessThanThreshold", "Threshold": 95},
        {"ExtendedStatistic": "PR(:5000)", "ComparisonOperator": "LessThanThreshold", "Threshold": 99},
        {"ComparisonOperator": "GreaterThanOrEqualToThreshold"},
        {"TreatMissingData": "breaching"},
        {"MetricName": None, "Metrics": [metric_stat("m", "tool_latency_ms", "p99", returned=True)]},
        {
            "Metrics": [
                math("x", "IF(n >= 20, l, 0)"),
                metric_stat("l", "tool_latency_ms", "p99"),
                metric_stat("n", "tool_latency_ms", "SampleCount"),
            ]
        },
        {
            "Metrics": [
                math("x", "MAX([a, b])"),
                metric_stat("a", "tool_latency_ms", "p99"),
                metric_stat("b", "tool_latency_ms", "p99", T1),
            ]
        },
        {
            "Metrics": [
                math("x", "100 * w / n"),
                metric_stat("w", "tool_latency_ms", "TC(:5000)"),
                metric_stat("n", "tool_latency_ms", "SampleCount"),
            ],
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 99,
        },
        {"Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": None},
        {"Unit": "Milliseconds"},
        {"EvaluateLowSampleCountPercentile": "ignore"},
    ],
)
def test_latency_alarms_that_pass(changes):
    assert codes_of_latency(**changes)[1] == []


@pytest.mark.parametrize(
    "alarm",
    [
        ratio("100 * e / (e + ok)", TreatMissingData="notBreaching"),
        ratio("e / (e + ok)", Threshold=0.01),
        ratio("100 * FILL(e, 0) / (FILL(e, 0) + FILL(ok, 0))", TreatMissingData="missing"),
        ratio("100 - 100 * ok / (ok + e)"),
        ratio("100 * ok / (ok + FILL(e, 0))", ComparisonOperator="LessThanThreshold", Threshold=99),
        ratio("IF(FILL(e, 0) + ok > 20, 100 * e / (e + ok), 0)"),
        ratio("IF(FILL(e, 0) + FILL(ok, 0) >= 30, 100 * FILL(e, 0) / (FILL(e, 0) + FILL(ok, 0)), 0)"),
        errors(
            Metrics=[
                math("r", "100 * SUM([a, b]) / (SUM([a, b]) + ok)"),
                metric_stat("a", "tool_error", dims=T1),
                metric_stat("b", "tool_error", dims=T2),
                metric_stat("ok", "tool_success"),
            ]
        ),
    ],
)
def test_error_alarms_that_pass(alarm):
    assert found(evidence(latency(), alarm))[1] == []


# --- missing, wrong, too lax ---


def test_tools_without_alarms_are_named():
    judgement, codes = found(evidence())
    assert codes == ["error_alarm_missing", "latency_alarm_missing"]
    assert judgement.verdict is Verdict.FAIL
    assert {finding.subject for finding in judgement.findings} == {TOOL}


def test_an_alarm_on_an_unknown_tool_is_no_candidate():
    judgement, codes = found(evidence(latency("crm.create_tasks"), errors()))
    assert codes == ["latency_alarm_missing"]
    assert judgement.facts["other_alarms_on_platform_metrics"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"ExtendedStatistic": "p90"},
        {"ExtendedStatistic": None, "Statistic": "Average"},
        {"ExtendedStatistic": None, "Statistic": "Maximum"},
        {"ExtendedStatistic": "tm99"},
        {
            "MetricName": None,
            "Metrics": [
                insights("q", f"SELECT MAX(tool_latency_ms) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'", returned=True)
            ],
        },
    ],
)
def test_statistics_that_do_not_show_slow_calls(changes):
    assert codes_of_latency(**changes)[1] == ["alarm_statistic_wrong"]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"Threshold": 8000}, "fires from 8,0"),
        ({"ExtendedStatistic": "PR(:6000)", "ComparisonOperator": "LessThanThreshold", "Threshold": 99}, "fires from 6,0"),
        ({"ExtendedStatistic": "PR(:5000)", "ComparisonOperator": "LessThanThreshold", "Threshold": 80}, "fires when 20"),
        ({"Threshold": None, "ThresholdMetricId": "band", "ComparisonOperator": "GreaterThanUpperThreshold"}, "anomaly band"),
        (
            {
                "Metrics": [
                    metric_stat("m", "tool_latency_ms", "p99", returned=True),
                    math("band", "ANOMALY_DETECTION_BAND(m, 2)"),
                ],
                "MetricName": None,
                "Threshold": None,
                "ThresholdMetricId": "band",
                "ComparisonOperator": "GreaterThanUpperThreshold",
            },
            "anomaly band",
        ),
    ],
)
def test_latency_thresholds_beyond_the_slo(changes, seen):
    judgement, codes = codes_of_latency(**changes)
    assert codes == ["alarm_threshold_too_lax"]
    assert seen in judgement.findings[0].seen


@pytest.mark.parametrize(
    ("alarm", "seen"),
    [
        (errors(Threshold=4.2), "fires from 4.2"),
        (ratio("e / (e + ok)", Threshold=1 / 3), "fires from 33"),
        (errors(Metrics=[insights("e", SUM_OF_TOOL, returned=True)], Threshold=50), "fires from 5 %"),
    ],
)
def test_error_thresholds_beyond_the_slo(alarm, seen):
    judgement, codes = found(evidence(latency(), alarm))
    assert codes == ["alarm_threshold_too_lax", "latency_alarm_blind_to_errors"]
    assert seen in judgement.findings[0].seen


@pytest.mark.parametrize(
    ("expression", "seen"),
    [
        # no call succeeds, so that the successes have no data, or too few to count
        ("IF(ok > 0, 100 * FILL(e, 0) / (FILL(e, 0) + ok), 0)", "100 % fail"),
        ("IF(ok > 20, 100 * e / (e + ok), 0)", "99 % fail"),
        ("100 * FILL(e, 0) / ok", "100 % fail"),
        ("IF(100 * e / (e + ok) < 50, 100 * e / (e + ok), 0)", "50 % fail"),
        ("IF(FILL(e, 0) < 200, 100 * FILL(e, 0) / (FILL(e, 0) + ok), 0)", "20.4 % fail"),
    ],
)
def test_an_error_alarm_that_is_silent_in_a_worse_outage(expression, seen):
    judgement, codes = found(evidence(latency(), ratio(expression)))
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_silent_when_worse", "latency_alarm_blind_to_errors"])
    assert judgement.findings[0].seen == f"does not when {seen}"
    assert judgement.findings[0].expected == "fires whenever more than 1 % of the calls fail"


def test_an_error_alarm_that_is_silent_when_all_calls_of_one_tenant_fail():
    one, other = (metric_stat(key, "tool_error", dims=dims) for key, dims in (("a", T1), ("b", T2)))
    share = "100 * (FILL(a, 0) + FILL(b, 0)) / (FILL(a, 0) + FILL(b, 0) + FILL(ok, 0))"
    alarm = errors(Metrics=[math("r", f"IF(FILL(a, 0) < 900, {share}, 0)"), one, other, metric_stat("ok", "tool_success")])
    judgement, codes = found(evidence(latency(), alarm))
    assert codes == ["alarm_silent_when_worse", "latency_alarm_blind_to_errors"]
    assert judgement.findings[0].seen == "does not when 90 % fail, all of them of tenant t1"


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"Metrics": [math("x", "IF(l < 10000, l, 0)"), metric_stat("l", "tool_latency_ms", "p99")]}, "5.01 % take 10,000 ms"),
        ({"ExtendedStatistic": "PR(5000:20000)", "Threshold": 5}, "5.01 % take 25,000 ms"),
        (
            {
                "Metrics": [
                    math("x", "IF(s < 400, l, 0)"),
                    metric_stat("l", "tool_latency_ms", "p99"),
                    metric_stat("s", "tool_latency_ms", "TC(5000:)"),
                ]
            },
            "50 % take 5,100 ms",
        ),
    ],
)
def test_a_latency_alarm_that_is_silent_when_calls_are_slower_or_more_are_slow(changes, seen):
    judgement, codes = codes_of_latency(**changes)
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_silent_when_worse"])
    assert judgement.findings[0].seen == f"does not when {seen}"


def uneven(quiet, busy, usual=1000):
    """What the platform emits where a fifth of the five-minute windows have `quiet` calls, and a fifth `busy` ones."""
    counts = [quiet, usual, usual, usual, busy]
    windows = [window | {"requests": counts[index % len(counts)]} for index, window in enumerate(usual_windows())]
    return summary([(TOOL, CONNECTOR, usual_sets(), windows)])


GATED_LATENCY = (metric_stat("l", "tool_latency_ms", "p99"), metric_stat("n", "tool_latency_ms", "SampleCount"))


def gated_latency(condition):
    return latency(Metrics=[math("x", f"IF({condition}, l, 0)"), *GATED_LATENCY])


def gated_errors(condition):
    return ratio(f"IF(FILL(e, 0) + FILL(ok, 0) {condition}, 100 * FILL(e, 0) / (FILL(e, 0) + FILL(ok, 0)), 0)")


@pytest.mark.parametrize("alarms", [(gated_latency("n < 1500"), errors()), (latency(), gated_errors("< 1500"))])
@pytest.mark.parametrize(
    ("measured", "seen"),
    [
        (uneven(1000, 3000), "does not at 3,000 calls a period, the most that there were"),
        (summary(), "does not at 10,000 calls a period, 10 times the most that there were"),
        (summary([(TOOL, CONNECTOR, usual_sets(), usual_windows(0))]), "does not at 10,000"),
    ],
)
def test_an_alarm_that_is_silent_when_there_are_more_calls(alarms, measured, seen):
    judgement, codes = found(evidence(*alarms, measured=measured))
    assert (judgement.verdict, codes[0]) == (Verdict.FAIL, "alarm_silent_at_other_traffic")
    assert seen in judgement.findings[0].seen


@pytest.mark.parametrize("signal", ["latency", "error"])
@pytest.mark.parametrize(
    ("least", "quiet", "usual", "verdict"),
    [
        (20, 10, 1000, Verdict.PASS),
        (30, 100, 1000, Verdict.PASS),
        (100, 99, 5000, Verdict.PASS),  # of which one call alone is more than 1 %
        (100, 102, 5000, Verdict.PASS),
        (300, 5000, 5000, Verdict.PASS),
        (1200, 5000, 5000, Verdict.WARN),  # such quiet periods may come
        (900, 120, 1000, Verdict.WARN),
        (900, 299, 1000, Verdict.WARN),
        (2000, 1500, 4000, Verdict.FAIL),
    ],
)
def test_a_least_number_of_calls_is_right_where_fewer_say_nothing(signal, least, quiet, usual, verdict):
    alarms = (gated_latency(f"n >= {least}"), errors()) if signal == "latency" else (latency(), gated_errors(f">= {least}"))
    judgement, codes = found(evidence(*alarms, measured=uneven(quiet, usual, usual)))
    assert judgement.verdict is verdict
    assert codes[:1] == ([] if verdict is Verdict.PASS else ["alarm_silent_at_other_traffic"])


def test_of_fewer_calls_it_is_known_that_too_many_fail_than_that_too_many_are_slow():
    """CloudWatch asks for 1000 to know a p99; none of 300 that fails is less than 1 %."""
    measured = uneven(600, 1000)
    assert found(evidence(gated_latency("n >= 900"), errors(), measured=measured))[0].verdict is Verdict.WARN
    assert found(evidence(latency(), gated_errors(">= 900"), measured=measured))[0].verdict is Verdict.FAIL


def test_the_calls_of_a_period_count_and_not_those_of_a_window():
    """In 600 calls of five minutes there are 120 of a minute; in 400 too few."""
    by_the_minute = [query | {"MetricStat": query["MetricStat"] | {"Period": 60}} for query in GATED_LATENCY]
    alarm = latency(Metrics=[math("x", "IF(n >= 150, l, 0)"), *by_the_minute], EvaluationPeriods=5)
    for quiet, verdict in ((600, Verdict.WARN), (400, Verdict.PASS)):
        assert found(evidence(alarm, errors(), measured=uneven(quiet, 1000)))[0].verdict is verdict


def test_the_recommended_alarms_pass_whatever_the_traffic():
    for quiet, busy in ((1, 100_000), (150, 1000)):
        assert found(evidence(latency(), errors(), measured=uneven(quiet, busy)))[0].verdict is Verdict.PASS


def test_an_alarm_over_all_tools_together_is_diluted():
    """Errors of one tool among the healthy calls of another count as half."""
    everything = errors(
        Metrics=[
            math("r", "100 * e / (e + ok)"),
            insights("e", f'SELECT SUM(tool_error) FROM "{NAMESPACE}"'),
            metric_stat("ok", "tool_success"),
        ],
        Threshold=2,
    )
    assert "alarm_threshold_too_lax" in found(evidence(latency(), everything))[1]


def test_a_query_by_tool_covers_every_tool():
    other = ("internal.create_note", "internal")
    measured = summary(
        [
            (TOOL, CONNECTOR, usual_sets(), usual_windows()),
            (*other, usual_sets({"tool_name": other[0], "connector_id": other[1]}), usual_windows()),
        ]
    )
    by_tool = errors(
        Metrics=[insights("e", f'SELECT SUM(tool_error) FROM "{NAMESPACE}" GROUP BY tool_name', returned=True)], Threshold=5
    )
    table = evidence(latency(), latency(*other), by_tool, tools=registered((TOOL, CONNECTOR), other), measured=measured)
    assert found(table)[1] == ["error_alarm_counts_errors"] * 2


def test_counting_errors_is_a_warning():
    judgement, codes = codes_of_errors(Metrics=[insights("e", SUM_OF_TOOL, returned=True)], Threshold=5)
    assert (judgement.verdict, codes) == (Verdict.WARN, ["error_alarm_counts_errors"])
    assert "fires from 0.5" in judgement.findings[0].seen


@pytest.mark.parametrize(
    "alarms",
    [
        (latency(ComparisonOperator="LessThanThreshold"), errors()),
        (latency(ExtendedStatistic="PR(:5000)", Threshold=95), errors()),
        (latency(), errors(ComparisonOperator="LessThanThreshold")),
    ],
)
def test_comparisons_that_point_the_wrong_way(alarms):
    assert found(evidence(*alarms))[1][0] == "alarm_comparison_wrong"


@pytest.mark.parametrize(
    "alarms",
    [
        (latency(Threshold=0), errors()),
        (latency(Threshold=5), errors()),
        (latency(Threshold=99), errors()),
        (latency(Metrics=[math("x", "IF(HOUR(l) == 3, 9999, l)"), metric_stat("l", "tool_latency_ms", "p99")]), errors()),
        (latency(), errors(ComparisonOperator="GreaterThanOrEqualToThreshold", Threshold=0)),
        (latency(), ratio("100 * e / e", TreatMissingData="breaching")),
    ],
)
def test_alarms_that_fire_when_all_is_well(alarms):
    assert found(evidence(*alarms))[1][0] == "alarm_fires_when_healthy"


def test_seconds_mistaken_for_milliseconds_are_named():
    """A healthy call takes a fiftieth of the limit."""
    judgement, codes = codes_of_latency(Threshold=5)
    assert codes == ["alarm_fires_when_healthy"]
    assert judgement.findings[0].expected == "stays OK without slow or failed calls, each taking 100 ms"
    assert judgement.findings[0].seen == "GreaterThanThreshold 5 breaches then too"


# --- cannot fire ---


def test_an_error_alarm_on_the_base_set_never_fires():
    judgement, codes = found(evidence(latency(), errors(Metrics=[metric_stat("e", "tool_error", returned=True)], Threshold=0)))
    assert codes == ["alarm_cannot_fire", "latency_alarm_blind_to_errors"]
    assert "tenant_id only" in judgement.findings[0].seen


def test_a_ratio_over_the_base_set_never_fires():
    _, codes = found(evidence(latency(), ratio(error_query=metric_stat("e", "tool_error"))))
    assert "alarm_cannot_fire" in codes


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"Namespace": "CCNative/Executions"}, "namespace"),
        ({"Dimensions": [{"Name": "tool_name", "Value": TOOL}]}, "emits to"),
        ({"Dimensions": [{"Name": "tool_name", "Value": TOOL}, {"Name": "connector_id", "Value": "crm"}]}, "emits to"),
        ({"Dimensions": [{"Name": "tool_name", "Value": TOOL}, {"Name": "connectorId", "Value": CONNECTOR}]}, "emits to"),
        ({"Unit": "Seconds"}, "unit"),
        ({"Metrics": [metric_stat("m", "tool_latency_ms", "p99", returned=True) | {"AccountId": "999999999999"}]}, "account"),
        ({"Metrics": [math("x", "l +"), metric_stat("l", "tool_latency_ms", "p99")]}, "position"),
        (
            {
                "Metrics": [
                    math("x", "SUM(SEARCH('{NS} tool_latency_ms', 'p99', 300)) + l"),
                    metric_stat("l", "tool_latency_ms", "p99"),
                ]
            },
            "SEARCH",
        ),
        ({"Metrics": [math("x", "l + y"), metric_stat("l", "tool_latency_ms", "p99")]}, "'y'"),
        ({"Metrics": [math("x", "x + l"), metric_stat("l", "tool_latency_ms", "p99")]}, "refers to itself"),
        ({"Metrics": [math("x", "l"), math("y", "l"), metric_stat("l", "tool_latency_ms", "p99")]}, "2 of its queries"),
        ({"Metrics": [math("x", "IF(l > 900000000, l, 0)"), metric_stat("l", "tool_latency_ms", "p99")]}, "never meets"),
        ({"ExtendedStatistic": "p101"}, "p101"),
        ({"DatapointsToAlarm": 4}, "4 out of 3"),
        ({"ComparisonOperator": "SomewhatLarger"}, "SomewhatLarger"),
        (
            {"Metrics": [math("x", "MAX(METRICS())"), *(metric_stat(f"m{i}", "tool_latency_ms", "p99") for i in range(11))]},
            "11 metrics",
        ),
    ],
)
def test_latency_alarms_that_cannot_fire(changes, seen):
    judgement, codes = codes_of_latency(**changes)
    assert codes == ["alarm_cannot_fire"]
    assert seen in judgement.findings[0].seen


OWN = "123456789012"
OTHER = "999999999999"


@pytest.mark.parametrize(
    ("whose", "codes"),
    [
        (f"AWS.AccountId = '{OWN}'", []),
        ("AWS.AccountId = CURRENT_ACCOUNT_ID()", []),
        ("AWS.AccountId = LOCAL()", []),
        (f"AWS.AccountId != '{OTHER}'", []),
        (f"AWS.AccountId = '{OTHER}'", ["alarm_cannot_fire"]),
        (f"AWS.AccountId NOT IN ('{OWN}', '{OTHER}')", ["alarm_cannot_fire"]),
        ("AWS.AccountId != LOCAL()", ["alarm_cannot_fire"]),
        (f"AWS.AccountId IN ('{OWN}', '{OTHER}')", ["alarm_reads_other_accounts"]),
        (f"(AWS.AccountId = LOCAL() OR AWS.AccountId = '{OTHER}')", ["alarm_reads_other_accounts"]),
        ("AWS.AccountId = ELSEWHERE()", ["alarm_cannot_fire"]),
    ],
)
def test_a_query_of_an_alarm_is_about_the_account_that_it_names(whose, codes):
    ours = ratio(error_query=insights("e", f"{SUM_OF_TOOL} AND {whose}"), TreatMissingData="notBreaching")
    judgement, seen = found(evidence(latency(), ours))
    assert [code for code in seen if code != "latency_alarm_blind_to_errors"] == codes
    assert (judgement.verdict is Verdict.INCONCLUSIVE) == (codes == ["alarm_reads_other_accounts"])


@pytest.mark.parametrize("accounts", ["", f" AND AWS.AccountId IN ('{OWN}', '{OTHER}')"])
def test_an_alarm_by_account_compares_the_own_one_apart(accounts):
    query = f"{SUM_OF_TOOL}{accounts} GROUP BY AWS.AccountId"
    counting = errors(Metrics=[insights("e", query, returned=True)], Threshold=5, TreatMissingData="notBreaching")
    assert found(evidence(latency(), counting))[1] == ["error_alarm_counts_errors"]
    added_up = errors(
        Metrics=[math("s", "SUM(e)"), insights("e", query)], Threshold=5, TreatMissingData="notBreaching", AlarmName="sum"
    )
    assert ("alarm_reads_other_accounts" in found(evidence(latency(), added_up))[1]) is bool(accounts)


def test_an_account_that_is_named_and_cannot_be_compared_is_none_of_ours():
    bare = latency(Metrics=[metric_stat("m", "tool_latency_ms", "p99", returned=True) | {"AccountId": OWN}])
    assert found(evidence(bare, errors()))[1] == []
    judgement, codes = found(evidence(bare | {"AlarmArn": None}, errors()))
    assert codes == ["alarm_cannot_fire"]
    assert "not known" in judgement.findings[0].seen


WATCHED = ("HOUR(l) >= 6", "DAY(l) < 6", "MINUTE(l) < 30", "MONTH(l) == 11", "YEAR(l) < 2027", "EPOCH(l) < 1800000000")


@pytest.mark.parametrize("watched", WATCHED)
def test_an_alarm_that_sleeps_at_times_is_none(watched):
    """Nights, weekends, half hours, other months, and from next year on."""
    judgement, codes = codes_of_latency(Metrics=[math("x", f"IF({watched}, l, 0)"), metric_stat("l", "tool_latency_ms", "p99")])
    assert codes == ["alarm_cannot_fire"]
    assert "every time of day" in judgement.findings[0].seen
    alarm = ratio(f"IF({watched.replace('(l)', '(ok)')}, 100 * e / (e + ok), 0)")
    assert "alarm_cannot_fire" in found(evidence(latency(), alarm))[1]


@pytest.mark.parametrize(
    ("asleep", "at"),
    [
        ("DAY(l) == 7 AND HOUR(l) >= 2 AND HOUR(l) < 6", "Sunday 2026-11-29 02:"),
        ("HOUR(l) == 3 AND MINUTE(l) < 30", " 03:"),
        ("HOUR(l) * 60 + MINUTE(l) == 185", " 03:05"),
        ("DAY(l) == 2 AND HOUR(l) == 23 AND MINUTE(l) == 59", "Tuesday 2026-11-24 23:59"),
        ("MONTH(l) == 7 AND DATE(l) == 4", "Sunday 2027-07-04"),
        ("MONTH(l) == 12 AND DATE(l) == 31 AND HOUR(l) >= 22", "Thursday 2026-12-31 22:"),
        ("EPOCH(l) >= 1795608000 AND EPOCH(l) < 1795612200", "Wednesday 2026-11-25 12:"),
    ],
)
def test_an_alarm_that_seldom_sleeps_is_none_either(asleep, at):
    """A few hours a week, minutes a day, or a day a year; a mute rule of the same hours would be a warning."""
    judgement, codes = codes_of_latency(Metrics=[math("x", f"IF({asleep}, 0, l)"), metric_stat("l", "tool_latency_ms", "p99")])
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_cannot_fire"])
    assert judgement.findings[0].seen.startswith("does not at ")
    assert at in judgement.findings[0].seen


@pytest.mark.parametrize(
    "beside", ["0 * RUNNING_SUM(l)", "0 * SUM(l)", "0 * FILL(l, REPEAT)", "MAX([0 * l, 0 * l])", "LOG(l / l)"]
)
def test_an_alarm_that_also_looks_at_other_periods_is_tried_as_often(beside):
    expression = f"IF(DAY(l) == 7 AND HOUR(l) == 3, 0, l) + {beside}"
    judgement, codes = codes_of_latency(Metrics=[math("x", expression), metric_stat("l", "tool_latency_ms", "p99")])
    assert codes == ["alarm_cannot_fire"]
    assert "Sunday 2026-11-29 03:" in judgement.findings[0].seen


def test_an_alarm_that_takes_too_long_to_be_tried_at_every_time_is_none():
    expression = "IF(MONTH(l) == 4 AND DATE(l) == 1 AND HOUR(l) == 3, 2 * l, l)" + " + 0 * RUNNING_SUM(l)" * 60
    judgement, codes = codes_of_latency(Metrics=[math("x", expression), metric_stat("l", "tool_latency_ms", "p99")])
    assert codes == ["alarm_cannot_fire"]
    assert "too long to be tried" in judgement.findings[0].seen


def test_an_alarm_that_seldom_fires_when_all_is_well_says_nothing():
    expression = "IF(DATE(l) == 4 AND MONTH(l) == 7, 9999, l)"
    _, codes = codes_of_latency(Metrics=[math("x", expression), metric_stat("l", "tool_latency_ms", "p99")])
    assert codes == ["alarm_fires_when_healthy"]


def test_an_error_alarm_that_sleeps_on_sunday_mornings_is_none():
    alarm = ratio("IF(DAY(ok) == 7 AND HOUR(ok) == 5, 0, 100 * e / (e + ok))")
    judgement, codes = found(evidence(latency(), alarm))
    assert "Sunday" in judgement.findings[0].seen
    assert codes == ["alarm_cannot_fire", "latency_alarm_blind_to_errors"]


def test_an_alarm_that_is_laxer_at_night_is_judged_by_its_nights():
    laxer = latency(Metrics=[math("x", "IF(HOUR(l) < 6, l / 2, l)"), metric_stat("l", "tool_latency_ms", "p99")])
    judgement, codes = found(evidence(laxer, errors()))
    assert codes == ["alarm_threshold_too_lax"]
    assert "fires from 10,0" in judgement.findings[0].seen


def test_an_alarm_may_look_at_the_clock_if_it_always_fires():
    for stricter in ("HOUR(l) < 6", "DAY(l) == 7 AND HOUR(l) < 6"):
        always = latency(Metrics=[math("x", f"IF({stricter}, 2 * l, l)"), metric_stat("l", "tool_latency_ms", "p99")])
        assert found(evidence(always, errors()))[1] == []


def test_an_alarm_on_the_canonical_name_misses_a_tool_that_emits_another():
    base = {"tool_name": f"crm-create-task___{TOOL}", "connector_id": "crm-create-task___crm"}
    measured = summary([(base["tool_name"], base["connector_id"], usual_sets(base), usual_windows())])
    assert found(evidence(latency(), errors(), measured=measured))[1] == ["alarm_cannot_fire", "alarm_cannot_fire"]


def test_too_few_samples_for_a_percentile_that_ignores_low_counts():
    """p99 needs 10 / (1 - 0.99) = 1000 samples a period."""
    measured = summary([(TOOL, CONNECTOR, usual_sets(), usual_windows(999))])
    judgement, codes = found(evidence(latency(EvaluateLowSampleCountPercentile="ignore"), errors(), measured=measured))
    assert codes == ["alarm_cannot_fire"]
    assert judgement.findings[0].expected == "at least 1000 samples a period"


def test_more_data_points_to_alarm_than_the_traffic_ever_gives():
    windows = [dict(w, requests=int(index % 12 == 0)) for index, w in enumerate(usual_windows())]
    measured = summary([(TOOL, CONNECTOR, usual_sets(), windows)])
    strict = latency(DatapointsToAlarm=3)
    assert found(evidence(strict, errors(), measured=measured))[1] == ["alarm_cannot_fire"]
    minutes = latency(Period=60, EvaluationPeriods=5, DatapointsToAlarm=2)
    assert found(evidence(minutes, errors(), measured=measured))[1] == ["alarm_cannot_fire"]
    breaching = latency(DatapointsToAlarm=3, TreatMissingData="breaching")
    assert found(evidence(breaching, errors(), measured=measured))[1] == []


def test_long_periods_are_added_up_from_short_windows():
    windows = [dict(w, requests=int(index % 12 == 0)) for index, w in enumerate(usual_windows())]
    measured = summary([(TOOL, CONNECTOR, usual_sets(), windows)])
    assert found(evidence(latency(Period=900, EvaluationPeriods=1), errors(), measured=measured))[1] == []


def test_a_latency_alarm_on_tenant_sets_misses_the_calls():
    dims = [{"Name": key, "Value": value} for key, value in T1.items()]
    assert codes_of_latency(Dimensions=dims)[1] == ["latency_alarm_misses_calls"]


def test_an_error_alarm_on_one_tenant_misses_the_others():
    judgement, codes = found(evidence(latency(), ratio(error_query=metric_stat("e", "tool_error", dims=T1))))
    assert codes == ["error_alarm_misses_tenants", "latency_alarm_blind_to_errors"]
    assert "tenant t2" in judgement.findings[0].seen
    assert "t1" not in judgement.findings[0].seen


def test_tenants_without_data_that_day_need_no_cover():
    sets = [*usual_sets(tenants=("t1",)), dimension_set("tool_error", T2, samples=0)]
    measured = summary([(TOOL, CONNECTOR, sets, usual_windows())])
    assert found(evidence(latency(), ratio(error_query=metric_stat("e", "tool_error", dims=T1)), measured=measured))[1] == []


@pytest.mark.parametrize(("period", "periods"), [(60, 1), (300, 4), (3600, 1)])
def test_windows_out_of_range(period, periods):
    _, codes = codes_of_latency(Period=period, EvaluationPeriods=periods)
    assert codes == ["alarm_window_out_of_range"]


def test_limits_come_from_the_policy():
    table = evidence(latency(), errors())
    strict = SloPolicy(latency_threshold_ms=1000, error_rate_max=0.001)
    judgement = judge_slo_alarms(table, slo=strict, alarms=POLICY, now=NOW, links=LINKS)
    assert [finding.code for finding in judgement.findings] == ["alarm_threshold_too_lax"] * 2


# --- actions ---


def test_actions_switched_off():
    assert codes_of_latency(ActionsEnabled=False)[1] == ["alarm_actions_disabled"]


def test_ok_actions_do_not_count():
    assert codes_of_latency(AlarmActions=[], OKActions=[TOPIC])[1] == ["alarm_actions_missing"]


@pytest.mark.parametrize(
    ("topic", "seen"),
    [(Topic(TOPIC, False, 0, 0), "does not exist"), (Topic(TOPIC, True, 0, 2), "2 waiting for confirmation")],
)
def test_topics_that_reach_nobody(topic, seen):
    judgement, codes = found(evidence(latency(), errors(), topics={TOPIC: topic}))
    assert codes == ["alarm_action_goes_nowhere"] * 2
    assert seen in judgement.findings[0].seen


def test_one_topic_that_works_is_enough():
    dead = TOPIC + "-old"
    table = evidence(latency(AlarmActions=[dead, TOPIC]), errors(), topics={dead: Topic(dead, False, 0, 0)})
    assert found(table)[1] == []


def test_a_topic_that_cannot_be_read_is_an_error_of_its_read():
    denied = read("sns:GetTopicAttributes", ReadStatus.DENIED, "AuthorizationError: no", TOPIC)
    judgement, codes = found(
        evidence(latency(), errors(), topics={TOPIC: Topic(TOPIC, None, None, None, "no")}, topic_reads=[denied])
    )
    assert (judgement.verdict, codes) == (Verdict.ERROR, ["read_failed"])
    assert TOPIC in judgement.findings[0].subject


def test_actions_other_than_sns_are_a_warning():
    judgement, codes = codes_of_latency(AlarmActions=["arn:aws:ssm:us-west-2:123456789012:opsitem:1"])
    assert (judgement.verdict, codes) == (Verdict.WARN, ["alarm_action_not_followed"])


ON_MACHINES = (
    "arn:aws:automate:us-west-2:ec2:reboot",
    "arn:aws:swf:us-west-2:123456789012:action/actions/AWS_EC2.InstanceId.Stop/1.0",
    "arn:aws:autoscaling:us-west-2:123456789012:scalingPolicy:x:resource/ecs/service/c/s:policyName/p",
)


@pytest.mark.parametrize("actions", [*([arn] for arn in ON_MACHINES), ON_MACHINES])
def test_actions_that_only_act_on_machines_tell_nobody(actions):
    judgement, codes = codes_of_latency(AlarmActions=list(actions))
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_actions_missing"])
    assert f"{actions[0]} tells nobody" in judgement.findings[0].seen


def test_an_action_on_machines_beside_another_counts_for_nothing():
    pager = "arn:aws:lambda:us-west-2:123456789012:function:pager"
    assert codes_of_latency(AlarmActions=[ON_MACHINES[0], TOPIC])[1] == []
    assert codes_of_latency(AlarmActions=[ON_MACHINES[0], pager])[1] == ["alarm_action_not_followed"]
    dead = {TOPIC: Topic(TOPIC, False, 0, 0)}
    judgement, codes = found(evidence(latency(AlarmActions=[ON_MACHINES[0], TOPIC]), errors(), topics=dead))
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_action_goes_nowhere"] * 2)
    assert "does not exist" in judgement.findings[0].seen + judgement.findings[1].seen


def test_a_composite_speaks_for_an_alarm_whose_own_action_tells_nobody():
    reboots = latency(AlarmActions=[ON_MACHINES[0]])
    above = composite(f'ALARM("{LATENCY_NAME}")')
    assert found(evidence(reboots, errors(), composites=[above]))[1] == []
    shut = composite(f'ALARM("{LATENCY_NAME}") OR OK("{LATENCY_NAME}")')
    assert found(evidence(reboots, errors(), composites=[shut]))[1] == ["alarm_way_open_before"]


def composite(rule, name="composite", **changes):
    return {"AlarmName": name, "AlarmRule": rule, "AlarmActions": [TOPIC], "ActionsEnabled": True, "StateValue": "OK"} | changes


LATENCY_NAME = latency()["AlarmName"]


@pytest.mark.parametrize(
    ("composites", "codes"),
    [
        ([composite(f'ALARM("{LATENCY_NAME}") OR ALARM(other)')], []),
        ([composite(f'ALARM("arn:aws:cloudwatch:us-west-2:1:alarm:{LATENCY_NAME}") AND NOT ALARM(deploying)')], []),
        ([composite(f'ALARM("{LATENCY_NAME}")', "inner", AlarmActions=[]), composite("ALARM(inner)", "outer")], []),
        ([composite(f'ALARM("{LATENCY_NAME}") AND ALARM(other)')], ["alarm_actions_missing"]),
        ([composite(f'ALARM("{LATENCY_NAME}" nonsense')], ["alarm_actions_missing"]),
        ([composite(f'ALARM("{LATENCY_NAME}")', ActionsEnabled=False)], ["alarm_actions_disabled"]),
    ],
)
def test_a_composite_speaks_for_an_alarm_that_sets_it_off_alone(composites, codes):
    assert found(evidence(latency(AlarmActions=[]), errors(), composites=composites))[1] == codes


@pytest.mark.parametrize("suppressor", ["deploying", "arn:aws:cloudwatch:us-west-2:1:alarm:deploying"])
def test_a_suppressed_composite_speaks_for_nobody(suppressor):
    above = composite(f'ALARM("{LATENCY_NAME}")', ActionsSuppressor=suppressor)
    for state, codes in (("ALARM", ["alarm_actions_suppressed"]), ("OK", [])):
        deploying = composite("FALSE", "deploying", StateValue=state)
        assert found(evidence(latency(AlarmActions=[]), errors(), composites=[above, deploying]))[1] == codes


@pytest.mark.parametrize(
    ("rule", "verdict", "codes"),
    [
        ("TRUE OR ALARM(x)", Verdict.FAIL, ["alarm_way_open_before"]),
        ("ALARM(x) OR ALARM(composite)", Verdict.INCONCLUSIVE, ["alarm_way_not_judged"]),
        ("ALARM(x) AND OK(other)", Verdict.WARN, ["alarm_way_needs_data"]),
    ],
)
def test_what_a_composite_would_do_decides_and_not_its_state(rule, verdict, codes):
    """Every kind of rule is tried in test_notification_path."""
    above = composite(rule.replace("(x)", f'("{LATENCY_NAME}")'))
    judgement, seen = found(evidence(latency(AlarmActions=[]), errors(), composites=[above]))
    assert (judgement.verdict, seen) == (verdict, codes)


def test_an_alarm_on_the_same_signal_must_not_keep_the_way_shut():
    """Both fire together, so that the one would silence the other."""
    twin = latency(AlarmName="twin", AlarmActions=[], Threshold=4000)
    for changes in ({"AlarmRule": f'ALARM("{LATENCY_NAME}") AND NOT ALARM(twin)'}, {"ActionsSuppressor": "twin"}):
        above = composite(f'ALARM("{LATENCY_NAME}")', **changes)
        judgement, codes = found(evidence(latency(AlarmActions=[]), twin, errors(), composites=[above]))
        assert judgement.verdict is Verdict.FAIL
        assert codes[0] in ("alarm_actions_missing", "alarm_actions_suppressed")


@pytest.mark.parametrize("period", [10, 30])
def test_periods_under_a_minute_look_at_metrics_that_are_not_there(period):
    """30 s x 30 is a quarter of an hour, and every other period of it is empty."""
    count = 600 // period
    for changes in (
        {"Period": period, "EvaluationPeriods": count, "DatapointsToAlarm": 1},
        {"Metrics": [metric_stat("m", "tool_latency_ms", "p99", returned=True, period=period)], "EvaluationPeriods": count},
    ):
        assert codes_of_latency(**changes)[1][0] == "alarm_period_too_short"
    mixed = ratio(error_query=insights("e", SUM_OF_TOOL) | {"Period": period}, EvaluationPeriods=3)
    assert "alarm_period_too_short" in found(evidence(latency(), mixed))[1]


def test_a_dead_topic_beside_an_action_that_is_not_followed_is_a_warning():
    """The other action may reach someone, which is not checked."""
    function = "arn:aws:lambda:us-west-2:123456789012:function:pager"
    table = evidence(
        latency(AlarmActions=[TOPIC, function]), errors(AlarmActions=[function]), topics={TOPIC: Topic(TOPIC, False, 0, 0)}
    )
    judgement, codes = found(table)
    assert (judgement.verdict, codes) == (Verdict.WARN, ["alarm_action_not_followed"] * 2)


def test_a_topic_whose_delivery_hangs_on_what_is_not_known_decides_nothing():
    unknown = Topic(TOPIC, True, 1, 0, policy=policy_of_topic({"StringEquals": {"aws:SourceOrgID": "o-1"}}))
    judgement, codes = found(evidence(latency(), errors(), topics={TOPIC: unknown}))
    assert (judgement.verdict, codes) == (Verdict.INCONCLUSIVE, ["alarm_delivery_not_judged"] * 2)


def mute(status, alarm=LATENCY_NAME):
    return {
        "Name": "night",
        "Status": status,
        "MuteTargets": {"AlarmNames": [alarm]},
        "Rule": {"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT4H", "Timezone": "UTC"}},
        "ExpireDate": NOW + timedelta(days=30),
    }


@pytest.mark.parametrize(("status", "verdict"), [("ACTIVE", Verdict.FAIL), ("SCHEDULED", Verdict.WARN)])
def test_mute_rules(status, verdict):
    judgement, codes = found(evidence(latency(), errors(), mutes=[mute(status)]))
    assert (judgement.verdict, codes) == (verdict, ["alarm_muted"])
    assert "mute rule night" in judgement.findings[0].seen


LAST_DAY = datetime(9999, 12, 31, 23, 59)
BEYOND = LAST_DAY.replace(tzinfo=timezone(timedelta(hours=-12)))  # in UTC it is in the year 10000


@pytest.mark.parametrize(
    ("dates", "verdict"),
    [
        ({"StartDate": LAST_DAY.replace(tzinfo=UTC)}, Verdict.WARN),
        ({"ExpireDate": LAST_DAY.replace(tzinfo=UTC)}, Verdict.WARN),
        ({"ExpireDate": BEYOND}, Verdict.WARN),
        ({"StartDate": BEYOND}, Verdict.INCONCLUSIVE),
        ({"StartDate": "soon"}, Verdict.INCONCLUSIVE),
    ],
)
def test_mute_rules_that_begin_or_end_where_the_calendar_ends(dates, verdict):
    judgement, codes = found(evidence(latency(), errors(), mutes=[mute("SCHEDULED") | dates]))
    assert (judgement.verdict, codes) == (verdict, ["alarm_muted"])


def test_mute_rules_on_other_alarms_do_not_count():
    assert found(evidence(latency(), errors(), mutes=[mute("ACTIVE", "another"), mute("EXPIRED")]))[1] == []


# --- missing data, state ---


@pytest.mark.parametrize("treatment", ["notBreaching", "ignore"])
def test_silence_must_not_look_fine_where_there_is_steady_traffic(treatment):
    judgement, codes = codes_of_latency(TreatMissingData=treatment)
    assert (judgement.verdict, codes) == (Verdict.WARN, ["missing_data_looks_fine"])
    rare = evidence(latency(TreatMissingData=treatment), errors(), tools=registered(traffic="rare"))
    assert found(rare)[1] == []


@pytest.mark.parametrize(
    "alarm",
    [
        errors(TreatMissingData="breaching"),
        ratio(TreatMissingData="missing"),
        ratio("100 * FILL(e, 0) / (FILL(e, 0) + ok)", TreatMissingData=None),
    ],
)
def test_error_alarms_should_stay_ok_without_errors(alarm):
    judgement, codes = found(evidence(latency(), alarm))
    assert (judgement.verdict, codes) == (Verdict.WARN, ["missing_data_breaches"])


def test_a_latency_alarm_alone_is_blind_to_failed_calls():
    _, codes = found(evidence(latency()))
    assert codes == ["error_alarm_missing", "latency_alarm_blind_to_errors"]


def test_insufficient_data_with_data_that_day():
    judgement, codes = codes_of_latency(StateValue="INSUFFICIENT_DATA")
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_insufficient_data"])


def test_insufficient_data_without_data_that_day_is_no_finding():
    sets = [dict(entry, last_datapoint_at=iso(NOW - timedelta(days=2))) for entry in usual_sets()]
    measured = summary([(TOOL, CONNECTOR, sets, usual_windows())])
    assert found(evidence(latency(StateValue="INSUFFICIENT_DATA"), errors(), measured=measured))[1] == []


def test_insufficient_data_of_a_new_alarm_decides_nothing():
    young = {"AlarmConfigurationUpdatedTimestamp": NOW - timedelta(minutes=3), "StateReason": "Unchecked: Initial alarm creation"}
    judgement, codes = codes_of_latency(StateValue="INSUFFICIENT_DATA", **young)
    assert (judgement.verdict, codes) == (Verdict.INCONCLUSIVE, ["alarm_insufficient_data"])


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [
        (3, "Insufficient Data: 1 datapoint was unknown"),
        (3, None),
        (15, "Unchecked: Initial alarm creation"),
    ],
)
def test_grace_ends_with_the_first_evaluation_and_after_a_quarter_of_an_hour(minutes, reason):
    young = {"AlarmConfigurationUpdatedTimestamp": NOW - timedelta(minutes=minutes), "StateReason": reason}
    judgement, codes = codes_of_latency(StateValue="INSUFFICIENT_DATA", **young)
    assert (judgement.verdict, codes) == (Verdict.FAIL, ["alarm_insufficient_data"])


def test_insufficient_data_between_rare_calls_is_a_warning():
    state = {"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": NOW - timedelta(minutes=1)}
    judgement, _ = found(evidence(latency(**state), errors(), tools=registered(traffic="rare")))
    assert judgement.verdict is Verdict.WARN


def test_error_alarm_without_errors_may_have_insufficient_data():
    """Its error query had no data points, so there was nothing to evaluate."""
    sets = [entry for entry in usual_sets() if entry["metric"] != "tool_error"]
    measured = summary([(TOOL, CONNECTOR, sets, usual_windows())])
    assert found(evidence(latency(), ratio(StateValue="INSUFFICIENT_DATA"), measured=measured))[1] == []
    filled = errors(StateValue="INSUFFICIENT_DATA")
    assert "alarm_insufficient_data" in found(evidence(latency(), filled, measured=measured))[1]


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("EVALUATION_ERROR", Verdict.ERROR), ("EVALUATION_FAILURE", Verdict.ERROR), ("PARTIAL_DATA", Verdict.WARN)],
)
def test_evaluation_state(state, verdict):
    judgement, codes = codes_of_latency(EvaluationState=state)
    assert (judgement.verdict, codes) == (verdict, ["alarm_evaluation_failed"])


@pytest.mark.parametrize("state", [None, "", "MAYBE"])
def test_unreadable_state(state):
    judgement, codes = codes_of_latency(StateValue=state)
    assert (judgement.verdict, codes) == (Verdict.ERROR, ["alarm_state_unreadable"])


@pytest.mark.parametrize("changes", [{"EvaluationPeriods": None}, {"Threshold": "high"}, {"StateUpdatedTimestamp": "yesterday"}])
def test_malformed_alarms_are_errors_and_the_others_are_judged(changes):
    judgement, codes = codes_of_latency(**changes)
    assert (judgement.verdict, codes) == (Verdict.ERROR, ["alarm_malformed"])
    assert judgement.facts["tools_with_error_alarm"] == 1


# --- reading, emptiness ---


def test_no_registered_tool_never_passes():
    judgement, codes = found(evidence(latency(), errors(), tools=no_tool()))
    assert (judgement.verdict, codes) == (Verdict.INCONCLUSIVE, ["nothing_judged"])


def test_alarms_that_could_not_be_read_are_not_missing():
    denied = [read("cloudwatch:DescribeAlarms", ReadStatus.DENIED, "AccessDenied: no")]
    judgement, codes = found(evidence(alarm_reads=denied))
    assert (judgement.verdict, codes) == (Verdict.ERROR, ["read_failed"])


@pytest.mark.parametrize(
    ("operation", "verdict"), [("cloudwatch:GetMetricData", Verdict.ERROR), ("cloudwatch:GetDashboard", Verdict.PASS)]
)
def test_failed_reads_of_the_metrics_evidence_count_where_they_bear_on_alarms(operation, verdict):
    measured = summary(reads=[read(operation, ReadStatus.THROTTLED, "slow down")])
    assert found(evidence(latency(), errors(), measured=measured))[0].verdict is verdict


def test_a_table_without_reads_is_an_error():
    table = replace(evidence(latency(), errors()), reads=())
    assert found(table)[0].verdict is Verdict.ERROR


def test_survives_parquet(tmp_path):
    """Empty, without alarms, and full: same table, same judgement after storage."""
    for table in (evidence(latency(), errors()), evidence(), evidence(tools=no_tool())):
        assert judge(assert_kept(table, tmp_path)) == judge(table)


def test_findings_name_tool_alarm_and_page():
    judgement, _ = codes_of_latency(Threshold=8000)
    (finding,) = judgement.findings
    assert finding.subject == f"{TOOL}: {LATENCY_NAME}"
    assert finding.link == LINKS.alarm(LATENCY_NAME)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "Period": st.sampled_from([None, 0, 10, 60, 300, 86400]),
        "EvaluationPeriods": st.sampled_from([None, 0, 1, 5]),
        "Threshold": st.sampled_from([None, 0, -1.0, 1e300]),
        "ComparisonOperator": st.sampled_from([None, "LessThanThreshold", "GreaterThanUpperThreshold"]),
        "Dimensions": st.sampled_from([None, [], [{"Name": "tool_name"}]]),
        "ExtendedStatistic": st.sampled_from([None, "p0", "p100", "PR(:)", "x"]),
        "AlarmArn": st.sampled_from([None, "", "arn"]),
        "AlarmActions": st.sampled_from([None, [], [""], ["arn:aws:sns"]]),
        "StateUpdatedTimestamp": st.none(),
        "AlarmConfigurationUpdatedTimestamp": st.none(),
        "StateValue": st.sampled_from([None, "INSUFFICIENT_DATA"]),
        "Metrics": st.sampled_from([[{}], [{"Id": "a"}], [{"Id": "a", "Expression": ""}], [{"Id": "a", "Expression": "1"}]]),
    },
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES, CHANGES)
def test_no_description_of_an_alarm_makes_the_judge_raise(one, other):
    judge(evidence(latency(**one), errors(**other)))


# --- no_slo_alarm_firing ---


def firing(table):
    judgement = judge_no_slo_alarm_firing(table, links=LINKS)
    return judgement.verdict, [finding.code for finding in judgement.findings]


def test_quiet_alarms_pass():
    assert firing(evidence(latency(), errors())) == (Verdict.PASS, [])


def test_an_alarm_in_alarm_fails_even_where_another_of_the_tool_is_faultless():
    assert firing(evidence(latency(), latency(AlarmName="second", StateValue="ALARM"), errors())) == (
        Verdict.FAIL,
        ["slo_alarm_firing"],
    )


def test_no_alarm_decides_nothing():
    assert firing(evidence()) == (Verdict.INCONCLUSIVE, ["no_slo_alarm"])


def test_nothing_is_said_to_be_missing_where_the_registry_was_not_read():
    denied = [read("dynamodb:Scan", ReadStatus.DENIED, "AccessDenied: no")]
    assert firing(evidence(tools=no_tool(denied))) == (Verdict.ERROR, ["read_failed"])


@pytest.mark.parametrize("state", ["EVALUATION_ERROR", "EVALUATION_FAILURE"])
def test_the_silence_of_an_alarm_that_is_not_evaluated_says_nothing(state):
    assert firing(evidence(latency(EvaluationState=state), errors())) == (Verdict.ERROR, ["alarm_evaluation_failed"])


def test_evaluation_on_part_of_the_data_is_a_warning_beside_silence():
    assert firing(evidence(latency(EvaluationState=""), errors(EvaluationState="PARTIAL_DATA")))[0] is Verdict.WARN


@pytest.mark.parametrize("reason", ["Unchecked: Initial alarm creation", "Insufficient Data: 1 datapoint was unknown"])
def test_silence_without_data_to_evaluate_says_nothing_where_there_was_data(reason):
    silent = latency(StateValue="INSUFFICIENT_DATA", StateReason=reason)
    assert firing(evidence(silent, errors())) == (Verdict.INCONCLUSIVE, ["alarm_insufficient_data"])


def test_silence_is_right_where_there_was_no_data_that_day():
    sets = [dict(entry, last_datapoint_at=iso(NOW - timedelta(days=2))) for entry in usual_sets()]
    measured = summary([(TOOL, CONNECTOR, sets, usual_windows())])
    assert firing(evidence(latency(StateValue="INSUFFICIENT_DATA"), errors(), measured=measured)) == (Verdict.PASS, [])


def test_silence_between_rare_calls_is_a_warning():
    state = {"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": NOW - timedelta(minutes=1)}
    table = evidence(latency(**state), errors(), tools=registered(traffic="rare"))
    assert firing(table) == (Verdict.WARN, ["alarm_insufficient_data"])


def test_insufficient_data_cannot_be_explained_where_the_metrics_were_not_read():
    """They bear on nothing while all alarms have a state."""
    denied = [read("cloudwatch:GetMetricData", ReadStatus.DENIED, "AccessDenied: no")]
    measured = summary([(TOOL, CONNECTOR, [], [])], reads=denied)
    silent = evidence(latency(StateValue="INSUFFICIENT_DATA"), errors(), measured=measured)
    assert firing(silent) == (Verdict.ERROR, ["read_failed"])
    assert firing(evidence(latency(), errors(), measured=measured)) == (Verdict.PASS, [])


def test_an_alarm_on_several_tools_is_one_finding():
    other = ("internal.create_note", "internal")
    sets = usual_sets({"tool_name": other[0], "connector_id": other[1]})
    measured = summary([(TOOL, CONNECTOR, [], []), (*other, sets, usual_windows())])
    query = insights("e", f'SELECT SUM(tool_error) FROM "{NAMESPACE}" GROUP BY tool_name', returned=True)
    by_tool = errors(Metrics=[query], StateValue="INSUFFICIENT_DATA")
    table = evidence(by_tool, tools=registered((TOOL, CONNECTOR), other), measured=measured)
    assert firing(table) == (Verdict.INCONCLUSIVE, ["alarm_insufficient_data"])


def test_unread_alarms_and_states_are_errors():
    denied = [read("cloudwatch:DescribeAlarms", ReadStatus.DENIED, "AccessDenied: no")]
    assert firing(evidence(alarm_reads=denied)) == (Verdict.ERROR, ["read_failed"])
    assert firing(evidence(latency(StateValue=None))) == (Verdict.ERROR, ["alarm_state_unreadable"])


def test_every_code_is_produced_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [code.code for code in (*AlarmCode.all(), *DeliveryCode.all()) if f'"{code.code}"' not in text] == []


def test_the_recommended_error_threshold_follows_the_policy():
    assert described(errors())["Threshold"] == 100 * SLO.error_rate_max == 1
    assert MATH["namespace"] in errors()["Metrics"][1]["Expression"]
