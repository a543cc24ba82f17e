"""Schedules of mute rules that cannot be read."""

import pytest

from phase5_ops.cloudwatch.mute_schedule import MuteScheduleError, parse_schedule


@pytest.mark.parametrize("duration", ["", "PT", "P0D", "8H", "P1000000D", f"PT{'9' * 5000}H"])
def test_what_is_no_duration_is_refused(duration):
    with pytest.raises(MuteScheduleError, match="not a duration"):
        parse_schedule({"Expression": "cron(0 22 * * *)", "Duration": duration})
