"""What Dagster's pages show is never wider than a window of 1280 pixels, and is Markdown only where we say so."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.orchestration.shown import LONGEST_LINE, in_lines, in_markdown, in_pieces, in_words, table

BREAK = "\u200b"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
_ESCAPED = "\\`*_{}[]<>()#+!|~&$:@"


def read(markdown: str) -> str:
    """What a reader of Markdown sees: escapes and line breaks taken out."""
    text, escaping = "", False
    for char in markdown.replace("  \n", ""):
        if char == "\\" and not escaping:
            escaping = True
            continue
        text, escaping = text + char, False
    return text


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=200)


@given(WORDS, st.integers(4, 60))
def test_a_word_in_pieces_is_the_word_and_no_piece_is_longer(word, longest):
    pieces = in_pieces(word, longest)
    assert "".join(pieces) == word
    assert all(len(piece) <= longest for piece in pieces)


@given(WORDS)
def test_a_long_word_stands_on_several_lines_and_nothing_of_it_becomes_markup(word):
    lines = in_lines(word).split("  \n")
    assert read(in_lines(word)) == word
    for number, line in enumerate(lines):
        assert len(read(line)) <= LONGEST_LINE
        assert not any(char in _ESCAPED for char, before in zip(line[1:], line, strict=False) if before != "\\" and char != "\\")
        assert not (number and line.startswith(("-", "=")))


def test_a_digest_is_shown_whole_in_lines():
    assert in_lines(f"judged {DIGEST}").replace("  \n", "") == f"judged sha256\\:{DIGEST.removeprefix('sha256:')}"
    assert max(map(len, in_lines(DIGEST).split("  \n"))) <= LONGEST_LINE


def test_a_long_address_is_broken_behind_its_scheme_so_that_no_part_of_it_becomes_a_link():
    first, second, *_ = in_lines("https://example.com/a/very/long/way/to/the/runbook/of/the/platform.md").split("  \n")
    assert first == "https\\://"
    assert second.startswith("example.com/a/")


@pytest.mark.parametrize("text", ["a_b*c*", "<b>x</b>", "www.example.com", "| a | b |", "[x](http://y)", "1 + 1", "$x$ & a@b"])
def test_one_list_of_signs_is_escaped_everywhere(text):
    assert in_markdown(text) == in_lines(text)
    assert read(in_markdown(text)) == text


COLUMNS = [dg.TableColumn(name, "str", f"the {name}") for name in ("tool_name", "state", "p99", "calls", "limit", "note", "day")]
ROW = {"tool_name": "crm.create_long_named_task", "state": "OPEN", "p99": "12", "calls": "7", "limit": "9", "note": "x" * 30}


def test_columns_that_find_no_room_are_told_in_words_and_the_worst_asked_for_come_first():
    shown = table(COLUMNS, [ROW, {}])
    names = [column.name for column in shown.schema.columns]
    assert names == ["tool name", "state", "also"]
    assert shown.records[0].data["tool name"].replace(BREAK, "") == ROW["tool_name"]
    assert shown.records[0].data["also"].replace(BREAK, "") == f"p99 12; calls 7; limit 9; note {'x' * 30}"
    assert "limit (the limit)" in shown.schema.columns[-1].description
    assert shown.records[1].data == {"tool name": "", "state": "", "also": ""}


@given(st.lists(st.dictionaries(st.sampled_from([each.name for each in COLUMNS]), WORDS), max_size=4))
def test_a_table_is_never_wider_than_a_page_has_room_for(rows):
    shown = table(COLUMNS, rows)
    widths = [
        max(
            (
                len(part)
                for cell in (column.name, *(record.data[column.name] for record in shown.records))
                for part in cell.replace(BREAK, " ").replace("-", "- ").split(" ")
            ),
        )
        + 2
        for column in shown.schema.columns
    ]
    assert sum(widths) <= 44 or len(widths) == 2


def test_names_become_words():
    assert in_words("open_without_action") == "open without action"
