"""`phase5 sign-off` and `phase5 waive`: what the person is shown and asked, and how it ends. Text and exit codes only.

Exit codes: 0 signed or waived; 1 refused; 2 it could not be found out, or AWS did not do it; 3 usage or configuration.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec

from phase5_ops.checklist import ROLES, Row
from phase5_ops.clock import iso, parse_iso
from phase5_ops.commands.status import age_line, document_of
from phase5_ops.gate import reasons
from phase5_ops.gate.approval.sign_off import ToSign, as_text, registered, sign_off, signer, to_sign
from phase5_ops.gate.approval.waive import WaiverRequest, checked_row, make_waiver, record_waiver
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.decision.waiver_report import in_words, releases_in_a_row
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession, Refused, open_session
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Candidate, StateError, check_release
from phase5_ops.gate.state.stated_documents import NotStated
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.release import LEFT_OUT
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import did_you_mean, printable
from phase5_ops.verdict import Finding

DONE, REFUSED, UNKNOWN = 0, 1, 2

P = ParamSpec("P")

log = logging.getLogger(__name__)

Confirm = Callable[[str], bool]  # asks the person; nothing is signed where it says False


def with_exit_code(act: Callable[P, int]) -> Callable[P, int]:
    """Makes `act` return an exit code also where nothing was done, and print the reason on stderr.

    Keys that cannot be used become a ConfigurationError, as every wrong setting.
    """

    @wraps(act)
    def ended(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return act(*args, **kwargs)
        except Refused as refused:
            print(f"phase5: refused: {printable(str(refused))}", file=sys.stderr)
            return REFUSED
        except (StateError, SigningError) as error:
            print(f"phase5: {printable(str(error))}", file=sys.stderr)
            return UNKNOWN
        except KeysError as error:
            raise ConfigurationError(str(error)) from error

    return ended


@with_exit_code
def run_sign_off(settings: Settings, release: str, role: str, confirm: Confirm, *, show_only: bool = False) -> int:
    """Shows what is signed, asks, signs, and shows the rows S.1 to S.3 in Dagster; with `show_only` signs nothing.

    Raises:
        ConfigurationError: usage, a fixed clock, or keys that cannot be used.
    """
    check_role(role)
    check_name(settings, release)
    session = open_session(settings, "signing")
    candidate = registered(session, release)
    print(printable(age_line(session, gate_says(session, candidate))))
    what = to_sign(session, candidate)
    print(as_text(what), flush=True)
    if show_only:
        return DONE
    if role not in what.missing:
        print(f"{role} has signed already; nothing was signed", flush=True)
        _show_in_dagster(settings, release)
        return DONE
    who = signer(session, role, what)
    if not confirm(f"Sign this for {role} as {who.person}?"):
        raise Refused("you did not confirm, so nothing was signed")
    session, what = _again(settings, what)
    made = sign_off(session, role, what, signer(session, role, what))
    left = [other for other in what.missing if other != role]
    print(f"signed for {role} as {made.identity} at {iso(made.signed_at)}, KMS request {made.request_id}")
    print(
        f"still missing: {', '.join(left)}" if left else "every role has signed; the gate decides at its next tick",
        flush=True,
    )
    _show_in_dagster(settings, release)
    return DONE


@with_exit_code
def run_waive(settings: Settings, release: str, request: WaiverRequest, confirm: Confirm) -> int:
    """Shows what would be waived, asks, signs and records it.

    Raises:
        ConfigurationError: usage, a fixed clock, or keys that cannot be used.
    """
    check_role(request.role)
    check_name(settings, release)
    row = checked_row(request.row)
    session = open_session(settings, "waiving")
    candidate = registered(session, release)
    document = gate_says(session, candidate)
    print(printable(age_line(session, document)))
    waiver = make_waiver(session, candidate, request, _findings(document, row), session.person.person)
    print(f"row {row.id} {row.title} of {candidate.release.name} {candidate.release.digest} until {iso(waiver.until)}")
    print("\n".join(printable(f"  {code} {subject}") for code, subject in sorted(waiver.pairs)))
    print(printable(f"because {waiver.reason} ({waiver.ticket})"))
    promotions = session.state.promotions(settings.environment)
    print(f"waived for the {in_words(releases_in_a_row(row.id, waiver.pairs, promotions, candidate.release.name))}", flush=True)
    if not confirm(f"Waive this for {request.role} as {waiver.identity}?"):
        raise Refused("you did not confirm, so nothing was waived")
    record_waiver(open_session(settings, "waiving"), candidate, waiver)
    print(f"waived as {waiver.id}", flush=True)
    return DONE


def _again(settings: Settings, shown: ToSign) -> tuple[GateSession, ToSign]:
    """A new session and what is to sign now: reading may take longer than a session waits for AWS, and others act meanwhile.

    Raises:
        Refused: it is no longer what was shown.
    """
    session = open_session(settings, "signing")
    now = to_sign(session, registered(session, shown.candidate.release.name))
    if (now.candidate.series, now.statement_digest) != (shown.candidate.series, shown.statement_digest):
        raise Refused("what is to be signed has changed since it was shown; run the command again")
    return session, now


def end_of(text: str) -> datetime:
    """The end of a waiver: a day (its end, UTC) or a moment with time zone.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(hour=23, minute=59, second=59, tzinfo=UTC)
    except ValueError:
        pass
    try:
        return parse_iso(text)
    except ValueError as error:
        raise ConfigurationError(f"--until {text}: give a day as 2026-12-31, or a moment with time zone") from error


