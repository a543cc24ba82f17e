"""Finds and decodes packed data that text holds as base64, as in streams and failed deliveries. Pure.

It is recognized by its beginning: a packing, or a subscription's envelope. What must not live here: what it says once unpacked.
"""

import base64
import re
from collections.abc import Iterator

import numpy as np

from phase5_ops.input_files.kinds import BEGINNINGS_IN_BASE64, PACKINGS
from phase5_ops.input_files.late_module import BYTE_LOOPS

_ENVELOPE = b'{"messageType"'
_LEAST = 20  # characters after its beginning: less holds nothing
_LOOKED_FOR = [np.uint32(int.from_bytes(beginning[:4], "little")) for beginning in BEGINNINGS_IN_BASE64]
_RUN = re.compile(rb"(?<![A-Za-z0-9+/_-])(?:%b)[A-Za-z0-9+/_-]{%d,}" % (b"|".join(BEGINNINGS_IN_BASE64), _LEAST))
_OTHER_LETTERS = bytes.maketrans(b"-_", b"+/")
_ZIP = b"PK\x03\x04"


def packed_in(text: bytes) -> Iterator[bytes]:
    """The bytes of each run of base64 in a text that begins like packed data; of a run that is cut off, as much as there is."""
    if not _may_begin(text):
        return
    for match in _RUN.finditer(text):
        run = match.group().translate(_OTHER_LETTERS)
        whole = len(run) - (len(run) % 4 == 1)  # a single letter left over encodes nothing
        data = base64.b64decode(run[:whole] + b"=" * (-whole % 4))
        if data.startswith((*PACKINGS, _ZIP, _ENVELOPE)):
            yield data


def _may_begin(text: bytes) -> bool:
    """Whether the first four bytes of a beginning are in a text: faster than a search for each, and most texts have none."""
    if loops := BYTE_LOOPS.after(len(text)):
        return bool(loops.packed_begins(np.frombuffer(text, np.uint8)))
    for offset in range(4):
        words = np.frombuffer(text, "<u4", max(0, len(text) - offset) // 4, offset if len(text) > offset else 0)
        if any((words == wanted).any() for wanted in _LOOKED_FOR):
            return True
    return False
