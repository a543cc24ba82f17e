"""Judges of checklist section 2: is every breaker's state observable, and has every open one its operator action. Pure.

Contract: a breaker opens at 5 failures in 60 s, lets one probe through after the cooldown, and only a probe closes it. Its window
start is the start of the failure window, set anew by the probe that closes or re-opens it; so a CLOSED whose window starts before
an earlier deadline was not closed by a probe. Times that the platform wrote are compared with each other; evaluation time dates
only ages. What the snapshot and the kept history cannot tell is not guessed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

from phase5_ops.breakers.evidence import (
    DAY,
    EXPIRED,
    FROM_ITEM,
    NEVER_FAILED,
    NOT_OBSERVED,
    Breaker,
    breakers_of,
    payload,
    read_whole,
)
from phase5_ops.ccnative import runbook as runbooks
from phase5_ops.ccnative.breaker_records import CLOSED, CONCURRENCY_KEY, HALF_OPEN, KEY_PREFIX, OPEN, STATE_KEY, STATES, item_key
from phase5_ops.clock import iso, parse_iso
from phase5_ops.links import ConsoleLinks
from phase5_ops.policy import BreakerPolicy, RunbookPolicy
from phase5_ops.reads import ReadStatus, read_findings, reads_of
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, Judgement, Verdict, conclude

_KILL_SWITCH = "Set the kill switch of every tenant (execution_enabled or disabled_action_types); never close a breaker by hand."

BREAKER_STATE_INVALID = FindingCode(
    "breaker_state_invalid",
    Verdict.FAIL,
    "A breaker's state is none of CLOSED, OPEN, HALF_OPEN, or its times contradict each other or the clock.",
    "Find out who wrote the item: the platform writes no such state. Correct the writer, not the item.",
)
BREAKER_RECORD_MALFORMED = FindingCode(
    "breaker_record_malformed",
    Verdict.ERROR,
    "An item of the resilience table is not what the platform writes, so the connector's breaker cannot be judged.",
    "Look at the named attribute of the named item, and at what wrote it.",
)
BREAKER_TTL_MISSING = FindingCode(
    "breaker_ttl_missing",
    Verdict.FAIL,
    "A STATE item has no ttl_epoch_sec: it never expires, and its last write cannot be dated.",
    "Write ttl_epoch_sec with every state change (7 to 30 days ahead).",
)
BREAKER_TTL_OUT_OF_RANGE = FindingCode(
    "breaker_ttl_out_of_range",
    Verdict.FAIL,
    "The state's time to live is outside 7 to 30 days.",
    "Correct the platform's state TTL (days, in epoch seconds).",
)
CONNECTOR_UNKNOWN = FindingCode(
    "connector_unknown",
    Verdict.FAIL,
    "The table names a connector of no registered tool, no setting and no document.",
    "Register its tools, or add it to PHASE5_CONNECTORS, or find out what writes under this name.",
)
CONNECTOR_NOT_CANONICAL = FindingCode(
    "connector_not_canonical",
    Verdict.FAIL,
    "A breaker is kept under another form of a connector's name, so one connector has several breakers.",
    "Give the wrapper the canonical connector id instead of the gateway's tool name.",
)
OPEN_WITHOUT_DEADLINE = FindingCode(
    "open_without_deadline",
    Verdict.FAIL,
    "A breaker is OPEN without open_until_epoch_sec: nobody can tell when it lets a probe through.",
    "Find out who wrote the item; the platform writes the deadline with every OPEN.",
)
BREAKER_NOT_OBSERVED = FindingCode(
    "breaker_not_observed",
    Verdict.INCONCLUSIVE,
    "A connector that must be there has neither a STATE nor a CONCURRENCY item: it was never called through the breaker.",
    "Run one action through the connector, and check that the tool invoker writes to this table (RESILIENCE_TABLE_NAME).",
    not_tried=True,
)
OPEN_BREAKER_WITHOUT_OPERATOR_ACTION = FindingCode(
    "open_breaker_without_operator_action",
    Verdict.FAIL,
    "A breaker keeps re-opening, or stays open under traffic, and tenants still execute through the connector.",
    f"Follow the runbook section. {_KILL_SWITCH}",
)
BREAKER_OPEN = FindingCode(
    "breaker_open",
    Verdict.WARN,
    "A breaker is open, and either its cooldown has not ended or its operator action is in place.",
    "Watch the next probe; if it re-opens, follow the runbook section.",
)
OPEN_IDLE = FindingCode(
    "open_idle",
    Verdict.WARN,
    "A breaker is open past its deadline without traffic; it changes only on the next request.",
    "Nothing has to be done; the next request is the probe.",
)
HALF_OPEN_STUCK = FindingCode(
    "half_open_stuck",
    Verdict.FAIL,
    "A breaker has been HALF_OPEN for longer than a probe can take: its probe was lost, and every request is refused.",
    "Find out what became of the probe (timeout, crash of the tool invoker) and repair the platform's probe handling.",
    also=(Verdict.INCONCLUSIVE,),
)
SLOT_LEAKED = FindingCode(
    "slot_leaked",
    Verdict.FAIL,
    "A connector's calls in flight are not given back: above the limit, or above zero and unmoved without any call ending.",
    "Find the calls that ended without releasing their slot; when the limit is reached, the connector refuses everything.",
    also=(Verdict.WARN,),
)
CLOSED_BY_HAND = FindingCode(
    "closed_by_hand",
    Verdict.FAIL,
    "A breaker was closed or deleted, and no probe can have done it.",
    "Find out who changed the item and why; check the connector's health. Use kill switches instead.",
    also=(Verdict.WARN,),
)
TENANT_RECORD_MALFORMED = FindingCode(
    "tenant_record_malformed",
    Verdict.ERROR,
    "A tenant's item cannot be read, so its kill switch cannot be told.",
    "Correct the named attribute of the named tenant.",
)
CODES = (
    BREAKER_STATE_INVALID,
    BREAKER_RECORD_MALFORMED,
    BREAKER_TTL_MISSING,
    BREAKER_TTL_OUT_OF_RANGE,
    CONNECTOR_UNKNOWN,
    CONNECTOR_NOT_CANONICAL,
    OPEN_WITHOUT_DEADLINE,
    BREAKER_NOT_OBSERVED,
    OPEN_BREAKER_WITHOUT_OPERATOR_ACTION,
    BREAKER_OPEN,
    OPEN_IDLE,
    HALF_OPEN_STUCK,
    SLOT_LEAKED,
    CLOSED_BY_HAND,
    TENANT_RECORD_MALFORMED,
)

#: Reads that tell whether a connector was called; the other CloudWatch reads behind the inherited tables decide nothing here.
_ACTIVITY_READS = ("cloudwatch:ListMetrics", "cloudwatch:GetMetricData")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judge_state_observable(
    table: pd.DataFrame,
    *,
    policy: BreakerPolicy,
    now: datetime,
    links: ConsoleLinks,
    table_name: str,
    tenants_table: str = "cc-native-tenants",
) -> Judgement:
    """Row 2.1: every known connector has a readable, valid, current breaker state.

    Args:
        table: `breaker_snapshot`, with its reads.
        policy: state ttl, open time and clock skew.
        now: evaluation time.
        links: console links of the platform's region.
        table_name: the resilience table, for subjects and links.
        tenants_table: the tenants table, whose reads do not bear on this row.
    """
    rows = breakers_of(table)
    findings = read_findings(table, ignoring=[*_cloudwatch_reads(table), f"dynamodb:Scan {tenants_table}"])
    whole = read_whole(table)
    for row in rows:
        link = _link(row, links, table_name)
        findings += _malformed_findings(row, link)
        findings += [*_name_findings(row, link), *_state_findings(row, policy, now, link), *_ttl_findings(row, policy, link)]
        if row.required and row.state_source in (NOT_OBSERVED, EXPIRED) and row.state is None and whole:
            findings.append(
                BREAKER_NOT_OBSERVED.at(
                    row.connector,
                    expected=f"a STATE or CONCURRENCY item in {table_name}",
                    seen="only a STATE item whose ttl has passed" if row.state_source == EXPIRED else "neither item",
                    link=links.table(table_name),
                )
            )
    states = Counter(row.state for row in rows)
    facts: dict[str, Fact] = {
        "connectors": sum(1 for row in rows if row.connector),
        **{state.lower(): states[state] for state in STATES},
        "never_failed": sum(1 for row in rows if row.state_source == NEVER_FAILED),
        "not_observed": sum(1 for row in rows if row.connector and row.state is None and row.state_source != FROM_ITEM),
        "malformed_records": sum(len(row.malformed) for row in rows),
    }
    observed = [row for row in rows if row.state is not None]
    summary = f"{len(observed)} of {facts['connectors']} connectors observed: {_state_list(observed)}"
    return conclude(judged=len(observed), summary=summary, findings=findings, facts=facts, evidence=_evidence(links, table_name))


def judge_operator_action(
    table: pd.DataFrame,
    runbook: pd.DataFrame,
    *,
    policy: BreakerPolicy,
    runbook_policy: RunbookPolicy,
    now: datetime,
    links: ConsoleLinks,
    table_name: str,
) -> Judgement:
    """Row 2.2: the runbook section exists; no breaker is open or stuck without its operator action; none was closed by hand.

    A connector whose state cannot be read or is invalid cannot be judged here either, and is found again.

    Args:
        table: `breaker_snapshot`, with its reads.
        runbook: the table `runbook`, with its reads.
        policy: cooldown, timeouts and limits.
        runbook_policy: the anchor of the section.
        now: evaluation time.
        links: console links of the platform's region.
        table_name: the resilience table, for subjects and links.
    """
    rows = breakers_of(table)
    anchor = runbook_policy.breaker_anchor
    section = runbooks.link_to(runbook, anchor)
    findings = runbooks.anchor_findings(runbook, anchor)
    findings += read_findings(table, ignoring=_cloudwatch_reads(table) - set(_ACTIVITY_READS))
    findings += _tenant_findings(rows, links)
    whole, activity_known = read_whole(table), _activity_known(table)
    for row in rows:
        link = _link(row, links, table_name)
        findings += _malformed_findings(row, link)
        if row.state is not None and row.state not in STATES:
            findings.append(_unknown_state(row, link))
        findings += _open_findings(row, policy, now, section or link)
        findings += _half_open_findings(row, policy, now, section or link)
        findings += _slot_findings(row, policy, now, link, activity_known=activity_known)
        if whole:
            findings += list(_closed_by_hand_findings(row, now, link)) or _earlier_hand_closing(row, policy, now, link)
    observed = [row for row in rows if row.state is not None]
    not_closed = [row for row in observed if row.state in (OPEN, HALF_OPEN)]
    facts: dict[str, Fact] = {
        "open": sum(1 for row in not_closed if row.state == OPEN),
        "half_open": sum(1 for row in not_closed if row.state == HALF_OPEN),
        "operator_actions_in_place": sum(1 for row in not_closed if row.operator_action),
        "calls_in_flight": sum(row.in_flight_count or 0 for row in rows),
        "earlier_snapshots": sum(len(row.history) for row in rows),
    }
    summary = f"{len(not_closed)} of {len(observed)} observed breakers not closed" + (
        f": {_state_list(not_closed)}" if not_closed else ""
    )
    evidence = _evidence(links, table_name) + ([EvidenceLink("Runbook section", section)] if section else [])
    return conclude(judged=len(observed), summary=summary, findings=findings, facts=facts, evidence=evidence)


def _cloudwatch_reads(table: pd.DataFrame) -> set[str]:
    return {read.operation for read in reads_of(table) if read.operation.startswith("cloudwatch:")}


def _activity_known(table: pd.DataFrame) -> bool:
    """False if data points of a connector may be there that could not be read."""
    return all(read.status is ReadStatus.OK for read in reads_of(table) if read.operation in _ACTIVITY_READS)


def _evidence(links: ConsoleLinks, table_name: str) -> list[EvidenceLink]:
    return [EvidenceLink(f"Table {table_name}", links.table(table_name))]


def _state_list(rows: Sequence[Breaker], limit: int = 8) -> str:
    """`crm OPEN, internal CLOSED (never failed)`, at most `limit` of them."""
    texts = [f"{row.connector} {row.state}" + ("" if row.state_source == FROM_ITEM else f" ({row.state_source})") for row in rows]
    return (", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")) or "none"


def _link(row: Breaker, links: ConsoleLinks, table_name: str) -> str:
    if not row.connector:
        return links.table(table_name)
    sort_key = STATE_KEY if row.state_source in (FROM_ITEM, EXPIRED) else CONCURRENCY_KEY
    return links.item(table_name, f"{KEY_PREFIX}{row.connector}", sort_key)


def _at(epoch: float | None) -> str:
    """An epoch second for people; one that no calendar knows stays a number."""
    if epoch is None:
        return "none"
    try:
        return (_EPOCH + timedelta(seconds=epoch)).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError:
        return f"epoch second {epoch:.0f}"


def _duration(seconds: float) -> str:
    """`45 s`, `12.5 min`, `3.2 h`, `4.0 d`."""
    for unit, size in (("d", DAY), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _epoch(stamp: str | None) -> float | None:
    """Epoch seconds of an ISO-8601 stamp; None if there is none or it cannot be read."""
    try:
        return parse_iso(stamp).timestamp() if stamp else None
    except (ValueError, TypeError):
        return None


# Row 2.1


def _malformed_findings(row: Breaker, link: str) -> Iterator[Finding]:
    for record in row.malformed:
        yield BREAKER_RECORD_MALFORMED.at(
            f"{record['table']}: {record['key']}: {record['attribute']}",
            expected="an item as the platform writes it",
            seen=record["problem"],
            link=link,
        )


def _name_findings(row: Breaker, link: str) -> Iterator[Finding]:
    if not row.connector:
        return
    if not row.known:
        yield CONNECTOR_UNKNOWN.at(
            row.connector,
            expected="a connector of a registered tool or of the settings",
            seen="only the table names it",
            link=link,
        )
    if row.canonical_connector != row.connector:
        yield CONNECTOR_NOT_CANONICAL.at(row.connector, expected=row.canonical_connector, seen=row.connector, link=link)


def _unknown_state(row: Breaker, link: str) -> Finding:
    return BREAKER_STATE_INVALID.at(row.connector, expected="CLOSED, OPEN or HALF_OPEN", seen=f"state {row.state!r}", link=link)


def _state_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    if row.state is None or row.state_source != FROM_ITEM:
        return
    if row.state not in STATES:
        yield _unknown_state(row, link)
    start = row.window_start_epoch_sec or 0
    if start > now.timestamp() + policy.clock_skew_seconds:
        yield BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"a window start no later than {iso(now)} plus {policy.clock_skew_seconds} s",
            seen=f"window start {_at(start)}",
            link=link,
        )
    if row.state == CLOSED and (row.failure_count or 0) >= policy.failure_threshold:
        yield BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"fewer than {policy.failure_threshold} failures while CLOSED: the breaker opens at that many",
            seen=f"CLOSED with {row.failure_count} failures, as a hand that sets only the state leaves it",
            link=link,
        )
    if row.state != OPEN:
        return
    if row.open_until_epoch_sec is None:
        yield OPEN_WITHOUT_DEADLINE.at(row.connector, expected="open_until_epoch_sec", seen="OPEN without it", link=link)
        return
    longest = max(policy.open_max_minutes * 60, 2 * policy.cooldown_seconds)
    if row.open_until_epoch_sec - start > longest:
        yield BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"a deadline at most {_duration(longest)} after the window start {_at(start)}",
            seen=f"open until {_at(row.open_until_epoch_sec)}",
            link=link,
        )


def _ttl_findings(row: Breaker, policy: BreakerPolicy, link: str) -> Iterator[Finding]:
    """The ttl is judged against the window start, which the platform writes no later than the ttl's own write.

    In HALF_OPEN the window start is that of the failures before the last write, so only the lower bound can be told. An expired
    item counts as absent, but one that was written to live for less than the minimum is found all the same.
    """
    if row.window_start_epoch_sec is None or row.state_source not in (FROM_ITEM, EXPIRED):
        return
    if row.ttl_epoch_sec is None:
        yield BREAKER_TTL_MISSING.at(row.connector, expected="ttl_epoch_sec", seen="a STATE item without it", link=link)
        return
    lives = row.ttl_epoch_sec - row.window_start_epoch_sec
    too_long = lives > policy.ttl_max_days * DAY and row.state != HALF_OPEN
    if lives < policy.ttl_min_days * DAY or too_long:
        yield BREAKER_TTL_OUT_OF_RANGE.at(
            row.connector,
            expected=f"{policy.ttl_min_days} to {policy.ttl_max_days} days after window start {_at(row.window_start_epoch_sec)}",
            seen=f"{_duration(lives)} (ttl {_at(row.ttl_epoch_sec)})",
            link=link,
        )


# Row 2.2


def _tenant_findings(rows: Sequence[Breaker], links: ConsoleLinks) -> Iterator[Finding]:
    for record in rows[0].malformed_tenants if rows else ():
        yield TENANT_RECORD_MALFORMED.at(
            f"{record['table']}: {record['key']}: {record['attribute']}",
            expected="a tenant item as the platform writes it",
            seen=record["problem"],
            link=links.table(record["table"]),
        )


def _open_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    """What an OPEN breaker, or one that is between two openings, asks of the operator."""
    if row.state not in (OPEN, HALF_OPEN):
        return
    persistent = _persistence(row, policy, now)
    if persistent and not row.operator_action:
        yield OPEN_BREAKER_WITHOUT_OPERATOR_ACTION.at(
            row.connector,
            expected=f"no tenant executes through {row.connector} ({_named(row.action_types)})",
            seen=f"{persistent}; {row.operator_action_seen}",
            link=link,
        )
    elif row.operator_action and (persistent or row.state == OPEN):
        yield BREAKER_OPEN.at(
            row.connector,
            expected="CLOSED once the connector recovers",
            seen=f"{persistent or _deadline_text(row, now)}; operator action in place: {row.operator_action_seen}",
            link=link,
        )
    elif row.state == OPEN:
        idle = _past_deadline(row, now) and not _called_since(row, _episode_end(payload(row)))
        yield (OPEN_IDLE if idle else BREAKER_OPEN).at(row.connector, expected="CLOSED", seen=_deadline_text(row, now), link=link)


def _named(action_types: Sequence[str]) -> str:
    return ", ".join(action_types) if action_types else "no registered action type: execution_enabled false"


def _past_deadline(row: Breaker, now: datetime) -> bool:
    return row.open_until_epoch_sec is None or row.open_until_epoch_sec <= now.timestamp()


def _deadline_text(row: Breaker, now: datetime) -> str:
    if row.open_until_epoch_sec is None:
        return "OPEN without a deadline"
    left = row.open_until_epoch_sec - now.timestamp()
    when = f"for {_duration(left)} more" if left > 0 else f"for {_duration(-left)} past its deadline"
    return f"OPEN {when} (until {_at(row.open_until_epoch_sec)}), last data point {row.last_datapoint_at or 'none'}"


def _called_since(row: Breaker, epoch: float | None) -> bool:
    """True if the newest data point of the connector is later than `epoch` (both written by the platform)."""
    last = _epoch(row.last_datapoint_at)
    return last is not None and epoch is not None and last > epoch


def _persistence(row: Breaker, policy: BreakerPolicy, now: datetime) -> str | None:
    """Why the breaker counts as one that does not recover by itself; None if nothing shows it."""
    chain = _chain(row, policy)
    reopenings = _reopenings(chain)
    if reopenings >= policy.max_reopenings:
        return f"re-opened {reopenings} times in a row since {_at(chain[0].get('window_start'))}"
    since = chain[0].get("window_start")
    if since is None:
        return None
    open_for = now.timestamp() - since
    if open_for > policy.open_max_minutes * 60 and _called_since(row, _episode_end(chain[0])):
        return (
            f"not closed for {_duration(open_for)} (since {_at(since)}) under traffic (newest data point {row.last_datapoint_at})"
        )
    return None


def _chain(row: Breaker, policy: BreakerPolicy) -> list[Mapping[str, Any]]:
    """The newest unbroken series of OPEN and HALF_OPEN snapshots, this one last.

    Two snapshots are linked if the later one's window starts no later than a cooldown and a call timeout after the earlier one's
    deadline; after a longer gap it may have been closed in between.
    """
    chain: list[Mapping[str, Any]] = [payload(row)]
    for earlier in reversed(row.history):
        start, end = chain[0].get("window_start"), _episode_end(earlier)
        if earlier.get("state") not in (OPEN, HALF_OPEN) or start is None or end is None:
            break
        if start != earlier.get("window_start") and start > end + policy.cooldown_seconds + policy.call_timeout_seconds:
            break
        chain.insert(0, earlier)
    return chain


def _episode_end(snapshot: Mapping[str, Any]) -> float | None:
    """The deadline of an OPEN snapshot; of one without it the last write, which in HALF_OPEN is the start of the probe."""
    for name in ("open_until", "last_write", "window_start"):
        if (value := snapshot.get(name)) is not None:
            return float(value)
    return None


def _reopenings(chain: Sequence[Mapping[str, Any]]) -> int:
    """How often a new deadline began after the one before it had ended; late failures only move a deadline."""
    count, deadline = 0, None
    for snapshot in chain:
        following, start = snapshot.get("open_until"), snapshot.get("window_start")
        if snapshot.get("state") != OPEN or following is None or start is None:
            continue
        if deadline is not None and following > deadline and start >= deadline:
            count += 1
        deadline = following
    return count


def _half_open_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    if row.state != HALF_OPEN:
        return
    longest = policy.cooldown_seconds + policy.call_timeout_seconds
    expected = f"a probe that ends within {longest} s"
    what = "its probe in flight" if row.half_open_probe_in_flight else "no probe in flight"
    held = _held_seconds(row, ("state", "ttl", "window_start"), now)
    written = row.last_write_epoch_sec
    age = None if written is None else now.timestamp() - written
    stuck_for = max(held, age or 0)
    if stuck_for > longest:
        yield HALF_OPEN_STUCK.at(
            row.connector,
            expected=expected,
            seen=f"HALF_OPEN with {what} for {_duration(stuck_for)}, last write {_at(written)}",
            link=link,
        )
    elif age is None or age < -policy.clock_skew_seconds:
        yield HALF_OPEN_STUCK.at(
            row.connector,
            expected=f"{expected}, dated by ttl_epoch_sec less {policy.state_ttl_days} days (breakers.state_ttl_days)",
            seen=f"HALF_OPEN with {what}; its ttl ({_at(row.ttl_epoch_sec)}) does not date the last write",
            verdict=Verdict.INCONCLUSIVE,
            link=link,
        )


def _held(row: Breaker, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The newest unbroken series of earlier snapshots in which these fields are as they are now, oldest first."""
    current = payload(row)
    held: list[Mapping[str, Any]] = []
    for earlier in reversed(row.history):
        if any(earlier.get(name) != current[name] for name in names):
            break
        held.insert(0, earlier)
    return held


