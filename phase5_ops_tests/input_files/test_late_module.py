"""A module that is loaded once there is enough work, and done without where it cannot be loaded."""

import sys
from types import ModuleType

import pytest

from phase5_ops.input_files.late_module import LateModule


def test_it_is_loaded_and_prepared_once_there_is_more_work_than_it_is_worth_from(monkeypatch: pytest.MonkeyPatch):
    prepared = list[str]()
    module = ModuleType("loops")
    module.prepare = lambda: prepared.append("once")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "phase5_ops_tests.loops", module)
    late = LateModule("phase5_ops_tests.loops", worth_from=10)
    assert [late.after(work) for work in (4, 6)] == [None, None]
    assert [late.after(work) for work in (1, 1)] == [module, module]
    assert prepared == ["once"]


def test_where_it_cannot_be_loaded_the_work_goes_on_without_it(caplog: pytest.LogCaptureFixture):
    late = LateModule("phase5_ops_tests.no_such_loops", worth_from=1)
    assert [late.after(5), late.after(5)] == [None, None]
    (warning,) = caplog.messages
    assert "phase5_ops_tests.no_such_loops cannot be loaded" in warning
