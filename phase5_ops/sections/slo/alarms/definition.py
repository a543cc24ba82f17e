"""Whether an SLO alarm would fire on slow or failed calls and not on healthy ones: as it should, too late, never or always. Pure.

Rules: p99 or p95 of tool_latency_ms above 5000 ms and errors above 1 % (the platform's Phase 5 plan); what alarms can do (Amazon
CloudWatch User Guide, "Using Amazon CloudWatch alarms").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TENANT_DIMENSION
from phase5_ops.cloudwatch.statistics import StatisticKind
from phase5_ops.evidence.table import filled
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext, finding_at
from phase5_ops.sections.slo.alarms.evidence import SloAlarm, spec_of
from phase5_ops.sections.slo.alarms.model import DEFAULT_REQUESTS, AlarmError, AlarmSpec, Dimensions, Leaf
from phase5_ops.sections.slo.alarms.other_times import Reactions, silent_at_other_traffic, silent_at_times
from phase5_ops.sections.slo.alarms.trial import Trial, least_that_breaches, silent_after
from phase5_ops.text import first_few
from phase5_ops.verdict import Finding

_MAX_METRICS = 10  # of an alarm on metric math
_JUST_ABOVE = 1.02  # of a limit: rounding of thresholds is no finding
_HEALTHY_PART = 1 / 50  # of the latency threshold: how long a healthy call takes
_SLOWER = (_JUST_ABOVE, 1.1, 1.5, 2, 3, 5, 10, 30, 100, 1000)  # times the latency threshold, to be tried
_SLOW_SAMPLES = 10  # over the share of slow calls allowed: as many calls CloudWatch asks for to know a percentile
_ERROR_SAMPLES = 3  # over the share of errors allowed: where none of so many calls fails, the share is within it (rule of three)
_TRAFFIC_DROP = 0.1  # of the usual traffic: tells an alarm on a count from one on a share


def definition(row: SloAlarm, context: AlarmContext) -> list[Finding]:
    """What is wrong with how an alarm would react, found by trying it with hypothetical traffic."""
    if row.threshold is None:  # such an alarm returns two queries, the metric and its band
        band = "an anomaly band, which moves with the data"
        return [finding_at(AlarmCode.ALARM_THRESHOLD_TOO_LAX, row, "a fixed threshold within the SLO", band)]
    try:
        spec = spec_of(row)
        if len(spec.leaves) > _MAX_METRICS:
            raise AlarmError(f"{len(spec.leaves)} metrics, metric math takes {_MAX_METRICS}")  # noqa: TRY301 - as its parser does
        trial = _trial(row, spec, context)
        judged = _latency if row.signal == "latency" else _errors
        return [*judged(row, trial, context), *_other_accounts(row, trial)]
    except AlarmError as error:
        return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, "queries that CloudWatch can evaluate", str(error))]


def _other_accounts(row: SloAlarm, trial: Trial) -> list[Finding]:
    """A finding if the alarm also reads other accounts' traffic, which no trial contains."""
    sets = [*trial.tool.base_sets, *trial.tool.error_sets]
    others = sorted({account for dimensions in sets for account in trial.spec.other_accounts(dimensions)})
    if not others:
        return []
    return [
        finding_at(
            AlarmCode.ALARM_READS_OTHER_ACCOUNTS, row, "metrics of the own account alone", f"those of {first_few(others, 5)} too"
        )
    ]


def _trial(row: SloAlarm, spec: AlarmSpec, context: AlarmContext) -> Trial:
    tool = context.traffic[filled(row.tool)]
    others = [
        other
        for name, other in context.traffic.items()
        if name != tool.tool and any(other.receives(leaf.metric, leaf) for leaf in spec.leaves.values())
    ]
    requests = tool.requests(spec.period) or DEFAULT_REQUESTS
    healthy_ms = context.slo.latency_threshold_ms * _HEALTHY_PART
    return Trial(spec, tool, others, context.namespace, requests, healthy_ms, context.now)


