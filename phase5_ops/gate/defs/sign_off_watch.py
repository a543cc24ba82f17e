"""The sensor `sign_off_watch`: launches `sign_off_job` when there is something to sign, and after each signature.

It does so wherever the person signed, and decides nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG, RELEASE_TAG
from phase5_ops.gate.candidates.next_step import run_key
from phase5_ops.gate.defs.sign_off_assets import sign_off_run_config
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import Fate, StateError
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import Settings

SENSOR = "sign_off_watch"
_SECONDS = 60
_SIGNED = frozenset({Fate.READY_TO_SIGN, Fate.PROMOTED})


def sign_off_requests(state: StateTable, settings: Settings) -> Iterator[dg.RunRequest]:
    """A run for each open candidate that is ready to sign, and again for each set of signatures.

    promotion_gate reports malformed candidates.

    Raises:
        StateError: the table cannot be read.
    """
    names = DagsterNames.of(settings)
    for candidate, _ in state.open_candidates(settings.environment, malformed=lambda _: None):
        if candidate.fate not in _SIGNED:
            continue
        ids = sorted(off.id for off in state.sign_offs(candidate.release) if off.series == candidate.series)
        if ids or candidate.fate is Fate.READY_TO_SIGN:
            release = candidate.release
            key = run_key(SENSOR, release.environment, release.name, release.digest, str(candidate.series), *ids)
            tags = {ENVIRONMENT_TAG: release.environment, RELEASE_TAG: release.name}
            yield dg.RunRequest(run_key=key, run_config=sign_off_run_config(release.name, names), tags=tags)


def sign_off_watch(opened: Callable[[], GateSession], job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """The sensor, which launches `job`; `opened` opens what one tick reads with."""

    @dg.sensor(
        name=SENSOR,
        job=job,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows the rows S.1 to S.3 anew when there is something to sign, and after each signature.",
    )
    def watch(_context: dg.SensorEvaluationContext) -> Any:  # noqa: ANN401 - run requests, or why there are none
        session = opened()
        try:
            requests = list(sign_off_requests(session.state, session.settings))
        except StateError as error:
            return dg.SkipReason(str(error))
        return requests or dg.SkipReason("no candidate is ready to sign or signed")

    return watch
