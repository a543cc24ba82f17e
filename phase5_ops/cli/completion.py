"""What the shell completes (`phase5 --install-completion`): rows, checks, finding codes, scenarios, roles.

It runs at each press of the tab key, so neither Dagster nor AWS's library is imported.
"""

import json
from collections.abc import Iterable
from importlib.resources import files

from phase5_ops.checklist import ALL_CHECKS, ROLES

#: A value and what is said of it beside.
Completion = tuple[str, str]


def rows(incomplete: str) -> list[Completion]:
    """Ids of rows and names of checks that begin like this."""
    ids = [(row.id, row.title) for row in ALL_CHECKS if row.id != row.check]
    return _beginning(incomplete, [*ids, *((row.check, row.title) for row in ALL_CHECKS)])


def codes(incomplete: str) -> list[Completion]:
    """Finding codes that begin like this."""
    content = json.loads(files("phase5_ops.report").joinpath("findings.json").read_text(encoding="utf-8"))
    every = {code["code"]: code["meaning"] for chapter in content["chapters"] for code in chapter["codes"]}
    return _beginning(incomplete, sorted(every.items()))


def rows_and_codes(incomplete: str) -> list[Completion]:
    """Rows, checks and finding codes that begin like this."""
    return [*rows(incomplete), *codes(incomplete)]


def scenarios(incomplete: str) -> list[Completion]:
    """Scenarios of the sandbox that begin like this."""
    from phase5_ops.sandbox.scenarios.catalogue import all_scenarios

    return _beginning(incomplete, [(each.name, each.description) for each in all_scenarios()])


def roles(incomplete: str) -> list[Completion]:
    """Roles that begin like this."""
    return _beginning(incomplete, [(role, "") for role in ROLES])


def purposes(incomplete: str) -> list[Completion]:
    """Purposes of IAM policies that begin like this."""
    known = ("readiness", "gate", "signer", "pipeline", "init", "auditor", "doctor", "machine")
    return _beginning(incomplete, [(name, "") for name in known])


def _beginning(incomplete: str, known: Iterable[Completion]) -> list[Completion]:
    return [(name, said) for name, said in known if name.startswith(incomplete)]
