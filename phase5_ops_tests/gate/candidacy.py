"""What the gate says of a candidate whose evidence is that of a scenario, when everything else about it is in order.

The rows that were judged come from the real run (Dagster's records and the evidence files) or the real judgement; all other rows
pass, and three people have signed exactly this.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import dagster as dg

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.run_tags import DIGEST_TAG, READINESS_JOB, RELEASE_TAG
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.candidates.next_step import Action, Step, next_action
from phase5_ops.gate.decision.decide import decide, is_blocking
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.records import GateInputs, Outcome, ReadinessRun, Release, RunFacts, RunState
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.policy import FlowPolicy, GatePolicy
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.scenarios.registry import Turns
from phase5_ops.settings import Settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW

RELEASE = Release("r-scenario", "sha256:" + "d" * 64, "sandbox")


def of_run(instance: dg.DagsterInstance, settings: Settings, document: ReadinessDocument, rows: Collection[str]) -> GateInputs:
    """The inputs of a candidate that this run was made for, its other rows completed."""
    tags = {RELEASE_TAG: RELEASE.name, DIGEST_TAG: RELEASE.digest}
    instance.add_run_tags(document.run_id, tags)
    run = check_state.readiness_run(instance.get_run_record_by_id(document.run_id))
    bundle = check_state.stored_bundle(EvidenceStore(settings.state_dir / "evidence"), run)
    complete = complete_inputs(settings.gate, datetime.fromisoformat(NOW))
    stored = check_state.stored_results(instance, run.facts)
    judged = {ROW_OF_ID[row].check for row in rows}
    tables = {**complete.bundle.tables, **bundle.tables}
    results, verdicts = dict(stored), dict(bundle.verdicts)
    for name in complete.results.keys() - judged:
        about = {
            "tables": {asset: tables[asset] for asset in complete.results[name].tables},
            "policy_digest": document.policy_digest,
        }
        results[name] = replace(complete.results[name], run=run.facts, target_run_id=run.facts.run_id, **about)
        verdicts[name] = replace(complete.bundle.verdicts[name], **about)
    return replace(
        complete,
        release=RELEASE,
        run_id=run.facts.run_id,
        results=results,
        bundle=replace(bundle, tables=tables, verdicts=verdicts),
        policy_digest=document.policy_digest,
        run_completed_at=run.ended_at,
        allow_fixed_now=True,
    )


def of_judgements(judgements: Mapping[str, Judgement], policy: GatePolicy | None = None) -> GateInputs:
    """The inputs of a candidate whose run judged these rows so; every other row passes."""
    complete = complete_inputs(policy or GatePolicy(), datetime.fromisoformat(NOW))
    results, verdicts = dict(complete.results), dict(complete.bundle.verdicts)
    for row, judgement in judgements.items():
        check, found = ROW_OF_ID[row].check, {"verdict": judgement.verdict, "findings": judgement.findings}
        results[check] = replace(results[check], **found, passed=judgement.verdict is Verdict.PASS)
        verdicts[check] = replace(verdicts[check], **found)
    return replace(complete, results=results, bundle=replace(complete.bundle, verdicts=verdicts))


def signed(inputs: GateInputs) -> GateInputs:
    """The same, and all three have signed a statement of exactly these rows."""
    facts = decide(inputs).facts
    statement = replace(
        inputs.statement,
        release_digest=inputs.release.digest,
        policy_digest=inputs.policy_digest,
        evidence_digest=inputs.bundle.digest,
        rows=facts,
    )
    offs = tuple(replace(off, release=inputs.release) for off in inputs.sign_offs)
    return replace(inputs, statement=statement, sign_offs=offs)


def next_step(inputs: GateInputs) -> Action:
    """What the sensor does next with a signed candidate whose run was over a moment ago."""
    candidate = Candidate(inputs.release, 1, Fate.READY_TO_SIGN, inputs.now, inputs.now + timedelta(days=7), "pipeline")
    facts = RunFacts(inputs.run_id, READINESS_JOB, RunState.FINISHED)
    run = ReadinessRun(facts, RELEASE.name, 1, 1, inputs.now, None)
    return next_action(
        candidate,
        runs=(run,),
        promotions=(),
        inputs=inputs,
        decision=decide(inputs),
        policy=FlowPolicy(),
        now=inputs.now,
    )


def assert_gate_says(inputs: GateInputs, turns: Turns) -> None:
    """A turned row that blocks keeps the signed candidate closed, and the tick names it with its code; nothing else does."""
    counts = {row: turn for row, turn in turns.items() if is_blocking(ROW_OF_ID[row], inputs.policy)}
    closing = {row: code for row, (verdict, code) in counts.items() if verdict.blocks}
    assert_closed_by(signed(inputs), closing)
    warnings = {row: code for row, (verdict, code) in counts.items() if verdict is Verdict.WARN}
    strict = inputs.policy.model_copy(update={"warn_blocks": (*inputs.policy.warn_blocks, *warnings)})
    assert_closed_by(signed(replace(inputs, policy=strict)), {**closing, **warnings})


def assert_closed_by(inputs: GateInputs, closing: Mapping[str, str]) -> None:
    """Row -> code is what closes; where there is none, the candidate is promoted."""
    decision, action = decide(inputs), next_step(inputs)
    assert {reason.row for reason in decision.reasons} == set(closing), decision.reasons
    if not closing:
        assert (decision.outcome, action.step) == (Outcome.OPEN, Step.PROMOTE)
        return
    assert (decision.outcome, decision.opened_on, action.step) == (Outcome.BLOCKED, None, Step.WAIT)
    assert closing.items() <= {(reason.row, reason.code) for reason in decision.reasons}
    said = sensor.said("r-scenario", action)
    named = {row for row, code in closing.items() if any(f" {row} " in line and f" {code} " in line for line in said)}
    left_out = set(closing) - named  # of very many findings a tick names the first alone, and says how many more there are
    assert not left_out or (named and re.fullmatch(r"r-scenario: and \d+ more", said[-1])), (left_out, said)
