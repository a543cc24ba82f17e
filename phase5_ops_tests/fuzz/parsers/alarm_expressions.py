"""CloudWatch's languages: metric math, Metrics Insights, SEARCH, alarm rules, statistics, schedules of mute rules."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from phase5_ops.cloudwatch.alarm_rule import AlarmRuleError, RuleTooLarge, parse_rule
from phase5_ops.cloudwatch.metric_math import MathError, evaluate, parse
from phase5_ops.cloudwatch.metrics_insights import InsightsError, parse_query
from phase5_ops.cloudwatch.mute_schedule import MuteScheduleError, parse_schedule
from phase5_ops.cloudwatch.search_expression import SearchError, parse_search_text
from phase5_ops.cloudwatch.statistics import StatisticError, parse_statistic
from phase5_ops_tests.fuzz.source import Source

READS = "metric math, Metrics Insights, SEARCH, alarm rules, statistics, mute schedules (`cloudwatch/`)"
MALFORMED = "the error that the parser documents (`MathError`, `InsightsError`, ...), from which judges make a finding"

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _math(text: str) -> None:
    expression = parse(text)
    _ = expression.names, expression.functions, expression.searches, expression.metric_filters, list(expression.walk())
    given: dict[str, dict[datetime, float]] = {name: {NOW: 1e300} for name in expression.names}
    result = evaluate(expression, given | {"none": {}}, timestamps=[NOW, NOW + timedelta(minutes=5)])
    lines = result if isinstance(result, list) else [result]
    assert all(math.isfinite(value) for points in lines for value in points.values()), "a point without a value"


def _insights(text: str) -> None:
    query = parse_query(text)
    _ = query.accounts, query.needed, query.statistic


def _search(text: str) -> None:
    found = parse_search_text(text, "Sum", 300)
    _ = found.accounts
    found.finds_others("N", "tool_error", {"tool_name": "x"}, "123456789012")


def _schedule(text: str) -> None:
    expression, _, duration = text.partition("|")
    schedule = parse_schedule({"Expression": expression, "Duration": duration, "Timezone": "Europe/Vienna"})
    schedule.mutes(NOW)
    schedule.share(NOW, timedelta(days=7))


#: Parser, documented errors, a text of its language, pieces of it.
LANGUAGES: tuple[tuple[Callable[[str], object], tuple[type[Exception], ...], str, tuple[str, ...]], ...] = (
    (
        _math,
        (MathError,),
        "100 * FILL(e, 0) / (FILL(e, 0) + SUM([a, b2])) > IF(m1 >= 3, RATE(SUM(METRICS('m'))), -1)",
        (
            "(",
            ")",
            "[",
            "]",
            ",",
            "-",
            "^",
            "*",
            "IF(",
            "SEARCH('",
            "'",
            "METRICS()",
            "1e999",
            "9" * 400,
            "&&",
            "!",
            "TIME_SERIES(",
            "AVG(none)",
            "SLICE(METRICS(), ",
            "SORT(METRICS(), SUM, DESC, ",
            "+a" * 900,
        ),
    ),
    (
        _insights,
        (InsightsError,),
        "SELECT SUM(tool_error) FROM SCHEMA(\"N\", tool_name) WHERE t = 'x' AND (a != 'b' OR c IN ('d')) GROUP BY t LIMIT 5",
        ("(", ")", "AND ", "OR ", "WHERE ", "'", '"', "IN (", "NOT ", "LIMIT ", "9" * 5000, "GROUP BY ", "AWS.AccountId", ","),
    ),
    (
        _search,
        (SearchError,),
        '{N,tool_name,tenant_id} MetricName="tool_error" AND (tool_name=x OR NOT :aws.AccountId="1")',
        ("(", ")", "{", "}", "NOT ", "OR ", "AND ", '"', "=", ":", ",", "*"),
    ),
    (
        lambda text: parse_rule(text).evaluate({}) if hasattr(parse_rule(text), "evaluate") else parse_rule(text),
        (AlarmRuleError, RuleTooLarge),
        'ALARM("a b") OR (NOT OK(c) AND INSUFFICIENT_DATA("d")) OR AT_LEAST(2, ALARM, (a, b, c)) OR FALSE',
        ("(", ")", "NOT ", "AND ", "OR ", 'ALARM("', "AT_LEAST(", "50%", "9" * 5000, ",", '"', "TRUE"),
    ),
    (
        parse_statistic,
        (StatisticError,),
        "TM(10%:90%)",
        ("p", "99", ".", "%", ":", "(", ")", "TM", "PR", "wm", "1e9", "9" * 5000, "٣"),
    ),
    (
        _schedule,
        (MuteScheduleError,),
        "cron(0 22 * * MON-FRI)|PT8H",
        (
            "*",
            "/",
            "-",
            ",",
            "L",
            "W",
            "#",
            "?",
            "0",
            "59",
            "|",
            "P",
            "T",
            "H",
            "99999999999",
            "at(",
            "cron(",
            ")",
            "2026-11-23T10:00",
        ),
    ),
)


def fuzz(data: bytes) -> None:
    """Reads an altered text of one of the languages."""
    source = Source(data)
    for parse_text, errors, text, pieces in LANGUAGES if not data else (source.one_of(LANGUAGES),):
        altered = source.spliced(text, pieces)
        if source.chance(3):
            altered = source.spliced(altered, pieces)
        try:
            parse_text(altered)
        except errors as error:
            assert data, f"the seed is not understood: {error}"
            assert str(error), "the error says nothing"
