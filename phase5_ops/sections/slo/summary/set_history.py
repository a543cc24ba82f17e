"""Which dimension sets earlier runs saw, and for how many days back the known sets are complete.

ListMetrics leaves out what has had no data for two weeks, so a figure over 30 days needs the sets that earlier runs saw. Each run
therefore notes what ListMetrics showed, and that it was read that day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.evidence.history import History

_SETS, _LISTINGS = "dimension_sets", "metric_listings"
LISTING_DAYS = 14  # ListMetrics shows what had data in the last two weeks
_REMEMBERED_DAYS = 45


@dataclass(frozen=True, slots=True)
class KnownSets:
    """Dimension sets to ask about, and the days back from now in which no other can have had data."""

    metric_sets: tuple[MetricSet, ...]
    days_covered: int


def known_sets(history: History, scope: str, listed: Iterable[MetricSet], *, now: datetime, whole: bool) -> KnownSets:
    """The listed sets with those of earlier runs; the listed ones are noted for later runs.

    Args:
        history: what earlier runs saw.
        scope: account, region and namespace.
        listed: what ListMetrics shows.
        now: evaluation time.
        whole: ListMetrics was read to its end; otherwise this listing proves nothing about sets that it does not show.
    """
    current = set(listed)
    days = [s.subject for s in history.sightings(_LISTINGS, scope, until=now, days=_REMEMBERED_DAYS)]
    earlier = [MetricSet.parse(s.subject) for s in history.sightings(_SETS, scope, until=now, days=_REMEMBERED_DAYS)]
    seen = {_SETS: [str(metric_set) for metric_set in sorted(current)], _LISTINGS: [now.date().isoformat()] if whole else []}
    history.sight(scope, now, seen)
    return KnownSets(tuple(sorted(current.union(earlier))), _days_covered(days, now) if whole else 0)


def _days_covered(listing_days: Iterable[str], now: datetime) -> int:
    """How far back the listings of these days and of now reach without a gap."""
    reach = now - timedelta(days=LISTING_DAYS)
    for day in sorted((datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in listing_days), reverse=True):
        if day < reach:
            break
        reach = min(reach, day + timedelta(days=1 - LISTING_DAYS))  # the time of day is not known: its end claims least
    return (now - reach).days
