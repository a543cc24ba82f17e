"""Reads where histories stood when earlier runs ended, and where they stand now; what follows from it is in `histories.py`.

Two things tell of earlier runs: their records in the state table, and the evidence that they left in the state folder. The
present histories must continue both. A table that is not there has no records; where it cannot be read, only the evidence counts.
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from phase5_ops.aws.tables import describe_table_once, identity_of
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import (
    LEDGER_HISTORY,
    LEDGER_TABLE,
    RESILIENCE_TABLE,
    RUN_HISTORY,
    STATE_TABLE,
    Accepted,
    Chain,
    Continuity,
    Present,
    Standing,
    breaks,
    standing_now,
)
from phase5_ops.evidence.history import chains
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.approval.history_acceptance import trusted_acceptances
from phase5_ops.gate.attestation.acceptance import Acceptance
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.run_record import RunRecord
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import StateError
from phase5_ops.gate.state.run_records import RunRecords
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import in_sandbox

log = logging.getLogger(__name__)

_MOST_RECORDS = 500  # that are looked through for the last run that had this very history
_SHOWN_DAYS = 30  # how long an acceptance is shown with the rows that it is about


def standing_at_end(run: RunContext) -> Standing:
    """Where the histories stand now that the run has written what it saw."""
    found = run.continuity
    return standing_now(found.breaks, found.earlier, Present(_chains(run), _tables(run)), found.record)


def look_back(run: RunContext) -> Continuity:
    """Where earlier runs left the histories, and where the present ones do not continue them."""
    settings = run.settings
    now_chains, tables = _chains(run), _tables(run)
    session = GateSession(run)
    table = session.records
    notices: list[str] = []
    records: list[RunRecord] | None
    try:
        records = _back_to(table, settings.environment, now_chains.get(RUN_HISTORY, Chain()))
    except StateError as error:
        records = [] if error.read.status is ReadStatus.NOT_FOUND else None
        notices.append(f"the records of earlier runs cannot be read: {error}")
    earlier = [records[-1].found.standing] if records else []
    local = _last_left(run.store, settings.environment, run.run_id)
    if local is not None and not (in_sandbox(settings) and _another_sandbox(local, tables)):
        earlier.append(local)
    acceptances = _acceptances(session) if records else []
    now = Present(
        now_chains,
        tables,
        None if records is None else {record.seq: record.digest for record in records},
        records[0].seq if records else 0,
    )
    accepted = {each.id for acceptance in acceptances for each in acceptance.breaks}
    newest = (records[0].seq, records[0].digest) if records else (0, "")
    since = datetime.now(UTC) - timedelta(days=_SHOWN_DAYS)
    carried = {each.id for standing in earlier for each in standing.breaks}
    shown = tuple(
        Accepted(a.id, frozenset(each.about for each in a.breaks), str(a))
        for a in acceptances
        if a.at >= since or not carried.isdisjoint(each.id for each in a.breaks)
    )
    return Continuity(tuple(earlier), breaks(earlier, now, accepted), shown, newest, tuple(notices))


def _back_to(table: RunRecords, environment: str, chain: Chain) -> list[RunRecord]:
    """The records, newest first, back to that of the last run with this very history; only the newest if there is none.

    Runs with another state folder, hence with other histories, may have come between.
    """
    found: list[RunRecord] = []
    wanted = chain.hashes[:1]
    for record in table.newest_first(environment):
        found.append(record)
        head = record.found.standing.heads.get(RUN_HISTORY)
        if head is not None and (head.id,) == wanted:
            return found
        if len(found) >= _MOST_RECORDS:
            break
    return found[:1]


def _last_left(store: EvidenceStore, environment: str, own: str) -> Standing | None:
    """Where histories stood when the last run that left evidence here ended, as its evidence says."""
    found = []
    for run_id in store.run_ids():
        try:
            ended = store.ended(run_id)
        except (OSError, ValueError) as error:
            log.warning("%s", error)
            continue
        if ended is not None and ended.environment == environment and run_id != own:
            found.append((ended.at, run_id, ended.standing))
    return max(found, key=lambda each: each[:2])[2] if found else None


def _another_sandbox(local: Standing, tables: dict[str, str]) -> bool:
    """Whether every table is a new one, the state table too: a sandbox is another platform each time that it starts."""
    now = {name: tables.get(name, "") for name in local.tables}
    return STATE_TABLE in now and all(identity and identity != local.tables[name] for name, identity in now.items())


def _chains(run: RunContext) -> dict[str, Chain]:
    """The histories of the state folder; one that is not there is left out."""
    folder: Path = run.settings.own_folder
    found = {f"{LEDGER_HISTORY} {scope}": chain for scope, chain in chains(folder / LEDGER_HISTORY).items()}
    own = run.history.chain()
    return {**found, RUN_HISTORY: own} if own.hashes or own.problems else found


def _tables(run: RunContext) -> dict[str, str]:
    """The identities of the tables that histories are about, and of the state table."""
    names = run.settings.tables
    wanted = {RESILIENCE_TABLE: names.resilience, LEDGER_TABLE: names.ledger, STATE_TABLE: names.readiness}
    found = {}
    for about, name in wanted.items():
        answer = describe_table_once(run.reader, name)
        if answer.read.status is ReadStatus.NOT_FOUND:
            found[about] = ""
        elif answer.pages and (identity := identity_of(description := answer.pages[0].get("Table", {}))):
            created = description.get("CreationDateTime")
            found[about] = f"{name} {identity}" + (f" made {iso(created)}" if isinstance(created, datetime) else "")
    return found


def _acceptances(session: GateSession) -> list[Acceptance]:
    """The acceptances that a trusted key of a role signed; none where that cannot be told."""
    environment = session.settings.environment
    try:
        stored = session.records.acceptances(environment)
        keys = session.keys if stored else None
    except (StateError, KeysError, SigningError) as error:
        log.warning("acceptances of histories cannot be told: %s", error)
        return []
    return trusted_acceptances(stored, environment, keys) if keys is not None else []
