"""Schedules of mute rules that cannot be read, and those that begin at the end of the calendar."""

from datetime import UTC, datetime, timedelta

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


END_OF_THE_CALENDAR = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "duration", "share"),
    [
        ("cron(0 2 * * *)", "PT6H", 0.25),
        ("cron(0 2 * * *)", "P999999D", 1),
        ("cron(0 0 29 2 SUN)", "PT6H", 0),
        ("cron(0 0 30 2 *)", "PT6H", 0),
        ("at(2026-12-01T00:00)", "PT6H", 0),
        ("at(9999-12-30T00:00)", "PT6H", 0),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
def test_the_share_of_a_week_that_the_calendar_does_not_have_whole(expression, duration, share, zone):
    schedule = parse_schedule({"Expression": expression, "Duration": duration, "Timezone": zone})
    assert schedule.share(END_OF_THE_CALENDAR, timedelta(weeks=1)) == pytest.approx(share, abs=0.01)
