"""Follows the canary of row 4.1 to its end, collects what it wrote and read, makes the cross-tenant probes, and cleans up.

Nothing is deleted from the ledger. The lease is given back at the end, whatever happens before.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.aws.data_trail import DataTrail, read_data_trail
from phase5_ops.aws.pace import LONGEST_PAUSE, growing_pauses
from phase5_ops.ccnative.keys import ExecutionScope, distinctive, plain_item
from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.clock import parse_iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import NoFacts
from phase5_ops.probing import canary, own_work
from phase5_ops.probing import lease as leases
from phase5_ops.probing.canary_intent import CanaryPlace, decision_trace, is_ours
from phase5_ops.probing.channel import ACCOUNTS_CLAIM
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.probing.dynamo import change_items, query_partition
from phase5_ops.probing.forge import TokenKind, claims_of
from phase5_ops.probing.identity import Pool, parse_accounts
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.tokens import tokens_of_run
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness.controls import control_rows
from phase5_ops.sections.isolation.harness.cross_probes import CrossProbing, not_tried
from phase5_ops.sections.isolation.harness.events import read_bus_events
from phase5_ops.sections.isolation.harness.evidence import (
    ISOLATION_HARNESS,
    AccessKind,
    FootprintOutcome,
    Harness,
    HarnessRow,
    Result,
    TableImage,
    TableKeys,
    event_row,
    exception_rows,
    footprint,
    mentions,
    outcome_rows,
)
from phase5_ops.sections.isolation.harness.probe_matrix import build_cross_plan
from phase5_ops.sections.isolation.harness.probe_plan import CrossTargets
from phase5_ops.sections.isolation.harness.starting import LEASE_USER, SKEW
from phase5_ops.sections.isolation.harness.tables import CanaryStarted, Partitions, PlatformTable, images, read_items
from phase5_ops.sections.isolation.harness.trail import TrailWindow, read_trail, trail_row
from phase5_ops.verdict import Verdict

_TRAILING_SECONDS = 3.0  # how long to wait for the signal after the outcome
_MARGIN = timedelta(seconds=2)  # around the execution's window, as the clocks of several functions differ
_OFF = timedelta(days=1)  # a platform's clock is not further off than that; whoever writes so makes no window of years
_TOKENS_LAST_LONGER = 120.0  # seconds beyond the time of the probes, for what comes before and after them
_CANARY_ID = re.compile(r"ai_\d+_phase5[0-9a-z]*")  # nobody else makes ids of that form
_ERRORS = frozenset(code.code for code in ProbingCode.all() if code.verdict is Verdict.ERROR)

Item = Mapping[str, Any]


def collect_harness(run: RunContext, started: CanaryStarted, *, sleep: Callable[[float], None] = time.sleep) -> Harness:
    """The table `isolation_harness`.

    Args:
        run: of this run.
        started: the table `isolation_canary_started`.
        sleep: waits.
    """
    context = started.facts.context
    collecting = _HarnessCollecting(run, started, context, sleep)
    try:
        rows = collecting.collect()
    finally:
        if context.get("leased"):
            collecting.reads.append(
                leases.release(run.reader, leases.ProbesPartition.of(run.settings), str(context["run_id"]), user=LEASE_USER)
            )
    run.at_end.pop(LEASE_USER, None)
    return ISOLATION_HARNESS.gathered(rows, NoFacts()).with_reads([*started.reads, *collecting.reads], run.now())


@dataclass
class _HarnessCollecting:
    run: RunContext
    started: CanaryStarted
    context: Mapping[str, Any]
    sleep: Callable[[float], None]
    reads: list[Read] = field(default_factory=list)
    outcome: Item | None = None
    entries: list[Item] = field(default_factory=list)
    waited: float = 0.0

    def collect(self) -> list[HarnessRow]:
        """Every row."""
        if "obstacle" in self.context or "targets" not in self.context:
            return [_run_row(self.context.get("obstacle")), *self._always(ExecutionScope("control"), "control-b")]
        entry = dict(self.context["targets"])
        targets = CrossTargets(**entry | {"now": parse_iso(entry["now"])})
        scope = self._scope(targets)
        if targets.canary is None:
            reason = "PHASE5_PROBE_MODE=refusals: a canary execution would start work"
            rows = [HarnessRow(AccessKind.RUN, "canary", "", Result.NOT_JUDGED, reason, codes=("canary_not_executed",))]
            return [*rows, *self._probe(targets), *self._always(scope, targets.tenant_b)]
        leaked: list[TableImage] = []
        try:
            self._follow(targets, targets.canary)
            scope = self._scope(targets)
            own_work.note(self.run, scope.traces)
            leaked = self._images(scope, targets)
            rows = [*self._outcome_rows(scope), *self._footprint(leaked, scope, targets), *self._trail(scope, targets)]
            rows += self._events(scope)
            rows += self._probe(targets)
        finally:
            removal = self._clean_up(targets, leaked)
        return [*rows, *removal, *self._always(scope, targets.tenant_b)]

    def _always(self, scope: ExecutionScope, other: str) -> list[HarnessRow]:
        return [*control_rows(scope, other), *exception_rows()]

    # The canary

    def _follow(self, targets: CrossTargets, intent: str) -> None:
        """Waits for the outcome, and a little longer for the signal after it."""
        policy = self.run.settings.isolation
        began, ended = time.monotonic(), 0.0
        for pause in growing_pauses():
            whole = self._look(targets, intent)
            now = time.monotonic()
            self.waited = now - began
            events = self._events_of(intent)
            ended = ended or (now if self.outcome is not None else 0.0)
            complete = self.outcome is not None and "SIGNAL" in events
            if complete or not whole or self.waited >= policy.outcome_seconds or (ended and now - ended >= _TRAILING_SECONDS):
                return
            self.sleep(pause)

    def _look(self, targets: CrossTargets, intent: str) -> bool:
        """Reads outcome and ledger again. Returns whether both were read whole."""
        reader, tables = self.run.reader, self.run.settings.tables
        place = CanaryPlace(targets.tenant_a, targets.account_a)
        found, outcome_read = query_partition(reader, tables.execution_outcomes, place.partition, beginning=f"OUTCOME#{intent}")
        entries, ledger_read = query_partition(
            reader, tables.ledger, f"TENANT#{targets.tenant_a}", since=f"ENTRY#{self.context['since']}"
        )
        self.outcome = plain_item(found[0]) if found else None
        self.entries = [plain_item(entry) for entry in entries]
        failed = [read for read in (outcome_read, ledger_read) if read.status is not ReadStatus.OK]
        self.reads += failed
        return not failed

    def _traces(self, intent: str) -> set[str]:
        """Traces of A's ledger entries that name this intent."""
        return {str(entry.get("traceId")) for entry in self.entries if _data(entry).get("action_intent_id") == intent} - {"None"}

    def _of(self, intent: str) -> list[Item]:
        """A's ledger entries of these traces."""
        traces = self._traces(intent)
        return [entry for entry in self.entries if str(entry.get("traceId")) in traces]

    def _events_of(self, intent: str) -> tuple[str, ...]:
        return tuple(str(entry.get("eventType")) for entry in self._of(intent))

    def _scope(self, targets: CrossTargets) -> ExecutionScope:
        """The canary's scope, with every id known so far."""
        known = frozenset(map(str, self.context.get("known_tenants", ())))
        others = known | {targets.tenant_b}
        markers = frozenset(text for text in (targets.account_b, targets.told_b, targets.intent_b) if distinctive(text))
        if targets.canary is None:
            return ExecutionScope(targets.tenant_a, other_tenants=others, foreign_markers=markers)
        intent, run_id = targets.canary, self.run.run_id
        traces = self._traces(intent)
        mine = [_data(entry) for entry in self._of(intent)]
        outcome = self.outcome or {}
        named = outcome.get("external_object_refs")
        references = [ref for ref in (named if isinstance(named, list) else ()) if isinstance(ref, Mapping)]
        tool = str(outcome.get("tool_name") or "")
        return ExecutionScope(
            targets.tenant_a,
            accounts=frozenset({targets.account_a}),
            intents=frozenset({intent}),
            traces=frozenset({*traces, decision_trace(run_id, intent)}),
            decisions=frozenset({f"dec_phase5_{run_id}_{intent}"}),
            idempotency_keys=frozenset(str(data["idempotency_key"]) for data in mine if data.get("idempotency_key")),
            action_types=frozenset({self.run.settings.probes.action_type}),
            connectors=frozenset({connector_of_tool(tool)} if tool else {}),
            objects=frozenset(str(ref["object_id"]) for ref in references if ref.get("object_id")),
            other_tenants=others,
            foreign_markers=markers,
        )

    def _outcome_rows(self, scope: ExecutionScope) -> list[HarnessRow]:
        outcome = self.outcome or {}
        events = self._events_of(next(iter(scope.intents)))
        status = str(outcome.get("status")) if self.outcome is not None else None
        return outcome_rows(FootprintOutcome(status, events, self.waited, str(outcome.get("error_message") or "")[:300]), scope)

    # Footprint, events, trail

    def _tables(self) -> list[PlatformTable]:
        return [
            PlatformTable(
                entry["name"],
                TableKeys(
                    entry["literal"], tuple(entry["key"]), {name: tuple(names) for name, names in entry["indexes"].items()}
                ),
                entry["whole"],
            )
            for entry in self.context.get("tables", ())
        ]

    def _images(self, scope: ExecutionScope, targets: CrossTargets) -> list[TableImage]:
        tables = self._tables()
        partitions = Partitions((targets.tenant_a, targets.tenant_b), self.run.settings.probes.accounts, scope)
        after, reads = read_items(self.run.reader, tables, partitions)
        self.reads += reads
        return images(tables, self.started.rows, after)

    def _footprint(self, found: Sequence[TableImage], scope: ExecutionScope, targets: CrossTargets) -> list[HarnessRow]:
        rows = footprint(
            found,
            scope,
            other_test_tenant=targets.tenant_b,
            own_ids=_other_canaries(found, scope),
            exports=own_work.exports_of(self.run),
        )
        for entry in self.context.get("tables", ()):
            how = "compared whole" if entry["whole"] else "compared by the test tenants' partitions and the execution's ids only"
            reason = f"{how}, {entry['items']} items read"
            rows.append(HarnessRow(AccessKind.RUN, entry["literal"], "", Result.LISTED, reason, operation="compared"))
        return rows

    def _span(self) -> tuple[datetime, datetime]:
        """From the execution's first record to its last, by the platform's clock; a wide window where no record says when."""
        now = self.run.now()
        written = [entry["timestamp"] for entry in self._of(str(self.context["targets"]["canary"])) if entry.get("timestamp")]
        stamps = [moment for each in written if (moment := _moment(each, now)) is not None]
        if not stamps or len(stamps) < len(written):
            return now - SKEW, now + timedelta(seconds=self.run.settings.isolation.outcome_seconds)
        return min(stamps) - _MARGIN, max(stamps) + _MARGIN

    def _trail(self, scope: ExecutionScope, targets: CrossTargets) -> list[HarnessRow]:
        policy = self.run.settings.isolation
        if policy.trail_s3_uri is None:
            return [trail_row(None, "no data-access trail is configured (PHASE5_ISOLATION__TRAIL_S3_URI)")]
        start, end = self._span()
        delivered_at = (end - _MARGIN).replace(microsecond=0)
        trail = self._read_trail(policy.trail_s3_uri, start, end, delivered_at)
        if failed := [read for read in trail.reads if read.status is not ReadStatus.OK]:
            return [trail_row(None, f"{failed[0].operation}: {failed[0].status}: {failed[0].error}")]
        keys = {table.name: table.keys for table in self._tables()}
        others = {name for name in own_work.noted(self.run, days=2) if is_ours(name)} - {targets.intent_b, targets.told_b}
        everything = replace(scope, intents=scope.intents | others)
        window = TrailWindow(start, end, policy.trail_functions, policy.trail_exclusive)
        reading = read_trail(trail.records, everything, window, keys, other_test_tenant=targets.tenant_b)
        return [*reading.rows, trail_row(reading, delivered=trail.delivered(delivered_at))]

    def _read_trail(self, location: str, start: datetime, end: datetime, delivered_at: datetime) -> DataTrail:
        ends = time.monotonic() + self.run.settings.isolation.trail_wait_seconds
        while True:
            now = max(end, self.run.now())
            trail = read_data_trail(self.run.reader, location, start, end, now=now)
            failed = any(read.status is not ReadStatus.OK for read in trail.reads)
            if failed or trail.delivered(delivered_at) or time.monotonic() + LONGEST_PAUSE > ends:
                self.reads += trail.reads
                return trail
            self.sleep(LONGEST_PAUSE)

    def _events(self, scope: ExecutionScope) -> list[HarnessRow]:
        group = self.run.settings.isolation.event_log_group
        if group is None:
            return []
        start, end = self._span()
        rate = self.run.settings.logs.requests_per_second
        window = (start - SKEW, end + SKEW)
        events, reads = read_bus_events(self.run.reader, group, *window, scope.execution_ids, calls_per_second=rate)
        self.reads += reads
        mine = [event for event in events if mentions(event.detail, scope.execution_ids)]
        return [event_row(event.source, event.detail_type, event.detail, scope) for event in mine]

    # Cross-tenant probes

    def _probe(self, targets: CrossTargets) -> list[HarnessRow]:
        settings = self.run.settings
        try:
            pool = Pool(self.run.reader, str(settings.user_pool_id), str(settings.user_pool_client_id), Redactor())
            signed_in = tokens_of_run(self.run, pool, seconds=settings.isolation.probe_seconds + _TOKENS_LAST_LONGER)
            self.reads += signed_in.reads
            user, supply, redactor = signed_in.user, signed_in.supply, signed_in.redactor
            outside = set(targets.accounts) - {targets.account_a}
            probing = CrossProbing(
                self.run,
                targets,
                self._client(str(settings.control_center_url), redactor),
                supply.tokens,
                may_write=self.context["mode"] == "full",
                scoped=user.accounts is not None and not user.accounts & outside,
                b_scoped=_limits(supply.tokens.get(TokenKind.VALID_B), targets.account_a),
                decisions=self._decision_client(redactor),
                sleep=self.sleep,
            )
            try:
                return probing.run()
            finally:
                self.reads += probing.reads
        except Obstructed as stop:
            reason = f"{stop.obstacle.code}: {stop.obstacle.subject}: {stop.obstacle.seen}"
            return [not_tried(probe, reason) for probe in build_cross_plan(targets)]

    def _client(self, url: str, redactor: Redactor, key: str | None = None) -> HttpClient:
        probes = self.run.settings.probes
        return HttpClient(
            url,
            timeout_seconds=probes.request_timeout_seconds,
            user_agent=probes.user_agent,
            redactor=redactor,
            shown_body=None,
            api_key=key,
        )

    def _decision_client(self, redactor: Redactor) -> HttpClient | None:
        """The client of the decision API; None where it has neither an address nor a key of its own."""
        settings = self.run.settings
        key = settings.decision_api_key.get_secret_value() if settings.decision_api_key is not None else None
        if settings.decision_api_url is None and key is None:
            return None
        redactor.add(*([key] if key else []))
        return self._client(str(settings.decision_api_url or settings.control_center_url), redactor, key)

    # Cleaning up

    def _clean_up(self, targets: CrossTargets, found: Sequence[TableImage]) -> list[HarnessRow]:
        """Removes the canary and what it caused under the test tenants' keys; what lies elsewhere is left and reported."""
        reader, tables, intent = self.run.reader, self.run.settings.tables, str(targets.canary)
        places = [CanaryPlace(targets.tenant_a, targets.account_a), CanaryPlace(targets.tenant_b, targets.account_a)]
        reads = canary.remove(reader, tables, [(place, intent) for place in places], [intent])
        reads += change_items(reader, removed=dict(self._stray(targets, found)))
        failed = [read for read in reads if read.status is not ReadStatus.OK]
        self.reads += [read for read in reads if read.status is ReadStatus.OK]
        return [
            HarnessRow(
                AccessKind.RUN,
                read.resource,
                "",
                Result.NOT_JUDGED,
                f"{read.operation}: {read.status}: {read.error}",
                codes=("cleanup_failed",),
                expected="what the canary left removed",
            )
            for read in failed
        ]

    def _stray(self, targets: CrossTargets, found: Sequence[TableImage]) -> Iterable[tuple[str, list[Item]]]:
        """Items of the canary that a leaking platform put elsewhere under a test tenant's key, or into the dedupe table."""
        tables = self.run.settings.tables
        names = {table.keys.name: table.name for table in self._tables()}
        removable = {
            tables.execution_attempts,
            tables.execution_outcomes,
            tables.internal_notes,
            tables.internal_tasks,
            tables.signals,
            tables.external_write_dedupe,
        }
        for image in found:
            name = names[image.keys.name]
            if name not in removable:
                continue
            keys: list[Item] = []
            for item in image.after:
                plain = plain_item(item)
                first = str(plain.get(image.keys.key[0]))
                test = any(
                    first in (tenant, f"TENANT#{tenant}") or first.startswith(f"TENANT#{tenant}#ACCOUNT#")
                    for tenant in (targets.tenant_a, targets.tenant_b)
                )
                if (test or name == tables.external_write_dedupe) and mentions(plain, {str(targets.canary)}):
                    keys.append({attribute: item[attribute] for attribute in image.keys.key})
            if keys:
                yield name, keys


