"""When an alarm mute rule mutes: `at(2026-11-23T02:00)` or `cron(0 2 * * SUN)` for an ISO-8601 duration in a time zone. Pure.

The fields of cron are minutes, hours, day of month, month, day of week. Source: CloudWatch API Reference, PutAlarmMuteRule.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter, croniter_range

_AT = re.compile(r"at\((?P<at>[^)]+)\)")
_CRON = re.compile(r"cron\((?P<fields>[^)]+)\)")
_DURATION = re.compile(r"P(?:(?P<days>\d{1,6})D)?(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?)?")
_FIELDS = 5
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # so that what is counted from there is a time that the calendar has


class MuteScheduleError(ValueError):
    """A schedule that cannot be read."""


@dataclass(frozen=True, slots=True)
class MuteSchedule:
    """A mute rule's schedule.

    Attributes:
        begins: when a one-time schedule begins, UTC; None for a recurring one.
        cron: when a recurring schedule begins, as the five fields of cron; empty for a one-time schedule.
        duration: how long it mutes each time.
        zone: the time zone of `cron`.
    """

    begins: datetime | None
    cron: str
    duration: timedelta
    zone: ZoneInfo

    def mutes(self, moment: datetime) -> bool:
        """Whether it mutes at a moment."""
        return self.until(moment) is not None

    def until(self, moment: datetime) -> datetime | None:
        """When the muting ends that goes on at a moment; None where none does."""
        ends = (begin + self.duration for begin in self._beginnings(moment, moment) if begin <= moment)
        return max((end for end in ends if moment < end), default=None)

    def share(self, start: datetime, span: timedelta) -> float:
        """The share of a span of time that it mutes, 0-1. A span that begins later is taken for one in the year 9000."""
        start = min(start, _LATEST)
        muted, counted, stop = timedelta(), start, start + span
        for begin in self._beginnings(start, stop):
            end = begin + self.duration if self.duration < stop - begin else stop
            muted += max(end - max(begin, counted), timedelta())
            counted = max(counted, end)
        return muted / span

    def _beginnings(self, start: datetime, stop: datetime) -> Iterator[datetime]:
        """When it begins to mute, in order: the last time before `start`, and every time from then to `stop`."""
        if self.begins is not None:
            yield self.begins
            return
        first, last = (moment.astimezone(self.zone) for moment in (start, stop))
        with suppress(CroniterBadDateError):  # it never begins
            yield croniter(self.cron, first, datetime, day_or=False).get_prev().astimezone(UTC)
            for begin in croniter_range(first, last, self.cron, day_or=False):
                yield begin.astimezone(UTC)


def parse_schedule(schedule: Mapping[str, Any]) -> MuteSchedule:
    """Reads `{Expression, Duration, Timezone}`.

    Raises:
        MuteScheduleError: it cannot be read.
    """
    try:
        zone = ZoneInfo(schedule.get("Timezone") or "UTC")
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ) as error:  # a folder of zones is an OSError
        raise MuteScheduleError(f"unknown time zone: {schedule.get('Timezone')!r}") from error
    expression, duration = str(schedule.get("Expression")), _duration(str(schedule.get("Duration")))
    if at := _AT.fullmatch(expression):
        return MuteSchedule(_moment(at["at"], zone, duration), "", duration, zone)
    if not (cron := _CRON.fullmatch(expression)):
        raise MuteScheduleError(f"neither at(...) nor cron(...): {expression!r}")
    if len(cron["fields"].split()) != _FIELDS:
        raise MuteScheduleError(f"cron takes {_FIELDS} fields: {expression!r}")
    if not croniter.is_valid(cron["fields"]):
        raise MuteScheduleError(f"not a schedule of cron: {expression!r}")
    return MuteSchedule(None, cron["fields"], duration, zone)


def _moment(text: str, zone: ZoneInfo, duration: timedelta) -> datetime:
    """A local time as UTC; it and what lies `duration` after it must be times that a calendar has."""
    try:
        begins = datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
        begins + duration
    except (ValueError, OverflowError) as error:
        raise MuteScheduleError(f"not a moment: {text!r}") from error
    return begins


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    found = timedelta(**{unit: int(number) for unit, number in match.groupdict().items() if number}) if match else timedelta()
    if not found:
        raise MuteScheduleError(f"not a duration: {text!r}")
    return found
