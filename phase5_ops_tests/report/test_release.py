"""The document of a release candidate: no PASS that the gate does not believe, exit codes by the contract, nothing left out."""

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from phase5_ops.build import CATALOGUE
from phase5_ops.checklist import ALL_CHECKS, ROLES, ROW_OF_ID, ROWS
from phase5_ops.gate import reasons
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.waiver_report import waiver_uses
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import GateInputs, Outcome, Reason, RunState, SignOff, Waiver
from phase5_ops.policy import GatePolicy
from phase5_ops.report import markdown, terminal
from phase5_ops.report.document import CandidateEntry, ReadinessDocument, json_schema
from phase5_ops.report.release import LEFT_OUT, release_document, shortened
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import NOW

pytestmark = pytest.mark.slow

GAP = Finding("alarm_missing", Verdict.FAIL, "crm.write", "an alarm", "none", "https://example.com/alarms")
EXTRA = "tool_slo_met"
SCHEMA = jsonschema.Draft202012Validator(json_schema())  # `test_document.py` says that it is one


def stored_entry(row, result) -> dict:
    return {
        "id": "forged",
        "section": "x",
        "title": "x",
        "check": "x",
        "asset": "x",
        "verdict": str(result.verdict),
        "waived": True,
        "summary": f"of {row.id}",
        "facts": {"n": 1},
        "observed_at": "2026-11-23T11:00:00.000Z",
        "findings": [
            {
                "code": f.code,
                "verdict": str(f.verdict),
                "subject": f.subject,
                "expected": f.expected,
                "seen": f.seen,
                "link": f.link,
            }
            for f in result.findings
        ],
        "evidence": [{"label": "Metrics", "url": "https://example.com"}],
        "tables": {},
        "policy_digest": "x",
    }


def complete(policy: GatePolicy | None = None, found: dict[str, tuple[Finding, ...]] | None = None, **changes) -> GateInputs:
    """A candidate with nothing missing but for the findings given by row, its verdict files as the wiring writes them."""
    inputs = complete_inputs(policy or GatePolicy(), NOW)
    results, verdicts = dict(inputs.results), dict(inputs.bundle.verdicts)
    for row_id, findings in (found or {}).items():
        check = ROW_OF_ID[row_id].check
        verdict = max((f.verdict for f in findings), key=lambda each: each.severity)
        results[check] = replace(results[check], verdict=verdict, findings=findings, passed=verdict is Verdict.PASS)
        verdicts[check] = replace(verdicts[check], verdict=verdict, findings=findings)
    for row in ALL_CHECKS:
        if not row.is_sign_off:
            verdicts[row.check] = replace(verdicts[row.check], entry=stored_entry(row, results[row.check]))
    given = {"results": results, "bundle": replace(inputs.bundle, verdicts=verdicts), **changes}
    return replace(inputs, **given)


def document(inputs: GateInputs, fate: str = "PENDING", **changes) -> ReadinessDocument:
    decision = decide(inputs)
    release = inputs.release
    entry = CandidateEntry(
        digest=release.digest,
        series=1,
        fate=fate,
        gate=str(decision.outcome),
        registered_at="2026-11-23T10:00:00.000Z",
        deadline="2026-11-30T10:00:00.000Z",
        url="https://dagster.example.com/runs/1",
    )
    uses = waiver_uses(inputs, decision, [("r-0", frozenset({("1.2", (GAP.code, GAP.subject))}))])
    return release_document(candidate=entry, release=release, inputs=inputs, decision=decision, waivers=uses, **changes)


def row_of(doc: ReadinessDocument, row_id: str):
    return next(row for row in (*doc.rows, *doc.extra_checks) if row.id == row_id)


def without(inputs: GateInputs, row_id: str) -> GateInputs:
    check = ROW_OF_ID[row_id].check
    return replace(inputs, results={name: result for name, result in inputs.results.items() if name != check})


def text_of(doc: ReadinessDocument) -> str:
    console = Console(width=200, file=StringIO())
    terminal.render(doc, console)
    return console.file.getvalue()


