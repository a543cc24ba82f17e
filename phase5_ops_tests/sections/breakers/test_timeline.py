"""The Markdown timeline of breaker states."""

from datetime import timedelta

from markdown_it import MarkdownIt

from phase5_ops.evidence.history import Snapshot
from phase5_ops.sections.breakers.timeline import timeline
from phase5_ops_tests.sections.breakers.support import NOW


def series(connector, states):
    return [
        Snapshot(connector, f"run-{n}", NOW + timedelta(days=n), {"state": state})
        for n, state in enumerate(states)
        if state != "-"
    ]


def by_run(snapshots):
    return sorted(snapshots, key=lambda snapshot: snapshot.observed_at)


def test_a_sign_a_run_and_the_changes_newest_first():
    text = timeline(by_run([*series("internal", ["CLOSED", "OPEN", "CLOSED"]), *series("crm", ["-", "HALF_OPEN", "BROKEN"])]))
    assert "| `internal` | ●○● | `CLOSED` |" in text
    assert "| `crm` | ·◐? | `BROKEN` |" in text
    changes = text.splitlines()[-3:]
    assert changes[-1] == "| 2026-11-24T09:16:00.000Z | `internal` | `CLOSED` | `OPEN` |"
    assert "2026-11-25" in changes[0]


def test_no_history_says_so():
    assert timeline([]) == "No snapshot of a breaker yet."


def test_a_connector_that_is_gone_shows_as_not_observed():
    text = timeline(by_run([*series("a", ["CLOSED", "-"]), *series("b", ["CLOSED", "CLOSED"])]))
    assert "| `a` | ●· | `not observed` |" in text


def test_thirty_connectors_and_a_long_history_stay_one_line_each():
    snapshots = by_run([snap for n in range(30) for snap in series(f"connector_{n:02}", ["CLOSED", "OPEN"] * 30)])
    text = timeline(snapshots)
    lines = text.splitlines()
    assert len([line for line in lines if line.startswith("| `connector_")]) == 30
    assert len([line for line in lines if line.startswith("| 20")]) == 20
    assert max(len(line) for line in lines) < 160
    assert MarkdownIt("commonmark").enable("table").render(text).count("<table>") == 2


def test_a_name_cannot_break_out_of_its_cell():
    text = timeline(series("a|b\n`c`", ["CLOSED"]))
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<td><code>a|b 'c'</code></td>" in html
