"""Audit exports as CCNative writes them: a JSON array of ledger entries, without the keys of the table and its indexes. Pure.

What lives here: reading such a file strictly, and comparing an entry of it with the ledger's item, attribute by attribute. What
must not: which entries should be there, and what it means that one is not.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from phase5_ops.ccnative.attributes import shown
from phase5_ops.input_files.json_text import json_value
from phase5_ops.input_files.written_twice import distinct

#: Attributes that are the table's own and no part of an entry; an export need not have them, but no others.
KEYS = frozenset({"pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"})


class MalformedExport(ValueError):
    """A file that is no export: what is wrong with it."""


def entries_of_export(text: str) -> list[Mapping[str, Any]]:
    """The entries of a JSON export, each with a text `entryId`.

    Raises:
        MalformedExport: the file is no such export.
    """
    try:
        value = json_value(text, pairs=distinct, fractions=Decimal)
    except ValueError as error:
        raise MalformedExport(f"no JSON: {error}") from error
    if not isinstance(value, list):
        raise MalformedExport(f"expected an array of entries, found {shown(value)}")
    for number, entry in enumerate(value):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("entryId"), str) or not entry["entryId"]:
            raise MalformedExport(f"entry {number}: expected an object with an entryId, found {shown(entry)}")
    return value


def differing(item: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """The names of the attributes that an exported entry has otherwise than the ledger's item, in DynamoDB JSON."""
    names = {*item, *entry} - (KEYS - entry.keys())
    return sorted(name for name in names if name not in item or name not in entry or not _same(item[name], entry[name]))


def _same(held: Any, exported: Any) -> bool:  # noqa: ANN401 - DynamoDB JSON, plain JSON
    if not isinstance(held, Mapping) or len(held) != 1:
        return False
    kind, bare = next(iter(held.items()))
    if kind == "M":
        return isinstance(exported, Mapping) and bare.keys() == exported.keys() and all(_same(bare[n], exported[n]) for n in bare)
    if kind == "L":
        return isinstance(exported, list) and len(bare) == len(exported) and all(map(_same, bare, exported))
    if kind == "N":
        return (
            isinstance(exported, int | float | Decimal)
            and not isinstance(exported, bool)
            and _decimal(exported) == _decimal(bare)
        )
    if kind in ("SS", "NS"):
        if not isinstance(exported, list) or len(bare) != len(exported):
            return False
        return all(any(_same({kind[0]: one}, other) for other in exported) for one in bare)  # a set has nothing twice
    if kind == "NULL":
        return exported is None
    return kind in ("S", "BOOL") and type(exported) is type(bare) and exported == bare


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
