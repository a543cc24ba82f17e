"""Row 1.2 and the check no_slo_alarm_firing: has every registered tool a latency and an error alarm that can fire? Pure.

An alarm is tried with hypothetical traffic (`alarm_model`), so that what counts is what it would do, not how it is written. A
tool's signal passes with one faultless alarm; otherwise the findings of its best candidate are given.

Rules: p99 or p95 of tool_latency_ms above 5000 ms and errors above 1 %, over 5-15 min (the platform's Phase 5 plan); what alarms
can do (Amazon CloudWatch User Guide, "Using Amazon CloudWatch alarms").
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from phase5_ops.aws.statistics import Kind
from phase5_ops.ccnative.metrics import ERROR, LATENCY, RESOLUTION_SECONDS, SUCCESS, TENANT_DIMENSION
from phase5_ops.clock import parse_iso
from phase5_ops.links import ConsoleLinks
from phase5_ops.policy import AlarmPolicy, SloPolicy
from phase5_ops.reads import ReadStatus, observed_at, read_findings, reads_of
from phase5_ops.slo import alarm_codes, notification_path
from phase5_ops.slo.alarm_codes import (
    ALARM_CANNOT_FIRE,
    ALARM_COMPARISON_WRONG,
    ALARM_EVALUATION_FAILED,
    ALARM_FIRES_WHEN_HEALTHY,
    ALARM_INSUFFICIENT_DATA,
    ALARM_MALFORMED,
    ALARM_PERIOD_TOO_SHORT,
    ALARM_STATE_UNREADABLE,
    ALARM_STATISTIC_WRONG,
    ALARM_THRESHOLD_TOO_LAX,
    ALARM_WINDOW_OUT_OF_RANGE,
    ERROR_ALARM_COUNTS_ERRORS,
    ERROR_ALARM_MISSES_TENANTS,
    ERROR_ALARM_MISSING,
    LATENCY_ALARM_BLIND_TO_ERRORS,
    LATENCY_ALARM_MISSES_CALLS,
    LATENCY_ALARM_MISSING,
    MISSING_DATA_BREACHES,
    MISSING_DATA_LOOKS_FINE,
    NO_SLO_ALARM,
    SLO_ALARM_FIRING,
)
from phase5_ops.slo.alarm_evidence import SIGNALS, spec_of, traffic_of
from phase5_ops.slo.alarm_model import (
    DEFAULT_REQUESTS,
    AlarmError,
    AlarmSpec,
    Dimensions,
    Leaf,
    ToolTraffic,
    Trial,
    least_that_breaches,
)
from phase5_ops.slo.notification_path import told
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, Judgement, Verdict, conclude

#: Every code of row 1.2 and the check no_slo_alarm_firing.
CODES = (*alarm_codes.CODES, *notification_path.CODES)

_MISSING = {"latency": LATENCY_ALARM_MISSING, "error": ERROR_ALARM_MISSING}

#: Reads of the metrics evidence that say nothing of where data points are.
_DASHBOARD_READS = ("cloudwatch:ListDashboards", "cloudwatch:GetDashboard")

#: Reads that say when an alarm's inputs last had data.
_METRIC_READS = ("cloudwatch:ListMetrics", "cloudwatch:GetMetricData")

#: Reads without which it is not known which SLO alarms there are.
_ALARM_READS = ("dynamodb:Scan", "cloudwatch:DescribeAlarms")

#: Reads behind `slo_alarms` that have no bearing on which alarms there are, what they say and in which state they are.
OTHER_READS = (
    *_DASHBOARD_READS,
    *_METRIC_READS,
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:GetAlarmMuteRule",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:GetSubscriptionAttributes",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "lambda:GetFunctionConfiguration",
    "lambda:GetPolicy",
)

_STATES = frozenset({"OK", "ALARM", "INSUFFICIENT_DATA"})
_NEW_ALARM = timedelta(minutes=15)
_INITIAL_REASON = "Unchecked: Initial alarm creation"  # of CloudWatch, until the first evaluation
_DAY = timedelta(hours=24)
_MAX_METRICS = 10  # of an alarm on metric math
_JUST_ABOVE = 1.02  # of a limit: rounding of thresholds is no finding
_HEALTHY_PART = 1 / 50  # of the latency threshold: how long a healthy call takes
_TRAFFIC_DROP = 0.1  # by which a count is told from a share

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Context:
    """What all alarms are judged against."""

    slo: SloPolicy
    policy: AlarmPolicy
    namespace: str
    now: datetime
    traffic: Mapping[str, ToolTraffic]


def judge_slo_alarms(
    table: pd.DataFrame, *, slo: SloPolicy, alarms: AlarmPolicy, now: datetime, links: ConsoleLinks
) -> Judgement:
    """Row 1.2: PASS when every registered tool has a faultless latency alarm and a faultless error alarm.

    Args:
        table: the evidence table `slo_alarms`.
        slo: the limits that alarms must not be laxer than.
        alarms: lowest percentile and the window's range.
        now: evaluation time.
        links: console URLs of the region.
    """
    rows = _rows(table)
    required = {row["tool"]: row for row in rows if row["signal"] in SIGNALS}
    namespace = str(table.attrs.get("metrics_namespace", ""))
    context = _Context(slo, alarms, namespace, now, {tool: traffic_of(row) for tool, row in required.items()})
    findings = read_findings(table, ignoring=_DASHBOARD_READS)
    working: dict[tuple[str, str], Row] = {}
    for tool in required:
        for signal in SIGNALS:
            row, found = _best([row for row in rows if row["tool"] == tool and row["signal"] == signal], context)
            if row["alarm"] is None and not _read(table, "cloudwatch:DescribeAlarms"):
                continue  # whether there is one is not known, and the read is an ERROR already
            findings += found
            if not any(finding.verdict.blocks for finding in found):
                working[tool, signal] = row
        if (tool, "latency") in working and (tool, "error") not in working:
            findings.append(_blind_to_errors(working[tool, "latency"]))
    alarmed = {signal: sum(key[1] == signal for key in working) for signal in SIGNALS}
    total = len(required)
    return conclude(
        judged=total,
        summary=f"{alarmed['latency']} of {total} registered tools have a working latency alarm, "
        f"{alarmed['error']} of {total} a working error alarm.",
        findings=findings,
        facts={
            "tools_required": total,
            "tools_with_latency_alarm": alarmed["latency"],
            "tools_with_error_alarm": alarmed["error"],
            "tools_whose_latency_alarm_cannot_see_failed_calls": alarmed["latency"],
            "slo_alarms": len({row["alarm"] for row in rows if row["signal"] and row["alarm"]}),
            "other_alarms_on_platform_metrics": sum(row["signal"] is None for row in rows),
        },
        evidence=[EvidenceLink("CloudWatch alarms", links.alarms())],
    )


def judge_no_slo_alarm_firing(table: pd.DataFrame, *, links: ConsoleLinks) -> Judgement:
    """The extra check no_slo_alarm_firing: FAIL while an SLO alarm is in ALARM, INCONCLUSIVE where silence says nothing.

    Args:
        table: the evidence table `slo_alarms`.
        links: console URLs of the region.
    """
    alarms: dict[str, list[Row]] = {}  # one alarm may watch several tools
    for row in _rows(table):
        if row["signal"] and row["alarm"]:
            alarms.setdefault(row["alarm"], []).append(row)
    states = [rows[0]["state"] for rows in alarms.values()]
    bearing = _METRIC_READS if "INSUFFICIENT_DATA" in states else ()  # whether its inputs had data decides then
    findings = read_findings(table, ignoring=set(OTHER_READS) - set(bearing))
    for _, rows in sorted(alarms.items()):
        findings += _silence_or_alarm(rows, observed_at(table))
    firing = states.count("ALARM")
    if not alarms and slo_alarms_known(table):
        findings.append(NO_SLO_ALARM.at("SLO alarms", expected="at least one alarm", seen="none", link=links.alarms()))
    return conclude(
        judged=len(alarms),
        summary=f"{firing} of {len(alarms)} SLO alarms are in ALARM.",
        findings=findings,
        facts={"slo_alarms": len(alarms), "firing": firing},
        evidence=[EvidenceLink("CloudWatch alarms", links.alarms())],
    )


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows with None for null."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def slo_alarms_known(table: pd.DataFrame) -> bool:
    """Whether tools and alarms were read whole, so that an SLO alarm that is not in the table does not exist."""
    return _read(table, *_ALARM_READS)


def _read(table: pd.DataFrame, *operations: str) -> bool:
    return all(read.status is ReadStatus.OK for read in reads_of(table) if read.operation in operations)


def _silence_or_alarm(rows: Sequence[Row], now: datetime | None) -> list[Finding]:
    """What one alarm says now, or why its silence says nothing; `rows` are its tools."""
    row = rows[0]
    findings = _evaluation(row)
    if row["state"] == "ALARM":
        seen = f"ALARM since {row['state_updated_at']}: {row['state_reason'] or 'no reason given'}"
        findings.append(_at(SLO_ALARM_FIRING, row, "OK", seen))
    elif row["state"] not in _STATES:
        findings.append(_state_unreadable(row))
    elif row["state"] == "INSUFFICIENT_DATA" and now:
        insufficient = [finding for each in rows for finding in _insufficient(each, now)]
        worst_first = sorted(insufficient, key=lambda finding: -finding.verdict.severity)[:1]
        findings += [
            replace(finding, verdict=Verdict.INCONCLUSIVE) if finding.verdict.blocks else finding for finding in worst_first
        ]
    return findings


def _best(candidates: Sequence[Row], context: _Context) -> tuple[Row, list[Finding]]:
    """The candidate with the mildest findings; the missing-alarm finding where there is no candidate."""
    judged = [(row, _judge_alarm(row, context)) for row in candidates if row["alarm"] is not None]
    if judged:
        return min(judged, key=lambda pair: (_severity(pair[1]), len(pair[1])))
    row = candidates[0]
    if row["signal"] == "latency":
        expected = f"an alarm on p99 of {LATENCY} above {context.slo.latency_threshold_ms:g} ms"
    else:
        expected = f"an alarm on the share of {ERROR} above {100 * context.slo.error_rate_max:g} %"
    return row, [_MISSING[row["signal"]].at(row["tool"], expected=expected, seen=f"no {row['signal']} alarm names this tool")]


def _severity(findings: Iterable[Finding]) -> int:
    return max((finding.verdict.severity for finding in findings), default=0)


def _blind_to_errors(row: Row) -> Finding:
    expected = "failed calls covered by an error alarm, since the latency alarm cannot see them"
    return _at(LATENCY_ALARM_BLIND_TO_ERRORS, row, expected, "no working error alarm")


def _judge_alarm(row: Row, context: _Context) -> list[Finding]:
    """Everything wrong with one alarm as the alarm of one tool and signal."""
    if row["unreadable"]:
        return [_at(ALARM_MALFORMED, row, "a readable definition", row["unreadable"])]
    definition = _without_inputs(row, context) or _definition(row, context)
    return [
        *definition,
        *_window(row, context),
        *_reachable(row, context),
        *told(row, longest_wait_seconds=context.policy.window_max_seconds, now=context.now),
        *_state(row, context),
    ]


def _without_inputs(row: Row, context: _Context) -> list[Finding]:
    """An alarm on what the tool has never emitted; that there were no errors yet is no fault of an error alarm."""
    emitted = {metric for metric, _ in context.traffic[row["tool"]].sets}
    if LATENCY in emitted or (emitted and row["signal"] == "error"):
        return []
    missing = f"{LATENCY} of the tool" if emitted else "any metric of the tool"
    return [_at(ALARM_CANNOT_FIRE, row, "data points of the tool to evaluate", f"{missing} has never been emitted")]


def _at(code: FindingCode, row: Row, expected: str, seen: str, verdict: Verdict | None = None) -> Finding:
    return code.at(f"{row['tool']}: {row['alarm']}", expected=expected, seen=seen, verdict=verdict, link=row["url"])


# --- what the alarm would do ---


def _definition(row: Row, context: _Context) -> list[Finding]:
    """Tries the alarm with hypothetical traffic."""
    if row["threshold"] is None:  # such an alarm returns two queries, the metric and its band
        band = "an anomaly band, which moves with the data"
        return [_at(ALARM_THRESHOLD_TOO_LAX, row, "a fixed threshold within the SLO", band)]
    try:
        spec = spec_of(row)
        if len(spec.leaves) > _MAX_METRICS:
            raise AlarmError(f"{len(spec.leaves)} metrics, metric math takes {_MAX_METRICS}")  # noqa: TRY301 - as its parser does
        trial = _trial(row, spec, context)
        return _latency(row, trial, context) if row["signal"] == "latency" else _errors(row, trial, context)
    except AlarmError as error:
        return [_at(ALARM_CANNOT_FIRE, row, "queries that CloudWatch can evaluate", str(error))]


def _trial(row: Row, spec: AlarmSpec, context: _Context) -> Trial:
    tool = context.traffic[row["tool"]]
    others = [
        other
        for name, other in context.traffic.items()
        if name != tool.tool and any(other.receives(leaf.metric, leaf) for leaf in spec.leaves.values())
    ]
    requests = tool.requests(spec.period) or DEFAULT_REQUESTS
    healthy_ms = context.slo.latency_threshold_ms * _HEALTHY_PART
    return Trial(spec, tool, others, context.namespace, requests, healthy_ms, context.now)


def _latency(row: Row, trial: Trial, context: _Context) -> list[Finding]:
    wrong = [leaf for leaf in trial.spec.leaves.values() if leaf.metric == LATENCY and not _shows_slow_calls(leaf, context)]
    if wrong:
        expected = f"a percentile of at least p{context.policy.min_percentile:g}, or a percentile rank, of {LATENCY}"
        return [_at(ALARM_STATISTIC_WRONG, row, expected, "; ".join(leaf.label for leaf in wrong))]
    limit = context.slo.latency_threshold_ms
    slow = 1 - context.policy.min_percentile / 100 + 1e-4  # enough slow calls to move the lowest percentile allowed
    healthy = trial.breaches_on_latency(trial.healthy_ms, 0)
    at_limit = trial.breaches_on_latency(limit * _JUST_ABOVE, slow)
    if healthy:
        return [_upside_down(row, trial, lambda turned: turned.breaches_on_latency(limit * _JUST_ABOVE, slow), at_limit=at_limit)]
    if at_limit:
        return _silence_of_latency(row)
    expected = f"fires when more than {100 * slow:.3g} % of the calls take longer than {limit:g} ms"
    factors = (_JUST_ABOVE, 1.1, 1.5, 2, 3, 5, 10, 30, 100, 1000)
    later = least_that_breaches(lambda ms: trial.breaches_on_latency(ms, slow), [limit * factor for factor in factors])
    if later:
        return [_at(ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires from {later:,.0f} ms on")]
    share = least_that_breaches(
        lambda part: trial.breaches_on_latency(limit * _JUST_ABOVE, part), (slow, 0.1, 0.2, 0.5, 0.9, 1.0)
    )
    if share:
        return [_at(ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires when {100 * share:.3g} % of the calls are too slow")]
    if trial.breaches_on_latency(limit * _JUST_ABOVE, slow, everywhere=True):
        names = f"{{{', '.join(sorted(trial.tool.base_sets[0]))}}}"
        return [_at(LATENCY_ALARM_MISSES_CALLS, row, f"the set {names}, which holds 99 % of the calls", _labels(trial.spec))]
    return [_at(ALARM_CANNOT_FIRE, row, expected, _obstacles(trial))]


def _shows_slow_calls(leaf: Leaf, context: _Context) -> bool:
    statistic = leaf.statistic
    if statistic.percentile is not None:
        return statistic.percentile >= context.policy.min_percentile
    return statistic.is_percentile_rank or statistic.kind in (Kind.TRIMMED_COUNT, Kind.SAMPLE_COUNT)


def _upside_down(row: Row, trial: Trial, bad: Callable[[Trial], bool], *, at_limit: bool) -> Finding:
    """An alarm that breaches when all is well: turned the wrong way, or always on."""
    turned = replace(trial, spec=trial.spec.flipped())
    compares = f"{row['comparison']} {row['threshold']:g}"
    if not at_limit and bad(turned):
        return _at(ALARM_COMPARISON_WRONG, row, "fires when the SLO is missed, not when it is met", compares)
    missing = "" if row["treat_missing"] != "breaching" else ", missing data treated as breaching"
    expected = f"stays OK without slow or failed calls, each taking {trial.healthy_ms:g} ms"
    return _at(ALARM_FIRES_WHEN_HEALTHY, row, expected, f"{compares}{missing} breaches then too")


def _errors(row: Row, trial: Trial, context: _Context) -> list[Finding]:
    limit = context.slo.error_rate_max
    if trial.breaches_on_errors(0):
        at_limit = trial.breaches_on_errors(limit * _JUST_ABOVE)
        return [_upside_down(row, trial, lambda turned: turned.breaches_on_errors(limit * _JUST_ABOVE), at_limit=at_limit)]
    ladder = _ladder(limit * _JUST_ABOVE)
    expected = f"fires when more than {100 * limit:g} % of the calls fail"
    fires_at, missed = _coverage(trial, ladder)
    if fires_at is None and len(missed) == len(trial.tool.error_sets):
        return [_at(ALARM_CANNOT_FIRE, row, expected, _obstacles(trial))]
    if missed:
        seen = f"errors of {_some([_tenant(dims) for dims in missed])} are not seen"
        return [_at(ERROR_ALARM_MISSES_TENANTS, row, "the errors of every tenant that has data", seen)]
    if fires_at is None:
        return [_at(ALARM_CANNOT_FIRE, row, expected, "does not fire at any share of errors spread over all tenants")]
    if fires_at > limit * _JUST_ABOVE:
        return [_at(ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires from {100 * fires_at:.2g} % on")]
    return [*_count_not_share(row, trial, limit), *_silence_of_errors(row, trial)]


def _ladder(first: float) -> list[float]:
    """Shares of errors to try, rising from `first` to 1."""
    steps = [first * factor for factor in (1, 1.5, 2, 3, 5, 10, 20, 50)]
    return sorted({min(share, 1.0) for share in (*steps, 0.5, 0.9, 1.0) if share >= first})


def _coverage(trial: Trial, ladder: Sequence[float]) -> tuple[float | None, list[Dimensions]]:
    """The least share of errors, spread over all error sets, that fires the alarm; and the sets whose errors never fire it."""
    kinds: dict[frozenset[str], list[Dimensions]] = {}
    for dims in trial.tool.error_sets:
        kinds.setdefault(trial.sees(dims), []).append(dims)
    missed = [
        dims
        for members in kinds.values()
        if not any(trial.breaches_on_errors(share, members[:1]) for share in ladder)
        for dims in members
    ]
    return least_that_breaches(trial.breaches_on_errors, ladder), missed


def _count_not_share(row: Row, trial: Trial, limit: float) -> list[Finding]:
    """A warning where a tenth of the traffic moves the share at which the alarm fires by a multiple."""
    shares = [limit * part for part in (0.01, 0.03, 0.1, 0.3, _JUST_ABOVE)]
    usual = least_that_breaches(trial.breaches_on_errors, shares)
    low = least_that_breaches(
        lambda share: trial.breaches_on_errors(share, scale=_TRAFFIC_DROP), sorted({*shares, *_ladder(limit * _JUST_ABOVE)})
    )
    if usual is None or low is None or low < 2 * usual:
        return []
    seen = (
        f"fires from {100 * usual:.2g} % on at {trial.requests:.3g} calls a period, "
        f"from {100 * low:.2g} % on at {trial.requests * _TRAFFIC_DROP:.3g}"
    )
    return [_at(ERROR_ALARM_COUNTS_ERRORS, row, "a share of the calls", seen)]


def _obstacles(trial: Trial) -> str:
    """Why the alarm does not fire: the first query that receives nothing, else its condition."""
    for leaf in trial.spec.leaves.values():
        reason = leaf.obstacle(trial.namespace)
        if reason:
            return reason
        if not trial.tool.receives(leaf.metric, leaf):
            if leaf.metric == ERROR and any(leaf.names(dims) for dims in trial.tool.base_sets):
                return f"{leaf.label} receives nothing: errors are emitted with {TENANT_DIMENSION} only"
            known = trial.tool.error_sets if leaf.metric == ERROR else trial.tool.base_sets
            return f"{leaf.label} receives nothing: the tool emits to {_some([_braces(dims) for dims in known], 3)}"
    condition = f"{trial.spec.comparison} {trial.spec.threshold:g}"
    if trial.spec.by_calendar:
        return f"{_labels(trial.spec)} does not meet {condition} at every time of day, week and year"
    return f"{_labels(trial.spec)} never meets {condition}"


def _labels(spec: AlarmSpec) -> str:
    shown = spec.expressions.get(spec.returned)
    return shown.text if shown else "; ".join(leaf.label for leaf in spec.leaves.values())


def _braces(dims: Dimensions) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in sorted(dims.items())) + "}"


def _tenant(dims: Dimensions) -> str:
    return f"tenant {dims[TENANT_DIMENSION]}" if TENANT_DIMENSION in dims else _braces(dims)


def _some(names: Sequence[str], limit: int = 5) -> str:
    listed = list(dict.fromkeys(names))
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def _silence_of_latency(row: Row) -> list[Finding]:
    if row["traffic"] != "steady" or row["treat_missing"] not in ("notBreaching", "ignore"):
        return []
    return [
        _at(
            MISSING_DATA_LOOKS_FINE,
            row,
            "missing data treated as missing or breaching",
            f"TreatMissingData {row['treat_missing']}",
        )
    ]


def _silence_of_errors(row: Row, trial: Trial) -> list[Finding]:
    """Without errors the error queries have no data points: that must leave the alarm OK."""
    if row["treat_missing"] in ("notBreaching", "ignore"):
        return []
    counted = {key for key, leaf in trial.spec.leaves.items() if leaf.metric in (ERROR, SUCCESS)}
    if row["treat_missing"] == "missing" and counted <= trial.spec.filled:
        return []
    return [
        _at(
            MISSING_DATA_BREACHES,
            row,
            "missing data treated as notBreaching, or FILL(..., 0)",
            f"TreatMissingData {row['treat_missing']}",
        )
    ]


# --- window, samples ---


def _window(row: Row, context: _Context) -> list[Finding]:
    low, high = context.policy.window_min_seconds, context.policy.window_max_seconds
    if row["period"] is None:
        return []
    shortest = min([int(query["period"]) for query in json.loads(row["queries"]) if query["period"]], default=RESOLUTION_SECONDS)
    if shortest < RESOLUTION_SECONDS:
        expected = f"at least {RESOLUTION_SECONDS} s, as the metrics are stored"
        return [_at(ALARM_PERIOD_TOO_SHORT, row, expected, f"a period of {shortest} s")]
    span = row["period"] * row["evaluation_periods"]
    if low <= span <= high:
        return []
    seen = f"{row['period']} s x {row['evaluation_periods']} = {span / 60:g} min"
    return [_at(ALARM_WINDOW_OUT_OF_RANGE, row, f"{low / 60:g}-{high / 60:g} min", seen)]


def _reachable(row: Row, context: _Context) -> list[Finding]:
    """Whether enough periods with enough samples can come together."""
    period, needed, among = row["period"], row["datapoints_to_alarm"], row["evaluation_periods"]
    if period is None:
        return []
    if needed > among:
        return [_at(ALARM_CANNOT_FIRE, row, f"at most {among} data points to alarm", f"{needed} out of {among}")]
    traffic = context.traffic[row["tool"]]
    findings = []
    most = traffic.most_periods_with_data(period, among)
    if most is not None and most < needed and row["treat_missing"] != "breaching":
        seen = f"at most {most} of {among} periods of {period} s had calls in the lookback"
        findings.append(_at(ALARM_CANNOT_FIRE, row, f"{needed} of {among} periods with data", seen))
    least = _least_samples(row)
    samples = traffic.requests(period) or 0
    if least is not None and samples < least:
        seen = f"{samples:.3g} samples a period, and EvaluateLowSampleCountPercentile is ignore"
        findings.append(_at(ALARM_CANNOT_FIRE, row, f"at least {least:g} samples a period", seen))
    return findings


def _least_samples(row: Row) -> float | None:
    """Samples a period under which CloudWatch does not evaluate the alarm; None where it always does."""
    if row["low_sample"] != "ignore" or row["signal"] != "latency":
        return None
    try:
        counts = [leaf.statistic.low_sample_count for leaf in spec_of(row).leaves.values()]
    except AlarmError:
        return None
    return max((count for count in counts if count is not None and math.isfinite(count)), default=None)


# --- state ---


def _state_unreadable(row: Row) -> Finding:
    return _at(ALARM_STATE_UNREADABLE, row, "OK, ALARM or INSUFFICIENT_DATA", str(row["state"]))


def _state(row: Row, context: _Context) -> list[Finding]:
    findings = []
    if row["state"] not in _STATES:
        findings.append(_state_unreadable(row))
    findings += _evaluation(row)
    if row["state"] == "INSUFFICIENT_DATA":
        findings += _insufficient(row, context.now)
    return findings


def _evaluation(row: Row) -> list[Finding]:
    """Whether CloudWatch could evaluate the alarm, and on all data."""
    if not row["evaluation_state"]:
        return []
    partial = row["evaluation_state"] == "PARTIAL_DATA"
    seen = f"{row['evaluation_state']}: {row['state_reason'] or 'no reason given'}"
    return [_at(ALARM_EVALUATION_FAILED, row, "evaluated on all data", seen, Verdict.WARN if partial else None)]


def _insufficient(row: Row, now: datetime) -> list[Finding]:
    """A finding only where the inputs had data that day."""
    last = row["inputs_last_datapoint_at"]
    if last is None or now - parse_iso(last) > _DAY:
        return []
    created = row["configured_at"] or row["state_updated_at"]
    unchecked = (row["state_reason"] or "").startswith(_INITIAL_REASON)
    verdict = Verdict.FAIL
    if unchecked and created and now - parse_iso(created) < _NEW_ALARM:
        verdict = Verdict.INCONCLUSIVE
    elif row["traffic"] == "rare" and row["state_updated_at"] and parse_iso(row["state_updated_at"]) > parse_iso(last):
        verdict = Verdict.WARN
    reason = row["state_reason"] or "no reason given"
    seen = f"INSUFFICIENT_DATA since {row['state_updated_at']} ({reason}), inputs had data at {last}"
    return [_at(ALARM_INSUFFICIENT_DATA, row, "OK, as there is data", seen, verdict)]
