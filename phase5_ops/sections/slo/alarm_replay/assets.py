"""The replay of alarms as Dagster sees it: asset `alarm_replay` and the check on it. Thin: reads, calls, reports."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from phase5_ops.aws.alarms import read_alarm_history
from phase5_ops.aws.iam import alarm_history_read, metrics_read
from phase5_ops.aws.metrics import read_metric_data
from phase5_ops.cloudwatch.metric_query import METRIC_READS, MetricSet, Series
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import RUN
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judging
from phase5_ops.reads import Read, ReadCode, ReadStatus, distinct
from phase5_ops.sections.slo.alarm_replay.codes import ReplayCode
from phase5_ops.sections.slo.alarm_replay.evidence import (
    ALARM_REPLAY,
    AlarmReplays,
    ReplayFacts,
    alarm_replay_table,
    iso_of,
    nothing_replayed,
    tools_as_emitted,
)
from phase5_ops.sections.slo.alarm_replay.judge import NOT_TRIED_FACTS, judge_alarm_replay
from phase5_ops.sections.slo.alarm_replay.plan import (
    MetricsAsked,
    fine_spans,
    first_queries,
    kept_since,
    replayed_range,
    second_queries,
    spans_to_read,
    watching,
)
from phase5_ops.sections.slo.alarm_replay.preview import PREVIEW
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import Range, RecordedMetrics, hours_with_data
from phase5_ops.sections.slo.alarm_replay.recorded_states import MalformedHistoryError, Recorded, by_alarm, recorded_states
from phase5_ops.sections.slo.alarm_replay.remedy import mend_alarm_replay
from phase5_ops.sections.slo.alarm_replay.timeline import merged
from phase5_ops.sections.slo.alarms.evidence import SloAlarms
from phase5_ops.sections.slo.alarms.judge import ALARM_READS
from phase5_ops.sections.slo.summary.counts import counts_of
from phase5_ops.sections.slo.summary.evidence import Summary
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HOUR
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = ()

#: Reads without which nothing is replayed.
_NEEDED = frozenset({*METRIC_READS, *ALARM_READS})


def gather_alarm_replay(run: RunContext, tables: Tables) -> AlarmReplays:
    """The breaches of thirty days, and what each alarm would have done about them."""
    summary: Summary = tables["tool_slo_summary"]
    slo_alarms: SloAlarms = tables["slo_alarms"]
    settings, now = run.settings, summary.observed_at or run.now()
    sets = sorted({MetricSet.of(entry["metric"], entry["dimensions"]) for row in summary.rows for entry in row.dimension_sets})
    counts, count_reads = counts_of(run, sets, now)
    reads = [*slo_alarms.reads, *count_reads]
    if _not_whole(reads):
        return nothing_replayed(distinct(reads), now)
    recorded, facts, data_reads = _recorded(run, slo_alarms, sets, counts, replayed_range(now, summary.facts.days_covered))
    reads += data_reads
    if _not_whole(reads):
        return nothing_replayed(distinct(reads), now)
    alarms = watching(slo_alarms.rows)
    states, history_read = _states(run, slo_alarms, recorded.range.first)
    return alarm_replay_table(
        slo_alarms,
        alarms,
        sets,
        recorded,
        states,
        policy=settings.slo,
        facts=facts,
        reads=distinct([*reads, history_read]),
        observed_at=now,
    )


def _recorded(
    run: RunContext, slo_alarms: SloAlarms, sets: Sequence[MetricSet], counts: Sequence[Series], range_: Range
) -> tuple[RecordedMetrics, ReplayFacts, list[Read]]:
    """What was recorded, as far as it bears on breaches and alarms; what was asked for; and the reads."""
    settings = run.settings
    alarms = list(watching(slo_alarms.rows).values())
    kept = kept_since(range_, [FIVE_MINUTES, *(alarm.spec.period for alarm in alarms if alarm.spec)])
    hourly = hours_with_data(counts)
    first = first_queries(sets, hourly, alarms, range_=range_, policy=settings.slo, namespace=settings.metrics_namespace)
    recorded = RecordedMetrics(range_, kept)
    recorded.add_counts(counts)
    reads = _read_into(recorded, run, first)
    spans = spans_to_read(tools_as_emitted(sets).values(), hourly, recorded, alarms, settings.slo)
    hours = sum(end - start for start, end in merged(chain.from_iterable(spans.values()))) // HOUR
    second = second_queries(sets, hourly, spans, alarms, range_=range_, policy=settings.slo, namespace=settings.metrics_namespace)
    facts = ReplayFacts(iso_of(range_.first), iso_of(range_.end), iso_of(range_.complete_from), metrics_requested=len(first))
    if len(second) > settings.alarm_replay.max_metrics_read_again:
        recorded.left_out = frozenset((query.metric_set.metric, query.stat, query.period) for query in second.values)
        return recorded, replace(facts, hours_not_read=hours, metrics_not_read=len(second)), reads
    reads += _read_into(recorded, run, second)
    recorded.fine = fine_spans(spans)
    return recorded, replace(facts, metrics_requested=len(first) + len(second), hours_read_again=hours), reads


def _read_into(recorded: RecordedMetrics, run: RunContext, asked: MetricsAsked) -> list[Read]:
    """Adds what is answered."""
    queries = [*asked.counts, *asked.values]
    if not queries:
        return []
    series, reads = read_metric_data(run.reader, run.settings.metrics_namespace, queries)
    recorded.add_counts(series[: len(asked.counts)])
    recorded.add_values(series[len(asked.counts) :])
    return reads


def _states(run: RunContext, slo_alarms: SloAlarms, since: int) -> tuple[dict[str, Recorded], Read]:
    """What CloudWatch's own history says of each alarm that watches a tool."""
    answer = read_alarm_history(run.reader, datetime.fromtimestamp(since, UTC))
    if answer.read.status is not ReadStatus.OK:
        return {}, answer.read
    found: dict[str, Recorded] = {}
    try:
        histories = by_alarm(answer.items("AlarmHistoryItems"))
        for row in slo_alarms.rows:
            if row.alarm is not None and row.tool is not None:
                states = recorded_states(
                    histories.get(row.alarm, []), configured_at=row.configured_at, state=row.state, now=run.now()
                )
                found |= {row.alarm: states} if states else {}
    except MalformedHistoryError as error:
        return {}, answer.read.unless_invalid(str(error))
    return found, answer.read