def _latency(row: SloAlarm, trial: Trial, context: AlarmContext) -> list[Finding]:
    wrong = [leaf for leaf in trial.spec.leaves.values() if leaf.metric == LATENCY and not _shows_slow_calls(leaf, context)]
    if wrong:
        expected = f"a percentile of at least p{context.policy.min_percentile:g}, or a percentile rank, of {LATENCY}"
        return [finding_at(AlarmCode.ALARM_STATISTIC_WRONG, row, expected, "; ".join(leaf.label for leaf in wrong))]
    limit = context.slo.latency_threshold_ms
    slow = 1 - context.policy.min_percentile / 100 + 1e-4  # enough slow calls to move the lowest percentile allowed
    healthy = trial.breaches_on_latency(trial.healthy_ms, 0)
    at_limit = trial.breaches_on_latency(limit * _JUST_ABOVE, slow)
    if healthy:
        return [_upside_down(row, trial, lambda turned: turned.breaches_on_latency(limit * _JUST_ABOVE, slow), at_limit=at_limit)]
    if at_limit:
        reactions = Reactions(
            healthy=lambda trial: trial.breaches_on_latency(trial.healthy_ms, 0),
            at_limit=lambda trial: trial.breaches_on_latency(limit * _JUST_ABOVE, slow),
            at_worst=lambda trial: trial.breaches_on_latency(limit * _JUST_ABOVE, 1.0),
        )
        allowed = 1 - context.slo.latency_target
        silent = (
            _silent_when_slower(row, trial, limit, slow)
            or silent_at_times(row, trial, reactions)
            or silent_at_other_traffic(row, trial, context, reactions, allowed=allowed, plenty=_SLOW_SAMPLES / allowed)
        )
        return [*silent, *_silence_of_latency(row)]
    expected = f"fires when more than {100 * slow:.3g} % of the calls take longer than {limit:g} ms"
    later = least_that_breaches(lambda ms: trial.breaches_on_latency(ms, slow), [limit * factor for factor in _SLOWER])
    if later:
        return [finding_at(AlarmCode.ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires from {later:,.0f} ms on")]
    share = least_that_breaches(
        lambda part: trial.breaches_on_latency(limit * _JUST_ABOVE, part), (slow, 0.1, 0.2, 0.5, 0.9, 1.0)
    )
    if share:
        return [
            finding_at(
                AlarmCode.ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires when {100 * share:.3g} % of the calls are too slow"
            )
        ]
    if trial.breaches_on_latency(limit * _JUST_ABOVE, slow, everywhere=True):
        names = f"{{{', '.join(sorted(trial.tool.base_sets[0]))}}}"
        return [
            finding_at(
                AlarmCode.LATENCY_ALARM_MISSES_CALLS, row, f"the set {names}, which holds 99 % of the calls", _labels(trial.spec)
            )
        ]
    return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, expected, _obstacles(trial))]


def _silent_when_slower(row: SloAlarm, trial: Trial, limit: float, slow: float) -> list[Finding]:
    """A finding if an alarm that fires when few calls take little more than `limit` ms does not when more do, or for longer."""
    for share, factor in product((slow, 0.5, 1.0), _SLOWER):
        if not trial.breaches_on_latency(limit * factor, share):
            expected = f"fires whenever more than {100 * slow:.3g} % of the calls take longer than {limit:g} ms"
            seen = f"does not when {100 * share:.3g} % take {limit * factor:,.0f} ms"
            return [finding_at(AlarmCode.ALARM_SILENT_WHEN_WORSE, row, expected, seen)]
    return []


def _shows_slow_calls(leaf: Leaf, context: AlarmContext) -> bool:
    statistic = leaf.statistic
    if statistic.percentile is not None:
        return statistic.percentile >= context.policy.min_percentile
    return statistic.is_percentile_rank or statistic.kind in (StatisticKind.TRIMMED_COUNT, StatisticKind.SAMPLE_COUNT)


def _upside_down(row: SloAlarm, trial: Trial, bad: Callable[[Trial], bool], *, at_limit: bool) -> Finding:
    """An alarm that breaches when all is well: turned the wrong way, or always on."""
    turned = replace(trial, spec=trial.spec.flipped())
    compares = f"{row.comparison} {row.threshold:g}"
    if not at_limit and bad(turned):
        return finding_at(AlarmCode.ALARM_COMPARISON_WRONG, row, "fires when the SLO is missed, not when it is met", compares)
    missing = "" if row.treat_missing != "breaching" else ", missing data treated as breaching"
    expected = f"stays OK without slow or failed calls, each taking {trial.healthy_ms:g} ms"
    return finding_at(AlarmCode.ALARM_FIRES_WHEN_HEALTHY, row, expected, f"{compares}{missing} breaches then too")


def _errors(row: SloAlarm, trial: Trial, context: AlarmContext) -> list[Finding]:
    limit = context.slo.error_rate_max
    if trial.breaches_on_errors(0):
        at_limit = trial.breaches_on_errors(limit * _JUST_ABOVE)
        return [_upside_down(row, trial, lambda turned: turned.breaches_on_errors(limit * _JUST_ABOVE), at_limit=at_limit)]
    ladder = _ladder(limit * _JUST_ABOVE)
    expected = f"fires when more than {100 * limit:g} % of the calls fail"
    fires_at, missed = _coverage(trial, ladder)
    if fires_at is None and len(missed) == len(trial.tool.error_sets):
        return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, expected, _obstacles(trial))]
    if missed:
        seen = f"errors of {first_few(list(dict.fromkeys(map(_tenant, missed))), 5)} are not seen"
        return [finding_at(AlarmCode.ERROR_ALARM_MISSES_TENANTS, row, "the errors of every tenant that has data", seen)]
    if fires_at is None:
        return [
            finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, expected, "does not fire at any share of errors spread over all tenants")
        ]
    if fires_at > limit * _JUST_ABOVE:
        return [finding_at(AlarmCode.ALARM_THRESHOLD_TOO_LAX, row, expected, f"fires from {100 * fires_at:.2g} % on")]
    reactions = Reactions(
        healthy=lambda trial: trial.breaches_on_errors(0),
        at_limit=lambda trial: trial.breaches_on_errors(limit * _JUST_ABOVE),
        at_worst=lambda trial: trial.breaches_on_errors(1.0),
    )
    silent = (
        _silent_when_more_fail(row, trial, ladder, limit)
        or silent_at_times(row, trial, reactions)
        or silent_at_other_traffic(row, trial, context, reactions, allowed=limit, plenty=_ERROR_SAMPLES / limit)
    )
    return [
        *silent,
        *_count_not_share(row, trial, limit),
        *_silence_of_errors(row, trial),
    ]