def test_a_complete_candidate_is_open_with_its_stored_rows_and_who_signed():
    doc = document(complete())
    assert (doc.decision, doc.exit_code, doc.blockers, doc.release) == ("OPEN", 0, [], "drill")
    assert {row.verdict for row in (*doc.rows, *doc.extra_checks)} == {Verdict.PASS}
    first = row_of(doc, "1.1")
    assert (first.title, first.summary, first.facts, first.evidence[0].label) == (
        ROW_OF_ID["1.1"].title,
        "of 1.1",
        {"n": 1},
        "Metrics",
    )
    assert not first.waived  # the verdict file says it; only the gate waives
    assert [(off.role, off.done) for off in doc.sign_offs] == [(role, True) for role in ROLES]
    assert all(off.by and off.date for off in doc.sign_offs)


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.FAIL, 1), (Verdict.INCONCLUSIVE, 2), (Verdict.ERROR, 2), (Verdict.WARN, 0)]
)
@pytest.mark.parametrize("row", ["1.2", EXTRA])
def test_exit_codes_follow_the_rows(row, verdict, code):
    doc = document(complete(found={row: (replace(GAP, verdict=verdict),)}, statement=None, sign_offs=()))
    assert (doc.exit_code, doc.decision) == (code or 1, "BLOCKED")  # a missing signature is 1 where every row opens
    assert row_of(doc, row).verdict is verdict


def test_a_failing_row_outweighs_one_that_is_undecided_and_a_check_that_only_shows_does_not_count():
    both = complete(found={"1.2": (GAP,), "2.1": (replace(GAP, verdict=Verdict.ERROR),)})
    assert document(both).exit_code == 1
    lenient = complete(GatePolicy(extra_checks_warn_only=(EXTRA,)), found={EXTRA: (GAP,)}, statement=None, sign_offs=())
    assert document(lenient).blockers == [str(reason) for reason in decide(lenient).reasons]
    assert {line.split(" ")[0] for line in document(lenient).blockers} == {"S.1", "S.2", "S.3"}


STATES = {
    "MISSING": (lambda i: without(i, "1.2"), Verdict.ERROR),
    "CRASHED": (lambda i: changed(i, evaluated=False), Verdict.ERROR),
    "UNTRUSTED": (lambda i: changed(i, run=None), Verdict.ERROR),
    "RUNNING": (
        lambda i: changed(i, run=replace(i.results["slo_alarms_defined"].run, state=RunState.RUNNING)),
        Verdict.INCONCLUSIVE,
    ),
    "OUTDATED_POLICY": (lambda i: replace(i, policy_digest="sha256:" + "9" * 64), Verdict.INCONCLUSIVE),
    "STALE": (lambda i: replace(i, now=i.now + timedelta(hours=100)), Verdict.INCONCLUSIVE),
}


def changed(inputs: GateInputs, **changes) -> GateInputs:
    result = replace(inputs.results["slo_alarms_defined"], **changes)
    return replace(inputs, results={**inputs.results, "slo_alarms_defined": result})


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("found", [{}, {"1.2": (GAP,)}], ids=["of a pass", "of a failure"])
def test_a_result_that_does_not_count_is_never_shown_as_its_verdict(state, found):
    change, verdict = STATES[state]
    doc = document(change(complete(found=found)))
    row = row_of(doc, "1.2")
    assert (row.verdict, doc.decision, doc.exit_code) == (verdict, "BLOCKED", 2)
    assert row.summary.startswith(f"{state}: ")
    assert ("not judged" in row.summary) is (verdict in ("INCONCLUSIVE", "ERROR"))
    assert {finding.code for finding in row.findings} <= {code.code for code in GateReason.all()}
    assert any(line.startswith(f"1.2 {state} ") for line in doc.blockers)
    told = f"; it said {'FAIL' if found else 'PASS'}: of 1.2"
    assert (told in row.summary) is (state in ("STALE", "OUTDATED_POLICY"))


