"""Judges of checklist section 2: is every breaker's state observable, and has every open one its operator action. Pure.

Contract: a breaker opens at 5 failures in 60 s, lets one probe through after the cooldown, and only a probe closes it. Its window
start is the start of the failure window, and the probe that closes or re-opens it sets it anew; so a CLOSED breaker whose window
starts before an earlier deadline was not closed by a probe. Times that the platform wrote are compared with each other;
evaluation time is used for ages only. What the snapshot and the kept history do not show is not guessed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative import runbook as runbooks
from phase5_ops.ccnative.breaker_records import CLOSED, CONCURRENCY_KEY, HALF_OPEN, KEY_PREFIX, OPEN, STATE_KEY, STATES
from phase5_ops.clock import iso
from phase5_ops.cloudwatch.metric_query import METRIC_READS
from phase5_ops.policy import BreakerPolicy, RunbookPolicy
from phase5_ops.reads import ReadStatus, read_findings
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.sections.breakers.evidence import (
    DAY,
    EXPIRED,
    FROM_ITEM,
    NEVER_FAILED,
    NOT_OBSERVED,
    Breaker,
    Snapshots,
    read_whole,
)
from phase5_ops.sections.breakers.irregularities import (
    closed_by_hand_findings,
    earlier_hand_closing,
    half_open_findings,
    slot_findings,
)
from phase5_ops.sections.breakers.openings import open_findings
from phase5_ops.sections.breakers.times import duration, instant
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Fact, Finding, Judgement, conclude


def judge_state_observable(
    table: Snapshots,
    *,
    policy: BreakerPolicy,
    now: datetime,
    links: ConsoleLinks,
    tenants_table: str = "cc-native-tenants",
) -> Judgement:
    """Row 2.1: every known connector has a readable, valid, current breaker state.

    Args:
        table: `breaker_snapshot`, with its reads.
        policy: state ttl, open time and clock skew.
        now: evaluation time.
        links: console links of the platform's region.
        tenants_table: the tenants table, whose reads do not matter for this row.
    """
    rows, table_name = table.rows, table.facts.table
    findings = read_findings(table.reads, ignoring=[*_cloudwatch_reads(table), f"dynamodb:Scan {tenants_table}"])
    whole = read_whole(table)
    for row in rows:
        link = _link(row, links, table_name)
        findings += [record.finding(BreakerCode.BREAKER_RECORD_MALFORMED, link) for record in row.malformed]
        findings += [*_name_findings(row, link), *_state_findings(row, policy, now, link), *_ttl_findings(row, policy, link)]
        if row.required and row.state_source in (NOT_OBSERVED, EXPIRED) and row.state is None and whole:
            findings.append(
                BreakerCode.BREAKER_NOT_OBSERVED.at(
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
    table: Snapshots,
    runbook: runbooks.Runbook,
    *,
    policy: BreakerPolicy,
    runbook_policy: RunbookPolicy,
    now: datetime,
    links: ConsoleLinks,
) -> Judgement:
    """Row 2.2: the runbook section exists; no breaker is open or stuck without its operator action; none was closed by hand.

    A connector whose state cannot be read or is invalid cannot be judged here either, and gets the same findings again.

    Args:
        table: `breaker_snapshot`, with its reads.
        runbook: the table `runbook`, with its reads.
        policy: cooldown, timeouts and limits.
        runbook_policy: the anchor of the section.
        now: evaluation time.
        links: console links of the platform's region.
    """
    rows, table_name = table.rows, table.facts.table
    anchor = runbook_policy.breaker_anchor
    section = runbooks.link_to(runbook, anchor)
    findings = runbooks.anchor_findings(runbook, anchor)
    findings += read_findings(table.reads, ignoring=_cloudwatch_reads(table) - set(METRIC_READS))
    for record in rows[0].malformed_tenants if rows else ():
        link, expected = links.table(record.table), "a tenant item as the platform writes it"
        findings.append(record.finding(BreakerCode.TENANT_RECORD_MALFORMED, link, expected=expected))
    whole = read_whole(table)
    # whether a connector was called; the other CloudWatch reads of the upstream tables decide nothing here
    activity_known = all(read.status is ReadStatus.OK for read in table.reads if read.operation in METRIC_READS)
    for row in rows:
        link = _link(row, links, table_name)
        findings += [record.finding(BreakerCode.BREAKER_RECORD_MALFORMED, link) for record in row.malformed]
        if row.state is not None and row.state not in STATES:
            findings.append(_unknown_state(row, link))
        findings += open_findings(row, policy, now, section or link)
        findings += half_open_findings(row, policy, now, section or link)
        findings += slot_findings(row, policy, now, link, activity_known=activity_known)
        if whole:
            findings += list(closed_by_hand_findings(row, now, link)) or earlier_hand_closing(row, policy, now, link)
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


def _cloudwatch_reads(table: Snapshots) -> set[str]:
    return {read.operation for read in table.reads if read.operation.startswith("cloudwatch:")}


def _evidence(links: ConsoleLinks, table_name: str) -> list[EvidenceLink]:
    return [EvidenceLink(f"Table {table_name}", links.table(table_name))]


def _state_list(rows: Sequence[Breaker]) -> str:
    """`crm OPEN, internal CLOSED (never failed)`, at most eight of them."""
    texts = [f"{row.connector} {row.state}" + ("" if row.state_source == FROM_ITEM else f" ({row.state_source})") for row in rows]
    return first_few(texts, 8) or "none"


def _link(row: Breaker, links: ConsoleLinks, table_name: str) -> str:
    if not row.connector:
        return links.table(table_name)
    sort_key = STATE_KEY if row.state_source in (FROM_ITEM, EXPIRED) else CONCURRENCY_KEY
    return links.item(table_name, f"{KEY_PREFIX}{row.connector}", sort_key)


# Row 2.1


def _name_findings(row: Breaker, link: str) -> Iterator[Finding]:
    if not row.connector:
        return
    if not row.known:
        yield BreakerCode.CONNECTOR_UNKNOWN.at(
            row.connector,
            expected="a connector of a registered tool or of the settings",
            seen="only the table names it",
            link=link,
        )
    if row.canonical_connector != row.connector:
        yield BreakerCode.CONNECTOR_NOT_CANONICAL.at(
            row.connector, expected=row.canonical_connector, seen=row.connector, link=link
        )


def _unknown_state(row: Breaker, link: str) -> Finding:
    return BreakerCode.BREAKER_STATE_INVALID.at(
        row.connector, expected="CLOSED, OPEN or HALF_OPEN", seen=f"state {row.state!r}", link=link
    )


def _state_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    if row.state is None or row.state_source != FROM_ITEM:
        return
    if row.state not in STATES:
        yield _unknown_state(row, link)
    start = row.window_start_epoch_sec or 0
    if start > now.timestamp() + policy.clock_skew_seconds:
        yield BreakerCode.BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"a window start no later than {iso(now)} plus {policy.clock_skew_seconds} s",
            seen=f"window start {instant(start)}",
            link=link,
        )
    if row.state == CLOSED and (row.failure_count or 0) >= policy.failure_threshold:
        yield BreakerCode.BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"fewer than {policy.failure_threshold} failures while CLOSED: the breaker opens at that many",
            seen=f"CLOSED with {row.failure_count} failures, as after somebody set only the state by hand",
            link=link,
        )
    if row.state != OPEN:
        return
    if row.open_until_epoch_sec is None:
        yield BreakerCode.OPEN_WITHOUT_DEADLINE.at(
            row.connector, expected="open_until_epoch_sec", seen="OPEN without it", link=link
        )
        return
    longest = max(policy.open_max_minutes * 60, 2 * policy.cooldown_seconds)
    if row.open_until_epoch_sec - start > longest:
        yield BreakerCode.BREAKER_STATE_INVALID.at(
            row.connector,
            expected=f"a deadline at most {duration(longest)} after the window start {instant(start)}",
            seen=f"open until {instant(row.open_until_epoch_sec)}",
            link=link,
        )


def _ttl_findings(row: Breaker, policy: BreakerPolicy, link: str) -> Iterator[Finding]:
    """The ttl is judged against the window start, which the platform writes no later than the ttl's own write.

    In HALF_OPEN the window start is that of the failures before the last write, so only the lower bound can be checked. An
    expired item counts as absent, but is still found if its ttl was below the minimum when it was written.
    """
    if row.window_start_epoch_sec is None or row.state_source not in (FROM_ITEM, EXPIRED):
        return
    if row.ttl_epoch_sec is None:
        yield BreakerCode.BREAKER_TTL_MISSING.at(
            row.connector, expected="ttl_epoch_sec", seen="a STATE item without it", link=link
        )
        return
    lives = row.ttl_epoch_sec - row.window_start_epoch_sec
    too_long = lives > policy.ttl_max_days * DAY and row.state != HALF_OPEN
    if lives < policy.ttl_min_days * DAY or too_long:
        yield BreakerCode.BREAKER_TTL_OUT_OF_RANGE.at(
            row.connector,
            expected=f"{policy.ttl_min_days} to {policy.ttl_max_days} days after window start"
            f" {instant(row.window_start_epoch_sec)}",
            seen=f"{duration(lives)} (ttl {instant(row.ttl_epoch_sec)})",
            link=link,
        )
