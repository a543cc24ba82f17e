"""OCSF events as the models of py-ocsf-models read them back."""

import json

from hypothesis import given, settings
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding

from phase5_ops.report.document import EXIT_OPEN, ReadinessDocument
from phase5_ops.report.formats import Format, render
from phase5_ops_tests.report.formats.sample import CONTEXT, HOSTILE, closed, document, documents


def events_of(shown: ReadinessDocument) -> list[dict]:
    events = json.loads(render(shown, Format.ocsf, CONTEXT))
    for event in events:
        read = ComplianceFinding.model_validate(event)
        assert (read.class_uid, read.category_uid, read.type_uid) == (2003, 2, 200300 + read.activity_id)
    return events


@settings(max_examples=25, deadline=None)
@given(documents())
def test_every_event_is_a_compliance_finding_and_a_closed_gate_has_one_that_does_not_pass(shown: ReadinessDocument):
    events = events_of(shown)
    if shown.exit_code != EXIT_OPEN:
        assert any(event["compliance"]["status_id"] != 1 or event["unmapped"]["row_closes_the_gate"] for event in events)


def test_verdicts_become_severity_and_compliance_status():
    found = {event["unmapped"]["row"]: event for event in events_of(closed())}
    shown = {row: (found[row]["severity"], found[row]["compliance"]["status_id"]) for row in ("1.1", "2.2", "3.2", "4.2", "5.1")}
    assert shown == {"1.1": ("Informational", 1), "2.2": ("Low", 2), "3.2": ("Medium", 2), "4.2": ("High", 3), "5.1": ("High", 2)}
    assert {row for row, event in found.items() if event["unmapped"]["row_closes_the_gate"]} == {
        "2.2", "3.2", "4.2", "5.1", "S.2", "gate",
    }  # fmt: skip


def test_what_is_waived_is_suppressed_and_what_was_there_before_is_an_update():
    events = events_of(closed())
    assert [event["unmapped"]["row"] for event in events if event["status"] == "Suppressed"] == ["1.2"]
    updated = [(event["unmapped"]["row"], event["status_detail"]) for event in events if event["activity_name"] == "Update"]
    assert updated == [("2.1", "nothing"), ("5.1", "denied")]


def test_events_name_the_cloud_that_was_judged_and_nobody_where_nothing_was():
    assert events_of(closed())[0]["cloud"] == {
        "provider": "AWS",
        "region": "us-west-2",
        "account": {"name": "123456789012", "type": "AWS Account", "type_id": 10, "uid": "123456789012"},
    }
    unjudged = events_of(document(judged=None))[0]
    assert "cloud" not in unjudged
    assert "cloud" not in unjudged["metadata"]["profiles"]


def test_no_link_leads_to_a_file_or_a_script():
    text = render(closed(), Format.ocsf, CONTEXT)
    assert "javascript:" not in text
    assert "file:" not in text
    assert HOSTILE not in text
