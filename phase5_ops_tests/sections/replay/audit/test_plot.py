"""The funnel of the replays counts what got how far."""

from phase5_ops.sections.replay.audit.plot import plot_funnel
from phase5_ops_tests.sections.replay.audit.ledgers import audit, replay


def test_each_step_says_how_many_got_there():
    whole = replay()
    drawing = plot_funnel(audit(whole, replay(failed=True), replay()[:1]).table())
    assert drawing is not None
    drawn = drawing.svg("funnel")
    assert "2, 1 did not get here" in drawn
    assert "1 completed, 1 failed, 1 without end" in drawn
    assert "without request" not in drawn


def test_what_was_never_requested_stands_on_its_own():
    drawing = plot_funnel(audit(replay()[1:]).table())
    assert drawing is not None
    assert "without request" in drawing.svg("funnel")


def test_without_replays_there_is_no_picture():
    assert plot_funnel(audit().table()) is None
