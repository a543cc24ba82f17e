"""Evidence of checklist section 2: the table `breaker_snapshot`, one row per connector. Pure.

The table holds everything that the two judges need: what the resilience table says about the connector, when the connector was
last called, whether its operator action (the kill switches of all active tenants) is in place, and what earlier runs saw of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import pandas as pd

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.breaker_records import CLOSED, CONCURRENCY_KEY, STATE_KEY, BreakerState, ResilienceRecords, parse_records
from phase5_ops.ccnative.names import CONNECTOR_OF_PREFIX, canonical_connector
from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.ccnative.tenants import KillSwitches, parse_kill_switches
from phase5_ops.clock import iso
from phase5_ops.evidence.history import Snapshot
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import BreakerPolicy
from phase5_ops.reads import whole
from phase5_ops.sections.breakers.recurrence import Recurrence

DAY = 86_400

#: Stream of `History` that keeps the breakers' snapshots; its scope is the identity of the resilience table.
HISTORY_STREAM = "breakers"

#: Snapshots of one connector that a row shows at most, after runs of equal ones are reduced to their first and last.
HISTORY_LIMIT = 200

FROM_ITEM = "item"
NEVER_FAILED = "never failed"
NOT_OBSERVED = "not observed"
EXPIRED = "expired"

#: Fields of a snapshot about the breaker itself; if they are equal in two snapshots, nothing visible happened in between.
_BREAKER_FIELDS = ("state", "open_until", "window_start", "ttl", "in_flight", "failure_count")

_SORTED = Column(json={"sort_keys": True})


@dataclass(frozen=True, slots=True)
class Breaker:
    """One row of `breaker_snapshot`."""

    connector: Annotated[str, 'as written; "" stands for items that name no connector', Column(unique=True)]
    canonical_connector: Annotated[str, "the platform's one name for it"]
    required: Annotated[bool, "of a registered tool or of the settings"]
    known: Annotated[bool, "required, or documented by the platform"]
    state: Annotated[str | None, "as written; null where it was not observed or could not be read"]
    state_source: Annotated[str, "where the state is known from", Column(among=(FROM_ITEM, NEVER_FAILED, NOT_OBSERVED, EXPIRED))]
    failure_count: Annotated[int | None, "number of failures in the window"]
    window_start_epoch_sec: Annotated[int | None, "start of the failure window, epoch seconds"]
    open_until_epoch_sec: Annotated[int | None, "epoch seconds; only while OPEN"]
    ttl_epoch_sec: Annotated[int | None, "when the item expires, epoch seconds"]
    half_open_probe_in_flight: Annotated[bool | None, "only while HALF_OPEN"]
    in_flight_count: Annotated[int | None, "number of calls that hold a slot"]
    last_write_epoch_sec: Annotated[int | None, "ttl less state_ttl_days, not before the window's start; epoch seconds"]
    last_datapoint_at: Annotated[str | None, "newest data point of the connector's tools, ISO-8601"]
    action_types: Annotated[list[str], "action types whose tools run through the connector", _SORTED]
    operator_action: Annotated[bool, "no active tenant executes through the connector"]
    operator_action_seen: Annotated[str, "what the tenants' kill switches say"]
    malformed: Annotated[list[MalformedRecord], "items of this connector that could not be read", _SORTED]
    malformed_tenants: Annotated[list[MalformedRecord], "the same of the tenants table; equal in every row", _SORTED]
    history: Annotated[list[dict[str, Any]], "earlier snapshots in the order of writing, see `snapshot_payloads`", _SORTED]
    recurrence: Annotated[Recurrence, "what all earlier runs of `recurrence_days` saw of it", _SORTED]


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """`table`: name of the resilience table. `timeline`: the states over the latest runs, Markdown."""

    table: str = ""
    timeline: str | None = None


BREAKER_SNAPSHOT = DeclaredTable(Breaker, BreakerFacts)
Snapshots = GatheredTable[Breaker, BreakerFacts]


def breaker_snapshot(
    *,
    items: Iterable[object],
    tenants: Iterable[object],
    registered_tools: Sequence[RegisteredTool],
    tool_slo_summary: pd.DataFrame,
    connectors: Sequence[str],
    history: Sequence[Snapshot],
    now: datetime,
    policy: BreakerPolicy,
    table_name: str,
    tenants_table: str = "cc-native-tenants",
) -> Snapshots:
    """The table `breaker_snapshot`; the caller says how its inputs were read (`with_reads`).

    Connectors come from the registered tools, the settings, the resilience table, and the history, if the record that an earlier
    snapshot saw has not expired yet.

    Args:
        items: a consistent scan of the resilience table, DynamoDB JSON.
        tenants: a scan of the tenants table, DynamoDB JSON.
        registered_tools: the rows of the table of that name.
        tool_slo_summary: columns connector (as emitted), last_datapoint_at.
        connectors: the setting of that name.
        history: earlier snapshots of `HISTORY_STREAM`, in the order of writing; read before the scan, so that none is newer.
        now: evaluation time.
        policy: ttl and tenant statuses.
        table_name: name of the resilience table.
        tenants_table: name of the tenants table.

    Returns:
        The table, ordered by connector.
    """
    records = parse_records(items, table_name)
    switches = parse_kill_switches(tenants, tenants_table)
    action_types = _action_types(registered_tools)
    last_datapoint = _last_datapoints(tool_slo_summary)
    required = {*(tool.connector for tool in registered_tools), *connectors}
    known = {*required, *CONNECTOR_OF_PREFIX.values()}
    earlier = _by_subject(history)
    recurrences = _recurrences(history, since=now - timedelta(days=policy.recurrence_days))
    now_epoch = now.timestamp()
    rows = []
    for connector in sorted({*required, *records.connectors, *_still_expected(earlier, now_epoch)}):
        canonical = canonical_connector(connector)
        types = action_types.get(canonical) or action_types.get(connector) or set()
        in_place, seen = _operator_action(types, switches, policy)
        rows.append(
            Breaker(
                connector=connector,
                canonical_connector=canonical,
                required=connector in required,
                known=connector in known or canonical in known,
                **_state_columns(records, connector, now_epoch, policy),
                last_datapoint_at=last_datapoint(connector),
                action_types=sorted(types),
                operator_action=in_place,
                operator_action_seen=seen,
                malformed=list(records.malformed.get(connector, [])),
                malformed_tenants=list(switches.malformed),
                history=earlier.get(connector, []),
                recurrence=recurrences.get(connector, Recurrence()),
            )
        )
    return BREAKER_SNAPSHOT.gathered(rows, BreakerFacts(table_name))


def snapshot_payloads(table: Snapshots) -> dict[str, dict[str, Any]]:
    """What to append to the history: payload by connector, see `payload`.

    Nothing if the resilience table was not read whole, since an item that was not read would look like a deleted one; and nothing
    for a connector whose own items could not be read.
    """
    if not read_whole(table):
        return {}
    return {row.connector: payload(row) for row in table.rows if row.connector and not row.malformed}


def payload(row: Breaker) -> dict[str, Any]:
    """One connector's snapshot as the history keeps it; times are epoch seconds, except last_datapoint_at (ISO-8601)."""
    return {
        "state": row.state,
        "open_until": row.open_until_epoch_sec,
        "window_start": row.window_start_epoch_sec,
        "ttl": row.ttl_epoch_sec,
        "in_flight": row.in_flight_count,
        "failure_count": row.failure_count,
        "last_write": row.last_write_epoch_sec,
        "last_datapoint_at": row.last_datapoint_at,
    }


