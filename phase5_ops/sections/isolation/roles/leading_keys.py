"""Values of `dynamodb:LeadingKeys` in IAM policies: what their variables stand for, and which keys they name literally. Pure.

A pattern binds to the caller's tenant only through the caller's tenant tag. Anything else in it lets every caller in: a literal
tenant, and the default of a variable (`${aws:PrincipalTag/tenant_id, 'shared'}`), which applies to callers without the tag. A
wildcard in a default counts as a wildcard. One before the tag (`TENANT#*${...}`) lets other tenants in, and one without the tag
(`USER#*`) everybody's items, unless it is one of the contract's tenant-less forms.

Source: IAM User Guide, "Policy variables", "Specifying default values".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from phase5_ops.ccnative.keys import APPROVED

OWN = "phase5-caller"  # the tenant of the caller in the requests that roles are tested with: no policy names it
OTHER = "phase5-another"  # any other tenant
LEADING_KEYS = "dynamodb:leadingkeys"

_TAG_PREFIX = "aws:principaltag/"
_TENANT_TAGS = frozenset({"tenant", "tenantid"})  # without the marks between the words of a tag's name
_MARKS = re.compile(r"[\s_+=@-]")
_NAMESPACE = re.compile(r".*[:/.]", re.DOTALL)  # as in `custom:tenantId`
_SHARED = tuple(form.prefix for form in APPROVED if form.prefix)
_WILDCARD = re.compile(r"(?<!\[)\*|\*(?!\])")
#: What a wildcard may stand for; as the first character of a pattern also for a whole tenant before what follows.
_FILLINGS, _FIRST_FILLINGS = (OTHER, f"{OTHER}#", f"{OTHER}-"), (f"TENANT#{OTHER}", f"TENANT#{OTHER}#")

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
    """Whether a condition key or variable, in lower case, is the caller's tenant tag.

    It is called `tenant` or `tenant_id`, however that is written (`TenantId`, `custom:tenant-id`); no other tag that only has
    `tenant` in its name, such as `tenant_tier` or `parent_tenant`.
    """
    if not name.startswith(_TAG_PREFIX):
        return False
    return _MARKS.sub("", _NAMESPACE.sub("", name.removeprefix(_TAG_PREFIX))) in _TENANT_TAGS


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


@dataclass(frozen=True, slots=True)
class WildcardKeys:
    """Keys that wildcards let in for a caller with the tenant tag.

    Attributes:
        around_tag: keys of other tenants, by patterns that have the caller's tenant in them.
        without_tag: keys of nobody or of other tenants, by patterns that do not, and that are none of the contract's forms.
    """

    around_tag: tuple[str, ...]
    without_tag: tuple[str, ...]


def wildcard_keys(statements: Iterable[Mapping[str, Any]]) -> WildcardKeys:
    """Keys to ask for because of the wildcards in these statements."""
    around: dict[str, None] = {}
    without: dict[str, None] = {}
    for pattern in _patterns(statements):
        try:
            text = resolved(pattern, Caller.TAGGED, literal_stars=False)
        except NoValue:
            continue
        if text is None:
            continue
        if any(is_tenant_tag(match["name"].strip().lower()) for match in _VARIABLE.finditer(pattern)):
            around |= {key: None for key in _filled(text) if names_another_tenant(key)}
        else:
            without |= {
                key: None for key in _filled(text) if "#" in key and not key.startswith(_SHARED) and _is_beyond(text, key)
            }
    return WildcardKeys(tuple(around), tuple(without))


def _is_beyond(pattern: str, key: str) -> bool:
    """Whether a key is another tenant's, or one of many without a tenant (`USER#*`)."""
    return names_another_tenant(key) or (
        "#" in _WILDCARD.split(pattern)[0] and not (_SEGMENT.search(key) or _SECOND_PLACE.match(key))
    )


def _filled(pattern: str) -> Iterator[str]:
    """Keys that fit a pattern with wildcards; none for a pattern without."""
    first, *others = _WILDCARD.split(pattern)
    for filling in (*_FILLINGS, *(_FIRST_FILLINGS if not first else ())) if others else ():
        key = first + filling + OTHER.join(others)
        yield key.replace("[*]", "*").replace("[?]", "\0").replace("?", "x").replace("\0", "?")


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
