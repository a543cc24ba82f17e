"""Alarm mute rules of the sandbox's CloudWatch: what is muted, and whether now. `cloudwatch/mute_schedule.py` reads schedules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase5_ops.cloudwatch.mute_schedule import MuteSchedule, parse_schedule
from phase5_ops.sandbox.aws.cloudwatch_checks import aware


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
        start, expire = self._moment("StartDate"), self._moment("ExpireDate")
        schedule = self.schedule
        if (expire is not None and now >= expire) or (schedule.begins and now >= schedule.begins + schedule.duration):
            return "EXPIRED"
        return "ACTIVE" if schedule.mutes(now) and (start is None or now >= start or schedule.begins) else "SCHEDULED"

    def as_summary(self, now: datetime) -> dict[str, Any]:
        """The rule as ListAlarmMuteRules shows it."""
        return {
            "AlarmMuteRuleArn": self.arn,
            "ExpireDate": self._moment("ExpireDate"),
            "Status": self.status(now),
            "MuteType": "ONE_TIME" if self.schedule.begins else "RECURRING",
            "LastUpdatedTimestamp": self.updated,
        }

    def as_response(self, now: datetime) -> dict[str, Any]:
        """The rule as GetAlarmMuteRule shows it."""
        keys = ("Name", "Description", "Rule", "MuteTargets", "StartDate")
        return {key: self.config[key] for key in keys if key in self.config} | self.as_summary(now)

    def _moment(self, key: str) -> datetime | None:
        moment = self.config.get(key)
        return aware(moment) if moment is not None else None