def test_a_candidate_without_a_run_is_undecided_with_every_row_missing():
    inputs = replace(complete(), run_id=None, results={}, bundle=None, statement=None, sign_offs=())
    doc = document(inputs)
    assert (doc.exit_code, doc.run_id, doc.decision) == (2, "", "BLOCKED")
    assert doc.blockers[0].startswith("release BLOCKED no_readiness_run")
    assert {row.verdict for row in doc.rows if not ROW_OF_ID[row.id].is_sign_off} == {Verdict.ERROR}


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (GateReason.ALARM_FIRING_NOW.closes("release", "a", "ALARM"), 1),
        (GateReason.ALARMS_UNREADABLE.closes("release", "a", "denied"), 2),
        (GateReason.NEWER_RUN_DISAGREES.closes("release", "run", "row 1.1 is FAIL there"), 1),
        (GateReason.EVIDENCE_CHANGED.closes("release", "run", "x"), 2),
        (Reason("release", "INCONCLUSIVE", "platform_changed_since_evidence", "a", "x"), 2),
        (Reason("release", "BLOCKED", "unheard_of", "a", "x"), 2),
    ],
)
def test_what_concerns_the_release_as_a_whole_closes_and_counts_like_a_row(reason, code):
    doc = document(complete(closing=(reason,)))
    assert (doc.exit_code, doc.decision, doc.blockers) == (code, "BLOCKED", [str(reason)])


def test_a_row_whose_stored_result_cannot_be_shown_is_not_shown_as_open():
    inputs = complete()
    broken = replace(inputs.bundle.verdicts["slo_alarms_defined"], entry={"verdict": "PASS"})
    bundle = replace(inputs.bundle, verdicts={**inputs.bundle.verdicts, "slo_alarms_defined": broken})
    doc = document(replace(inputs, bundle=bundle))
    assert (doc.exit_code, doc.decision, row_of(doc, "1.2").verdict) == (2, "BLOCKED", Verdict.ERROR)
    assert doc.blockers == ["1.2 ERROR result_unreadable slo_alarms_defined: the stored result is not one that can be shown"]


def waiver(**changes) -> Waiver:
    digest = complete_inputs(GatePolicy(), NOW).release.digest
    pairs = frozenset({(GAP.code, GAP.subject)})
    return replace(
        Waiver("w-1", "1.2", digest, pairs, "known", "OPS-7", NOW, NOW + timedelta(days=3), "ops-sre", "carol"), **changes
    )


@pytest.mark.parametrize("row", ["1.2", EXTRA])
def test_a_waived_row_shows_its_findings_and_its_waiver_and_counts_as_open(row):
    inputs = complete(found={row: (GAP,)}, waivers=(waiver(row=row),))
    doc = document(replace(inputs, statement=None, sign_offs=()), "READY_TO_SIGN")
    shown = row_of(doc, row)
    assert (shown.waived, shown.verdict, [f.code for f in shown.findings]) == (True, Verdict.FAIL, ["alarm_missing"])
    assert (doc.exit_code, doc.candidate.gate) == (1, Outcome.READY_TO_SIGN)
    (used,) = doc.waivers
    assert (used["in_force"], used["used"], used["unmatched"], used["by"]) == (True, True, [], "carol")
    assert used["releases_in_a_row"] == (2 if row == "1.2" else 1)
    for text in (text_of(doc), markdown.render(doc)):
        assert "waived" in text
        assert "READY TO SIGN" in text
        assert "w-1 in force, needed" in text


def test_waivers_in_vain_and_waivers_that_do_not_count_are_told_apart():
    vain, over = waiver(id="w-2", pairs=frozenset({("gone", "x")})), waiver(id="w-3", until=NOW)
    doc = document(complete(found={"1.2": (GAP,)}, waivers=(vain, over)))
    assert [(each["id"], each["in_force"], each["used"]) for each in doc.waivers] == [("w-2", True, False), ("w-3", False, False)]
    assert "it ended" in doc.waivers[1]["why_not"]
    assert "w-2 in force, not needed, matches nothing: gone@x" in text_of(doc)
    assert "w-3 NOT IN FORCE: it ended" in text_of(doc)


