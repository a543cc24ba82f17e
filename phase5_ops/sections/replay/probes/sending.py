"""Sends the probes of rows 3.1 and 3.3: checks whether it may, writes the canary intents, sends all requests through the guard.

It checks settings and stops and takes the lease before anything that acts. Whatever keeps the probes from being sent becomes an
`Obstacle` of the table, never an exception and never silence. The lease is kept for `collecting`, which gives it back; if
nothing was sent, it is given back here.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from phase5_ops.aws.pace import Pace, growing_pauses
from phase5_ops.ccnative.ledger import TERMINAL
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing import canary, own_work, stops
from phase5_ops.probing import lease as leases
from phase5_ops.probing.canary_intent import intent_item, must_be_refused, new_intent_id
from phase5_ops.probing.channel import ACCOUNTS_CLAIM
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.codes import Obstacle, Obstructed, ProbingCode
from phase5_ops.probing.configured import Configured, require_settings
from phase5_ops.probing.dynamo import query_partition
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.giving_back import give_back
from phase5_ops.probing.guard import ForbiddenTarget, Ground, check
from phase5_ops.probing.identity import Identity, Pool
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import HttpAnswer, Problem, Request
from phase5_ops.probing.switched_off import NotSwitched, switched_off
from phase5_ops.probing.tokens import SignedIn, Supply, keep_for_run, supply_of
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.probes.evidence import REPLAY_PROBES_SENT, Sent, SentFacts, SentProbes, sent_row
from phase5_ops.sections.replay.probes.matrix import COMBINATIONS, build_plan
from phase5_ops.sections.replay.probes.plan import (
    AUTHORIZATION_ROW,
    MISSING_INTENT,
    OWN_REPLAY,
    REPEATED_REPLAY,
    REPLAY_AT_ONCE,
    Expect,
    Probe,
    Targets,
    intents_of,
    request_of,
)
from phase5_ops.settings import Settings

log = logging.getLogger(__name__)

#: The name under which rows 3.1 and 3.3 use the lease of their run.
LEASE_USER = "replay"

#: How far a ledger entry's time may be behind evaluation time and still be one of this run.
LEDGER_SKEW = timedelta(minutes=5)

#: Such an answer to the first request does not come from the API; sending on would only take time.
_NOT_THE_API = (Problem.DOWN, Problem.TIMEOUT, Problem.TLS, Problem.REDIRECT, Problem.HTML)
#: No answer to the request itself: a probe that may start no work is sent again.
_AGAIN = (Problem.DOWN, Problem.TIMEOUT, Problem.THROTTLED)
#: A kind of token that was let in this often is not tried any more: each probe let in makes the platform act.
_ENOUGH = 10
#: How often the own replay is asked for once more while it is refused as being under way, and seconds between.
_REPEATS, _REPEAT_PAUSE = 8, 0.4
#: Probes whose place in the order of sending matters.
_APART = (MISSING_INTENT, OWN_REPLAY, REPLAY_AT_ONCE, REPEATED_REPLAY)


def send_probes(run: RunContext, *, wall: Callable[[], float] = time.time) -> SentProbes:
    """The table `replay_probes_sent`: every probe with its answer, or why it was not tried.

    Args:
        run: of this run.
        wall: epoch seconds, for lease and tokens.
    """
    now = run.now()
    sending = _Sending(run, wall)
    context: dict[str, Any] = {
        "run_id": run.run_id,
        "mode": run.settings.probe_mode,
        "since": iso(now - LEDGER_SKEW),
        "control_center": str(run.settings.control_center_url or ""),
        "tenants": sorted(run.settings.canary_tenants),
        "combinations": COMBINATIONS,
    }
    try:
        rows = sending.send_all()
    except Obstructed as stop:
        sending.obstacles.append(stop.obstacle)
        rows = [sent_row(probe, None, stop.obstacle.code) for probe in sending.plan_without_user()]
    context |= {"sent_at": wall(), "requesters": sorted(sending.requesters), "written": sending.written, **sending.cost}
    context["acted_on"] = sending.acted_on
    return REPLAY_PROBES_SENT.gathered(rows, SentFacts(tuple(sending.obstacles), context)).with_reads(sending.reads, now)


@dataclass
class _Sending:
    """One run's sending."""

    run: RunContext
    wall: Callable[[], float]
    reads: list[Read] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    requesters: frozenset[str] = frozenset()
    written: bool = False
    cost: dict[str, float] = field(default_factory=dict)
    acted_on: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.run.settings

    def plan_without_user(self) -> tuple[Probe, ...]:
        """The plan as far as it is known without signing in, to show what was not tried."""
        users = self.settings.probe_users
        if not users.a.tenant_id or not users.b.tenant_id:
            return ()
        return build_plan(self._targets(users.a.tenant_id, users.b.tenant_id, ""), self._new_id, other_client=self._other_client)

    @property
    def _other_client(self) -> bool:
        return self.settings.probes.other_client_id is not None

    def _new_id(self, *, refused: bool = False) -> str:
        return new_intent_id(refused=refused, wall=self.wall)

    def _targets(self, tenant_a: str, tenant_b: str, requester: str) -> Targets:
        return Targets.of(self.settings.probes, run_id=self.run.run_id, tenant_a=tenant_a, tenant_b=tenant_b, requester=requester)

    def send_all(self) -> list[Sent]:
        """Checks, takes the lease and sends; the rows of all probes.

        Raises:
            Obstructed: nothing was sent.
        """
        configured = require_settings(self.settings)
        self.reads += stops.require_no_stop(self.run.reader, self.settings, [configured.tenant_a, configured.tenant_b])
        # registered before the lease is taken: an interrupt or a lost answer may come in between; one not held is not given back
        self.run.at_end[LEASE_USER] = partial(give_back, self.settings, self.run.run_id)
        lease, reads = leases.acquire(
            self.run.reader,
            leases.ProbesPartition.of(self.settings),
            self.run.run_id,
            self.settings.probes,
            user=LEASE_USER,
            wall=self.wall,
        )
        self.reads += reads
        try:
            return self._run_leased(configured, lease)
        except Obstructed:
            given_back = lease.release()
            self.run.at_end.pop(LEASE_USER)
            if given_back.status is not ReadStatus.OK:
                self.obstacles.append(
                    Obstacle.of_read(ProbingCode.PROBE_LEASE_NOT_RELEASED, given_back, expected="the lease given back")
                )
            raise

    def _run_leased(self, configured: Configured, lease: leases.Lease) -> list[Sent]:
        settings, reader, policy = self.settings, self.run.reader, self.settings.probes
        redactor = Redactor()
        pool = Pool(reader, configured.user_pool_id, configured.client_id, redactor)
        user, reads = pool.sign_in("A", settings.probe_users.a)
        self.reads += reads
        self.requesters = user.names
        targets = self._targets(configured.tenant_a, configured.tenant_b, user.name)
        supply = supply_of(self.run, pool, user, keep=True, wall=self.wall)
        self.reads += supply.reads
        self.obstacles += supply.obstacles
        keep_for_run(self.run, SignedIn(user, supply, redactor, (*reads, *supply.reads)))
        unscoped = self._account_scope(user)
        self._remove_leftovers(targets)
        plan = build_plan(targets, self._new_id, other_client=self._other_client)
        client = _Guarded(
            HttpClient(
                configured.control_center,
                timeout_seconds=policy.request_timeout_seconds,
                user_agent=policy.user_agent,
                redactor=redactor,
            ),
            _ground(targets, plan),
        )
        outgoing = [_Outgoing(probe, *self._request(probe, supply, unscoped)) for probe in plan]
        for each in outgoing:
            if each.request is not None:
                client.check(each.request)  # before anything is written, and again as each is sent
        self._write_canaries(plan)
        pace = Pace(policy.requests_per_second, policy.send_seconds, most=policy.max_requests)
        began = time.monotonic()
        sender = _Sender(client, lease, pace, policy)
        rows = sender.send([each for each in outgoing if not each.probe.stopped])
        rows += self._under_kill_switch(sender, [each for each in outgoing if each.probe.stopped], targets)
        self.cost = {"requests": pace.sent, "send_seconds": round(time.monotonic() - began, 2)}
        return rows

    def _under_kill_switch(self, sender: "_Sender", outgoing: "Sequence[_Outgoing]", targets: Targets) -> list[Sent]:
        """Sends probes with their action type switched off until their replays have ended; the rows of these probes.

        A probe whose replay does not end in time says nothing: it might be carried out once the switch is back.
        """
        policy, tables, reader = self.settings.probes, self.settings.tables, self.run.reader
        if all(each.request is None for each in outgoing):
            return [sent_row(each.probe, None, each.not_tried) for each in outgoing]
        try:
            with switched_off(reader, tables.tenants, targets.tenant_a, policy.stopped_action_type) as switching:
                rows = [sender.one(each) for each in outgoing]
                ended = self._ended(rows, targets.tenant_a)
        except NotSwitched as why:
            return [sent_row(each.probe, None, str(why)) for each in outgoing]
        self.reads += switching
        late = f"its replay did not end within {policy.follow_seconds:g} s, while the kill switch was on"
        unsaid = [sent_row(each.probe, None, late) for each in outgoing]
        return [row if ended or row.status != HTTPStatus.ACCEPTED else other for row, other in zip(rows, unsaid, strict=True)]

    def _ended(self, rows: Sequence[Sent], tenant: str) -> bool:
        """Waits until the replays of these probes have ended; False where they have not in time, or it cannot be told."""
        wanted = {row.intent for row in rows if row.status == HTTPStatus.ACCEPTED}
        since, ends = iso(self.run.now() - LEDGER_SKEW), time.monotonic() + self.settings.probes.follow_seconds
        pauses = growing_pauses()
        while wanted:
            partition = f"TENANT#{tenant}"
            items, read = query_partition(self.run.reader, self.settings.tables.ledger, partition, since=f"ENTRY#{since}")
            if read.status is not ReadStatus.OK:
                return False
            over = [str(item) for item in items if item.get("eventType", {}).get("S") in TERMINAL]
            wanted = {intent for intent in wanted if not any(intent in entry for entry in over)}
            if wanted and time.monotonic() >= ends:
                return False
            if wanted:
                time.sleep(next(pauses))
        return True

    def _account_scope(self, user: Identity) -> str | None:
        """Why probes of the account scope would show nothing; None if they do.

        Raises:
            Obstructed: the token does not even cover user A's own account.
        """
        probes, accounts = self.settings.probes, user.accounts
        if accounts is not None and probes.account_a not in accounts:
            raise Obstructed(
                ProbingCode.PROBE_TOKEN_UNUSABLE,
                "probe user A",
                expected=f"custom:account_ids with {probes.account_a}",
                seen=", ".join(sorted(accounts)) or "none",
            )
        outside = {probes.account_a_out_of_scope, probes.account_b}
        if accounts is not None and not accounts & outside:
            return None
        claim = user.claims.get(ACCOUNTS_CLAIM)
        if accounts is not None:
            seen = f"custom:account_ids holds {', '.join(sorted(accounts))}"
        else:
            seen = f"custom:account_ids cannot be read: {str(claim)[:80]!r}" if claim else "no claim custom:account_ids"
        expected = f"custom:account_ids with {probes.account_a} alone"
        self.obstacles.append(Obstacle(ProbingCode.ACCOUNT_SCOPE_NOT_TESTABLE.code, "probe user A", expected, seen))
        return ProbingCode.ACCOUNT_SCOPE_NOT_TESTABLE.code

    def _request(self, probe: Probe, supply: Supply, unscoped: str | None) -> tuple[Request | None, str | None]:
        """The request of a probe, or why it is not sent."""
        if self.settings.probe_mode == "refusals" and probe.starts_work:
            return None, "PHASE5_PROBE_MODE=refusals: it would start work"
        of_scope = probe.expect is Expect.FOREIGN_ACCOUNT or probe.name in ("account_out_of_scope", "foreign_account")
        if unscoped is not None and probe.token is TokenKind.VALID and of_scope:
            return None, unscoped
        if probe.token not in supply.tokens:
            return None, supply.missing[probe.token]
        return request_of(probe, supply.tokens[probe.token]), None

    def _remove_leftovers(self, targets: Targets) -> None:
        """Removes what killed runs left; this run holds the lease, so those runs are over. The next run tries again what stays.

        Traces that only an execution leaves, of an intent that nobody may act on, were made after its probe was refused.
        """
        reader, tables = self.run.reader, self.settings.tables
        items, reads = canary.find(reader, tables, targets.places)
        self.acted_on = sorted({f"{each.kind}{each.intent}" for each in items if each.acted_on and must_be_refused(each.intent)})
        if found := canary.left_over(items, living=self.run.run_id):
            log.info("removing %d canary intents of earlier runs", len(found))
            reads += canary.remove(reader, tables, found, [intent for _, intent in found])
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            self.obstacles.append(
                Obstacle.of_read(ProbingCode.CANARY_NOT_REMOVED, failed[0], expected="what killed runs left is removed")
            )
        self.run.shared[canary.NOTHING_LEFT_OVER] = not failed
        self.reads += [read for read in reads if read.status is ReadStatus.OK]

    def _write_canaries(self, plan: Sequence[Probe]) -> None:
        now, probes, reader = self.run.now(), self.settings.probes, self.run.reader
        intents, expired = intents_of(plan), {probe.intent for probe in plan if probe.expired}
        stopped = {probe.intent for probe in plan if probe.stopped}
        action = probes.action_type
        items = [
            intent_item(
                place,
                intent,
                run_id=self.run.run_id,
                action_type=probes.stopped_action_type if intent in stopped else action,
                now=now,
                expired=intent in expired,
            )
            for place, intent in intents
        ]
        own_work.note(self.run, (probe.intent for probe in plan))
        reads = canary.put(reader, self.settings.tables, items)
        self.reads += reads
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            canary.remove(reader, self.settings.tables, intents, [])  # as far as it goes; the next run removes the rest
            seen = f"{failed[0].status}: {failed[0].error}"
            raise Obstructed(ProbingCode.CANARY_NOT_WRITTEN, failed[0].resource, expected="canary intents written", seen=seen)
        self.written = True


