"""When people would have been told of an alarm: by its own actions, or by a composite above it. Pure.

Actions are carried out when an alarm goes into ALARM, unless they are switched off, muted, or suppressed; what a mute rule or a
suppressor has held back is carried out when that ends, if the alarm still is in ALARM. Composites and suppressors that rest on
alarms which were not replayed count only where these do not matter; otherwise it is not known.

Source: CloudWatch User Guide, "Alarm mute rules"; API Reference, PutCompositeAlarm (wait period), PutMetricAlarm (AlarmActions).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.cloudwatch.alarm_evaluation import ALARM, OK
from phase5_ops.cloudwatch.alarm_rule import AlarmRule, RuleTooLarge
from phase5_ops.cloudwatch.mute_schedule import MuteSchedule, parse_schedule
from phase5_ops.evidence.table import filled
from phase5_ops.sections.slo.alarm_replay.timeline import Span, StateSpan, Timeline, combined, overlaps
from phase5_ops.sections.slo.alarms.composites import Composites
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.alarms.notification_path import Destination, Reach, destination, own_path

_FOR_EVER = 2**40  # epoch seconds


@dataclass(frozen=True, slots=True)
class Firing:
    """A time in which an alarm is in ALARM.

    Attributes:
        start, end: epoch seconds.
        told: when people are told of it; None where they are not, or that is not known.
        why: the reason why they are not, or why that is not known.
        known: False where it is not known whether they are told.
    """

    start: int
    end: int
    told: int | None
    why: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to people: the actions of an alarm in ALARM; `reaches`: whom, None if it has no actions."""

    name: str
    row: SloAlarm
    switched_on: bool
    reaches: Destination | None
    suppressor: str | None = None
    wait: int = 0
    extension: int = 0


