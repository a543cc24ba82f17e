"""Every scenario: importing this module registers them all, in the order of the checklist."""

from phase5_ops.sandbox.scenarios import (
    alarms,
    autonomy,
    breakers,
    costs,
    function_roles,
    isolation,
    logs,
    platform,
    reading,
    replay_audit,
    replay_probes,
    slo,
)
from phase5_ops.sandbox.scenarios.registry import REGISTERED, Scenario
from phase5_ops.settings import ConfigurationError

#: Each registers its scenarios when it is imported.
_MODULES = (
    platform,
    slo,
    alarms,
    breakers,
    replay_audit,
    replay_probes,
    isolation,
    function_roles,
    logs,
    autonomy,
    costs,
    reading,
)


def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario: module by module, in order of declaration."""
    order = {module.__name__: position for position, module in enumerate(_MODULES)}
    return tuple(sorted(REGISTERED.values(), key=lambda each: order[each.change.__module__]))


def named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in REGISTERED:
        raise ConfigurationError(f"no scenario {name!r}; `phase5 sandbox --list` shows them all")
    return REGISTERED[name]


def as_table() -> str:
    """The scenarios as text: name, what it is, what it turns."""
    lines = []
    for each in all_scenarios():
        turned = (
            ", ".join(f"{row} {verdict} ({code})" for row, (verdict, code) in each.turns.items())
            or "nothing: every judged row passes"
        )
        lines += [f"{each.name}", f"    {each.description}", f"    turns: {turned}"]
    faults = sum(1 for each in REGISTERED.values() if each.turns)
    return "\n".join([*lines, f"{len(REGISTERED)} scenarios, {faults} of them faults"])
