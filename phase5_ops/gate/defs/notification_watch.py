"""The sensor `notification_watch`: gives people the notices that are due, and looks for readiness runs. It decides nothing.

It is a sensor of its own, so that a channel that does not answer costs the gate's sensor nothing: what changed is recorded by
`promotion_gate` (`recording.py`), and given from here. A tick takes no longer than its bound, whatever the channels do; a channel
that failed is not tried again in the same tick, and later with growing pauses. Whatever fails is a line of the tick.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import uuid4

import dagster as dg

from phase5_ops.clock import iso
from phase5_ops.gate.candidates.channels import channels, give
from phase5_ops.gate.candidates.notices import (
    RECORDS,
    SOON,
    Changed,
    NoticeKind,
    changes_of_live,
    changes_of_runs,
    is_due,
    look_at_runs,
    notices_of,
    runs_that_count,
)
from phase5_ops.gate.decision.waivers import LONGEST_DAYS
from phase5_ops.gate.promotion.released import live, released, waivers_of
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import StateError, Written
from phase5_ops.gate.state.notice_box import RUNS, Notice, NoticeBox, NoticeItem
from phase5_ops.settings import ReadingSettings, Settings, in_sandbox
from phase5_ops.text import printable

log = logging.getLogger(__name__)

SENSOR = "notification_watch"

_SECONDS = 30
_TICK_SECONDS = 40.0  # all calls of a tick together; Dagster's daemon waits 60 s for a tick
_GIVING_SECONDS = 10.0  # after which a tick gives nothing more, and notes what it gave
_MOST = 20  # notices given in one tick
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_GIVEN_UP = timedelta(days=3)  # after which a notice is news to nobody
_LONGEST_WAIVER = timedelta(days=LONGEST_DAYS) + SOON


@dataclass
class NotificationTick:
    """A tick, and what it did so far.

    Attributes:
        now: wall clock.
        channels: those that are set.
        lines: one for each thing worth saying.
        failed: the channels that failed in it.
        given: how many tries it made.
        ends: when it gives nothing more, monotonic.
    """

    now: datetime
    channels: tuple[str, ...]
    lines: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    given: int = 0
    ends: float = field(default_factory=lambda: time.monotonic() + _GIVING_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is given in this tick."""
        return self.given >= _MOST or time.monotonic() >= self.ends


def settings_of_tick(settings: Settings) -> Settings:
    """The settings with the bounds of reading that a tick has."""
    reading = ReadingSettings(connect_timeout_seconds=3, read_timeout_seconds=5, max_attempts=1, deadline_seconds=_TICK_SECONDS)
    return settings.model_copy(update={"reading": reading})


def watch_notices(session: GateSession, now: datetime) -> list[str]:
    """One look: lines about what was given and what failed.

    Args:
        session: its reader's deadline bounds the tick.
        now: wall clock.
    """
    tick = NotificationTick(now, channels(session.settings.notifications))
    box, environment = session.notices, session.settings.environment
    if not tick.channels:
        tick.lines.append("no channel is set: nobody is told of changes")
        with _said(tick, "that the daemon looked could not be noted"):
            _note_look(box, environment, now)
        return [printable(line) for line in tick.lines]
    watched: dict[str, NoticeItem] = {}
    with _said(tick, "what people are to be told could not be read"):
        watched = {each.key: each for each in box.all_watched(environment, lambda error: tick.lines.append(str(error)))}
        with _said(tick, "readiness runs could not be looked for"):
            watched[RUNS] = _look_for_runs(session, box, watched.get(RUNS, NoticeItem(RUNS)), tick)
    for each in sorted(watched.values(), key=lambda item: min((due.at for due in item.due), default=now)):
        with _said(tick, f"{each.key}: what is due could not be given"):
            _deliver(session, box, each, tick)
    return [printable(line) for line in tick.lines]


@contextmanager
def _said(tick: NotificationTick, what: str) -> Iterator[None]:
    """Makes a failure a line of the tick: what one item or channel does keeps no other from its turn."""
    try:
        yield
    except StateError as error:
        tick.lines.append(str(error))
    except Exception as error:
        log.exception(what)
        tick.lines.append(f"{what}: {type(error).__name__}: {error}")


def _note_look(box: NoticeBox, environment: str, now: datetime) -> None:
    """Notes that the daemon looked, for `phase5 status`; what was seen stays as it was, for a channel that is set later."""
    was = box.watched(environment, RUNS)
    if is_due(was.seen, now):
        box.record(environment, was, {**was.seen, "looked_at": iso(now)}, (), over=False)


