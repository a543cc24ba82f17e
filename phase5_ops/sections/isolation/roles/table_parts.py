"""Names of a table's indexes and streams on which a role is tested: made-up names, and those in its policies. Pure.

A policy may grant one index alone (`.../index/by-status`), or a Deny spare it, and an index holds the table's items. So a role
is tested on every name in its policies and its boundary, and on names that only a wildcard fits. What must not live here: who may
do what on them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

INDEX, STREAM = "index", "stream"
#: Two of each kind, so that a Deny of one name does not count for all.
_MADE_UP = {INDEX: ("gsi1-index", "any-other"), STREAM: ("2026-01-01T00:00:00.000", "2026-01-02T00:00:00.000")}
_NAMED = re.compile(rf"\b({INDEX}|{STREAM})/([^/]+)$")
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def parts_named(statements: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Names of indexes and streams by kind; a wildcard in a name is read as nothing, `?` and a variable as one letter."""
    found = {kind: dict.fromkeys(names) for kind, names in _MADE_UP.items()}
    for statement in statements:
        for values in (statement.get("Resource"), statement.get("NotResource")):
            for pattern in values if isinstance(values, (list, tuple)) else [values]:
                if match := _NAMED.search(str(pattern)):
                    name = _VARIABLE.sub("x", match[2]).replace("*", "").replace("?", "x")
                    found[match[1]].update({name: None} if name else {})
    return {kind: tuple(names) for kind, names in found.items()}
