"""Items that are larger than DynamoDB takes: their long attributes are packed together into one. Pure.

A statement lists every finding that whoever signs is bound to, so that a row with ten thousand of them makes an item of more than
400 KB. Items that fit are written as they are. What must not live here: which items there are, calls.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

#: The attribute of a packed item: a line of JSON with name, kind and length of each, then their bytes, all of it compressed.
PACKED = "packed_attributes"

LARGEST = 400 * 1024
"""Bytes of an item with the names of its attributes (DynamoDB Developer Guide, quotas)."""

_FITS = LARGEST - 20_000  # how DynamoDB counts numbers, lists and maps is only known about
_LONG = 1000  # bytes of an attribute that is packed
_LARGEST_UNPACKED = 64_000_000


def packed(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item as it is written: as it is where it fits, else with its long texts and bytes packed."""
    if size(item) <= _FITS:
        return dict(item)
    long = {name: value for name, value in item.items() if isinstance(value, str | bytes) and len(value) > _LONG}
    contents = {name: value.encode() if isinstance(value, str) else value for name, value in long.items()}
    head = [[name, type(long[name]).__name__, len(content)] for name, content in contents.items()]
    whole = b"\n".join((json.dumps(head).encode(), b"".join(contents.values())))
    return {**{name: value for name, value in item.items() if name not in long}, PACKED: zlib.compress(whole, 9)}


def unpacked(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item as it was before it was packed; one that was not stays as it is.

    Raises:
        ValueError: what is packed cannot be read.
    """
    if PACKED not in item:
        return dict(item)
    unpacking = zlib.decompressobj()
    if not hasattr(item[PACKED], "__bytes__"):  # of a number, `bytes` would make as many zeros
        raise ValueError(f"{PACKED} cannot be read: it is no binary")
    try:
        whole = unpacking.decompress(bytes(item[PACKED]), _LARGEST_UNPACKED)
        head, _, contents = whole.partition(b"\n")
        parts = [(str(name), str(kind), int(length)) for name, kind, length in json.loads(head)]
    except (zlib.error, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{PACKED} cannot be read: {error}") from error
    if not unpacking.eof or sum(length for _, _, length in parts) != len(contents) or any(name in item for name, _, _ in parts):
        raise ValueError(f"{PACKED} cannot be read: it is not whole")
    found = {name: value for name, value in item.items() if name != PACKED}
    start = 0
    for name, kind, length in parts:
        content = contents[start : start + length]
        found[name] = content.decode() if kind == "str" else content
        start += length
    return found


def size(item: Mapping[str, Any]) -> int:
    """About how many bytes DynamoDB counts: names, texts and bytes exactly, of the rest what it takes as text."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: object) -> int:
    if isinstance(value, bytes):
        return len(value)
    return len((value if isinstance(value, str) else str(value)).encode())
