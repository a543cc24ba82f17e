"""`phase5 rollback` and `phase5 break-glass`: what the person is shown and asked, and how it ends. Text and exit codes only.

The order is recorded and signed here; the sensor promotion_gate launches promotion_job for it, which judges it again. Exit
codes: 0 signed (with --wait: it took effect, which the gate has signed); 1 refused, or no effect in time; 2 it could not be found
out, or AWS did not do it, or the record of the effect cannot be trusted; 3 usage or configuration.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from phase5_ops.clock import iso
from phase5_ops.commands.approvals import DONE, REFUSED, UNKNOWN, Confirm, check_name, check_role, gate_says, with_exit_code
from phase5_ops.commands.promote import context_of
from phase5_ops.commands.status import age_line
from phase5_ops.gate.approval.override import announce, new_override, sign_override, waiting_override, who_overrides
from phase5_ops.gate.approval.sign_off import registered
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import SIGNERS, Override
from phase5_ops.gate.decision.override_rules import as_text
from phase5_ops.gate.inputs.promotion_records import record_problems
from phase5_ops.gate.records import SignOff
from phase5_ops.gate.session import GateSession, Refused, new_session, open_session
from phase5_ops.gate.state.items import Candidate
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import printable

_POLL_SECONDS = 2.0
_MOST_REASONS, _LONGEST_REASON = 100, 300  # of the blockers that are overridden: the order is signed, kept and sent as a whole


@dataclass(frozen=True, slots=True)
class OverrideRequest:
    """What a person asks for.

    Attributes:
        kind: ROLLBACK or BREAK_GLASS.
        release: its name.
        role: under which the person signs.
        reason, ticket: why, and where it is followed up; None to sign an order that another person asked for.
        context: NAME=VALUE for the target.
        wait_seconds: how long to wait for the effect; None not to wait.
    """

    kind: OrderKind
    release: str
    role: str
    reason: str | None = None
    ticket: str | None = None
    context: tuple[str, ...] = ()
    wait_seconds: float | None = None


@with_exit_code
def run_override(settings: Settings, request: OverrideRequest, confirm: Confirm) -> int:
    """Shows the order, asks, signs and records it.

    Raises:
        ConfigurationError: usage, a fixed clock, or keys that cannot be used.
    """
    check_role(request.role)
    check_name(settings, request.release)
    if (request.reason is None) is not (request.ticket is None):
        raise ConfigurationError("give both --reason and --ticket, or neither")
    if request.reason is None and (request.kind is OrderKind.ROLLBACK or request.context):
        raise ConfigurationError("an order needs --reason and --ticket")
    context_of(request.context)  # a usage error before anything is read
    session = open_session(settings, str(request.kind))
    candidate = registered(session, request.release)
    override, signed = _order(session, candidate, request)
    who = who_overrides(session, request.role, signed)
    print(printable_lines(as_text(override, signed)), flush=True)
    if not confirm(f"Sign this {request.kind} for {request.role} as {who.person}?"):
        raise Refused("you did not confirm, so nothing was signed")
    session = open_session(settings, str(request.kind))  # reading may take longer than a session waits for AWS
    who = who_overrides(session, request.role, signed)
    announce(session, override, request.role, who)
    made = sign_override(session, override, request.role, who)
    print(f"signed for {request.role} as {made.identity} at {iso(made.signed_at)}, KMS request {made.request_id}")
    missing = SIGNERS[override.kind] - len({off.role for off in signed if off.role == off.key_role} | {request.role})
    if missing:
        again = f"phase5 break-glass {request.release} --role ROLE"
        print(f"{override.id} waits for another person with another role until {iso(override.until)}: {again}", flush=True)
    else:
        print(f"{override.id} takes effect at the next tick of the sensor promotion_gate", flush=True)
    return DONE if request.wait_seconds is None else _wait(settings, override, request.wait_seconds)


def printable_lines(text: str) -> str:
    """Text of several lines as it may be shown."""
    return "\n".join(printable(line) for line in text.splitlines())


def _order(session: GateSession, candidate: Candidate, request: OverrideRequest) -> tuple[Override, tuple[SignOff, ...]]:
    """The order to sign: the one that waits, or a new one."""
    if request.reason is None or request.ticket is None:
        waiting = waiting_override(session, candidate, request.kind)
        if waiting is None:
            raise Refused(f"no {request.kind} of {request.release} waits for a signature; ask for one with --reason and --ticket")
        return waiting
    asker = who_overrides(session, request.role, ())
    override = new_override(
        session,
        candidate,
        request.kind,
        person=asker.person,
        reason=request.reason,
        ticket=request.ticket,
        context=context_of(request.context) or dict(candidate.context or {}),
        goes_past=_blockers(session, candidate) if request.kind is OrderKind.BREAK_GLASS else (),
    )
    return override, ()


def _blockers(session: GateSession, candidate: Candidate) -> Sequence[str]:
    """The blockers that break-glass overrides, as the gate states them; prints how old that statement is.

    Raises:
        Refused: the gate has said nothing of the candidate; the order would name reasons that nobody knows to be true.
        StateError: the state table cannot be read.
    """
    document = gate_says(session, candidate)
    print(printable(age_line(session, document)))
    said = [blocker[:_LONGEST_REASON] for blocker in document.blockers]
    left = [f"and at least {len(said) - _MOST_REASONS} more"] if len(said) > _MOST_REASONS else []
    gate = document.candidate.gate if document.candidate else document.decision
    return (*said[:_MOST_REASONS], *left) or (f"nothing: the gate is {gate}",)


def _wait(
    settings: Settings,
    override: Override,
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Waits until the override has taken effect. Only the gate's signature shows that: anybody who signs may write a record.

    Raises:
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    ends = monotonic() + seconds
    while True:
        # time limits of reading count for all calls of one reader, so each look has its own
        session = new_session(settings, "waiting")
        record = session.state.promotion(override.release, override.series, override=override.id)
        if record is not None:
            problems = record_problems(
                record, override.release, override.series, keys=session.keys, now=record.promoted_at, override=override
            )
            if problems:
                doubt = f"the record of its effect cannot be trusted: {'; '.join(problems)}"
                what = "so it is not known whether it took effect; find out who wrote the record, and what is deployed"
                print(printable(f"{override.id}: {doubt}; {what}"), flush=True)
                return UNKNOWN
            effect = f"{override.id} took effect at {iso(record.promoted_at)} in run {record.holder}: {record.answer}"
            print(printable(effect), flush=True)
            return DONE
        if monotonic() >= ends:
            print(
                f"{override.id}: no effect within {seconds:g} s; the last tick of the sensor promotion_gate says why", flush=True
            )
            return REFUSED
        sleep(min(_POLL_SECONDS, max(0.0, ends - monotonic())))
