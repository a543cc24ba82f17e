"""Schedules of mute rules that cannot be read."""

import pytest

from phase5_ops.cloudwatch.mute_schedule import MuteScheduleError, parse_schedule


@pytest.mark.parametrize("duration", ["", "PT", "P0D", "8H", "P1000000D", f"PT{'9' * 5000}H"])
def test_what_is_no_duration_is_refused(duration):
    with pytest.raises(MuteScheduleError, match="not a duration"):
        parse_schedule({"Expression": "cron(0 22 * * *)", "Duration": duration})


@pytest.mark.parametrize(
    ("moment", "zone"),
    [
        ("9999-12-31T23:59", "America/New_York"),
        ("9999-12-31T12:00", "UTC"),
        ("0001-01-01T00:00", "Asia/Tokyo"),
        ("2026-02-30T00:00", "UTC"),
    ],
)
def test_a_moment_that_no_calendar_has_is_refused(moment, zone):
    with pytest.raises(MuteScheduleError, match="not a moment"):
        parse_schedule({"Expression": f"at({moment})", "Duration": "P1D", "Timezone": zone})


@pytest.mark.parametrize("zone", ["Asia", "Nowhere/Land", "../UTC", "x" * 300])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(MuteScheduleError, match="unknown time zone"):
        parse_schedule({"Expression": "cron(0 22 * * *)", "Duration": "PT8H", "Timezone": zone})