def _limits(token: str | None, account: str) -> bool:
    """Whether a token names accounts, and this one is not among them."""
    accounts = parse_accounts(claims_of(token).get(ACCOUNTS_CLAIM)) if token else None
    return accounts is not None and account not in accounts


def _moment(written: object, now: datetime) -> datetime | None:
    """The moment that a record says; None where it says none that may be."""
    try:
        moment = parse_iso(str(written))
    except ValueError:
        return None
    return moment if abs(moment - now) < _OFF else None


def _data(entry: Item) -> Mapping[str, Any]:
    data = entry.get("data")
    return data if isinstance(data, Mapping) else {}


def _other_canaries(found: Sequence[TableImage], scope: ExecutionScope) -> frozenset[str]:
    """Ids of other canaries and probes in the changed items."""
    items = [item for image in found for item in (*image.before, *image.after)]
    return frozenset(_CANARY_ID.findall(json.dumps(items, default=repr))) - scope.intents


def _run_row(obstacle: Mapping[str, str] | None) -> HarnessRow:
    """The row that says why there is no canary; `obstacle` as `starting.py` noted it, None where it noted nothing at all."""
    if obstacle is None:
        subject, expected, reason = "", "a canary execution", "the table isolation_canary_started does not say what was begun"
    else:
        subject, expected, reason = obstacle["subject"], obstacle["expected"], f"{obstacle['code']}: {obstacle['seen']}"
    return HarnessRow(
        AccessKind.RUN,
        "canary",
        subject,
        Result.NOT_JUDGED,
        reason,
        operation="error" if obstacle is None or obstacle["code"] in _ERRORS else "",
        codes=("canary_not_executed",),
        expected=expected,
    )
