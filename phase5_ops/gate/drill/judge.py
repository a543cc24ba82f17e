"""Row 4.3: the gate was tried with every way in which a candidate can be unfit, and stayed closed. Pure."""

from collections import Counter

from phase5_ops.gate.drill.cases import DrilledCase, GateDrill, required_cases
from phase5_ops.gate.records import Outcome
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import read_findings
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class DrillCode(FindingCodes):
    """The finding codes of row 4.3."""

    GATE_OPENED_WHEN_IT_SHOULD_NOT = FindingCode(
        Verdict.FAIL,
        "The gate opened, or let people sign, for a candidate that is unfit.",
        "Do not promote with this version of phase5_ops; report the case.",
    )
    GATE_CLOSED_FOR_COMPLETE_SET = FindingCode(
        Verdict.FAIL,
        "The gate stayed closed for a candidate with nothing missing, so that its staying closed elsewhere shows nothing.",
        "Report the case; look for a policy that no candidate can meet.",
    )
    GATE_GAVE_ANOTHER_REASON = FindingCode(
        Verdict.FAIL,
        "The gate stayed closed without naming the fault, so it may have been closed by something else.",
        "Report the case.",
    )
    DRILL_CASE_FAILED = FindingCode(
        Verdict.ERROR, "A case could not be tried on the gate.", "Report the traceback in the stored table."
    )
    DRILL_INCOMPLETE = FindingCode(Verdict.ERROR, "Cases that must be tried were not tried.", "Materialize gate_drill again.")


def judge_gate_drill(table: GateDrill, *, policy: GatePolicy) -> Judgement:
    """Judges the table `gate_drill`: every required case is there and went as it must."""
    findings = read_findings(table.reads)
    required = required_cases(policy)
    tried = {(case.row, case.fault) for case in table.rows}
    if missing := sorted(required - tried):
        seen = f"{len(missing)} not tried, e.g. {missing[0][0]} {missing[0][1]}"
        findings.append(DrillCode.DRILL_INCOMPLETE.at("gate_drill", expected=f"{len(required)} cases", seen=seen))
    for case in table.rows:
        findings += _judge_case(case)
    faults = Counter("control" if case.expected == Outcome.OPEN else "fault" for case in table.rows)
    return conclude(
        judged=len(table.rows),
        summary=f"{faults['fault']} faults were tried on the gate, and {faults['control']} candidates without one.",
        findings=findings,
        facts={"cases": len(table.rows), "faults": faults["fault"], "controls": faults["control"]},
    )


def _judge_case(case: DrilledCase) -> list[Finding]:
    name, expected, outcome = case.case, case.expected, case.outcome
    if outcome is None or outcome not in set(Outcome):
        return [DrillCode.DRILL_CASE_FAILED.at(name, expected=expected, seen=str(case.problem).strip().splitlines()[-1][:300])]
    if expected == Outcome.OPEN:
        seen = f"{outcome}: {case.codes}"
        return [] if outcome == Outcome.OPEN else [DrillCode.GATE_CLOSED_FOR_COMPLETE_SET.at(name, expected=expected, seen=seen)]
    if outcome == Outcome.OPEN or (outcome == Outcome.READY_TO_SIGN and expected == Outcome.BLOCKED):
        return [DrillCode.GATE_OPENED_WHEN_IT_SHOULD_NOT.at(name, expected=expected, seen=outcome)]
    if case.expected_code not in case.codes.split():
        seen = f"{outcome}: {case.codes or 'no reason'}"
        return [DrillCode.GATE_GAVE_ANOTHER_REASON.at(name, expected=case.expected_code, seen=seen)]
    return []
