"""Every scenario: importing this module imports each module of the folder, which registers its own."""

from importlib import import_module
from pkgutil import iter_modules

from phase5_ops.sandbox import scenarios
from phase5_ops.sandbox.scenarios.registry import REGISTERED, Scenario
from phase5_ops.settings import ConfigurationError

#: Modules in the order in which scenarios are listed; others of the folder come after these.
_ORDER = (
    "platform",
    "slo",
    "alarms",
    "breakers",
    "replay_audit",
    "replay_probes",
    "isolation",
    "function_roles",
    "logs",
    "autonomy",
    "costs",
    "reading",
)
for _module in iter_modules(scenarios.__path__, f"{scenarios.__name__}."):
    import_module(_module.name)


def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario: module by module, in order of declaration."""
    order = {f"{scenarios.__name__}.{name}": position for position, name in enumerate(_ORDER)}
    return tuple(sorted(REGISTERED.values(), key=lambda each: order.get(each.change.__module__, len(order))))


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
