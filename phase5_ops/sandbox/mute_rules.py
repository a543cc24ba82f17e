"""Alarm mute rules of the sandbox's CloudWatch: what is muted, when, and whether now.

A schedule is `at(2026-11-23T02:00)` or `cron(0 2 * * SUN)` (minutes, hours, day of month, month, day of week) in a time zone,
with an ISO-8601 duration. Rules: CloudWatch API Reference, PutAlarmMuteRule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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


class MuteRuleError(ValueError):
    """A schedule that cannot be read."""


@dataclass(frozen=True, slots=True)
class MuteRule:
    """One rule, as it was put."""

    config: Mapping[str, Any]
    arn: str
    updated: datetime

    @property
    def name(self) -> str:
        """The rule's name."""
        return str(self.config["Name"])

    @property
    def targets(self) -> list[str]:
        """The alarms it mutes."""
        return list((self.config.get("MuteTargets") or {}).get("AlarmNames") or [])

    @property
    def recurring(self) -> bool:
        """Whether its schedule is a cron expression."""
        return _CRON.fullmatch(self._schedule["Expression"]) is not None

    @property
    def _schedule(self) -> Mapping[str, str]:
        schedule: Mapping[str, str] = self.config["Rule"]["Schedule"]
        return schedule

    @property
    def _duration(self) -> timedelta:
        match = _DURATION.fullmatch(self._schedule["Duration"])
        length = (
            timedelta(**{unit: int(number) for unit, number in match.groupdict().items() if number}) if match else timedelta()
        )
        if not length:
            raise MuteRuleError(f"not a duration: {self._schedule['Duration']!r}")
        return length

    def check(self) -> None:
        """Reads the schedule.

        Raises:
            MuteRuleError: it cannot be read.
        """
        self.status(self.updated)

    def status(self, now: datetime) -> str:
        """ACTIVE, SCHEDULED or EXPIRED at `now`."""
        try:
            local = now.astimezone(ZoneInfo(self._schedule.get("Timezone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise MuteRuleError(f"unknown time zone: {self._schedule.get('Timezone')!r}") from error
        start, expire = (_aware(self.config.get(key)) for key in ("StartDate", "ExpireDate"))
        if expire is not None and now >= expire:
            return "EXPIRED"
        expression = self._schedule["Expression"]
        if at := _AT.fullmatch(expression):
            begin = _moment(at["at"]).replace(tzinfo=local.tzinfo)
            if local >= begin + self._duration:
                return "EXPIRED"
            return "ACTIVE" if local >= begin else "SCHEDULED"
        if not (cron := _CRON.fullmatch(expression)):
            raise MuteRuleError(f"neither at(...) nor cron(...): {expression!r}")
        fields = cron["fields"].split()
        if len(fields) != _FIELDS:
            raise MuteRuleError(f"cron takes {_FIELDS} fields: {expression!r}")
        begun = (start is None or now >= start) and _began_within(fields, local, self._duration)
        return "ACTIVE" if begun else "SCHEDULED"

    def as_summary(self, now: datetime) -> dict[str, Any]:
        """The rule as ListAlarmMuteRules shows it."""
        return {
            "AlarmMuteRuleArn": self.arn,
            "ExpireDate": _aware(self.config.get("ExpireDate")),
            "Status": self.status(now),
            "MuteType": "RECURRING" if self.recurring else "ONE_TIME",
            "LastUpdatedTimestamp": self.updated,
        }

    def as_response(self, now: datetime) -> dict[str, Any]:
        """The rule as GetAlarmMuteRule shows it."""
        keys = ("Name", "Description", "Rule", "MuteTargets", "StartDate")
        return {key: self.config[key] for key in keys if key in self.config} | self.as_summary(now)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise MuteRuleError(f"not a moment: {text!r}") from error


def _began_within(fields: list[str], now: datetime, duration: timedelta) -> bool:
    """Whether the cron expression fired in the `duration` before `now`."""
    minute = now.replace(second=0, microsecond=0)
    for back in range(int(duration.total_seconds() // 60)):
        at = minute - timedelta(minutes=back)
        values = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
        if all(_matches(field, value) for field, value in zip(fields, values, strict=True)):
            return True
    return False


def _matches(field: str, value: int) -> bool:
    """Whether one cron field (`*`, `?`, `5`, `1-5`, `*/15`, `MON-FRI`, lists of those) allows a value."""
    for name, number in (_DAYS | _MONTHS).items():
        field = field.upper().replace(name, number)
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        try:
            first, last = (0, 99) if low in ("*", "?") else (int(low), int(high or (99 if step else low)))
            if first <= value <= last and (value - first) % int(step or 1) == 0:
                return True
        except ValueError as error:
            raise MuteRuleError(f"not a cron field: {part!r}") from error
    return False