def read_whole(table: Snapshots) -> bool:
    """True if every read of the resilience table behind a `breaker_snapshot` gave its whole answer, and there was one."""
    return whole(read for read in table.reads if read.resource == table.facts.table)


def _state_columns(records: ResilienceRecords, connector: str, now_epoch: float, policy: BreakerPolicy) -> dict[str, Any]:
    """The columns that come from the resilience table."""
    item = records.states.get(connector)
    slots = records.concurrency.get(connector)
    unreadable = records.unreadable(connector, STATE_KEY)
    called = slots is not None or records.unreadable(connector, CONCURRENCY_KEY)
    expired = item is not None and item.ttl is not None and item.ttl <= now_epoch
    if item is not None and not expired:
        state, source = item.state, FROM_ITEM
    elif unreadable:
        state, source = None, FROM_ITEM
    else:
        state = CLOSED if called else None
        source = EXPIRED if expired else NEVER_FAILED if called else NOT_OBSERVED
    return {
        "state": state,
        "state_source": source,
        "failure_count": item and item.failure_count,
        "window_start_epoch_sec": item and item.window_start,
        "open_until_epoch_sec": item and item.open_until,
        "ttl_epoch_sec": item and item.ttl,
        "half_open_probe_in_flight": item and item.probe_in_flight,
        "in_flight_count": slots and slots.in_flight,
        "last_write_epoch_sec": item and _last_write(item, policy),
    }