def _held_seconds(row: Breaker, names: Sequence[str], now: datetime) -> float:
    """For how long earlier snapshots have shown these fields as they are now; 0 without one."""
    ages = [_age(snapshot, now) for snapshot in _held(row, names)]
    return max(ages, default=0)


def _age(snapshot: Mapping[str, Any], now: datetime) -> float:
    """Seconds from the snapshot to `now`, both evaluation time."""
    observed = _epoch(snapshot.get("observed_at"))
    return 0 if observed is None else now.timestamp() - observed


def _slot_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str, *, activity_known: bool) -> Iterator[Finding]:
    used = row.in_flight_count or 0
    link = link.replace(f"sk={STATE_KEY}", f"sk={CONCURRENCY_KEY}")
    if used > policy.max_in_flight:
        yield SLOT_LEAKED.at(
            row.connector, expected=f"at most {policy.max_in_flight} calls in flight", seen=f"{used} in flight", link=link
        )
    if used == 0 or not activity_known:
        return
    last = _epoch(row.last_datapoint_at)
    idle = None if last is None else now.timestamp() - last
    if idle is None or idle > policy.slot_idle_minutes * 60:
        yield SLOT_LEAKED.at(
            row.connector,
            expected=f"a data point within {policy.slot_idle_minutes} min of calls in flight",
            seen=f"{used} in flight, " + ("no data point at all" if idle is None else f"last data point {_duration(idle)} ago"),
            link=link,
        )
    held = [snapshot for snapshot in _held(row, ("in_flight",)) if _age(snapshot, now) >= policy.call_timeout_seconds]
    if held:
        calls_ended = held[-1].get("last_datapoint_at") != row.last_datapoint_at
        yield SLOT_LEAKED.at(
            row.connector,
            expected=f"another number of calls in flight after {policy.call_timeout_seconds} s",
            seen=f"{used} in flight in every snapshot since {held[0].get('observed_at')}, "
            + ("though calls ended since then" if calls_ended else "and no call ended since then"),
            verdict=Verdict.WARN if calls_ended else Verdict.FAIL,
            link=link,
        )


