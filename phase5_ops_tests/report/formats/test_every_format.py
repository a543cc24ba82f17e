"""What holds of every format: a fixed document looks as it is kept, and no text breaks it or hides that the gate is closed."""

import csv
import json
from importlib.metadata import version
from io import StringIO
from xml.etree import ElementTree

from hypothesis import given, settings
from syrupy.assertion import SnapshotAssertion

from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import Format, RenderContext, render
from phase5_ops_tests.report.formats.sample import CONTEXT, closed, document, documents

#: Formats that are read back here; the others have a test of their own.
READERS = {
    Format.json: json.loads,
    Format.sarif: json.loads,
    Format.ocsf: json.loads,
    Format.oscal: json.loads,
    Format.junit: ElementTree.fromstring,
    Format.csv: lambda text: list(csv.reader(StringIO(text, newline=""), strict=True)),
}


def without_version(text: str) -> str:
    return text.replace(f'"{version("phase5-ops")}"', '"VERSION"')


def test_json(snapshot: SnapshotAssertion):
    assert render(closed(), Format.json, CONTEXT) == snapshot


def test_markdown(snapshot: SnapshotAssertion):
    assert render(closed(), Format.markdown, CONTEXT) == snapshot


def test_junit(snapshot: SnapshotAssertion):
    text = render(closed(), Format.junit, CONTEXT)
    assert ElementTree.canonicalize(text) == snapshot  # lxml, where it is installed, writes empty elements otherwise


def test_csv(snapshot: SnapshotAssertion):
    assert render(closed(), Format.csv, CONTEXT) == snapshot


def test_sarif(snapshot: SnapshotAssertion):
    assert without_version(render(closed(), Format.sarif, CONTEXT)) == snapshot


def test_ocsf(snapshot: SnapshotAssertion):
    assert without_version(render(closed(), Format.ocsf, CONTEXT)) == snapshot


def test_oscal(snapshot: SnapshotAssertion):
    assert without_version(render(closed(), Format.oscal, CONTEXT)) == snapshot


@settings(max_examples=20, deadline=None)
@given(documents())
def test_no_text_breaks_a_format(shown: ReadinessDocument):
    for each, read in READERS.items():
        text = render(shown, each, CONTEXT)
        text.encode()
        read(text)
        if each is not Format.json:
            assert "\x1b" not in text
            assert "\x00" not in text


def test_a_closed_gate_without_any_reason_is_shown_closed():
    silent = document(exit_code=2, decision="BLOCKED")
    for each in (Format.junit, Format.csv, Format.sarif, Format.ocsf, Format.oscal):
        assert "the gate is not open (exit code 2), and no row says why" in render(silent, each, RenderContext())
