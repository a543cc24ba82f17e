"""Values of `dynamodb:LeadingKeys` in IAM policies: what their variables stand for, and which keys they name literally. Pure.

A pattern binds to the caller's tenant only through the caller's tenant tag. Anything else in it lets every caller in: a literal
tenant, and the default of a variable (`${aws:PrincipalTag/tenant_id, 'shared'}`), which applies to callers without the tag. A
wildcard in a default counts as a wildcard.

Source: IAM User Guide, "Policy variables", "Specifying default values".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

OWN = "acme"  # the caller's tenant in the requests that roles are tested with
TENANT_TAG = "tenant"  # `${aws:PrincipalTag/<a name with this in it>}` is the caller's tenant
LEADING_KEYS = "dynamodb:leadingkeys"

_VARIABLE = re.compile(r"\$\{(?P<name>[^},]*)(?:,\s*(?P<default>[^}]*))?\}")
_ESCAPED = frozenset("*?$")  # IAM's way to write the characters themselves: ${*}
_SEGMENT = re.compile(r"(?:^|[#:/|])TENANT#(?P<tenant>[^#:/|]*)")
_SECOND_PLACE = re.compile(r"(?:ACCOUNT|SIGNAL)#(?P<tenant>[^#]*)")
_NO_TENANT = re.compile(r"[A-Z][A-Z0-9_]*")  # a constant such as AUTO_EXEC_STATE


class Caller(Enum):
    """The kind of caller for whom a pattern is read."""

    TAGGED = "has the tenant tag"
    UNTAGGED = "has no tenant tag"


def is_tenant_tag(name: str) -> bool:
    """Whether a condition key or variable, in lower case, is the caller's tenant tag."""
    return name.startswith("aws:principaltag/") and TENANT_TAG in name.removeprefix("aws:principaltag/")


class NoValue(Exception):
    """A pattern holds a variable that has no value for this caller, and no default: nothing matches it."""


@lru_cache(maxsize=4096)  # a role is asked hundreds of questions about the same few patterns
def resolved(pattern: str, caller: Caller, *, literal_stars: bool) -> str | None:
    """The pattern with its variables replaced; None if it holds a variable that is not the tenant tag.

    Raises:
        NoValue: the caller has no tag, and the variable no default.
    """
    parts, position = [], 0
    for match in _VARIABLE.finditer(pattern):
        name = match["name"].strip().lower()
        if name in _ESCAPED:
            text = name if literal_stars or name == "$" else f"[{name}]"
        elif not is_tenant_tag(name):
            return None
        elif caller is Caller.TAGGED:
            text = OWN
        elif match["default"] is None:
            raise NoValue(name)
        else:
            text = match["default"].strip().strip("'\"")
        parts += [pattern[position : match.start()], text]
        position = match.end()
    return "".join([*parts, pattern[position:]])


def named_keys(statements: Iterable[Mapping[str, Any]]) -> dict[Caller, tuple[str, ...]]:
    """Keys of tenants other than the caller's that the patterns of these statements name, for either kind of caller.

    A wildcard is read as nothing and `?` as one character; other requests test what else a pattern lets in.
    """
    found: dict[Caller, dict[str, None]] = {caller: {} for caller in Caller}
    for pattern in _patterns(statements):
        for caller in Caller:
            try:
                key = resolved(pattern, caller, literal_stars=True)
            except NoValue:
                continue
            if key is not None and names_another_tenant(key := key.replace("*", "").replace("?", "x")):
                found[caller][key] = None
    return {caller: tuple(keys) for caller, keys in found.items()}


def has_defaults(statements: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a variable in these statements stands for something where the caller has no tenant tag."""
    return any(match["default"] is not None for pattern in _patterns(statements) for match in _VARIABLE.finditer(pattern))


def names_another_tenant(key: str) -> bool:
    """Whether a partition key names another tenant; one without `#` does, unless it is the caller's or a constant in capitals."""
    named = _SEGMENT.search(key) or _SECOND_PLACE.match(key)
    if named:
        return named["tenant"] not in ("", OWN)
    return bool(key) and "#" not in key and key != OWN and not _NO_TENANT.fullmatch(key)


def _patterns(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Every value of LeadingKeys in the conditions of these statements."""
    for statement in statements:
        block = statement.get("Condition")
        for keys in block.values() if isinstance(block, Mapping) else ():
            for name, values in keys.items() if isinstance(keys, Mapping) else ():
                if str(name).lower() == LEADING_KEYS:
                    yield from map(str, values if isinstance(values, (list, tuple)) else [values])