def _earlier_hand_closing(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    """A hand that closed the breaker between two kept snapshots is not undone by the next success."""
    latest = None
    for earlier, later in pairwise(row.history):
        deadline, start = earlier.get("open_until") or 0, later.get("window_start")
        gone = start is None and (earlier.get("ttl") or 0) > (_epoch(later.get("observed_at")) or 0)
        early = later.get("state") == CLOSED and start is not None and start < deadline
        unprobed = earlier.get("state") == HALF_OPEN and later.get("state") == CLOSED and start == earlier.get("window_start")
        if gone or early or unprobed:
            latest = (earlier, later, "its record gone" if gone else f"CLOSED with window start {_at(start)}")
    if latest is None:
        return
    earlier, later, how = latest
    age = now.timestamp() - (_epoch(later.get("observed_at")) or 0)
    yield CLOSED_BY_HAND.at(
        row.connector,
        expected="closed by a probe after its deadline",
        seen=f"{earlier.get('state')} at {earlier.get('observed_at')}, then {how} at {later.get('observed_at')}, "
        f"{_duration(max(age, 0))} ago",
        verdict=Verdict.FAIL if age <= policy.hand_closing_hours * 3600 else Verdict.WARN,
        link=link,
    )


def _closed_by_hand_findings(row: Breaker, now: datetime, link: str) -> Iterator[Finding]:
    """Only a probe closes a breaker: after the deadline, with a window start of its own. Only its ttl removes an item."""
    expected = "closed by a probe after its deadline"
    if row.state == CLOSED and row.state_source == FROM_ITEM:
        start = row.window_start_epoch_sec or 0
        snapshots = [*row.history, payload(row)]
        deadline = max((snapshot.get("open_until") or 0 for snapshot in snapshots), default=0)
        probed = max((s.get("window_start") or 0 for s in row.history if s.get("state") == HALF_OPEN), default=-1)
        if start < deadline:
            yield CLOSED_BY_HAND.at(
                row.connector,
                expected=expected,
                seen=f"CLOSED with window start {_at(start)}, was open until {_at(deadline)}",
                link=link,
            )
        elif start <= probed:
            yield CLOSED_BY_HAND.at(
                row.connector,
                expected=expected,
                seen=f"CLOSED with window start {_at(start)}, which is that of its HALF_OPEN",
                link=link,
            )
    elif row.state_source in (NEVER_FAILED, NOT_OBSERVED, EXPIRED):
        lasting = [snapshot for snapshot in row.history if (snapshot.get("ttl") or 0) > now.timestamp()]
        if lasting:
            newest = lasting[-1]
            yield CLOSED_BY_HAND.at(
                row.connector,
                expected=f"{item_key(row.connector, STATE_KEY)} until its ttl {_at(newest.get('ttl'))}",
                seen=f"no such item with its ttl ahead; it was {newest.get('state')} when seen at {newest.get('observed_at')}",
                link=link,
            )