def _ground(targets: Targets, plan: Sequence[Probe]) -> Ground:
    return Ground(
        targets.tenant_a,
        targets.tenant_b,
        frozenset((targets.account_a, targets.account_a_out_of_scope, targets.account_b)),
        frozenset(probe.intent for probe in plan),
        frozenset((targets.requester,)),
    )


@dataclass(frozen=True, slots=True)
class _Guarded:
    """The only way to the Control Center: every request passes the guard."""

    client: HttpClient
    ground: Ground

    def check(self, request: Request) -> None:
        """Raises Obstructed for a request that may not be sent."""
        try:
            check(request, self.ground)
        except ForbiddenTarget as refusal:
            raise Obstructed(
                ProbingCode.PROBE_TENANT_REFUSED, "probe", expected="only the test tenants named", seen=str(refusal)
            ) from None

    def send(self, request: Request) -> HttpAnswer:
        """The answer; refused requests are not sent."""
        self.check(request)
        return self.client.send(request)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    probe: Probe
    request: Request | None = field(repr=False)
    not_tried: str | None


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends requests side by side, within the bounds of lease and settings."""

    client: _Guarded
    lease: leases.Lease
    pace: Pace
    policy: ProbePolicy
    let_in: Counter[TokenKind] = field(default_factory=Counter)

    def send(self, outgoing: Sequence[_Outgoing]) -> list[Sent]:
        """The rows of all probes, in their order.

        The first request goes alone and shows whether the API answers. The own replay and its repeats then go in order, beside
        the others.
        """
        by_name = {each.probe.name: each for each in outgoing}
        rows = {MISSING_INTENT: self.one(by_name[MISSING_INTENT])}
        problem = rows[MISSING_INTENT].problem
        if problem and Problem(problem) in _NOT_THE_API:
            stop = f"the first request was not answered by the API: {problem}"
            rest = [each for each in outgoing if each.probe.name != MISSING_INTENT]
            rows |= {each.probe.name: sent_row(each.probe, None, each.not_tried or stop) for each in rest}
        else:
            begun = [by_name[OWN_REPLAY], by_name[REPLAY_AT_ONCE]]
            between = [each for each in outgoing if each.probe.name not in _APART]
            with ThreadPoolExecutor(self.policy.parallel_requests, thread_name_prefix="probes") as workers:
                replayed = workers.submit(lambda: [*map(self.one, begun), self._once_more(by_name[REPEATED_REPLAY])])
                done = workers.map(self.one, between)
                rows |= {row.name: row for row in (*done, *replayed.result())}
        return [rows[each.probe.name] for each in outgoing]

    def _once_more(self, outgoing: _Outgoing) -> Sent:
        """The answer to a repeat; while the replay is under way, which 409 says, it is asked for again."""
        row = self.one(outgoing)
        for _ in range(_REPEATS):
            if row.status != HTTPStatus.CONFLICT:
                break
            time.sleep(_REPEAT_PAUSE)
            row = self.one(outgoing)
        return row

    def one(self, outgoing: _Outgoing) -> Sent:
        """The answer; where the connection broke off or no answer came in time, a probe that starts no work is sent again."""
        probe, request, policy = outgoing.probe, outgoing.request, self.policy
        if request is None:
            return sent_row(probe, None, outgoing.not_tried)
        must_not = probe.row == AUTHORIZATION_ROW and not probe.starts_work
        if must_not and self.let_in[probe.token] >= _ENOUGH:
            return sent_row(probe, None, f"{_ENOUGH} probes with such a token were let in: more would only make the platform act")
        answer, tries = None, 0
        for _ in range(1 if probe.starts_work else policy.tries):
            if self.lease.remaining() < policy.request_timeout_seconds:
                why = "the lease is about to end"
                break
            if not self.pace.wait():
                why = f"limit: {policy.max_requests} requests in {policy.send_seconds:g} s (probes.max_requests, .send_seconds)"
                break
            answer, tries = self.client.send(request), tries + 1
            if answer.problem not in _AGAIN:
                break
        if must_not and answer and answer.status is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self.let_in[probe.token] += 1
        return sent_row(probe, answer, None if answer else why, tries=tries)
