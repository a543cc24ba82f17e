"""What runs remember of refused probes, so that the next run, whenever it is, finds those that were acted on later.

Most of it stands in the intents' ids: an id says if nobody may act on its intent, so that whatever names such an intent came of
a probe that should have been refused, whichever run sent it. The history adds which entries of the ledger a run has reported
already, which requests were refused although they could have been granted, and up to when the ledger was searched. What must
not live here: judging.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.context import RunContext
from phase5_ops.probing.canary_intent import must_be_refused
from phase5_ops.sections.replay.probes.evidence import EffectAttribution, Sent

_REPORTED, _REFUSED, _SEARCHED = "replay_late_reported", "replay_refused", "replay_searched"
_LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier runs left for this one.

    Attributes:
        since: from when on the ledger is to be searched for late entries.
        refused: intents of requests that were refused although they could have been granted.
        reported: keys of the entries that an earlier run has reported.
    """

    since: datetime
    refused: frozenset[str]
    reported: frozenset[str]


def recall(run: RunContext, *, skew: timedelta) -> Memory:
    """The memory of this platform's runs.

    Args:
        run: of this run.
        skew: how far the platform's clock may be behind.
    """
    days, now = run.settings.probes.late_effect_days, run.now()
    searched = [
        each.last_seen
        for each in run.history.sightings(_SEARCHED, _scope(run), until=now + skew, days=days)
        if each.subject == _LEDGER
    ]
    since = max([*searched, now - timedelta(days=days)])
    return Memory(since - skew, _seen(run, _REFUSED, days), _seen(run, _REPORTED, days + 1))


def remember(run: RunContext, rows: Iterable[Sent], found: EffectAttribution) -> None:
    """Notes which requests were refused, which entries this run reports, and that it searched the ledger."""
    tried = [row for row in rows if row.not_tried is None and not must_be_refused(row.intent)]
    granted = {row.intent for row in tried if row.status is not None and 200 <= row.status < 300}  # noqa: PLR2004 - HTTP's own
    refused = {row.intent for row in tried} - granted
    own = [entry for entries in found.left.values() for entry in entries]
    reported = [entry for entry in own if any(must_be_refused(each) or each in refused for each in entry.intents)]
    entries = sorted({entry.key for entry in (*found.late, *reported)})
    seen = {_REFUSED: sorted(refused), _REPORTED: entries, _SEARCHED: [_LEDGER]}
    run.history.sight(_scope(run), run.now(), seen)


def _seen(run: RunContext, stream: str, days: int) -> frozenset[str]:
    until = run.now() + timedelta(minutes=1)
    return frozenset(each.subject for each in run.history.sightings(stream, _scope(run), until=until, days=days))


def _scope(run: RunContext) -> str:
    return "/".join((run.account, run.reader.region, run.settings.environment))
