"""Attempts and outcomes of executions: each table is read once a run, by whichever asset needs it first.

Row 5.1 reads both for what it judges itself. It passes what it read on to here on the way (`offer_outcomes`, `read_attempts`);
an asset that needs the executions takes them, or reads the tables itself where row 5.1 is not of the run.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from phase5_ops.aws.ledger import get_items
from phase5_ops.aws.tables import scan_pages
from phase5_ops.ccnative.executions.records import OUTCOME_PREFIX, partition_key
from phase5_ops.ccnative.executions.stored import (
    ATTEMPT_ATTRIBUTES,
    OUTCOME_ATTRIBUTES,
    Key,
    StoredExecutions,
    attempts,
    outcomes,
)
from phase5_ops.ccnative.ledger_window import Window, read_from
from phase5_ops.context import RunContext
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.run_reads.ledger import latest_entry

_ATTEMPTS, _OUTCOMES = "run_reads/attempts", "run_reads/outcomes"  # keys in `run.shared`

Page = list[dict[str, Any]]


def kept_from(run: RunContext) -> int:
    """Epoch ms; executions of before are of no concern to a run."""
    policy = run.settings.replay
    return read_from(Window.before(run.began, policy), policy)


def _new_outcomes(run: RunContext) -> StoredExecutions:
    """What is to take the outcomes."""
    return outcomes(run.settings.tables.execution_outcomes, kept_from(run), latest_entry(run))


def _new_attempts(run: RunContext) -> StoredExecutions:
    """What is to take the attempts."""
    return attempts(run.settings.tables.execution_attempts, kept_from(run), latest_entry(run))


def offer_outcomes(run: RunContext, items: Iterable[object], read: Read) -> None:
    """Keeps what these outcomes, all of the table, tell of executions; unless not all of them could be read."""
    if read.status is ReadStatus.OK:
        found = _new_outcomes(run)
        found.take(items)
        run.shared[_OUTCOMES] = (found, read)


def outcomes_of(run: RunContext) -> tuple[StoredExecutions, Read]:
    """The outcomes, and how they were read: by an earlier asset of the run, else now."""
    if _OUTCOMES in run.shared:
        kept: tuple[StoredExecutions, Read] = run.shared.pop(_OUTCOMES)
        return kept
    found = _new_outcomes(run)
    return found, scan_pages(run.reader, found.table, found.take, attributes=OUTCOME_ATTRIBUTES)


def older_outcomes(run: RunContext, keys: Sequence[Key]) -> tuple[StoredExecutions, list[Read]]:
    """The outcomes of these intents, however old they are."""
    table = run.settings.tables.execution_outcomes
    wanted = {(partition_key(tenant, account), f"{OUTCOME_PREFIX}{intent}") for tenant, account, intent in keys}
    items, reads = get_items(run.reader, table, wanted, [name for name in OUTCOME_ATTRIBUTES if name not in ("pk", "sk")])
    found = outcomes(table, 0, latest_entry(run))
    found.take(items)
    return found, reads


def read_attempts(
    run: RunContext, also: Callable[[Page], None], *, attributes: Sequence[str], seconds: float | None = None
) -> Read:
    """Passes the table's items page by page to `also`, with these attributes, and keeps what they tell of executions.

    `seconds`: see `scan_pages`.
    """
    found = _new_attempts(run)

    def take(page: Page) -> None:
        also(page)
        found.take(page)

    wanted = tuple(dict.fromkeys((*attributes, *ATTEMPT_ATTRIBUTES)))
    read = scan_pages(run.reader, found.table, take, attributes=wanted, seconds=seconds)
    if read.status is ReadStatus.OK:
        run.shared[_ATTEMPTS] = (found, read)
    return read


def attempts_of(run: RunContext) -> tuple[StoredExecutions, Read]:
    """The attempts, and how they were read: by an earlier asset of the run, else now."""
    if _ATTEMPTS in run.shared:
        kept: tuple[StoredExecutions, Read] = run.shared.pop(_ATTEMPTS)
        return kept
    found = _new_attempts(run)
    return found, scan_pages(run.reader, found.table, found.take, attributes=ATTEMPT_ATTRIBUTES)
