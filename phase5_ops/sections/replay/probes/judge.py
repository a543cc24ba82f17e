"""Judges rows 3.1 (replay API authorization) and 3.3 (permission tests) on the table `replay_probe`. Pure.

A row passes if every probe of it was sent, was answered as expected and left nothing behind that it should not have; and if the
API was shown to accept a valid token, since one that refuses everybody refuses the probes too. For a probe that must be
refused, a 2xx fails whatever the ledger says, and a ledger entry fails whatever the answer says. An answer that says nothing
about the request (5xx, a page, a redirect, a timeout) is no refusal, and a search that found nothing proves no fault.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.ledger import ACTION_EXECUTED, REPLAY_COMPLETED, REPLAY_FAILED, REPLAY_REQUESTED, REPLAY_STARTED
from phase5_ops.probing.forge import TokenKind, WhoGroup, group_of
from phase5_ops.probing.guard import CLAIMED_REQUESTER
from phase5_ops.probing.request import Problem
from phase5_ops.sections.replay.probes.case import Case, answer_of
from phase5_ops.sections.replay.probes.codes import AuthorizationCode, PermissionCode, ProbeCode
from phase5_ops.sections.replay.probes.evidence import LeftEntry, Probed, Probes
from phase5_ops.sections.replay.probes.plan import (
    AUTHORIZATION_ROW,
    FOREIGN_INTENT_SAME_ACCOUNT,
    INTENT_OF_OTHER_ACCOUNT,
    NOWHERE,
    OWN_REPLAY,
    PERMISSION_ROW,
    Expect,
)
from phase5_ops.verdict import Finding, FindingCode, Judgement

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CODE_OF_TOKEN = {
    TokenKind.NONE: AuthorizationCode.UNAUTHENTICATED_ACCEPTED,
    TokenKind.EMPTY: AuthorizationCode.UNAUTHENTICATED_ACCEPTED,
    TokenKind.EXPIRED: AuthorizationCode.EXPIRED_TOKEN_ACCEPTED,
    TokenKind.OTHER_CLIENT: AuthorizationCode.OTHER_CLIENT_ACCEPTED,
    TokenKind.ACCESS: AuthorizationCode.ACCESS_TOKEN_ACCEPTED,
}
_CODE_OF_SOURCE = {
    "query": AuthorizationCode.TENANT_TAKEN_FROM_QUERY,
    "header": AuthorizationCode.TENANT_TAKEN_FROM_HEADER,
    "cookie": AuthorizationCode.TENANT_TAKEN_FROM_COOKIE,
    "path": AuthorizationCode.TENANT_TAKEN_FROM_PATH,
    "body": AuthorizationCode.TENANT_TAKEN_FROM_BODY,
}
#: Kinds whose claim is exactly the id of a test tenant.
_OF_A_TENANT = (TokenKind.VALID, TokenKind.VALID_B, TokenKind.UNSCOPED)


def judge_authorization(table: Probes, *, links: ConsoleLinks, ledger_table: str) -> Judgement:
    """Row 3.1: nobody gets in without a valid token, and nothing but its claim says for which tenant.

    Args:
        table: `replay_probe`.
        links: console links.
        ledger_table: name of the ledger's table, to link to.
    """
    return authorization_of(Case(table, AUTHORIZATION_ROW, links.table(ledger_table), table.rows))


def judge_permissions(table: Probes, *, links: ConsoleLinks, ledger_table: str) -> Judgement:
    """Row 3.3: own tenant and account are accepted and really replayed, any other is refused, a missing intent is 404.

    Args:
        table: `replay_probe`.
        links: console links.
        ledger_table: name of the ledger's table, to link to.
    """
    return permissions_of(Case(table, PERMISSION_ROW, links.table(ledger_table), table.rows))


def authorization_of(case: Case) -> Judgement:
    """The judgement of row 3.1 on its case."""
    findings = case.common()
    if case.tried and not case.control:
        findings.append(
            AuthorizationCode.POSITIVE_CONTROL_FAILED.at(
                OWN_REPLAY,
                expected="the own replay accepted (or, without one, 404 for a missing intent)",
                seen=case.seen_of_control(),
                link=case.link,
            )
        )
    return case.conclude("Requests that the replay API must refuse", [*findings, *_of_probes(case)])


def permissions_of(case: Case) -> Judgement:
    """The judgement of row 3.3 on its case."""
    return case.conclude("Requests of the owner and of others", [*case.common(), *_of_probes(case)])


def _of_probes(case: Case) -> list[Finding]:
    return [finding for row in case.tried for finding in _ROW_JUDGES[Expect(row.expect)](row, case)]


def _recorded(row: Probed, case: Case) -> list[Finding]:
    """The finding of a probe that is in the ledger although it was not accepted."""
    return [case.finding(ProbeCode.REFUSED_BUT_RECORDED, row)] if row.left_behind and not row.accepted else []


def _refused(row: Probed, case: Case) -> list[Finding]:
    """No token, or one that must not get in: 401 or 403. Any other answer of the API means that it got past authentication."""
    findings = _not_let_in(row, case)
    if row.answered and not row.accepted and row.status not in _REFUSALS:
        if case.control:
            seen = f"{answer_of(row)}: answered by what lies behind authentication"
            findings.append(case.finding(_code_of_token(row), row, seen=seen))
        else:
            findings.append(case.finding(AuthorizationCode.REFUSAL_UNCLEAR, row))
    return findings


def _not_let_in(row: Probed, case: Case) -> list[Finding]:
    """The caller may not act on what the probe asks for: any refusal will do."""
    findings = _recorded(row, case)
    if not row.accepted:
        return findings
    if group_of(TokenKind(row.token)) in (WhoGroup.NOBODY, WhoGroup.INVALID):
        findings.append(case.finding(_code_of_token(row), row))
        if TokenKind(row.token) is TokenKind.OTHER_CLIENT and row.intent_tenant != case.tenant_a:
            findings.append(case.finding(_code_of_foreign(row, case), row))  # A's user also got at what is tenant B's
        elif row.named_tenant and row.token not in case.plain:
            seen = f"{answer_of(row)}, while the same token without it is refused"
            findings += [case.finding(code, row, seen=seen) for code in _codes_of_channel(row, case)]
        return findings
    return [*findings, case.finding(_code_of_foreign(row, case), row)]


def _code_of_token(row: Probed) -> FindingCode:
    return _CODE_OF_TOKEN.get(TokenKind(row.token), AuthorizationCode.FORGED_TOKEN_ACCEPTED)


def _codes_of_channel(row: Probed, case: Case) -> list[FindingCode]:
    channel = case.tenant_channel(row)
    return [_CODE_OF_SOURCE[channel.medium.source]] if channel is not None else []


def _code_of_foreign(row: Probed, case: Case) -> FindingCode:
    """The code for a genuine token that was accepted for what is not its tenant's.

    If the token is accepted with no tenant named elsewhere too, naming one is not what let it in.
    """
    kind = TokenKind(row.token)
    foreign = case.named(FOREIGN_INTENT_SAME_ACCOUNT)
    if kind in _OF_A_TENANT and foreign is not None and foreign.accepted:
        return PermissionCode.FOREIGN_INTENT_ACCEPTED
    if (
        kind not in (*_OF_A_TENANT, TokenKind.OTHER_CLIENT)
        and (row.placement == NOWHERE or row.token in case.plain)
        and not row.route
    ):
        return AuthorizationCode.TOKEN_WITHOUT_TENANT_ACCEPTED
    if row.route and row.placement == NOWHERE:
        return AuthorizationCode.REPLAY_BY_OTHER_ROUTE
    found = _codes_of_channel(row, case)
    return found[0] if found else PermissionCode.FOREIGN_INTENT_ACCEPTED


def _foreign_account(row: Probed, case: Case) -> list[Finding]:
    """The body names an account of the caller; elsewhere another one is named, which has the intent."""
    if not row.accepted:
        return _recorded(row, case)
    return [case.finding(PermissionCode.ACCOUNT_TAKEN_FROM_ELSEWHERE, row, seen=f"{answer_of(row)}; named in {row.placement}")]


def _own_tenant_only(row: Probed, case: Case) -> list[Finding]:
    """A valid token of A, tenant B named elsewhere, an intent of A: if it is accepted, the ledger must show A alone."""
    tenants = {entry.tenant for entry in row.left_behind}
    if not row.accepted:
        return _recorded(row, case)
    if tenants == {row.intent_tenant} or (not tenants and not case.shown):
        return []
    own = case.named(OWN_REPLAY)
    if own is not None and {entry.tenant for entry in own.left_behind} - {own.intent_tenant}:
        return [case.finding(PermissionCode.OWN_REPLAY_RECORDED_ELSEWHERE, row)]  # also with no tenant named elsewhere
    return [case.finding(code, row) for code in _codes_of_channel(row, case)]


def _accepted(row: Probed, case: Case) -> list[Finding]:
    """The own replay: accepted, recorded under its own tenant, followed to its end."""
    if not row.answered:
        return _recorded(row, case)
    if not row.accepted:
        return [
            *_recorded(row, case),
            case.finding(PermissionCode.OWN_REPLAY_REFUSED, row, seen=f"{answer_of(row)}: {row.body}"[:300]),
        ]
    findings = [] if row.status == HTTPStatus.ACCEPTED else [case.finding(PermissionCode.OWN_REPLAY_NOT_202, row)]
    elsewhere = [entry for entry in row.left_behind if entry.tenant != row.intent_tenant]
    events = _events(entry for entry in row.left_behind if entry.tenant == row.intent_tenant)
    if elsewhere:
        findings.append(
            case.finding(PermissionCode.OWN_REPLAY_RECORDED_ELSEWHERE, row, expected=f"entries under {row.intent_tenant} alone")
        )
    if not events and not case.shown:
        return findings
    if REPLAY_REQUESTED not in events and not elsewhere:
        findings.append(case.finding(PermissionCode.OWN_REPLAY_NOT_RECORDED, row))
    if REPLAY_FAILED in events:
        findings.append(case.finding(PermissionCode.CANARY_REPLAY_FAILED, row))
    elif REPLAY_COMPLETED not in events and not elsewhere:
        stage = "started" if REPLAY_STARTED in events else "never started"
        findings.append(
            case.finding(PermissionCode.CANARY_REPLAY_NOT_FINISHED, row, seen=f"{answer_of(row)}; {stage}, not ended in time")
        )
    findings += _requester(row, case)
    return findings


def _requester_claimed(row: Probed, case: Case) -> list[Finding]:
    """Own intent, requested_by of somebody else: refused, or recorded under the token's user."""
    if not row.accepted:
        return _recorded(row, case)
    if not row.left_behind and not case.shown:
        return []
    if REPLAY_REQUESTED not in _events(row.left_behind):
        return [case.finding(PermissionCode.OWN_REPLAY_NOT_RECORDED, row)]
    return _requester(row, case)


