"""ARNs of a table's indexes and streams that a role is asked about: made up ones, and those that its policies name. Pure.

A policy may grant one index alone (`.../index/by-status`), and an index holds the table's items: so every name in a policy is
asked for, beside names that only a wildcard fits. What must not live here: who may do what on them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

INDEX, STREAM = "index", "stream"
#: Of each kind two, so that a Deny of one by its name does not stand for all.
_MADE_UP = {INDEX: ("gsi1-index", "any-other"), STREAM: ("2026-01-01T00:00:00.000", "2026-01-02T00:00:00.000")}
_NAMED = re.compile(rf"\b({INDEX}|{STREAM})/([^/]+)$")
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def parts_named(statements: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Names of indexes and streams by kind; a wildcard in a name stands for nothing, `?` and a variable for one letter."""
    found = {kind: dict.fromkeys(names) for kind, names in _MADE_UP.items()}
    for statement in statements:
        values = statement.get("Resource")
        for pattern in values if isinstance(values, (list, tuple)) else [values]:
            if match := _NAMED.search(str(pattern)):
                name = _VARIABLE.sub("x", match[2]).replace("*", "").replace("?", "x")
                found[match[1]].update({name: None} if name else {})
    return {kind: tuple(names) for kind, names in found.items()}