def test_the_sign_off_table_shows_the_signature_that_counts_and_not_a_newer_one_that_does_not():
    inputs = complete()
    mine = next(off for off in inputs.sign_offs if off.role == "ops-sre")
    forged: SignOff = replace(mine, key_role=None, identity="mallory", signed_at=mine.signed_at + timedelta(minutes=1))
    doc = document(replace(inputs, sign_offs=(*inputs.sign_offs, forged)))
    entry = next(off for off in doc.sign_offs if off.role == "ops-sre")
    assert (entry.done, entry.by) == (True, mine.identity)
    unsigned = document(replace(inputs, sign_offs=tuple(off for off in inputs.sign_offs if off.role != "ops-sre")))
    assert [(off.role, off.done) for off in unsigned.sign_offs if not off.done] == [("ops-sre", False)]
    assert (row_of(unsigned, "S.2").verdict, row_of(unsigned, "S.2").findings[0].code) == (Verdict.FAIL, "signature_missing")
    assert row_of(unsigned, "S.1").verdict is Verdict.PASS


def test_text_shows_the_candidate_the_reasons_and_where_its_run_is():
    doc = document(complete(found={"1.2": (GAP,)}))
    text, page = text_of(doc), markdown.render(doc)
    for shown in (text, page):
        assert "drill in drill" in shown
        assert f"{doc.candidate.digest}, series 1: PENDING" in shown
        assert "What keeps it closed" in shown
        assert "alarm_missing crm.write: none" in shown
        assert "https://dagster.example.com/runs/1" in shown
    assert "AWS calls" not in text + page  # this is no run


def test_what_could_steer_a_terminal_is_escaped():
    doc = document(complete(found={"1.2": (replace(GAP, subject="x\x1b[2J"),)}))
    assert "\x1b" not in text_of(doc)


def test_every_reason_of_the_gates_own_is_explained():
    assert reasons.BY_NAME.keys() <= CATALOGUE.by_name.keys()


@given(
    st.dictionaries(
        st.sampled_from([row.id for row in ALL_CHECKS if not row.is_sign_off]), st.sampled_from(list(Verdict)[1:]), max_size=4
    ),
    st.sampled_from([None, *STATES]),
    st.booleans(),
)
def test_exit_code_zero_is_open_and_open_is_what_the_gate_decided(verdicts, state, signed):
    inputs = complete(found={row: (replace(GAP, verdict=verdict),) for row, verdict in verdicts.items()})
    inputs = STATES[state][0](inputs) if state else inputs
    inputs = inputs if signed else replace(inputs, sign_offs=())
    doc = document(inputs)
    assert (doc.exit_code == 0) == (doc.decision == "OPEN") == (decide(inputs).outcome is Outcome.OPEN) == (not doc.blockers)
    assert [row.id for row in doc.rows] == [row.id for row in ROWS]
    SCHEMA.validate(json.loads(json.dumps(doc.to_json())))


def test_a_document_of_very_many_findings_is_short_says_what_it_leaves_out_and_decides_on_all():
    many = tuple(Finding("alarm_missing", Verdict.FAIL, f"tool-{n}", "an alarm", "x" * 5000, None) for n in range(20_000))
    made = document(complete(found={"1.2": many}))
    short = shortened(made)
    row = row_of(short, "1.2")
    assert (len(row.findings), row.facts[LEFT_OUT]) == (500, 19_500)
    assert (short.decision, short.exit_code, row.verdict) == ("BLOCKED", made.exit_code, Verdict.FAIL)
    assert short.blockers[-1].startswith("and ")
    assert len(short.blockers) == 1001
    assert len(json.dumps(short.to_json())) < 3_000_000
    assert all(LEFT_OUT not in other.facts for other in short.rows if other.id != "1.2")
    SCHEMA.validate(short.to_json())
    assert shortened(document(complete())) == document(complete())
