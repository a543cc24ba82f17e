"""What the gate does with every fault scenario, for real: `python benchmarks/gate_scenarios.py [name ...]`.

For each scenario a sandbox is started, a candidate registered, and what the sensor's ticks ask for is run in this process: the
readiness run with all rows, and a promotion if one is asked for. Three people try to sign as soon as the run is over. Prints a
line for each scenario: what became of the candidate, the rows that the tick named, seconds. A scenario that turns a row into
something that blocks must never be promoted, and the tick must name each such row with its code; one that only warns is signed
and promoted, as the policy says. Ends with 1 if anything was otherwise.
"""

import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import dagster as dg

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS, build_defs
from phase5_ops.checklist import ROLES
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import Refused, open_session
from phase5_ops.gate.state.items import Fate
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios, named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings, load_settings

NOW = "2026-11-23T12:00:00Z"
RELEASE = Release("r-1", "sha256:" + "d" * 64, "sandbox")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SIGNER = "arn:aws:iam::123456789012:role/phase5-signer-x"


@dataclass
class Outcome:
    """What became of the candidate of one scenario."""

    fate: Fate
    promoted: bool
    signed: int
    said: list[str]

    def names(self, row: str, code: str) -> bool:
        """Whether a tick named the row with the code."""
        return any(f" {row} " in line and f" {code} " in line for line in self.said)


def tried(sandbox: Sandbox, settings: Settings) -> Outcome:
    """Registers a candidate, does what the ticks ask for, and lets three people try to sign."""
    with dg.DagsterInstance.ephemeral() as instance:
        event = dg.AssetMaterialization(candidates.ASSET, partition=RELEASE.name, metadata={"digest": RELEASE.digest})
        instance.report_runless_asset_event(event)

        def tick() -> Tick:
            return run_tick(DecidingSession(open_run(settings, "tick"), instance=instance), None, datetime.now(UTC), WORDS)

        def run(request: dg.RunRequest) -> None:
            job = build_defs(settings=settings).resolve_job_def(str(request.job_name))
            config = {**QUIET, **request.run_config} if request.run_config else QUIET
            job.execute_in_process(run_config=config, tags=request.tags, instance=instance, raise_on_error=False)

        [request] = tick().requests
        run(request)
        said = tick().lines
        signed = sum(signs(sandbox, settings, role) for role in ROLES)
        last = tick()
        for request in last.requests:
            if request.job_name == PROMOTION_JOB:
                run(request)
        state = DecidingSession(open_run(settings, "end"), instance=instance).state
        found = state.candidate(RELEASE)
        if found is None:
            raise RuntimeError("the state table no longer has the candidate")
        return Outcome(found.fate, state.promotion(RELEASE, found.series) is not None, signed, [*said, *last.lines])


def signs(sandbox: Sandbox, settings: Settings, role: str) -> bool:
    """Whether a person could sign for the role."""
    given = sandbox.session().client("sts").assume_role(RoleArn=SIGNER, RoleSessionName=f"person-of-{role}")["Credentials"]
    assumed = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=sandbox.region)
    session = open_session(settings, "signing", reader=AwsReader(settings.reading, session=assumed))
    try:
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
    except Refused:
        return False
    return True


def problems(scenario: Scenario, outcome: Outcome) -> list[str]:
    """What is not as it must be."""
    closing = {row: code for row, (verdict, code) in scenario.turns.items() if verdict.blocks}
    found = [f"{row} {code} not named" for row, code in closing.items() if not outcome.names(row, code)]
    if closing and (outcome.promoted or outcome.signed):
        found.append("PROMOTED" if outcome.promoted else "signed")
    if not closing and not outcome.promoted:
        found.append("not promoted although it only warns")
    return found


def judged(scenario: Scenario) -> bool:
    """Tries one scenario and prints its line; whether all was as it must be."""
    began, before = time.perf_counter(), dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="phase5-scenario-") as folder:
        os.environ |= {
            "PHASE5_NOW": NOW,
            "PHASE5_READING__MAX_ATTEMPTS": "2",
            "PHASE5_READING__DEADLINE_SECONDS": "600",
            "PHASE5_STATE_DIR": str(Path(folder)),
        }
        try:
            with Sandbox(scenario.name) as sandbox:
                os.environ |= sandbox.exports()
                outcome = tried(sandbox, load_settings())
        finally:
            os.environ.clear()
            os.environ |= before
    wrong = problems(scenario, outcome)
    turned = ", ".join(f"{row} {verdict} {code}" for row, (verdict, code) in scenario.turns.items())
    mark = "ok  " if not wrong else "BAD "
    print(
        f"{mark} {scenario.name:<42} {outcome.fate:<14} promoted {outcome.promoted!s:<5} signed {outcome.signed}"
        f"  {time.perf_counter() - began:5.1f} s  {turned} {'; '.join(wrong)}",
        flush=True,
    )
    if wrong:
        print("     " + "\n     ".join(outcome.said[:8]), flush=True)
    return not wrong


def main(names: list[str]) -> None:
    """Tries the scenarios of these names, or every one that turns a row."""
    logging.disable(logging.WARNING)
    chosen = [named(name) for name in names] or [scenario for scenario in all_scenarios() if scenario.turns]
    good = [judged(scenario) for scenario in chosen]
    print(f"{sum(good)} of {len(good)} scenarios as they must be")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
