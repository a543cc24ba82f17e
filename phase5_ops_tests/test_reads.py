"""Reads travel with their table, and what was not read whole becomes a finding."""

from datetime import UTC, datetime

import pytest

from phase5_ops.reads import Read, ReadStatus, read_findings
from phase5_ops.verdict import Verdict

NOW = datetime(2026, 11, 23, 9, 16, tzinfo=UTC)


def read(status=ReadStatus.OK, operation="dynamodb:Scan", resource="t", error=None):
    return Read(operation, resource, status, error, 2, "2026-11-23T09:16:00.000Z", "2026-11-23T09:16:01.000Z")


def test_an_entry_has_the_published_names():
    assert read().as_entry() == {
        "operation": "dynamodb:Scan",
        "resource": "t",
        "status": "ok",
        "error": None,
        "pages": 2,
        "from": "2026-11-23T09:16:00.000Z",
        "to": "2026-11-23T09:16:01.000Z",
    }


def test_whole_reads_find_nothing():
    assert read_findings([read(), read()]) == []


@pytest.mark.parametrize("status", [status for status in ReadStatus if status is not ReadStatus.OK])
def test_a_read_that_was_not_whole_names_call_and_resource(status):
    (finding,) = read_findings([read(), read(status, error="why")])
    assert (finding.subject, finding.seen) == ("dynamodb:Scan t", f"{status}: why")
    partial = status is ReadStatus.PARTIAL
    assert (finding.code, finding.verdict) == (
        ("partial_data", Verdict.INCONCLUSIVE) if partial else ("read_failed", Verdict.ERROR)
    )


def test_a_table_that_does_not_say_how_it_was_read_is_an_error():
    (finding,) = read_findings([])
    assert (finding.code, finding.verdict) == ("reads_missing", Verdict.ERROR)


def test_ignoring_an_operation_or_one_resource_of_it():
    reads = [read(ReadStatus.DENIED), read(ReadStatus.DENIED, resource="u"), read(ReadStatus.DENIED, "s3:GetObject")]
    assert [f.subject for f in read_findings(reads, ignoring=["dynamodb:Scan"])] == ["s3:GetObject t"]
    assert [f.subject for f in read_findings(reads, ignoring=["dynamodb:Scan t", "s3:GetObject"])] == ["dynamodb:Scan u"]
