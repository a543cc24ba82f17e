"""What a scenario is: a named state of the sandbox platform that declares exactly which rows it turns, and into what.

A scenario is a small change to the healthy blueprint. `turns` names every row and extra check whose verdict then differs from
PASS, with the finding code that must be among its findings; all others stay PASS. The acceptance tests run every scenario.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.healthy import empty, healthy
from phase5_ops.verdict import Verdict

Change = Callable[[Blueprint], None]
Turns = Mapping[str, tuple[Verdict, str]]

WARN, INCONCLUSIVE, FAIL, ERROR = Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR

NOTE, TASK, CRM = "internal.create_note", "internal.create_task", "crm.create_task"
EMPTY = "empty"


@dataclass(frozen=True)
class Scenario:
    """A named state of the platform."""

    name: str
    description: str
    turns: Turns
    change: Change

    def blueprint(self, now: datetime, region: str) -> Blueprint:
        """The platform's state at `now`."""
        state = empty(now) if self.name == EMPTY else healthy(now, region)
        for part in _EVERY_PLATFORM:
            part(state)
        self.change(state)
        return state


REGISTERED: dict[str, Scenario] = {}
_EVERY_PLATFORM: list[Change] = []


def every_platform(change: Change) -> Change:
    """Registers the decorated change as a part of every platform, which a scenario then changes."""
    _EVERY_PLATFORM.append(change)
    return change


def scenario(name: str, description: str, turns: Turns) -> Callable[[Change], Change]:
    """Registers the decorated change as a scenario."""

    def register(change: Change) -> Change:
        if name in REGISTERED:
            raise ValueError(f"scenario {name} declared twice")
        REGISTERED[name] = Scenario(name, description, dict(turns), change)
        return change

    return register
