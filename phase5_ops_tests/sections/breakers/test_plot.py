"""The timeline of the breakers: a mark for each run that looked, and what could not be read is no state."""

from phase5_ops.sections.breakers.plot import plot_timeline
from phase5_ops_tests.sections.breakers.support import Platform, state


def texts(platform: Platform) -> str:
    drawing = plot_timeline(platform.table())
    assert drawing is not None
    return drawing.svg("timeline")


def test_every_state_that_was_seen_is_in_the_legend_and_the_present_one_beside_its_line():
    platform = Platform(items=[state("internal", "CLOSED")])
    platform.seen_before(state("internal", "OPEN"), seconds_ago=600)
    drawn = texts(platform)
    for text in (">internal<", ">OPEN<", ">CLOSED<", ">crm_salesforce<"):
        assert text in drawn
    assert ">HALF_OPEN<" not in drawn


def test_a_state_that_the_platform_does_not_know_is_shown_as_not_observed():
    assert ">not observed<" in texts(Platform(items=[state("internal", "AJAR")]))
