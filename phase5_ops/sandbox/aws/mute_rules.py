"""Alarm mute rules of the sandbox's CloudWatch: what is muted, and whether now (see `aws/mute_schedule` for when)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phase5_ops.cloudwatch.mute_schedule import MuteSchedule, parse_schedule


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
    def schedule(self) -> MuteSchedule:
        """When it mutes.

        Raises:
            MuteScheduleError: it cannot be read.
        """
        return parse_schedule(self.config["Rule"]["Schedule"])

    def status(self, now: datetime) -> str:
        """ACTIVE, SCHEDULED or EXPIRED at `now`.

        Raises:
            MuteScheduleError: the schedule cannot be read.
        """
        start, expire = (_aware(self.config.get(key)) for key in ("StartDate", "ExpireDate"))
        schedule = self.schedule
        if (expire is not None and now >= expire) or (schedule.begins and now >= schedule.begins + schedule.duration):
            return "EXPIRED"
        return "ACTIVE" if schedule.mutes(now) and (start is None or now >= start or schedule.begins) else "SCHEDULED"

    def as_summary(self, now: datetime) -> dict[str, Any]:
        """The rule as ListAlarmMuteRules shows it."""
        return {
            "AlarmMuteRuleArn": self.arn,
            "ExpireDate": _aware(self.config.get("ExpireDate")),
            "Status": self.status(now),
            "MuteType": "ONE_TIME" if self.schedule.begins else "RECURRING",
            "LastUpdatedTimestamp": self.updated,
        }

    def as_response(self, now: datetime) -> dict[str, Any]:
        """The rule as GetAlarmMuteRule shows it."""
        keys = ("Name", "Description", "Rule", "MuteTargets", "StartDate")
        return {key: self.config[key] for key in keys if key in self.config} | self.as_summary(now)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
