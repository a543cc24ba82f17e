"""Packed data in text: the quick look for its beginning misses none and takes nothing else."""

from hypothesis import example, given
from hypothesis import strategies as st

from phase5_ops.input_files import packed_text
from phase5_ops.input_files.kinds import BEGINNINGS_IN_BASE64

PIECES = [b"H4sI", b"H4s", b"KLUv", b"Qlpo", b"/Td6", b"UEsD", b"eyJtZXNzYWdl", b"eyJ", b"a", b"4sI", b" ", b"\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join))
@example(b"")
@example(b"abcH4sI")
def test_the_quick_look_finds_the_first_four_bytes_of_each_beginning_wherever_they_stand(text: bytes):
    assert packed_text._may_begin(text) == any(beginning[:4] in text for beginning in BEGINNINGS_IN_BASE64)
