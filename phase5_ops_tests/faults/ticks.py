"""Ticks of the gate and promotions under faults, for one real candidate in several states, and what must hold of each.

Each candidate is the one of `real_candidate`, for which the gate is open, put back and spoilt in one way or none. Some looks of
the sensor follow under faults; the promotion that one asks for is launched under faults, and now and then one by hand, whatever
the sensor said. Then the faults are over: an open candidate must be promoted once, a closed one stay closed.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import pytest

from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate
from phase5_ops.settings import Settings
from phase5_ops_tests.conftest import clean
from phase5_ops_tests.faults.injection import Plan, injected
from phase5_ops_tests.faults.runs import contradictions
from phase5_ops_tests.gate.real_candidate import RELEASE, Kept, PutBack, World
from phase5_ops_tests.gate.test_attacks import failing_run

SETTINGS = {
    "PHASE5_READING__CONNECT_TIMEOUT_SECONDS": "0.2",
    "PHASE5_READING__READ_TIMEOUT_SECONDS": "0.2",
    "PHASE5_READING__MAX_ATTEMPTS": "2",
    "PHASE5_READING__DEADLINE_SECONDS": "30",
}
LOOKS = 5  # of one candidate
_REQUESTS = 40  # of a look


def bound(settings: Settings) -> float:
    """The longest that a look may take, in seconds: each session reads within a deadline of its own, a promotion opens a second
    one for what it decides from, and the rest is computing."""
    return 2 * settings.reading.deadline_seconds + 30


@dataclass
class Outcome:
    """What ticks came to."""

    ticks: int = 0
    promotions: int = 0
    struck: int = 0
    candidates: Counter[str] = field(default_factory=Counter)
    promoted_under_faults: int = 0
    requests: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    bound: float = 0.0
    problems: list[str] = field(default_factory=list)


def _edited(world: World) -> None:
    path = next(world.evidence.glob("*/verdicts/*.json"))
    path.write_bytes(path.read_bytes().replace(b'"PASS"', b'"WARN"') + b"\n")


def _forged(world: World) -> None:
    item = world.item("SIGN_OFF#ops-sre#")
    world.put({**item, "signature": {"B": item["signature"]["B"][:-1] + bytes([item["signature"]["B"][-1] ^ 1])}})


def _with_others(world: World) -> None:
    for number in (2, 3):
        world.register(Release(f"r-{number}", "sha256:" + f"{number}" * 64, "sandbox"))


@dataclass(frozen=True)
class State:
    """A state of the candidate: how it comes to be, and whether the gate is open in it."""

    spoil: Callable[[World], object]
    opens: bool = False
    after_a_failing_run: bool = False


STATES = {
    "open": State(lambda _: None, opens=True),
    "open, two more registered": State(_with_others, opens=True),
    "a signature missing": State(lambda world: world.delete(world.item("SIGN_OFF#eng-reliability#"))),
    "a signature forged": State(_forged),
    "evidence edited": State(_edited),
    "evidence gone": State(lambda world: shutil.rmtree(world.evidence)),
    "the run's record gone": State(lambda world: [world.delete(each) for each in world.run_records()]),
    "a newer run failed": State(lambda _: None, after_a_failing_run=True),
    "a newer run failed and was deleted": State(
        lambda world: [world.instance.delete_run(each) for each in _runs(world)[:1]], after_a_failing_run=True
    ),
}


def _runs(world: World) -> list[str]:
    return [record.dagster_run.run_id for record in world.instance.get_run_records()]


class Candidates:
    """Puts the candidate back in one of the states, each time in a folder of its own."""

    def __init__(self, again: PutBack, folder: Path) -> None:
        self._again, self._folder, self._made = again, folder, 0
        self._kept_after_failing = cache(self._make_failing)

    def _make_failing(self) -> Kept:
        with pytest.MonkeyPatch.context() as patch:
            clean(patch)
            world = self._again(patch, self._folder / "failing")
            failing_run(world)
            return Kept.of(world)

    @contextmanager
    def in_state(self, name: str) -> Iterator[World]:
        state = STATES[name]
        kept = self._kept_after_failing() if state.after_a_failing_run else None
        self._made += 1
        folder = self._folder / f"{self._made}"
        with pytest.MonkeyPatch.context() as patch:
            clean(patch)
            world = self._again(patch, folder, kept)
            try:
                state.spoil(world)
                yield world
            finally:
                world.end()
                shutil.rmtree(folder)


def looks(
    candidates: Candidates,
    seed: int,
    number: int,
    outcome: Outcome,
    say: Callable[[str], None],
    *,
    name: str | None = None,
    count: int = LOOKS,
) -> None:
    """The looks at one candidate, in a drawn state or a given one; what does not hold is noted with its seed."""
    random = Random(f"{seed}/looks/{number}")
    drawn = random.choice([*STATES, "open"])
    name = name or drawn
    with candidates.in_state(name) as world:
        outcome.candidates[name] += 1
        spoilt = set(contradictions())
        for each in range(count):
            plan = Plan.drawn(f"{seed}/looks/{number}/{each}", _REQUESTS)
            about = f"--seed {seed} --candidate {number}, look {each} at a candidate with {name}: {plan}"
            began = time.monotonic()
            with injected(plan):
                problems = _look(world, random, outcome, opens=STATES[name].opens)
            seconds = time.monotonic() - began
            outcome.ticks += 1
            outcome.struck += bool(plan.injected)
            outcome.requests += plan.requests
            outcome.injected.update({str(kind): count for kind, count in plan.injected.items()})
            outcome.longest, outcome.bound = max(outcome.longest, seconds), bound(world.settings)
            if seconds > outcome.bound:
                problems.append(f"took {seconds:.1f} s, bound {outcome.bound:g} s")
            problems += [each for each in _contradictions(world, opens=STATES[name].opens) if each not in spoilt]
            outcome.problems += [f"{about}: {problem}" for problem in problems]
            say(f"look {seed}/{number}/{each} {name}: {sum(plan.injected.values())} of {plan.requests} struck, {seconds:.1f} s")
        outcome.promoted_under_faults += world.records()
        about = f"--seed {seed} --candidate {number}, without faults after {count} looks at a candidate with {name}"
        outcome.problems += [f"{about}: {problem}" for problem in _afterwards(world, opens=STATES[name].opens)]


def _look(world: World, random: Random, outcome: Outcome, *, opens: bool) -> list[str]:
    """A tick, and the promotion that it asks for; now and then one that nobody asked for."""
    problems = []
    try:
        tick = world.tick()
        requests = [request for request in tick.requests if request.job_name == PROMOTION_JOB]
        if requests and not opens:
            problems.append(f"a promotion was asked for: {tick.lines}")
        for request in requests:
            outcome.promotions += 1
            world.launch(request)
        if not requests and random.random() < 0.3:
            outcome.promotions += 1
            world.promote()
    except Exception as error:  # noqa: BLE001 - a crash is what is looked for
        problems.append(f"{type(error).__name__}: {error}"[:600])
    return problems


def _contradictions(world: World, *, opens: bool) -> list[str]:
    """What items of the state table, the target and files say that cannot all be true."""
    items = [(item["pk"]["S"], item["sk"]["S"]) for item in world.items()]
    mine = Counter(sk.partition("#")[0] for pk, sk in items if pk == f"RELEASE#{RELEASE.environment}#{RELEASE.name}")
    effects, fate = world.effects(), world.state.candidate(RELEASE).fate
    attested = len(list(world.evidence.glob("*/attestations/[!.]*"))) if world.evidence.exists() else 0
    found = contradictions()
    if effects > 1 or mine["PROMOTION"] > 1 or mine["PREPARED"] > 1:
        found.append(f"{effects} effects, {mine['PROMOTION']} records, {mine['PREPARED']} prepared")
    if not opens and (effects or mine["PROMOTION"] or attested):
        found.append(f"OPENED: {effects} effects, {mine['PROMOTION']} records, {attested} attestations")
    if mine["PROMOTION"] and not (effects and mine["PREPARED"]):
        found.append("recorded as promoted, and the target was not told, or nothing was prepared")
    if effects and not mine["PREPARED"]:
        found.append("the target was told, and nothing was prepared")
    if fate is Fate.PROMOTED and not mine["PROMOTION"]:
        found.append("the fate is PROMOTED without a record")
    if any(pk.startswith("PROMOTED#") for pk, _ in items) and not mine["PROMOTION"]:
        found.append("noted as promoted without a record")
    return found


def _afterwards(world: World, *, opens: bool) -> list[str]:
    """What is not as without faults, once these are over and the locks of what they broke have expired."""
    for lock in [item for item in world.items() if item["sk"]["S"].startswith("LOCK#")]:
        world.put({**lock, "taken_at": {"S": "2026-01-01T00:00:00.000Z"}})
    try:
        if not opens:
            world.stays_closed()
            return []
        said = []
        for _ in range(3):
            tick = world.tick()
            said = tick.lines
            for request in tick.requests:
                if request.job_name == PROMOTION_JOB:
                    said.append(world.launch(request).said)
        if (world.effects(), world.records()) != (1, 1) or world.state.candidate(RELEASE).fate is not Fate.PROMOTED:
            return [f"{world.effects()} effects, {world.records()} records, {world.state.candidate(RELEASE).fate}: {said}"]
        world.shows_one_promotion()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not as without faults
        return [f"{type(error).__name__}: {error}"[:600]]
    return _contradictions(world, opens=opens)
