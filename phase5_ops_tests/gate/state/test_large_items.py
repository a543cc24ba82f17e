"""An item that is too large for DynamoDB is packed, read as it was, and refused with the reason where even that does not help."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.gate.state import large_items
from phase5_ops.gate.state.large_items import LARGEST, PACKED, packed, size, unpacked

LONG = {"pk": "RELEASE#p#r", "sk": "STATEMENT#000001", "payload": b"tenant-00001 " * 40_000, "said": "ü" * 2000, "digest": "d"}


def test_what_fits_is_written_as_it_is():
    small = {**LONG, "payload": b"x" * 300_000}
    assert packed(small) == small
    assert unpacked(small) == small


def test_what_does_not_fit_is_packed_and_read_as_it_was():
    written = packed(LONG)
    assert written.keys() == {"pk", "sk", "digest", PACKED}  # what conditions are about stays as it is
    assert size(written) < LARGEST / 20
    assert unpacked(written) == LONG


@given(st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.binary(max_size=3000), st.text(max_size=3000)), min_size=1))
def test_any_texts_and_bytes_come_back(attributes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_items, "_FITS", 0)
        assert unpacked(packed(attributes)) == attributes


@pytest.mark.parametrize(
    "content",
    [
        b"no zlib",
        zlib.compress(b"[]\nrest"),
        zlib.compress(b'[["payload", "bytes", 5]]\nfour'),
        zlib.compress(b'[["pk", "str", 4]]\nfour'),
        zlib.compress(b'[["payload", "str", 1]]\n\xff'),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"1\n"),
        zlib.compress(b'[["a", "bytes", 1]]\nx')[:-2],
    ],
)
def test_what_somebody_else_packed_is_not_read(content):
    with pytest.raises(ValueError, match=r"cannot be read|decode"):
        unpacked({"pk": "p", PACKED: content})
    for other in ("text", 10**9, 10**400, None):
        with pytest.raises(ValueError, match="cannot be read"):
            unpacked({"pk": "p", PACKED: other})


def test_a_bomb_is_not_unpacked():
    with pytest.raises(ValueError, match="cannot be read"):
        unpacked({"pk": "p", PACKED: zlib.compress(b'[["a", "bytes", 1]]\n' + bytes(70_000_000))})
