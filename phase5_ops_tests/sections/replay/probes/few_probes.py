"""Fewer probes for runs that are about something else: each kind of them is still sent to the platform, and really answered.

Of what all probes find the tests of rows 3.1, 3.3 and 4.1 themselves tell, and the whole run of the scenario `healthy`.
What must not live here: a plan of its own; what is sent is always chosen of the product's.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from phase5_ops.probing.forge import group_of
from phase5_ops.sections.isolation.harness.cross_probes import CrossProbing
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe
from phase5_ops.sections.replay.probes import sending as probe_sending
from phase5_ops.sections.replay.probes.plan import PERMISSION_ROW, Probe

T = TypeVar("T")

_CROSS_PLAN, _REPLAY_PLAN = CrossProbing.plan, probe_sending.build_plan


def thin(probes: Sequence[CrossProbe]) -> tuple[CrossProbe, ...]:
    """Of row 4.1, of each route one probe for each group of tokens and each way it may end."""
    return _first_of_each(probes, lambda probe: (probe.route.name, group_of(probe.who), probe.expect, probe.harmless))


def thin_replays(probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """Of rows 3.1 and 3.3, every probe of the permissions and of what starts work by design, and one of each other kind."""

    def kind(probe: Probe) -> Hashable:
        return probe.name if probe.row == PERMISSION_ROW else (probe.expect, probe.token)

    return _first_of_each(probes, kind)


def _first_of_each(probes: Iterable[T], kind: Callable[[T], Hashable]) -> tuple[T, ...]:
    first: dict[Hashable, T] = {}
    for probe in probes:
        first.setdefault(kind(probe), probe)
    return tuple(first.values())


@contextmanager
def few_probes(but_all: Collection[str] = ()) -> Iterator[None]:
    """In this block runs in this process send a thin plan, and of rows 3.1 and 3.3 the probes of these names."""

    def replays(*given: Any, **named: Any) -> tuple[Probe, ...]:
        every = _REPLAY_PLAN(*given, **named)
        sent = {probe.name for probe in thin_replays(every)} | set(but_all)
        return tuple(probe for probe in every if probe.name in sent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossProbing, "plan", lambda probing: thin(_CROSS_PLAN(probing)))
        patch.setattr(probe_sending, "build_plan", replays)
        yield


@contextmanager
def every_probe() -> Iterator[None]:
    """In this block they send every probe again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossProbing, "plan", _CROSS_PLAN)
        patch.setattr(probe_sending, "build_plan", _REPLAY_PLAN)
        yield
