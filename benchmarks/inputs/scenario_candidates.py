"""What becomes of the candidate of a fault scenario, for real, in this process.

A candidate is registered, and what the sensor's ticks ask for is run: the readiness run with all rows, and a promotion if one is
asked for. Three people try to sign as soon as the run is over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
import dagster as dg

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS, build_defs
from phase5_ops.checklist import ROLES
from phase5_ops.commands.in_process import QUIET
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_JOB
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import Refused, open_session
from phase5_ops.gate.state.items import Fate
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings

RELEASE = Release("r-1", "sha256:" + "d" * 64, "sandbox")
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