def _not_whole(reads: Sequence[Read]) -> bool:
    return any(read.status is not ReadStatus.OK for read in reads if read.operation in _NEEDED)


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    settings = run.settings
    return judge_alarm_replay(tables["alarm_replay"], policy=settings.alarm_replay, alarms=settings.alarms, links=run.links)


EVIDENCE = (
    Evidence(
        name="alarm_replay",
        section="1",
        description="The breaches of every tool's SLO in thirty days, and what each alarm would have done about them.",
        gather=gather_alarm_replay,
        owner="ops-sre",
        kinds=frozenset({"cloudwatch", "table"}),
        needs=("tool_slo_summary", "slo_alarms"),
        sources=("cloudwatch/tool_metrics", "cloudwatch/alarms"),
        iam=lambda _: (*metrics_read(), *alarm_history_read()),
        preview=PREVIEW,
        table=ALARM_REPLAY,
    ),
)

JUDGING = (
    Judging(
        "alarm_replay",
        {"alarms_would_have_fired": _judge},
        also=("slo_alarms",),  # what a remedy is made from
        rests_on={"alarms_would_have_fired": (RUN,)},  # sets of dimensions that ListMetrics no longer shows
        mends={"alarms_would_have_fired": mend_alarm_replay},
        not_tried_facts={"alarms_would_have_fired": NOT_TRIED_FACTS},
        codes=(CodeChapter("Alarms would have fired", (ReadCode, ReplayCode), "1.2", ("alarms_would_have_fired",)),),
    ),
)
