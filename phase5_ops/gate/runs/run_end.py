"""The end of a readiness run: says where histories stand, seals the evidence for good, records the run, removes what is too old.

It comes after every step, however the run ended, unless its process was killed. A run that could not be recorded is judged and
printed all the same, and says so: where it belongs to a candidate, the gate stays closed for it (`run_not_recorded`).
"""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from phase5_ops.aws.reader import reader_of
from phase5_ops.context import RunContext
from phase5_ops.evidence.result import CheckResult
from phase5_ops.evidence.run_tags import DIGEST_TAG, EVIDENCE_TAG
from phase5_ops.evidence.store import Ended
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.run_record import RECORD_TYPE, RunFound
from phase5_ops.gate.runs.continuity import standing_at_end
from phase5_ops.gate.runs.pruning import prune
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import SigningError, load_key, sign
from phase5_ops.gate.state.items import StateError
from phase5_ops.orchestration.wiring import origin_of
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import in_sandbox

log = logging.getLogger(__name__)

_NOTICES = "notices"
_RECORDED = "recorded"


def notices(run: RunContext) -> list[str]:
    """What a run has to say beside its rows; empty where it was recorded and everything could be read."""
    return list(run.shared.get(_NOTICES, ()))


def end_run(context: RunContext, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Ends a run of the readiness job; called again, it does nothing.

    Args:
        context: of the run.
        instance: where Dagster records it; gets the digest of the sealed evidence.
        run: as Dagster has it.
    """
    if context.shared.setdefault(_RECORDED, False):
        return
    context.shared[_RECORDED] = True
    context.shared[_NOTICES] = ["the end of the run could not be recorded, so that no candidate can rely on it; see its log"]
    store, run_id, settings = context.store, context.run_id, context.settings
    origin = origin_of(context, run)
    store.write_origin(run_id, origin)
    found = context.continuity
    standing, now = standing_at_end(context), datetime.now(UTC)
    store.write_ended(run_id, Ended(settings.environment, now, standing, tuple(each.id for each in found.acceptances)))
    digest = store.seal(run_id)
    instance.add_run_tags(run_id, {EVIDENCE_TAG: digest})
    said = list(found.notices)
    record = RunFound(
        environment=settings.environment,
        run_id=run_id,
        ended_at=now,
        fixed_now=origin.fixed_now,
        assets=origin.assets,
        release_digest=run.tags.get(DIGEST_TAG),
        manifest=digest,
        verdicts={check: CheckResult.model_validate(content).verdict for check, content in store.sealed_verdicts(run_id).items()},
        standing=standing,
    )
    if problem := _append(context, record):
        said.append(f"the run is not recorded in the state table, so that no candidate can rely on it: {problem}")
    context.shared[_NOTICES] = said  # said even if pruning fails
    if problem := prune(context, instance):
        said.append(problem)
    for line in said:
        log.warning("%s", line)


def _append(run: RunContext, found: RunFound) -> str | None:
    """Why the run could not be recorded; None where it was."""
    problem = _appended(GateSession(run), found)
    if problem is not None and problem.status is ReadStatus.TIMEOUT:  # the run may have used up its time for reading
        problem = _appended(GateSession(replace(run, reader=reader_of(run.settings))), found)
    return None if problem is None else f"{problem.operation} {problem.resource}: {problem.status}: {problem.error}"


def _appended(session: GateSession, found: RunFound) -> Read | None:
    try:
        session.records.append(found, partial(_signed, session))
    except StateError as error:
        return error.read
    return None


def _signed(session: GateSession, payload: bytes) -> tuple[str, bytes]:
    """Key id and signature of the gate's key; nothing where the run may not sign."""
    reader, settings = session.reader, session.settings
    if settings.now is not None and not in_sandbox(settings):
        return "", b""
    try:
        made = sign(reader, load_key(reader, settings.signing, GATE), payload, RECORD_TYPE)
    except SigningError as error:
        log.info("the record of the run is not signed: %s", error)
        return "", b""
    return made.key_id, made.signature