def _repeated(row: Probed, case: Case) -> list[Finding]:
    """The own replay asked for again: refused, or one more execution with a trace of its own that completes."""
    if not row.accepted:
        return _recorded(row, case)
    if not row.left_behind and not case.shown:
        return []
    events = _events(row.left_behind)
    if not {REPLAY_REQUESTED, REPLAY_STARTED, REPLAY_COMPLETED} <= events:
        seen = f"{answer_of(row)}; not ended in time" if REPLAY_STARTED in events else f"{answer_of(row)}; never started"
        return [case.finding(PermissionCode.REPEATED_REPLAY_LOST, row, seen=seen)]
    others = [other for other in case.everything if other.intent == row.intent and other.name != row.name]
    if _traces(row) & {trace for other in others for trace in _traces(other)}:
        return [case.finding(PermissionCode.REPEATED_REPLAY_SHARES_TRACE, row)]
    return []


def _traces(row: Probed) -> frozenset[str]:
    """The traces of the executions that a probe started."""
    return frozenset(entry.trace for entry in row.left_behind if entry.event == REPLAY_STARTED and entry.trace)


def _not_executed(code: FindingCode, row: Probed, case: Case) -> list[Finding]:
    """Refused, or recorded as a failed replay; in no case executed."""
    if _events(row.left_behind) & {ACTION_EXECUTED, REPLAY_COMPLETED}:
        return [case.finding(code, row)]
    return [] if row.accepted else _recorded(row, case)


