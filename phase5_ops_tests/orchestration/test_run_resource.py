"""The resource `run`: what it does to the process while a run goes on."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace

import dagster as dg
import pytest

from phase5_ops import build
from phase5_ops.build import run_resource
from phase5_ops_tests.made_once import only_new_garbage


@pytest.fixture
def thawed(monkeypatch) -> Iterator[None]:
    """The test session keeps what it has imported out of the collections of garbage, and runs need not."""
    monkeypatch.setattr(build, "_only_new_garbage", only_new_garbage)
    gc.unfreeze()
    yield
    gc.freeze()


def frozen_in_a_run() -> int:
    given = SimpleNamespace(at_end={})
    with dg.build_resources({"run": run_resource(None, given)}) as resources:
        assert resources.run is given
        return gc.get_freeze_count()


def test_garbage_of_before_is_left_alone_while_a_run_goes_on(thawed):
    assert frozen_in_a_run() > 10_000
    assert gc.get_freeze_count() == 0


def test_who_left_it_alone_before_goes_on_doing_so(thawed):
    gc.freeze()
    assert frozen_in_a_run() > 10_000
    assert gc.get_freeze_count() > 10_000
