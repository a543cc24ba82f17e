"""Statements have the fields of their specifications, equal facts give equal bytes, and what is read is what was written."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, canonical_json, envelope_bytes, read_envelope, strict_json
from phase5_ops.gate.attestation.readiness_statement import StatementRow, facts_of, readiness_facts, waived_findings
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.decision.signature_rules import of_another_series
from phase5_ops.gate.records import RowFacts, Waiver
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE, decision_payload, readiness_payload

ROW = StatementRow("1.1", "PASS", opens=True, waived=False, blocking=True, observed_at=NOW)
WAIVER = Waiver("w", "1.2", DIGEST, frozenset({("code", "x")}), "why", "T-1", NOW, NOW + timedelta(days=1), "ops-sre", "carol")


def test_a_readiness_statement_is_an_in_toto_test_result():
    statement = json.loads(readiness_payload(url="https://reports.example.com/1"))
    assert statement.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [{"name": "r-1.2.3", "digest": {"sha256": "d" * 64}}]
    predicate = statement["predicate"]
    assert predicate.keys() == {"result", "configuration", "url", "passedTests", "warnedTests", "failedTests"}
    assert predicate["result"] == "PASSED"
    assert len(predicate["passedTests"]) == len([row for row in ALL_CHECKS if not row.is_sign_off])
    assert all(part.keys() <= {"name", "digest", "annotations"} for part in predicate["configuration"])
    assert {"evidence", "policy", "rows", "waivers", "tables/gate_drill"} <= {p["name"] for p in predicate["configuration"]}


def test_a_decision_statement_is_a_slsa_verification_summary():
    envelope = b"any bytes"
    statement = json.loads(decision_payload(envelope))
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    predicate = statement["predicate"]
    required = {"verifier", "timeVerified", "resourceUri", "policy", "verificationResult", "verifiedLevels", "inputAttestations"}
    assert required <= predicate.keys()
    assert predicate["inputAttestations"] == [{"digest": {"sha256": sha256_of(envelope).removeprefix("sha256:")}}]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("PASSED", ["PHASE5_OPEN"])
    assert predicate["slsaVersion"] == "1.1"  # the first to have verifier.version


def test_equal_facts_give_equal_bytes_whatever_their_order():
    tables = {"a": DIGEST, "b": DIGEST}
    first = readiness_payload(tables=tables, loosened=("x", "y"), waivers=(WAIVER, replace(WAIVER, id="v")))
    again = readiness_payload(
        tables=dict(reversed(tables.items())), loosened=("y", "x"), waivers=(replace(WAIVER, id="v"), WAIVER)
    )
    assert first == again


@pytest.mark.parametrize(
    ("rows", "result", "listed"),
    [
        ((ROW,), "PASSED", "passedTests"),
        ((replace(ROW, verdict="WARN"),), "WARNED", "warnedTests"),
        ((replace(ROW, verdict="FAIL", waived=True),), "WARNED", "warnedTests"),
        ((replace(ROW, verdict="FAIL", blocking=False),), "WARNED", "warnedTests"),
        ((replace(ROW, verdict="FAIL", opens=False),), "FAILED", "failedTests"),
        ((replace(ROW, verdict="STALE", opens=False),), "FAILED", "failedTests"),
        ((), "FAILED", None),
    ],
)
def test_the_result_is_never_better_than_its_rows(rows, result, listed):
    predicate = json.loads(readiness_payload(rows=rows))["predicate"]
    assert predicate["result"] == result
    assert listed is None or predicate[listed] == ["1.1"]


def test_what_is_read_back_is_what_was_signed():
    findings = (("code", "x", Verdict.FAIL), ("code", "y\ud800\u202e", Verdict.WARN))
    rows = (replace(ROW, verdict="FAIL", waived=True, findings=findings), replace(ROW, id="1.2", verdict="STALE", opens=False))
    payload = readiness_payload(rows=rows, waivers=(WAIVER,))
    facts = facts_of(payload)
    assert facts.statement_digest == sha256_of(payload)
    assert facts.release_digest == RELEASE.digest
    assert facts.rows == {"1.1": RowFacts(Verdict.FAIL, frozenset({("code", "x"), ("code", "y\ud800\u202e")}))}
    assert facts.waivers == {"w"}
    assert facts.series == 1


@pytest.mark.parametrize(
    ("signed", "series", "same"), [(1, 1, True), (2, 2, True), (1, 2, False), (None, 1, True), (None, 2, False)]
)
def test_a_statement_is_of_one_series_and_one_that_does_not_say_which_is_of_the_first(signed, series, same):
    assert (of_another_series(signed, series) == ()) is same


def test_what_was_waived_is_what_a_waiver_names_of_a_waived_rows_findings():
    findings = (("code", "x", Verdict.FAIL), ("code", "y", Verdict.FAIL))
    waived = replace(ROW, id="1.2", verdict="FAIL", waived=True, findings=findings)
    wide = replace(WAIVER, pairs=frozenset({("code", "x"), ("gone", "z")}))
    for rows, expected in (
        ((ROW, waived), {("1.2", ("code", "x"))}),
        ((ROW, replace(waived, waived=False)), set()),
        ((ROW,), set()),
    ):
        payload = readiness_payload(rows=rows, waivers=(wide,), in_a_row={"w": 3})
        assert waived_findings(payload) == expected
    said = readiness_facts(read_statement(readiness_payload(rows=(waived,))))
    assert [(f.code, f.subject, f.verdict) for f in said.findings()["1.2"]] == [
        ("code", "x", Verdict.FAIL), ("code", "y", Verdict.FAIL),
    ]  # fmt: skip
    (shown,) = json.loads(payload)["predicate"]["configuration"][3]["annotations"]["waivers"]
    assert shown["releases_in_a_row"] == 3


@pytest.mark.parametrize("year", [1, 1969, 9001, 9999])
def test_a_time_at_the_ends_of_the_calendar_is_no_time_of_a_statement(year):
    """What is counted from such a time is beyond the calendar, which is an error of its own kind in Python."""
    with pytest.raises(MalformedEnvelope, match="evaluated_at: not a time at which anything was recorded"):
        facts_of(readiness_payload(evaluated_at=datetime(year, 1, 1, tzinfo=UTC)))


def test_rows_that_are_not_those_of_their_digest_are_refused():
    statement = json.loads(readiness_payload())
    rows = next(part for part in statement["predicate"]["configuration"] if part["name"] == "rows")
    rows["annotations"]["rows"][0]["verdict"] = "WARN"
    with pytest.raises(MalformedEnvelope, match="not those of their digest"):
        facts_of(canonical_json(statement))


def with_rows(change) -> bytes:
    """A readiness statement with the second of its rows changed, under the digest of what it has then."""
    statement = json.loads(readiness_payload(waivers=(WAIVER,)))
    part = next(part for part in statement["predicate"]["configuration"] if part["name"] == "rows")
    rows = part["annotations"]["rows"]
    change(rows[1])
    part["digest"]["sha256"] = sha256_of(canonical_json(rows)).removeprefix("sha256:")
    return canonical_json(statement)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.pop("id"),
        lambda row: row.update(id=""),
        lambda row: row.update(id="1.1"),
        lambda row: row.pop("verdict"),
        lambda row: row.update(opens="true"),
        lambda row: row.update(waived=1),
        lambda row: row.update(findings=[["code", "subject"]]),
        lambda row: row.update(findings=[["code", "subject", "FINE"]]),
        lambda row: row.update(findings=[["code", 7, "FAIL"]]),
        lambda row: row.update(observed_at="noon"),
    ],
)
def test_rows_that_are_not_what_is_written_are_refused(change):
    assert facts_of(with_rows(lambda row: row.update(more="is passed over"))).rows
    with pytest.raises(MalformedEnvelope):
        facts_of(with_rows(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(more="x"),
        lambda s: s.pop("predicate"),
        lambda s: s.update(predicate=[]),
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda s: s.update(subject=[]),
        lambda s: s["subject"].append(s["subject"][0]),
        lambda s: s["subject"][0].update(name=""),
        lambda s: s["subject"][0]["digest"].update(md5="d" * 32),
        lambda s: s["subject"][0].update(digest=RELEASE.digest),
        lambda s: s.update(predicate_type=s.pop("predicateType")),
        lambda s: s.update(predicateType="https://slsa.dev/verification_summary/v1"),
        lambda s: s["predicate"].pop("result"),
        lambda s: s["predicate"].pop("configuration"),
        lambda s: s["predicate"]["configuration"].pop(),
        lambda s: s["predicate"]["configuration"].pop(0),
        lambda s: s["predicate"]["configuration"].append(s["predicate"]["configuration"][0]),
        lambda s: s["predicate"]["configuration"][0].pop("annotations"),
        lambda s: s["predicate"]["configuration"][0].update(annotations=None),
        lambda s: s["predicate"]["configuration"][0]["annotations"].pop("run_id"),
        lambda s: s["predicate"]["configuration"][0]["annotations"].update(evaluated_at="noon"),
        lambda s: s["predicate"]["configuration"][0]["annotations"].update(environment=""),
    ],
)
def test_what_is_not_a_readiness_statement_is_none(change):
    statement = json.loads(readiness_payload(tables={}))
    change(statement)
    with pytest.raises(MalformedEnvelope):
        facts_of(canonical_json(statement))


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:" + "d" * 32, "sha256:" + "D" * 64, "d" * 64])
def test_only_sha256_digests_are_stated(digest):
    with pytest.raises(ValueError, match="sha256"):
        readiness_payload(release=replace(RELEASE, digest=digest))


def test_an_envelope_is_written_in_one_form_and_read_back():
    content = envelope_bytes(b"{}", {"b": b"\x01", "a": b"\x02"})
    assert content == envelope_bytes(b"{}", {"a": b"\x02", "b": b"\x01"})
    assert read_envelope(content).signatures == {"a": b"\x02", "b": b"\x01"}


@pytest.mark.parametrize(
    "content", [b"{", b'{"a":1,"a":2}', b"NaN", b'{"a":Infinity}', b'{"a":-1e999}', b"\xff", b"[" * 100_000, b"1" * 5000]
)
def test_json_that_reads_two_ways_or_not_at_all_is_refused(content):
    with pytest.raises(MalformedEnvelope):
        strict_json(content)
