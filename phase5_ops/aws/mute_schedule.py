"""When an alarm mute rule mutes: `at(2026-11-23T02:00)` or `cron(0 2 * * SUN)` for an ISO-8601 duration in a time zone. Pure.

The fields of cron are minutes, hours, day of month, month, day of week. Source: CloudWatch API Reference, PutAlarmMuteRule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_AT = re.compile(r"at\((?P<at>[^)]+)\)")
_CRON = re.compile(r"cron\((?P<fields>[^)]+)\)")
_DURATION = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?")
_FIELDS = 5
_DAYS = {name: str(number) for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_MONTHS = {
    name: str(number)
    for number, name in enumerate(("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1)
}
_MINUTE = timedelta(minutes=1)
_LONGEST = timedelta(days=31)  # that is looked back for a beginning


class MuteScheduleError(ValueError):
    """A schedule that cannot be read."""


@dataclass(frozen=True, slots=True)
class MuteSchedule:
    """A mute rule's schedule.

    Attributes:
        begins: of a single time: when it begins, in the schedule's time zone; None where it comes again and again.
        fields: of one that comes again and again: the allowed minutes, hours, days, months and weekdays.
        duration: how long it mutes each time.
        zone: the time zone of `fields`.
    """

    begins: datetime | None
    fields: tuple[frozenset[int], ...]
    duration: timedelta
    zone: ZoneInfo

    def mutes(self, moment: datetime) -> bool:
        """Whether it mutes at a moment."""
        local = moment.astimezone(self.zone)
        if self.begins is not None:
            return self.begins <= local < self.begins + self.duration
        first = local.replace(second=0, microsecond=0)
        return any(self._fires(first - back * _MINUTE) for back in range(int(min(self.duration, _LONGEST) / _MINUTE)))

    def share(self, start: datetime, span: timedelta) -> float:
        """The share of a span of time that it mutes, 0-1, by the minute."""
        if self.begins is not None:
            overlap = min(start + span, self.begins + self.duration) - max(start, self.begins)
            return max(overlap, timedelta()) / span
        before = min(self.duration, _LONGEST)
        first = (start - before).astimezone(self.zone).replace(second=0, microsecond=0)
        muted, left, lasts = 0, 0, int(self.duration / _MINUTE)
        for minute in range(int((span + before) / _MINUTE)):
            at = first + minute * _MINUTE
            left = lasts if self._fires(at) else left - 1
            muted += left > 0 and at >= start
        return muted / (span / _MINUTE)

    def _fires(self, at: datetime) -> bool:
        values = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
        return all(value in allowed for value, allowed in zip(values, self.fields, strict=True))


def parse_schedule(schedule: Mapping[str, Any]) -> MuteSchedule:
    """Reads `{Expression, Duration, Timezone}`.

    Raises:
        MuteScheduleError: it cannot be read.
    """
    try:
        zone = ZoneInfo(schedule.get("Timezone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise MuteScheduleError(f"unknown time zone: {schedule.get('Timezone')!r}") from error
    expression, duration = str(schedule.get("Expression")), _duration(str(schedule.get("Duration")))
    if at := _AT.fullmatch(expression):
        try:
            return MuteSchedule(datetime.fromisoformat(at["at"]).replace(tzinfo=zone), (), duration, zone)
        except ValueError as error:
            raise MuteScheduleError(f"not a moment: {at['at']!r}") from error
    if not (cron := _CRON.fullmatch(expression)):
        raise MuteScheduleError(f"neither at(...) nor cron(...): {expression!r}")
    fields = cron["fields"].split()
    if len(fields) != _FIELDS:
        raise MuteScheduleError(f"cron takes {_FIELDS} fields: {expression!r}")
    return MuteSchedule(None, tuple(_allowed(field) for field in fields), duration, zone)


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    found = timedelta(**{unit: int(number) for unit, number in match.groupdict().items() if number}) if match else timedelta()
    if not found:
        raise MuteScheduleError(f"not a duration: {text!r}")
    return found


def _allowed(field: str) -> frozenset[int]:
    """The values of one cron field (`*`, `?`, `5`, `1-5`, `*/15`, `MON-FRI`, lists of those)."""
    for name, number in (_DAYS | _MONTHS).items():
        field = field.upper().replace(name, number)
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        try:
            first, last = (0, 99) if low in ("*", "?") else (int(low), int(high or (99 if step else low)))
            found.update(range(first, last + 1, int(step or 1)))
        except ValueError as error:
            raise MuteScheduleError(f"not a cron field: {part!r}") from error
    return frozenset(found)
