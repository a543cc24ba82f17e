"""What the tests of the command line share."""

import sys
from collections.abc import Callable

import pytest

from phase5_ops.cli import app as cli

Phase5 = Callable[..., tuple[int, str, str]]


@pytest.fixture
def phase5(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Phase5:
    """Runs the command in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["phase5", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run
