"""The picture: breaches and alarm states on one line a tool and signal."""

from phase5_ops.sections.slo.alarm_replay.plot import plot_replays
from phase5_ops.sections.slo.alarm_replay.preview import PREVIEW
from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, Recording, outage, state_update, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, errors, latency, no_tool

COLOURS = {"told of": "#c77400", "nobody is told of": "#d1495b", "in ALARM": "#2f8f5b", "false": "#3b82c4", "recorded": "#76838f"}


def bars(replays) -> set[str]:
    """The kinds of bars beyond those of the legend."""
    drawing = plot_replays(replays)
    assert drawing is not None
    drawn = drawing.svg("x")
    return {name for name, colour in COLOURS.items() if drawn.count(f'fill="{colour}"') > (2 if name == "told of" else 1)}


def test_each_kind_of_time_has_its_bar():
    assert bars(table(Recording().usual(), latency(), errors())) == set()
    assert bars(table(outage(), latency(), errors())) == {"told of", "in ALARM"}
    assert bars(table(outage(), latency(), errors(Threshold=99.9))) == {"nobody is told of"}
    strict = errors(Threshold=0.5, EvaluationPeriods=1, AlarmConfigurationUpdatedTimestamp=NOW.replace(day=1))
    items = [
        state_update(strict["AlarmName"], ago, *states) for ago, *states in ((OUTAGE, "OK", "ALARM"), (OUTAGE - 5, "ALARM", "OK"))
    ]
    assert bars(table(Recording().usual(1000).calls([600], good=994, failed=6), strict, items=items)) == {"false", "recorded"}


def test_every_subject_has_its_name_and_nothing_is_drawn_of_nothing():
    drawn = plot_replays(table(outage(), errors())).svg("x")
    assert ">crm.create_task error<" in drawn
    assert ">crm.create_task latency<" in drawn
    assert plot_replays(table(Recording().usual(), tools=no_tool())) is None


def test_the_figures_of_the_preview():
    figures = PREVIEW.figures(table(outage(), errors(DatapointsToAlarm=3), latency()))
    assert figures == {
        "breaches": 1,
        "breaches_caught": 1,
        "latest_detection_minutes": 15,
        "times_in_alarm": 1,
        "false_alarms": 0,
        "alarms_not_replayed": 0,
    }
    replays = table(outage(), errors(Threshold=99.9), latency())
    assert PREVIEW.worst_first(replays.frame).iloc[0]["signal"] == "error"