def check_role(role: str) -> None:
    """Raises ConfigurationError unless it is one of the three roles."""
    if role not in ROLES:
        hint = did_you_mean(role, ROLES, f"the roles are {', '.join(ROLES)}")
        raise ConfigurationError(f"--role {printable(role)}: no such role{hint}")


def check_name(settings: Settings, release: str) -> None:
    """Raises ConfigurationError unless a release may have this name."""
    try:
        check_release(Release(release, "sha256:" + "0" * 64, settings.environment))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def gate_says(session: GateSession, candidate: Candidate) -> ReadinessDocument:
    """The gate's stored document of a candidate: the person is shown it, and whatever is signed here refers to it.

    Raises:
        Refused: there is none that can be trusted.
        StateError: the state table cannot be read.
    """
    try:
        return document_of(session, candidate)
    except NotStated as error:
        raise Refused(str(error)) from error


def _findings(document: ReadinessDocument, row: Row) -> tuple[Finding, ...]:
    """The findings of a row in the gate's document, if its result counts.

    Raises:
        Refused: there is no result that counts; the gate's own states are never waived.
    """
    entry = next(each for each in (*document.rows, *document.extra_checks) if each.id == row.id)
    if any(found.code in reasons.BY_NAME for found in entry.findings):
        raise Refused(f"row {row.id} has no result that counts, so nothing of it can be waived: {entry.summary}")
    if left := entry.facts.get(LEFT_OUT):
        raise Refused(
            f"row {row.id} has {left} findings beside the {len(entry.findings)} that the gate's document shows; a waiver"
            " must name every finding that keeps the row closed, and so many cannot be waived"
        )
    return tuple(Finding(**dict(found)) for found in entry.findings)


def _show_in_dagster(settings: Settings, release: str) -> None:
    """Materializes `sign_offs` in this machine's Dagster. The signature stands even if this fails.

    The copy of the evidence gets nothing of it: the gate's own `sign_off_job` writes that, and who signs need not be allowed to.
    """
    try:
        from phase5_ops.commands.sign_offs import run_sign_offs

        shown = run_sign_offs(settings.model_copy(update={"evidence_s3_uri": None}), release)
    except Exception:
        log.exception("the rows S.1 to S.3 could not be shown in Dagster")
        shown = False
    if not shown:
        print("phase5: the signature is recorded, but Dagster could not show it: launch sign_off_job", file=sys.stderr)
