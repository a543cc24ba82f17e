"""What is said on stderr while a command works: a line a step where it is piped, one changing line on a terminal."""

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import pytest

from phase5_ops.cli.progress import progress
from phase5_ops.orchestration.steps import announce_steps, begin_step

LOG = logging.getLogger("phase5_ops.aws.reader")


def work() -> None:
    """What a run of two steps says, and one step more than it announced."""
    announce_steps(2)
    begin_step("gathering slo_alarms")
    LOG.info("waiting for %s of %s", "cloudwatch:DescribeAlarms", "alarms")
    begin_step("judging slo_alarms_defined")
    begin_step("gathering \x1b[2Jmore")


def test_where_it_is_piped_each_step_is_a_line_without_control_characters(capfd: pytest.CaptureFixture[str]):
    with progress("loading") as say:
        say("asking AWS")
        work()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "phase5: loading",
        "phase5: asking AWS",
        "phase5: step 1 of 2: gathering slo_alarms",
        "phase5: step 2 of 2: judging slo_alarms_defined",
        r"phase5: step 3: gathering \x1b[2Jmore",
    ]


def test_it_works_where_stderr_is_no_file(capsys: pytest.CaptureFixture[str]):
    with progress("loading"):
        work()
    assert "phase5: step 1 of 2: gathering slo_alarms\n" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"quiet": True}, {"piped": False}])
def test_it_can_say_nothing(options: dict[str, bool], capfd: pytest.CaptureFixture[str]):
    with progress("loading", **options) as say:
        say("asking AWS")
        work()
    assert capfd.readouterr() == ("", "")


def test_it_stops_listening_when_it_ends(capfd: pytest.CaptureFixture[str]):
    logger = logging.getLogger("phase5_ops")
    before = (list(logger.handlers), logger.level)
    with pytest.raises(RuntimeError), progress("loading"):
        raise RuntimeError("the command failed")
    assert (logger.handlers, logger.level) == before
    work()
    assert capfd.readouterr().err == "phase5: loading\n"


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], str]:
    """What is written to stderr while something is done, where it is a terminal of 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def written_while(done: Callable[[], None]) -> str:
        ours, theirs = os.openpty()
        written: list[bytes] = []

        def read() -> None:
            with suppress(OSError):  # the other side was closed
                while chunk := os.read(ours, 65536):
                    written.append(chunk)

        reader = Thread(target=read)
        reader.start()
        with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            with progress("loading"):
                done()
        reader.join()
        os.close(ours)
        return b"".join(written).decode()

    return written_while


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_on_a_terminal_one_line_says_the_step(on_terminal):
    shown = on_terminal(work)
    assert "\x1b[2K" in shown  # the line is made anew
    assert "\x1b[2J" not in shown
    assert r"step 3: gathering \x1b[2Jmore" in plain(shown)


def test_the_changing_line_holds_details_and_is_cut_to_the_terminal(on_terminal):
    def wait() -> None:
        announce_steps(7)
        begin_step("gathering slo_alarms")
        LOG.info("waiting for %s of %s", "dynamodb:Scan", "x" * 200)

    shown = plain(on_terminal(wait))
    assert "step 1 of 7: gathering slo_alarms: wait" in shown
    assert all(len(line) <= 60 for line in re.split(r"[\r\n]+", shown))


def test_a_terminal_that_knows_no_control_characters_gets_lines(on_terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    shown = on_terminal(work)
    assert "\x1b" not in shown
    assert "phase5: step 2 of 2: judging slo_alarms_defined" in shown


def test_no_colour_is_shown_where_none_is_wanted(on_terminal, monkeypatch):
    assert re.search(r"\x1b\[[0-9;]+m", on_terminal(work))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*m", on_terminal(work))


def test_as_many_steps_are_announced_as_a_run_has():
    from phase5_ops.build import EVIDENCE, evidence_for, implemented_checks
    from phase5_ops.commands.readiness import _number_of_steps

    assert _number_of_steps(None) == len(EVIDENCE) + len(implemented_checks())
    assert _number_of_steps(evidence_for({"2.1"})) == 9  # the runbook is gathered, and row 1.3, which needs more, is not judged