def _requester(row: Probed, case: Case) -> list[Finding]:
    """Every replay entry names the token's user."""
    names = {entry.requester for entry in row.left_behind if entry.event.startswith("REPLAY_")}
    wrong = sorted(names - case.requesters)
    if not wrong:
        return []
    seen = "what the body claimed" if CLAIMED_REQUESTER in wrong else ", ".join(wrong) or "nobody"
    expected = f"requested_by of the token's user ({', '.join(sorted(case.requesters)) or 'unknown'})"
    return [case.finding(PermissionCode.REQUESTER_NOT_AUTHENTICATED, row, expected=expected, seen=f"requested_by = {seen}")]


def _not_allowed(row: Probed, case: Case) -> list[Finding]:
    """A's valid token on what is not A's, or not in its scope."""
    return [case.finding(_permission_code(row), row)] if row.accepted else _recorded(row, case)


def _permission_code(row: Probed) -> FindingCode:
    if row.name == INTENT_OF_OTHER_ACCOUNT:
        return PermissionCode.INTENT_OF_OTHER_ACCOUNT_ACCEPTED
    if row.name.startswith("foreign_account"):
        return PermissionCode.FOREIGN_ACCOUNT_ACCEPTED
    return (
        PermissionCode.ACCOUNT_SCOPE_NOT_ENFORCED
        if row.name == "account_out_of_scope"
        else PermissionCode.FOREIGN_INTENT_ACCEPTED
    )


