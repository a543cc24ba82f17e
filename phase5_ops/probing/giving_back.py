"""Gives back what a run that ended early still holds: its canary intents, and the lease, so that no other run waits.

A run that was interrupted, or failed between its steps, still holds both. A killed one cannot do this; the next run that gets the
lease, once it has expired, removes what was left.
"""

import logging

from phase5_ops.aws.reader import reader_of
from phase5_ops.probing import canary, lease
from phase5_ops.probing.canary_intent import places_of
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import Settings

log = logging.getLogger(__name__)


def give_back(settings: Settings, run_id: str) -> None:
    """Removes the canary intents of the test tenants and ends the lease, if the run still holds the lease; logs failures.

    Args:
        settings: of the run.
        run_id: the run that holds the lease.
    """
    reader = reader_of(settings)  # the run's own reader may have used up its time
    place = lease.ProbesPartition.of(settings)
    if not lease.held(reader, place, run_id):
        return  # given back; or another run holds it, and these may be its canaries
    users = settings.probe_users
    tenants = [user.tenant_id for user in (users.a, users.b) if user.tenant_id]
    reads = canary.remove_leftovers(reader, settings.tables, places_of(tenants, settings.probes.accounts))
    reads.append(lease.end(reader, place, run_id))
    for read in reads:
        if read.status is not ReadStatus.OK:
            log.warning(
                "could not give back what the run held: %s %s: %s: %s",
                read.operation,
                read.resource,
                read.status,
                read.error,
            )
