"""Sends the probes of rows 3.1 and 3.3: asks whether it may, writes the canary intents, sends every request through the guard.

The order is one of caution: settings, stops, lease, and only then anything that acts. Whatever keeps the probes from being sent
becomes an `Obstacle` of the table, never an exception and never silence. The lease is kept for the collecting, which ends it;
where nothing was sent it is given back here.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pandas as pd

from phase5_ops.clock import iso
from phase5_ops.platform import Platform
from phase5_ops.probing import canary, kept_token, own_work, stops
from phase5_ops.probing import lease as leases
from phase5_ops.probing.canary_intent import intent_item, new_intent_id
from phase5_ops.probing.channel import ACCOUNTS_CLAIM
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.codes import (
    ACCOUNT_SCOPE_NOT_TESTABLE,
    CANARY_NOT_REMOVED,
    CANARY_NOT_WRITTEN,
    EXPIRED_TOKEN_UNAVAILABLE,
    LEASE_NOT_RELEASED,
    PROBE_TENANT_REFUSED,
    PROBE_TOKEN_UNUSABLE,
    PUBLIC_KEY_UNAVAILABLE,
    Obstacle,
    Obstructed,
)
from phase5_ops.probing.configured import Configured, require_settings
from phase5_ops.probing.forge import Forger, TokenKind
from phase5_ops.probing.guard import ForbiddenTarget, Ground, check
from phase5_ops.probing.identity import Identity, KeySetClient, Pool
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import HttpAnswer, Problem, Request
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.replay.probe_evidence import Sent, sent_row, sent_table
from phase5_ops.replay.probe_plan import MISSING_INTENT, OWN_REPLAY, Probe, Targets, build_plan, intents_of, request_of
from phase5_ops.settings import Settings

log = logging.getLogger(__name__)

#: The name under which rows 3.1 and 3.3 use the lease of their run.
LEASE_USER = "replay"

#: How far a ledger entry's time may be behind evaluation time and still be one of this run.
LEDGER_SKEW = timedelta(minutes=5)

#: The first request is answered like this by something that is not the API; sending on would only take time.
_NOT_THE_API = (Problem.DOWN, Problem.TIMEOUT, Problem.TLS, Problem.REDIRECT, Problem.HTML)


def send_probes(platform: Platform, *, wall: Callable[[], float] = time.time) -> pd.DataFrame:
    """The table `replay_probes_sent`: every probe with its answer, or why it was not tried.

    Args:
        platform: of this run.
        wall: epoch seconds, for lease and tokens.
    """
    now = platform.now()
    sending = _Sending(platform, wall)
    context: dict[str, Any] = {
        "run_id": platform.run_id,
        "mode": platform.settings.probe_mode,
        "since": iso(now - LEDGER_SKEW),
        "control_center": str(platform.settings.control_center_url or ""),
        "tenants": sorted(platform.settings.canary_tenants),
    }
    try:
        rows = sending.run()
    except Obstructed as stop:
        sending.obstacles.append(stop.obstacle)
        rows = [sent_row(probe, None, stop.obstacle.code) for probe in sending.plan_without_user()]
    context |= {"sent_at": wall(), "requesters": sorted(sending.requesters), "written": sending.written}
    return attach(sent_table(rows, sending.obstacles, context), sending.reads, now)


@dataclass
class _Sending:
    """One run's sending."""

    platform: Platform
    wall: Callable[[], float]
    reads: list[Read] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    requesters: frozenset[str] = frozenset()
    written: bool = False

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    def plan_without_user(self) -> tuple[Probe, ...]:
        """The plan as far as it is known without signing in, to show what was not tried."""
        users = self.settings.probe_users
        if not users.a.tenant_id or not users.b.tenant_id:
            return ()
        return build_plan(self._targets(users.a.tenant_id, users.b.tenant_id, ""), self._new_id, other_client=self._other_client)

    @property
    def _other_client(self) -> bool:
        return self.settings.probes.other_client_id is not None

    def _new_id(self) -> str:
        return new_intent_id(wall=self.wall)

    def _targets(self, tenant_a: str, tenant_b: str, requester: str) -> Targets:
        return Targets.of(
            self.settings.probes, run_id=self.platform.run_id, tenant_a=tenant_a, tenant_b=tenant_b, requester=requester
        )

    def run(self) -> list[Sent]:
        """All of it.

        Raises:
            Obstructed: nothing was sent.
        """
        configured = require_settings(self.settings)
        self.reads += stops.require_no_stop(self.platform.reader, self.settings, [configured.tenant_a, configured.tenant_b])
        lease, reads = leases.acquire(
            self.platform.reader,
            self.settings.tables.readiness,
            self.platform.run_id,
            self.settings.probes,
            user=LEASE_USER,
            wall=self.wall,
        )
        self.reads += reads
        try:
            return self._run_leased(configured, lease)
        except BaseException:
            given_back = lease.release()
            if given_back.status is not ReadStatus.OK:
                seen = f"{given_back.operation}: {given_back.status}: {given_back.error}"
                self._obstacle(LEASE_NOT_RELEASED, given_back.resource, expected="the lease given back", seen=seen)
            raise

    def _run_leased(self, configured: Configured, lease: leases.Lease) -> list[Sent]:
        settings, reader, policy = self.settings, self.platform.reader, self.settings.probes
        redactor = Redactor()
        pool = Pool(reader, configured.user_pool_id, configured.client_id, redactor)
        user, reads = pool.sign_in("A", settings.probe_users.a)
        self.reads += reads
        self.requesters = user.names
        targets = self._targets(configured.tenant_a, configured.tenant_b, user.name)
        tokens = self._tokens(pool, user, targets, redactor)
        unscoped = self._account_scope(user)
        self._remove_leftovers(targets)
        plan = build_plan(targets, self._new_id, other_client=self._other_client)
        client = _guarded(
            HttpClient(
                configured.control_center,
                timeout_seconds=policy.request_timeout_seconds,
                user_agent=policy.user_agent,
                redactor=redactor,
            ),
            _ground(targets, plan),
        )
        outgoing = [_Outgoing(probe, *self._request(probe, tokens, unscoped)) for probe in plan]
        for each in outgoing:
            if each.request is not None:
                client.check(each.request)  # before anything is written, and again as each is sent
        self._write_canaries(plan)
        return _Sender(client, lease, policy.parallel_requests, policy.send_seconds, policy.request_timeout_seconds).send(
            outgoing
        )

    def _tokens(self, pool: Pool, user: Identity, targets: Targets, redactor: Redactor) -> "Tokens":
        """A token for each kind that can be had; the others are obstacles."""
        tokens: dict[TokenKind, str | None] = {
            TokenKind.NONE: None,
            TokenKind.EMPTY: "",
            TokenKind.VALID: user.id_token,
            TokenKind.ACCESS: user.access_token,
        }
        tokens |= self._tokens_of_key(pool, user, targets)
        redactor.add(*(token for token in tokens.values() if token))
        if (other := self.settings.probes.other_client_id) is not None:
            try:
                stranger, reads = pool.sign_in("A", self.settings.probe_users.a, client_id=other)
                tokens[TokenKind.OTHER_CLIENT] = stranger.id_token
                self.reads += reads
            except Obstructed as stop:
                self.obstacles.append(replace(stop.obstacle, subject=f"{stop.obstacle.subject}, client {other}"))
        return tokens

    def _tokens_of_key(self, pool: Pool, user: Identity, targets: Targets) -> "Tokens":
        """What can be made with, or checked against, the key that signed the user's token."""
        probes, reader = self.settings.probes, self.platform.reader
        key_set = KeySetClient(
            reader.client("cognito-idp").meta.endpoint_url, pool.pool_id, probes.request_timeout_seconds, probes.user_agent
        )
        try:
            jwk = pool.signing_key(user.id_token, key_set)
            forger = Forger(user.id_token, jwk, targets.tenant_b)
            tokens: dict[TokenKind, str | None] = {kind: forger.token(kind) for kind in forger.kinds}
        except ValueError as error:
            self._obstacle(PUBLIC_KEY_UNAVAILABLE, pool.pool_id, expected="the key that signed user A's token", seen=str(error))
            return {}
        issue = kept_token.Issue(str(user.claims.get("iss")), pool.client_id, targets.tenant_a, jwk)
        kept = self.settings.state_dir / kept_token.FILE_NAME
        try:
            tokens[TokenKind.EXPIRED] = kept_token.expired_token(kept, probes.expired_token_file, issue, wall=self.wall)
        except kept_token.NoExpiredToken as reason:
            self._obstacle(
                EXPIRED_TOKEN_UNAVAILABLE, "expired token", expected="a genuine token that has expired", seen=str(reason)
            )
        kept_token.keep(kept, user.id_token, issue, wall=self.wall)
        return tokens

    def _account_scope(self, user: Identity) -> str | None:
        """Why probes of the account scope would show nothing; None if they do.

        Raises:
            Obstructed: the token does not even cover user A's own account.
        """
        probes, accounts = self.settings.probes, user.accounts
        if accounts is not None and probes.account_a not in accounts:
            raise Obstructed(
                PROBE_TOKEN_UNUSABLE,
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
        self._obstacle(ACCOUNT_SCOPE_NOT_TESTABLE, "probe user A", expected=expected, seen=seen)
        return ACCOUNT_SCOPE_NOT_TESTABLE.code

    def _obstacle(self, code: Any, subject: str, *, expected: str, seen: str) -> None:  # noqa: ANN401 - a FindingCode
        self.obstacles.append(Obstacle(code.code, subject, expected, seen))

    def _request(self, probe: Probe, tokens: "Tokens", unscoped: str | None) -> tuple[Request | None, str | None]:
        """The request of a probe, or why it is not sent."""
        if self.settings.probe_mode == "refusals" and probe.starts_work:
            return None, "PHASE5_PROBE_MODE=refusals: it would start work"
        if unscoped is not None and probe.name in ("account_out_of_scope", "foreign_account"):
            return None, unscoped
        if probe.token not in tokens:
            missing = {TokenKind.EXPIRED: EXPIRED_TOKEN_UNAVAILABLE.code, TokenKind.OTHER_CLIENT: "probe_token_unavailable"}
            return None, missing.get(probe.token, PUBLIC_KEY_UNAVAILABLE.code)
        return request_of(probe, tokens[probe.token]), None

    def _remove_leftovers(self, targets: Targets) -> None:
        """Removes what killed runs left; this run holds the lease, so theirs are over. What stays is tried again next time."""
        reader, tables = self.platform.reader, self.settings.tables
        found, reads = canary.leftovers(reader, tables, targets.places, living=self.platform.run_id)
        if found:
            log.info("removing %d canary intents of earlier runs", len(found))
            reads += canary.remove(reader, tables, found, [intent for _, intent in found])
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            seen = f"{failed[0].operation}: {failed[0].status}: {failed[0].error}"
            self._obstacle(CANARY_NOT_REMOVED, failed[0].resource, expected="what killed runs left is removed", seen=seen)
        self.reads += [read for read in reads if read.status is ReadStatus.OK]

    def _write_canaries(self, plan: Sequence[Probe]) -> None:
        now, probes, reader = self.platform.now(), self.settings.probes, self.platform.reader
        intents = intents_of(plan)
        items = [
            intent_item(place, intent, run_id=self.platform.run_id, action_type=probes.action_type, now=now)
            for place, intent in intents
        ]
        own_work.note(self.platform, (probe.intent for probe in plan))
        reads = canary.put(reader, self.settings.tables, items)
        self.reads += reads
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            canary.remove(reader, self.settings.tables, intents, [])  # as far as it goes; the next run removes the rest
            seen = f"{failed[0].status}: {failed[0].error}"
            raise Obstructed(CANARY_NOT_WRITTEN, failed[0].resource, expected="canary intents written", seen=seen)
        self.written = True


Tokens = Mapping[TokenKind, str | None]


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
            raise Obstructed(PROBE_TENANT_REFUSED, "probe", expected="only the test tenants named", seen=str(refusal)) from None

    def send(self, request: Request) -> HttpAnswer:
        """The answer; refused requests are not sent."""
        self.check(request)
        return self.client.send(request)


def _guarded(client: HttpClient, ground: Ground) -> _Guarded:
    return _Guarded(client, ground)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    probe: Probe
    request: Request | None = field(repr=False)
    not_tried: str | None


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends requests side by side, within the time that lease and settings leave."""

    client: _Guarded
    lease: leases.Lease
    parallel: int
    seconds: float
    request_timeout: float

    def send(self, outgoing: Sequence[_Outgoing]) -> list[Sent]:
        """The rows of all probes, in their order."""
        ends = time.monotonic() + self.seconds
        first = next(each for each in outgoing if each.probe.name == MISSING_INTENT)
        rows = {MISSING_INTENT: self._one(first, ends)}
        problem = rows[MISSING_INTENT].problem
        stop = problem and Problem(problem) in _NOT_THE_API and f"the first request was not answered by the API: {problem}"
        rest = sorted((each for each in outgoing if each is not first), key=lambda each: each.probe.name != OWN_REPLAY)
        if stop:
            rows |= {each.probe.name: sent_row(each.probe, None, each.not_tried or stop) for each in rest}
        else:
            with ThreadPoolExecutor(self.parallel, thread_name_prefix="probes") as workers:
                done = workers.map(lambda each: self._one(each, ends), rest)
                rows |= {row.name: row for row in done}
        return [rows[each.probe.name] for each in outgoing]

    def _one(self, outgoing: _Outgoing, ends: float) -> Sent:
        probe, request = outgoing.probe, outgoing.request
        if request is None:
            return sent_row(probe, None, outgoing.not_tried)
        if time.monotonic() >= ends:
            return sent_row(probe, None, f"the time for sending is over ({self.seconds:g} s, probes.send_seconds)")
        if self.lease.remaining() < self.request_timeout:
            return sent_row(probe, None, "the lease is about to end")
        return sent_row(probe, self.client.send(request), None)