class Notifying:
    """The alarms that were replayed, with all composites above them.

    Args:
        rules: of the composites above the alarms, of their suppressors, and of all composites that these rest on, by name.
        replayed: the timelines of metric alarms, by name.
        unread: what of the topics could not be read; None where all was.
    """

    def __init__(self, rules: Mapping[str, str], replayed: Mapping[str, Timeline], unread: str | None = None) -> None:
        self._unread = unread
        self._composites = Composites([{"AlarmName": name, "AlarmRule": rule} for name, rule in rules.items()], {})
        self._timelines: dict[str, Timeline | str] = dict(replayed)
        self._is_composite = frozenset(rules)

    def firings(self, row: SloAlarm, timeline: Timeline) -> list[Firing]:
        """The times in which the alarm of a row is in ALARM, and whether people are told of each."""
        if not timeline.firing:
            return []
        own = self._own(row)
        above = [
            _Way(
                parent["alarm"],
                row,
                bool(parent["actions_enabled"]),
                self._reached(row, parent),
                parent["suppressor"],
                int(parent["suppressor_wait"] or 0),
                int(parent.get("suppressor_extension") or 0),
            )
            for parent in filled(row.parents or [])
            if parent["actions"]
        ]
        return [self._firing(span, own, above) for span in timeline.firing]

    def further(self, row: SloAlarm, spans: Sequence[Span]) -> list[Firing]:
        """Times in which one more time series of an alarm is in ALARM: its own actions tell, composites see nothing new."""
        return [self._firing(span, self._own(row), []) for span in spans]

    def _own(self, row: SloAlarm) -> _Way:
        return _Way(str(row.alarm), row, row.actions_enabled is not False, self._reached(row, own_path(row)))

    def _reached(self, row: SloAlarm, path: Mapping[str, Any]) -> Destination | None:
        """Whom the actions of a way reach; None without any. What is no topic counts as in row 1.2, which warns of it."""
        if not path["actions"]:
            return None
        found = destination(row, path)
        if found.reach is Reach.PEOPLE and self._unread:
            return Destination(Reach.NOT_KNOWN, self._unread)
        return found

    def _firing(self, span: Span, own: _Way, above: Sequence[_Way]) -> Firing:
        ways = [own, *above] if own.reaches or not above else above
        answers = [answer for way in ways for answer in self._told(way, span, composite=way is not own)]
        told = [answer for answer in answers if isinstance(answer, int)]
        if told:
            return Firing(*span, min(told))
        unknown = [answer.why for answer in answers if isinstance(answer, WhyNotKnown)]
        if unknown:
            return Firing(*span, None, unknown[0], known=False)
        return Firing(*span, None, next((answer for answer in answers if isinstance(answer, str)), "it has no action for ALARM"))

    def _told(self, way: _Way, span: Span, *, composite: bool) -> Iterator["int | str | WhyNotKnown"]:
        """When a way tells people of what is in ALARM in a span; else why it does not, or why that is not known."""
        if way.reaches is None:
            yield "it has no action for ALARM"
        elif not way.switched_on:
            yield f"the actions of {way.name} are switched off"
        elif way.reaches.reach is Reach.NOT_KNOWN:
            yield WhyNotKnown(way.reaches.why)
        elif way.reaches.reach is Reach.NOBODY:
            yield way.reaches.why
        elif not composite:
            yield self._unmuted(way, span)
        else:
            yield from self._by_composite(way, span)

    def _by_composite(self, way: _Way, span: Span) -> "Iterator[int | str | WhyNotKnown]":
        timeline = self._timeline(way.name)
        if isinstance(timeline, str):
            yield WhyNotKnown(timeline)
            return
        if not timeline.knows(span[0] - 1, span[1]):
            yield WhyNotKnown(f"whether composite {way.name} goes into ALARM rests on alarms that were not replayed")
            return
        opened = [firing for firing in timeline.firing if span[0] <= firing[0] < span[1]]
        for firing in opened:
            held = self._suppressed(way, firing)
            yield held if isinstance(held, str | WhyNotKnown) else self._unmuted(way, (held, firing[1]))
        if not opened:
            before = any(overlaps(firing, span) for firing in timeline.firing)
            yield f"composite {way.name} " + ("was in ALARM before" if before else "stays out of ALARM")

    def _suppressed(self, way: _Way, firing: Span) -> "int | str | WhyNotKnown":
        """From when on a composite in ALARM carries out its actions, by its suppressor."""
        if way.suppressor is None:
            return firing[0]
        timeline = self._timeline(way.suppressor)
        since, acts = firing[0], firing[0] + way.wait
        held_back = f"{way.name} waited {way.wait} s"
        while True:
            if isinstance(timeline, str) or not timeline.knows(since, min(acts + 1, firing[1])):
                return WhyNotKnown(f"whether {way.suppressor} suppressed the actions of {way.name} is not known")
            holding = [each for each in timeline.firing if overlaps(each, (since, acts + 1))]
            if not holding:
                return acts if acts < firing[1] else held_back
            since = holding[-1][1]
            acts = since + way.extension  # until which it may come back
            held_back = f"{way.suppressor} suppressed the actions of {way.name}"

    def _timeline(self, name: str) -> Timeline | str:
        """The states of an alarm; text: why they are not known."""
        if name not in self._timelines:
            self._timelines[name] = self._composed(name) if name in self._is_composite else f"alarm {name} was not replayed"
        return self._timelines[name]

    def _composed(self, name: str) -> Timeline | str:
        rule = self._composites.in_metric_alarms(name)
        if isinstance(rule, str):
            return rule
        if not rule.alarm_names:
            return Timeline((StateSpan(0, _FOR_EVER, ALARM if rule.evaluate({}) else OK),))
        parts = sorted(rule.alarm_names)
        lines = [line if isinstance(line := self._timelines.get(part), Timeline) else Timeline() for part in parts]
        known: dict[tuple[str | None, ...], str | None] = {}

        def state_of(states: Sequence[str | None]) -> str | None:
            key = tuple(states)
            if key not in known:
                known[key] = _decided(rule, dict(zip(parts, states, strict=True)))
            return known[key]

        return combined(lines, state_of)

    def _unmuted(self, way: _Way, span: Span) -> "int | str | WhyNotKnown":
        """The first moment of a span in ALARM at which no mute rule mutes."""
        try:
            schedules = [_schedule(rule) for rule in filled(way.row.mute_rules or []) if rule["alarm"] == way.name]
        except ValueError as error:
            return WhyNotKnown(f"a mute rule of {way.name} cannot be read: {error}")
        moment = span[0]
        while moment < span[1] and (ends := [end for schedule in schedules if (end := schedule.until(moment)) is not None]):
            moment = max(ends)
        return moment if moment < span[1] else f"a mute rule silences {way.name}"


@dataclass(frozen=True, slots=True)
class WhyNotKnown:
    """Why it is not known whether people are told."""

    why: str


@dataclass(frozen=True, slots=True)
class _Mute:
    """A mute rule's schedule, from and until when it counts."""

    schedule: MuteSchedule
    starts: datetime | None
    expires: datetime | None

    def until(self, moment: int) -> int | None:
        """When the muting ends that goes on at a moment; None where none does."""
        at = datetime.fromtimestamp(moment, UTC)
        end = None if (self.starts and at < self.starts) or (self.expires and at >= self.expires) else self.schedule.until(at)
        return None if end is None else ceil((min(end, self.expires) if self.expires else end).timestamp())


def _schedule(rule: Mapping[str, Any]) -> _Mute:
    schedule = parse_schedule({key.title(): rule[key] for key in ("expression", "duration", "timezone")})
    starts, expires = (parse_iso(rule[key]) if rule.get(key) else None for key in ("starts", "expires"))
    return _Mute(schedule, starts, expires)


def _decided(rule: AlarmRule, states: Mapping[str, str | None]) -> str | None:
    """The state of a composite where some of its parts are not known; None where these decide."""
    left = rule.assume({name: state for name, state in states.items() if state is not None})
    try:
        if left.witness({}) is None:
            return OK
        return ALARM if left.negated().witness({}) is None else None
    except RuleTooLarge:
        return None