def _ladder(first: float) -> list[float]:
    """Shares of errors to try, rising from `first` to 1."""
    steps = [first * factor for factor in (1, 1.5, 2, 3, 5, 10, 20, 50)]
    return sorted({min(share, 1.0) for share in (*steps, 0.5, 0.75, 0.9, 0.99, 1.0) if share >= first})


def _silent_when_more_fail(row: SloAlarm, trial: Trial, ladder: Sequence[float], limit: float) -> list[Finding]:
    """A finding if the alarm fires at a share of errors, of all tenants or of one, and not at a greater one of the same."""
    tried: list[tuple[Sequence[Dimensions] | None, str]] = [(None, "")]
    tried += [(members[:1], f", all of them of {_tenant(members[0])}") for members in _alike(trial)]
    for sets, whose in tried:
        silent = silent_after(partial(trial.breaches_on_errors, error_sets=sets), ladder)
        if silent is not None:
            expected = f"fires whenever more than {100 * limit:g} % of the calls fail"
            seen = f"does not when {100 * silent:.3g} % fail{whose}"
            return [finding_at(AlarmCode.ALARM_SILENT_WHEN_WORSE, row, expected, seen)]
    return []


def _alike(trial: Trial) -> list[list[Dimensions]]:
    """The dimension sets of errors, those together that the same queries read."""
    kinds: dict[frozenset[str], list[Dimensions]] = {}
    for dims in trial.tool.error_sets:
        kinds.setdefault(trial.sees(dims), []).append(dims)
    return list(kinds.values())


def _coverage(trial: Trial, ladder: Sequence[float]) -> tuple[float | None, list[Dimensions]]:
    """The least share of errors, spread over all error sets, that fires the alarm; and the sets whose errors never fire it."""
    missed = [
        dims
        for members in _alike(trial)
        if not any(trial.breaches_on_errors(share, members[:1]) for share in ladder)
        for dims in members
    ]
    return least_that_breaches(trial.breaches_on_errors, ladder), missed


def _count_not_share(row: SloAlarm, trial: Trial, limit: float) -> list[Finding]:
    """A warning if the alarm fires at twice the share of errors, or more, when traffic falls to a tenth."""
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
    return [finding_at(AlarmCode.ERROR_ALARM_COUNTS_ERRORS, row, "a share of the calls", seen)]


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
            return f"{leaf.label} receives nothing: the tool emits to {first_few([_braces(dims) for dims in known], 3)}"
    condition = f"{trial.spec.comparison} {trial.spec.threshold:g}"
    if trial.spec.calendar_functions:
        return f"{_labels(trial.spec)} does not meet {condition} at every time of day, week and year"
    return f"{_labels(trial.spec)} never meets {condition}"


def _labels(spec: AlarmSpec) -> str:
    shown = spec.expressions.get(spec.returned)
    return shown.text if shown else "; ".join(leaf.label for leaf in spec.leaves.values())


def _braces(dims: Dimensions) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in sorted(dims.items())) + "}"


def _tenant(dims: Dimensions) -> str:
    return f"tenant {dims[TENANT_DIMENSION]}" if TENANT_DIMENSION in dims else _braces(dims)


def _silence_of_latency(row: SloAlarm) -> list[Finding]:
    if row.traffic != "steady" or row.treat_missing not in ("notBreaching", "ignore"):
        return []
    return [
        finding_at(
            AlarmCode.MISSING_DATA_LOOKS_FINE,
            row,
            "missing data treated as missing or breaching",
            f"TreatMissingData {row.treat_missing}",
        )
    ]


def _silence_of_errors(row: SloAlarm, trial: Trial) -> list[Finding]:
    """Without errors the error queries have no data points: that must leave the alarm OK."""
    if row.treat_missing in ("notBreaching", "ignore"):
        return []
    counted = {key for key, leaf in trial.spec.leaves.items() if leaf.metric in (ERROR, SUCCESS)}
    if row.treat_missing == "missing" and counted <= trial.spec.filled:
        return []
    return [
        finding_at(
            AlarmCode.MISSING_DATA_BREACHES,
            row,
            "missing data treated as notBreaching, or FILL(..., 0)",
            f"TreatMissingData {row.treat_missing}",
        )
    ]
