"""Every scenario, and the text that lists them. The modules of the folder have registered theirs by then."""

from phase5_ops.report.wrapping import labelled
from phase5_ops.sandbox.scenarios.registry import REGISTERED, Scenario
from phase5_ops.settings import ConfigurationError
from phase5_ops.text import did_you_mean, printable


def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario: module by module, in order of declaration."""
    return tuple(REGISTERED.values())


def named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in REGISTERED:
        hint = did_you_mean(name, REGISTERED, "`phase5 sandbox --list` shows them all")
        raise ConfigurationError(f"no scenario {printable(name)}{hint}")
    return REGISTERED[name]


def as_text(width: int) -> str:
    """The scenarios in lines of at most `width` columns: name, what it is, what it turns."""
    lines = []
    for each in all_scenarios():
        turned = ", ".join(f"{row} {verdict} ({code})" for row, (verdict, code) in each.turns.items())
        lines.append(each.name)
        lines += labelled("", each.description, width, indent=4)
        lines += labelled("turns:", turned or "nothing: every judged row passes", width, indent=4)
    faults = sum(1 for each in REGISTERED.values() if each.turns)
    return "\n".join([*lines, f"{len(REGISTERED)} scenarios, {faults} of them faults"])
