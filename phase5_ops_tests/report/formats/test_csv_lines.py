"""CSV as a spreadsheet reads it."""

import csv
from io import StringIO

import pandas as pd
import pytest

from phase5_ops.report.formats import Format, render
from phase5_ops.report.formats.csv_lines import HEADER, guarded
from phase5_ops_tests.report.formats.sample import CONTEXT, closed


def test_a_line_a_finding_and_one_for_a_row_without_any():
    text = render(closed(), Format.csv, CONTEXT)
    lines = list(csv.DictReader(StringIO(text, newline=""), strict=True))
    found = {row.id: max(1, len(row.findings)) for row in (*closed().rows, *closed().extra_checks)} | {"gate": 1}
    assert {row: sum(line["row"] == row for line in lines) for row in found} == found
    assert text.count("\r\n") == text.count("\n") == len(lines)  # the last line is ended by whoever writes the text
    assert tuple(lines[0]) == HEADER
    (waived,) = (line for line in lines if line["row"] == "1.2")
    assert (waived["verdict"], waived["waived"], waived["outcome"]) == ("FAIL", "yes", "passed")
    assert waived["remedy"] == "Create the alarm."


def test_a_data_frame_reads_the_same():
    frame = pd.read_csv(StringIO(render(closed(), Format.csv, CONTEXT)), dtype=str, keep_default_na=False)
    assert list(frame.columns) == list(HEADER)
    assert set(frame.loc[frame.outcome == "undecided", "row"]) == {"3.2", "5.1"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"])  # noqa: RUF001
def test_no_cell_is_a_formula(text: str):
    assert guarded(text).startswith("'")
    assert "\t" not in guarded(text)


def test_other_cells_are_as_they_are():
    assert guarded("tenant acme, 3 of 4") == "tenant acme, 3 of 4"