def _last_write(item: BreakerState, policy: BreakerPolicy) -> int | None:
    """Every write sets the ttl to the time of writing plus `state_ttl_days`."""
    return None if item.ttl is None else max(item.ttl - policy.state_ttl_days * DAY, item.window_start)


def _action_types(registered_tools: Iterable[RegisteredTool]) -> dict[str, set[str]]:
    types: dict[str, set[str]] = defaultdict(set)
    for tool in registered_tools:
        types[tool.connector].update(tool.action_types)
    return types


def _last_datapoints(tool_slo_summary: pd.DataFrame) -> Callable[[str], str | None]:
    """Newest data point of a connector: under the id it was emitted with, else under any id of the same canonical connector."""
    exact: dict[str, pd.Timestamp] = {}
    canonical: dict[str, pd.Timestamp] = {}
    for connector, stamp in zip(tool_slo_summary["connector"], tool_slo_summary["last_datapoint_at"], strict=True):
        moment = pd.to_datetime(stamp, utc=True, errors="coerce")
        if pd.isna(moment) or not isinstance(connector, str):
            continue
        for known, name in ((exact, connector), (canonical, canonical_connector(connector))):
            known[name] = max(moment, known.get(name, moment))

    def last_datapoint(connector: str) -> str | None:
        moment = exact.get(connector, canonical.get(canonical_connector(connector)))
        return None if moment is None else iso(moment.to_pydatetime())

    return last_datapoint


def _operator_action(action_types: set[str], switches: KillSwitches, policy: BreakerPolicy) -> tuple[bool, str]:
    """Whether no active tenant executes `action_types`, and what the kill switches say."""
    if switches.malformed:
        return False, f"not known, since {len(switches.malformed)} tenant record(s) could not be read"
    active = switches.active(policy.inactive_tenant_statuses)
    if not active:
        return False, "no active tenant found"
    running = [tenant.tenant for tenant in active if not tenant.stops(action_types)]
    if not running:
        return True, f"kill switches stop it for all {len(active)} active tenant(s)"
    listed = ", ".join(running[:5]) + (", ..." if len(running) > 5 else "")  # noqa: PLR2004 - as many as fit a line
    return False, f"still enabled for {len(running)} of {len(active)} active tenant(s): {listed}"


def _by_subject(history: Sequence[Snapshot]) -> dict[str, list[dict[str, Any]]]:
    """Each connector's newest snapshots as JSON-able dicts; of equal ones in a row only the first and the last."""
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for snapshot in history:
        grouped[snapshot.subject].append({**snapshot.payload, "observed_at": iso(snapshot.observed_at)})
    return {subject: _without_repeats(entries)[-HISTORY_LIMIT:] for subject, entries in grouped.items()}


def _recurrences(history: Sequence[Snapshot], *, since: datetime) -> dict[str, Recurrence]:
    """Each connector's recurrence over every snapshot since `since`; here each of several equal snapshots counts."""
    grouped: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in history:
        grouped[snapshot.subject].append(snapshot)
    return {subject: Recurrence.of(snapshots, since=since) for subject, snapshots in grouped.items()}


def _without_repeats(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys: list[tuple[Any, ...]] = [tuple(entry.get(name) for name in _BREAKER_FIELDS) for entry in entries]
    last = len(entries) - 1
    return [
        entry
        for index, entry in enumerate(entries)
        if index in (0, last) or not keys[index - 1] == keys[index] == keys[index + 1]
    ]


def _still_expected(earlier: Mapping[str, list[dict[str, Any]]], now_epoch: float) -> set[str]:
    """Connectors for which an earlier snapshot has a ttl that has not passed yet."""
    return {connector for connector, entries in earlier.items() if any((entry.get("ttl") or 0) > now_epoch for entry in entries)}
