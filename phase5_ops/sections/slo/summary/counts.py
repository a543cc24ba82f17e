"""The counts of calls that the SLO summary has read, handed on within a run to evidence that needs them too. Judges nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from phase5_ops.aws.metrics import read_metric_data
from phase5_ops.cloudwatch.metric_query import MetricSet, Series
from phase5_ops.context import RunContext
from phase5_ops.reads import Read
from phase5_ops.sections.slo.summary.plan import count_queries, counting_stats

_COUNTS = "slo/counts_of_calls"  # key in `run.shared`


def keep_counts(run: RunContext, series: Iterable[Series]) -> None:
    """Keeps those of the summary's series that are counts until they are taken."""
    policy = run.settings.slo
    run.shared[_COUNTS] = [one for one in series if one.query.stat in counting_stats(one.query.metric_set.metric, policy)]


def counts_of(run: RunContext, sets: Sequence[MetricSet], now: datetime) -> tuple[list[Series], list[Read]]:
    """The counts of these sets over the thirty days before `now`: what the summary of this run read, else read now."""
    kept: list[Series] | None = run.shared.pop(_COUNTS, None)
    if kept is not None:
        return kept, []
    queries = count_queries(sets, run.settings.slo, now=now, read_at=now)
    return read_metric_data(run.reader, run.settings.metrics_namespace, queries) if queries else ([], [])
