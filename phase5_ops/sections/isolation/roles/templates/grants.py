"""What a part of a template grants, and what is not known of it. Pure.

There are two ways to combine parts: together, where all of them count, and as alternatives, where every Allow of any part counts,
but a Deny only if every part has it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Granted:
    """One statement, with the policy that it stands in and that policy's version of the language."""

    policy: str
    version: str
    statement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grants:
    """Statements that may allow, statements that surely deny, and names of what is not judged.

    `managed` are ARNs or names of managed policies whose documents this template does not hold.
    """

    allows: tuple[Granted, ...] = ()
    denies: tuple[Granted, ...] = ()
    not_judged: tuple[str, ...] = ()
    managed: tuple[str, ...] = ()

    def documents(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """(policy, document) pairs, one per policy and version."""
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for one in (*self.allows, *self.denies):
            found.setdefault((one.policy, one.version), []).append(one.statement)
        return tuple((policy, {"Version": version, "Statement": some}) for (policy, version), some in found.items())


NOTHING = Grants()


def not_judged(*names: str) -> Grants:
    """Grants that only name constructs whose effect is not evaluated."""
    return Grants(not_judged=names)


def together(parts: Iterable[Grants]) -> Grants:
    """All of the parts combined."""
    some = list(parts)
    return Grants(
        tuple(one for part in some for one in part.allows),
        tuple(one for part in some for one in part.denies),
        _names(part.not_judged for part in some),
        _names(part.managed for part in some),
    )


def one_of(parts: Sequence[Grants]) -> Grants:
    """One of the parts; it is not known which."""
    whole = together(parts)
    if len(parts) == 1:
        return whole
    denied = [[(one.version, one.statement) for one in part.denies] for part in parts]
    certain = tuple(one for one in whole.denies if all((one.version, one.statement) in part for part in denied))
    return replace(whole, denies=certain)


def perhaps(part: Grants) -> Grants:
    """A part that may not be there."""
    return one_of([part, NOTHING])


def _names(some: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in some for name in names))