def _look_for_runs(session: GateSession, box: NoticeBox, was: NoticeItem, tick: NotificationTick) -> NoticeItem:
    """Records what changed of readiness runs and of what is live; returns how that stands then."""
    now = tick.now
    if not is_due(was.seen, now):
        return was
    environment = session.settings.environment
    records = islice(session.records.newest_first(environment), RECORDS)
    look = look_at_runs(runs_that_count(records, sandbox=in_sandbox(session.settings)), session.settings.gate)
    changed = _with_live(session, changes_of_runs(was.seen, environment, look, now), was, tick)
    about, shown = Release("", "", environment), look.daily or look.run_id
    link = (session.settings.run_address(shown) or "") if shown else ""
    made = notices_of(
        changed, was, release=about, series=0, link=link, channels=channels(session.settings.notifications), now=now
    )
    if box.record(environment, was, changed.seen, made, over=False) is Written.REFUSED:
        return was  # another daemon looked at the same moment
    return replace(was, version=was.version + 1, seen=changed.seen, due=(*was.due, *made))


def _with_live(session: GateSession, changed: Changed, was: NoticeItem, tick: NotificationTick) -> Changed:
    """With what is to be told of the release in production; where that is not known, what was told of it stays as it was."""
    told: Sequence[str] = was.seen.get("waivers") or ()
    notices: tuple[tuple[NoticeKind, str, tuple[str, ...]], ...] = ()
    with _said(tick, "the waivers of what is live could not be looked for"):
        since = tick.now - _LONGEST_WAIVER  # what went live before can have no waiver that is still to end
        present = live(released(session.state, session.keys, session.settings.environment, now=tick.now, since=since))
        if present is not None:
            waivers = waivers_of(session.state, session.keys, present)
            told, notices = changes_of_live(was.seen, present.release, waivers, tick.now)
    return replace(changed, seen={**changed.seen, "waivers": list(told)}, told=(*changed.told, *notices))


def _deliver(session: GateSession, box: NoticeBox, watched: NoticeItem, tick: NotificationTick) -> None:
    """Gives what is due of one release, oldest first; a channel gets no later notice before an earlier one."""
    environment, now = session.settings.environment, tick.now
    heads = (next((each for each in watched.due if name in each.waiting), None) for name in set(tick.channels) - tick.failed)
    ready = not tick.is_over and any(head is not None and head.not_before <= now for head in heads)
    if not ready and not _stale(watched, tick):
        return
    leased = box.lease(environment, watched, uuid4().hex, now)
    if leased is None:
        return  # another daemon gives them
    left: dict[str, Notice | None] = {}
    behind: set[str] = set()
    for notice in leased.due:
        if now - notice.at >= _GIVEN_UP:
            tick.lines.append(f"given up after {_GIVEN_UP.days} days: {notice.do}")
            left[notice.id] = None
            continue
        left[notice.id] = _tried(session, notice, tick, behind)
    if not box.delivered(environment, leased, left, now):
        tick.lines.append(
            f"{watched.key}: what was delivered could not be noted, and is given again with the same idempotency key"
        )


def _stale(watched: NoticeItem, tick: NotificationTick) -> bool:
    """Whether something waits that is given up, or whose channels are no longer set."""
    return any(tick.now - each.at >= _GIVEN_UP or not set(each.waiting) & set(tick.channels) for each in watched.due)


def _tried(session: GateSession, notice: Notice, tick: NotificationTick, behind: set[str]) -> Notice | None:
    """What is left of a notice after this tick; None where every channel that is set has it.

    `behind` are the channels that an earlier notice of the release still waits for.
    """
    now, policy = tick.now, session.settings.notifications
    waiting = {name: tries for name, tries in notice.waiting.items() if name in tick.channels}
    pause = None
    for name in list(waiting):
        if notice.not_before > now or tick.is_over or name in tick.failed | behind:
            behind.add(name)
            continue
        tick.given += 1
        problem = give(name, session.reader, policy, notice, now=now, variables=os.environ)
        if problem is None:
            del waiting[name]
            continue
        tick.failed.add(name)
        waiting[name] += 1
        pause = min(_FIRST_PAUSE * 2 ** min(waiting[name] - 1, 10), _LONGEST_PAUSE)
        tick.lines.append(f"nobody was told by {name}, try {waiting[name]}, tried again in {pause}: {problem}")
    if not waiting:
        return None
    return replace(notice, waiting=waiting, not_before=notice.not_before if pause is None else now + pause)


def notification_watch(opened: Callable[[], GateSession]) -> dg.SensorDefinition:
    """The sensor; `opened` opens what one tick works with, under `settings_of_tick`."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Gives people the notices that are due (SNS, webhook), and notices that no readiness run ended for a day.",
    )
    def watch(_context: dg.SensorEvaluationContext) -> dg.SkipReason:
        lines = watch_notices(opened(), datetime.now(UTC))
        for line in lines:
            log.info("%s", line)
        return dg.SkipReason("\n".join(lines)[:8000] or "nothing is due")

    return watch
