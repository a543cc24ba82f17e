"""`promotion_job` as Dagster sees it. Thin: opens what the promotion works with, and ends the run as the promotion ended.

A run started by hand goes through the same checks. The run fails unless the release is promoted, with every reason in its
description; nothing depends on how Dagster records it.
"""

from typing import Any

import dagster as dg

from phase5_ops.context import RunContext
from phase5_ops.evidence.run_tags import DIGEST_TAG, ENVIRONMENT_TAG, OVERRIDE_TAG, PROMOTION_JOB, RELEASE_TAG
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.defs.promotion_asset import show_promotion
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.inputs.read import DecidingSession, look_again, read_inputs
from phase5_ops.gate.promotion.override_promotion import promote_override
from phase5_ops.gate.promotion.promote import promote
from phase5_ops.gate.promotion.publication import PromotionDoor, PromotionOutcome
from phase5_ops.gate.promotion.targets.choice import publish
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import check_release

_OP = "promote_release"


class PromotionConfig(dg.Config):
    """What is to be promoted, where the run's tags do not say. The candidate of that name must have that digest.

    With an override it is the override that says what is promoted.
    """

    release: str | None = None
    digest: str | None = None
    override: str | None = None


def promotion_run_config(release: Release) -> dict[str, Any]:
    """The run configuration of `promotion_job` for a release."""
    return {"ops": {_OP: {"config": {"release": release.name, "digest": release.digest}}}}


def override_run_config(override: Override) -> dict[str, Any]:
    """The run configuration of `promotion_job` for an override."""
    return {"ops": {_OP: {"config": {"override": override.id}}}}


def open_door(instance: dg.DagsterInstance, run: RunContext) -> PromotionDoor:
    """What the promotion of a run works with: a session of its own, in which nothing was read before.

    Raises:
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    session = DecidingSession(run, instance=instance)
    session.keys  # noqa: B018 - before anything else: where it cannot be told which keys to trust, nothing is promoted
    return PromotionDoor(
        session=session,
        inputs=lambda candidate: look_again(session, read_inputs(session, candidate)),
        publish=lambda order: publish(run.reader, run.settings.promotion, order),
    )


@dg.op(
    name=_OP,
    description="Decides again from fresh reads, takes the lock, publishes once, records.",
    required_resource_keys={"run"},
)
def promote_release(context: dg.OpExecutionContext, config: PromotionConfig) -> None:
    """Promotes the release of the run's configuration, or fails with every reason."""
    run: RunContext = context.resources.run
    refuse_fixed_clock(run.settings, "promotion")
    tags = context.run.tags
    if override := config.override or tags.get(OVERRIDE_TAG):
        context.instance.add_run_tags(context.run_id, {OVERRIDE_TAG: override, ENVIRONMENT_TAG: run.settings.environment})
        _end(context, promote_override(open_door(context.instance, run), override))
        return
    name, digest = config.release or tags.get(RELEASE_TAG), config.digest or tags.get(DIGEST_TAG)
    release = Release(name or "", digest or "", run.settings.environment)
    check_release(release)
    shown = {RELEASE_TAG: release.name, DIGEST_TAG: release.digest, ENVIRONMENT_TAG: release.environment}
    context.instance.add_run_tags(context.run_id, shown)
    _end(context, promote(open_door(context.instance, run), release))


def _end(context: dg.OpExecutionContext, outcome: PromotionOutcome) -> None:
    """Ends the run as the promotion ended."""
    record = outcome.promotion
    if outcome.promoted and record is not None:
        show_promotion(context, context.resources.run, record)
    metadata: dict[str, Any] = {
        "ending": str(outcome.ending),
        "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in outcome.reasons) or "none"),
        **({"idempotency_key": record.idempotency_key, "promoted_by_run": record.holder} if record else {}),
    }
    context.add_output_metadata(metadata)
    if not outcome.promoted:
        description = f"{outcome.ending}: {'; '.join(outcome.reasons)}"
        raise dg.Failure(description=description, metadata=metadata, allow_retries=False)


@dg.job(
    name=PROMOTION_JOB,
    description="Promotes a release whose gate is open, exactly once. Whoever starts it, it decides again by itself.",
    executor_def=dg.in_process_executor,
    tags={"dagster/max_retries": "0"},
)
def promotion_job() -> None:
    """One step, so that nothing stands between the decision and what follows from it."""
    promote_release()