def _refused_with(status: HTTPStatus, if_accepted: FindingCode, if_other: FindingCode, row: Probed, case: Case) -> list[Finding]:
    """Refused with exactly this status."""
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(if_accepted, row))
    elif row.answered and row.status != status:
        findings.append(case.finding(if_other, row))
    return findings


def _client_error(row: Probed, case: Case) -> list[Finding]:
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(PermissionCode.MALFORMED_JSON_ACCEPTED, row))
    elif row.problem == Problem.SERVER_ERROR:
        findings.append(case.finding(PermissionCode.MALFORMED_JSON_500, row))
    return findings


def _events(entries: Iterable[LeftEntry]) -> frozenset[str]:
    return frozenset(entry.event for entry in entries)


_ROW_JUDGES: Mapping[Expect, Callable[[Probed, Case], list[Finding]]] = {
    Expect.REFUSED: _refused,
    Expect.NOT_LET_IN: _not_let_in,
    Expect.FOREIGN_TENANT: _not_let_in,
    Expect.FOREIGN_ACCOUNT: _foreign_account,
    Expect.OWN_TENANT_ONLY: _own_tenant_only,
    Expect.ACCEPTED: _accepted,
    Expect.REQUESTER: _requester_claimed,
    Expect.REPEATED: _repeated,
    Expect.EXPIRED: partial(_not_executed, PermissionCode.EXPIRED_INTENT_EXECUTED),
    Expect.STOPPED: partial(_not_executed, PermissionCode.STOPPED_INTENT_EXECUTED),
    Expect.NOT_ALLOWED: _not_allowed,
    Expect.NOT_FOUND: partial(
        _refused_with, HTTPStatus.NOT_FOUND, PermissionCode.MISSING_INTENT_ACCEPTED, PermissionCode.MISSING_INTENT_NOT_404
    ),
    Expect.BAD_REQUEST: partial(
        _refused_with, HTTPStatus.BAD_REQUEST, PermissionCode.REQUIRED_FIELD_OPTIONAL, PermissionCode.REQUIRED_FIELD_NOT_400
    ),
    Expect.CLIENT_ERROR: _client_error,
}
