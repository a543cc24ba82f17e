"""Judges rows 3.1 (replay API authorization) and 3.3 (permission tests) on the table `replay_probe`. Pure.

What makes a pass: every probe of the row was sent, answered as expected, and left nothing behind that it should not have; and
the API was shown to accept a valid token, since one that refuses everybody refuses the probes too. A 2xx to a probe that must
be refused fails whatever the ledger says; so does a ledger entry of one whatever the answer says. An answer that says nothing
about the request (5xx, a page, a redirect, a timeout) is no refusal.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

import pandas as pd

from phase5_ops.ccnative.ledger import REPLAY_COMPLETED, REPLAY_FAILED, REPLAY_REQUESTED, REPLAY_STARTED
from phase5_ops.links import ConsoleLinks
from phase5_ops.probing.codes import ACCOUNT_SCOPE_NOT_TESTABLE, EXPIRED_TOKEN_UNAVAILABLE
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import CLAIMED_REQUESTER
from phase5_ops.probing.request import Problem
from phase5_ops.reads import read_findings
from phase5_ops.replay import probe_codes as codes
from phase5_ops.replay.probe_evidence import CONTEXT, LeftEntry, Probed, obstacles_of, probed_rows, unexplained_of
from phase5_ops.replay.probe_plan import (
    AUTHORIZATION_ROW,
    FOREIGN_INTENT_SAME_ACCOUNT,
    MISSING_INTENT,
    OWN_REPLAY,
    PERMISSION_ROW,
    Expect,
    Placement,
)
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, Judgement, Verdict, conclude

#: Reads that the judge itself turns into findings of their own (or that decide nothing when they fail).
_JUDGED_READS = (
    "cognito-idp:AdminInitiateAuth",
    "secretsmanager:GetSecretValue",
    "lambda:GetFunctionConfiguration",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
)
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SHOWN_NAMES = 6
_CODE_OF_TOKEN = {
    TokenKind.NONE: codes.UNAUTHENTICATED_ACCEPTED,
    TokenKind.EMPTY: codes.UNAUTHENTICATED_ACCEPTED,
    TokenKind.EXPIRED: codes.EXPIRED_TOKEN_ACCEPTED,
    TokenKind.OTHER_CLIENT: codes.OTHER_CLIENT_ACCEPTED,
    TokenKind.ACCESS: codes.ACCESS_TOKEN_ACCEPTED,
}
_CODE_OF_SOURCE = {
    "query": codes.TENANT_FROM_QUERY,
    "header": codes.TENANT_FROM_HEADER,
    "body": codes.TENANT_FROM_BODY,
}
#: Obstacles that concern one row alone.
_ONLY_ROW = {
    EXPIRED_TOKEN_UNAVAILABLE.code: AUTHORIZATION_ROW,
    ACCOUNT_SCOPE_NOT_TESTABLE.code: PERMISSION_ROW,
}


def judge_authorization(table: pd.DataFrame, *, links: ConsoleLinks, ledger_table: str) -> Judgement:
    """Row 3.1: nobody gets in without a valid token, and nothing but its claim says for which tenant.

    Args:
        table: `replay_probe`.
        links: console links.
        ledger_table: name of the ledger's table, to link to.
    """
    case = _Case.of(table, AUTHORIZATION_ROW, links.table(ledger_table))
    findings = case.common()
    if case.tried and not case.control:
        findings.append(
            codes.POSITIVE_CONTROL_FAILED.at(
                OWN_REPLAY,
                expected="the own replay accepted (or, without one, 404 for a missing intent)",
                seen=case.seen_of_control(),
                link=case.link,
            )
        )
    plain = {row.token for row in case.tried if row.placement == Placement.NOWHERE and row.accepted}
    for row in case.tried:
        findings += _ROW_JUDGES[Expect(row.expect)](row, case)
        if row.expect == Expect.REFUSED and row.accepted and row.named_tenant and row.token not in plain:
            code = _CODE_OF_SOURCE[Placement(row.placement).source]
            findings.append(case.finding(code, row, seen=f"{_answer(row)}, while the same token without it is refused"))
    return case.conclude("Requests that the replay API must refuse", findings)


def judge_permissions(table: pd.DataFrame, *, links: ConsoleLinks, ledger_table: str) -> Judgement:
    """Row 3.3: own tenant and account are accepted and really replayed, any other is refused, a missing intent is 404.

    Args:
        table: `replay_probe`.
        links: console links.
        ledger_table: name of the ledger's table, to link to.
    """
    case = _Case.of(table, PERMISSION_ROW, links.table(ledger_table))
    findings = case.common()
    for row in case.tried:
        findings += _ROW_JUDGES[Expect(row.expect)](row, case)
    return case.conclude("Requests of the owner and of others", findings)


@dataclass(frozen=True)
class _Case:
    """The evidence of one row, and what all its judges need."""

    table: pd.DataFrame
    row: str
    link: str
    everything: Sequence[Probed]

    @classmethod
    def of(cls, table: pd.DataFrame, row: str, link: str) -> "_Case":
        return cls(table, row, link, probed_rows(table))

    @property
    def probes(self) -> list[Probed]:
        """The probes of this row."""
        return [row for row in self.everything if row.row == self.row]

    @property
    def tried(self) -> list[Probed]:
        return [row for row in self.probes if row.not_tried is None]

    @property
    def context(self) -> Mapping[str, object]:
        context = self.table.attrs.get(CONTEXT, {})
        return context if isinstance(context, Mapping) else {}

    @property
    def requesters(self) -> frozenset[str]:
        """The names of user A in its token."""
        names = self.context.get("requesters", [])
        return frozenset(map(str, names)) if isinstance(names, (list, tuple)) else frozenset()

    @property
    def tenant_a(self) -> str | None:
        """Test tenant A: whose the intent of the own replay is."""
        own = self.named(OWN_REPLAY)
        return own.intent_tenant if own is not None else None

    def named(self, name: str) -> Probed | None:
        return next((row for row in self.everything if row.name == name), None)

    @property
    def control(self) -> bool:
        """Whether a valid token was shown to be accepted: by the own replay, or, where that was not tried, by a plain 404."""
        own, missing = self.named(OWN_REPLAY), self.named(MISSING_INTENT)
        if own is not None and own.not_tried is None:
            return own.accepted
        return missing is not None and missing.answered and missing.status == HTTPStatus.NOT_FOUND

    def seen_of_control(self) -> str:
        rows = [row for row in (self.named(OWN_REPLAY), self.named(MISSING_INTENT)) if row is not None]
        return "; ".join(f"{row.name}: {_answer(row)}" for row in rows) or "no such probe"

    def finding(self, code: FindingCode, row: Probed, *, seen: str | None = None, expected: str | None = None) -> Finding:
        return code.at(row.name, expected=expected or row.expected, seen=seen or _answer(row), link=self.link)

    def common(self) -> list[Finding]:
        """Obstacles, what was not tried, answers that say nothing, unexplained requests, and reads that failed."""
        obstacles = [o for o in obstacles_of(self.table) if _ONLY_ROW.get(o.code, self.row) == self.row]
        findings = [obstacle.as_finding() for obstacle in obstacles]
        findings += [] if not self.tried and obstacles else read_findings(self.table, ignoring=_JUDGED_READS)
        return [*findings, *self._not_tried(), *self._problems(), *self._unexplained()]

    def _not_tried(self) -> Iterator[Finding]:
        reasons: dict[str, list[str]] = defaultdict(list)
        for row in self.probes:
            if row.not_tried is not None:
                reasons[row.not_tried].append(row.name)
        for reason, names in reasons.items():
            yield codes.PROBE_NOT_TRIED.at(_listed(names), expected="every probe sent", seen=reason)

    def _problems(self) -> Iterator[Finding]:
        nobody_answered = not any(row.answered for row in self.everything)
        by_problem: dict[str, list[Probed]] = defaultdict(list)
        for row in self.everything if nobody_answered else self.tried:
            if row.problem is not None and not (row.expect == Expect.CLIENT_ERROR and row.problem == Problem.SERVER_ERROR):
                by_problem[row.problem].append(row)
        for problem, rows in by_problem.items():
            yield codes.CONTROL_CENTER[Problem(problem)].at(
                _listed([row.name for row in rows]),
                expected="an answer of the API",
                seen=rows[0].detail or problem,
                verdict=Verdict.ERROR if nobody_answered else Verdict.INCONCLUSIVE,
                link=str(self.context.get("control_center") or "") or None,
            )

    def _unexplained(self) -> Iterator[Finding]:
        for entry in unexplained_of(self.table):
            yield codes.REQUEST_UNEXPLAINED.at(
                f"{entry.tenant} {entry.timestamp}",
                expected="only the probes' own replay requests",
                seen=f"intent {entry.intent or 'none'}, by {entry.requester or 'nobody'}",
                link=self.link,
            )

    def conclude(self, title: str, findings: Sequence[Finding]) -> Judgement:
        tried = self.tried
        refused = sum(1 for row in tried if row.answered and row.status is not None and row.status >= HTTPStatus.BAD_REQUEST)
        latencies = [row.latency_ms for row in tried if row.latency_ms is not None]
        facts: dict[str, Fact] = {
            "probes": len(self.probes),
            "sent": len(tried),
            "refused": refused,
            "accepted": sum(1 for row in tried if row.accepted),
            "not_tried": len(self.probes) - len(tried),
            "ledger_entries": sum(len(row.left_behind) for row in tried),
            "mode": str(self.context.get("mode", "")),
        }
        if latencies:
            facts["median_latency_ms"] = round(median(latencies), 1)
        summary = f"{title}: {len(tried)} of {len(self.probes)} probes sent, {refused} refused, {facts['accepted']} accepted."
        evidence = [EvidenceLink("Ledger", self.link)]
        return conclude(judged=len(tried), summary=summary, findings=list(findings), facts=facts, evidence=evidence)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    return f"{len(names)} probes: {shown}" if len(names) > 1 else shown


def _answer(row: Probed) -> str:
    """What came of a probe, as a finding says it."""
    if row.not_tried is not None:
        return f"not tried: {row.not_tried}"
    answer = row.detail or row.problem or "no answer" if row.problem else f"HTTP {row.status}"
    if not row.left_behind:
        return answer
    events = sorted({f"{entry.event} under {entry.tenant}" for entry in row.left_behind})
    return f"{answer}; ledger: {', '.join(events)}"


def _recorded(row: Probed, case: _Case) -> list[Finding]:
    """The finding of a probe that is in the ledger although it was not accepted."""
    return [case.finding(codes.REFUSED_BUT_RECORDED, row)] if row.left_behind and not row.accepted else []


def _refused(row: Probed, case: _Case) -> list[Finding]:
    """No token, or one that must not get in: 401 or 403. Any other answer of the API itself means that it got past that."""
    code = _CODE_OF_TOKEN.get(TokenKind(row.token), codes.FORGED_TOKEN_ACCEPTED)
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(code, row))
    elif row.answered and row.status not in _REFUSALS:
        if case.control:
            findings.append(case.finding(code, row, seen=f"{_answer(row)}: answered by what lies behind authentication"))
        else:
            findings.append(case.finding(codes.REFUSAL_UNCLEAR, row))
    return findings


def _foreign_tenant(row: Probed, case: _Case) -> list[Finding]:
    """A valid token of A, tenant B named elsewhere, an intent that only B has.

    Where A's token is taken for B's intent without naming B anywhere, it is not the tenant that was taken from elsewhere.
    """
    findings = _recorded(row, case)
    if not row.accepted or {entry.tenant for entry in row.left_behind} == {case.tenant_a}:
        return findings
    taken_anyway = case.named(FOREIGN_INTENT_SAME_ACCOUNT)
    if taken_anyway is not None and taken_anyway.accepted:
        return [*findings, case.finding(codes.FOREIGN_INTENT_ACCEPTED, row)]
    return [*findings, case.finding(_CODE_OF_SOURCE[Placement(row.placement).source], row)]


def _own_tenant_only(row: Probed, case: _Case) -> list[Finding]:
    """A valid token of A, tenant B named elsewhere, an intent of A: if it is accepted, the ledger must show A alone."""
    tenants = {entry.tenant for entry in row.left_behind}
    if not row.accepted:
        return _recorded(row, case)
    if tenants == {row.intent_tenant}:
        return []
    own = case.named(OWN_REPLAY)
    if own is not None and {entry.tenant for entry in own.left_behind} - {own.intent_tenant}:
        return [case.finding(codes.OWN_REPLAY_ELSEWHERE, row)]  # without any tenant named elsewhere, too
    return [case.finding(_CODE_OF_SOURCE[Placement(row.placement).source], row)]


def _accepted(row: Probed, case: _Case) -> list[Finding]:
    """The own replay: accepted, recorded under its own tenant, followed to its end."""
    if not row.answered:
        return _recorded(row, case)
    if not row.accepted:
        return [*_recorded(row, case), case.finding(codes.OWN_REPLAY_REFUSED, row, seen=f"{_answer(row)}: {row.body}"[:300])]
    findings = [] if row.status == HTTPStatus.ACCEPTED else [case.finding(codes.OWN_REPLAY_STATUS, row)]
    elsewhere = [entry for entry in row.left_behind if entry.tenant != row.intent_tenant]
    events = _events(entry for entry in row.left_behind if entry.tenant == row.intent_tenant)
    if elsewhere:
        findings.append(case.finding(codes.OWN_REPLAY_ELSEWHERE, row, expected=f"entries under {row.intent_tenant} alone"))
    if REPLAY_REQUESTED not in events and not elsewhere:
        findings.append(case.finding(codes.OWN_REPLAY_NOT_RECORDED, row))
    if REPLAY_FAILED in events:
        findings.append(case.finding(codes.CANARY_FAILED, row))
    elif REPLAY_COMPLETED not in events and not elsewhere:
        stage = "started" if REPLAY_STARTED in events else "never started"
        findings.append(case.finding(codes.CANARY_NOT_FINISHED, row, seen=f"{_answer(row)}; {stage}, not ended in time"))
    findings += _requester(row, case)
    return findings


def _requester_claimed(row: Probed, case: _Case) -> list[Finding]:
    """Own intent, requested_by of somebody else: refused, or recorded under the token's user."""
    if not row.accepted:
        return _recorded(row, case)
    if not any(entry.event == REPLAY_REQUESTED for entry in row.left_behind):
        return [case.finding(codes.OWN_REPLAY_NOT_RECORDED, row)]
    return _requester(row, case)


def _requester(row: Probed, case: _Case) -> list[Finding]:
    """Every replay entry names the token's user."""
    names = {entry.requester for entry in row.left_behind if entry.event.startswith("REPLAY_")}
    wrong = sorted(names - case.requesters)
    if not wrong:
        return []
    seen = "what the body claimed" if CLAIMED_REQUESTER in wrong else ", ".join(wrong) or "nobody"
    expected = f"requested_by of the token's user ({', '.join(sorted(case.requesters)) or 'unknown'})"
    return [case.finding(codes.REQUESTER_NOT_AUTHENTICATED, row, expected=expected, seen=f"requested_by = {seen}")]


def _not_allowed(row: Probed, case: _Case) -> list[Finding]:
    """A's valid token on what is not A's, or not in its scope."""
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(_permission_code(row), row))
    return findings


def _permission_code(row: Probed) -> FindingCode:
    if row.name.startswith("foreign_account"):
        return codes.FOREIGN_ACCOUNT_ACCEPTED
    return codes.ACCOUNT_SCOPE_NOT_ENFORCED if row.name == "account_out_of_scope" else codes.FOREIGN_INTENT_ACCEPTED


def _not_found(row: Probed, case: _Case) -> list[Finding]:
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(codes.MISSING_INTENT_ACCEPTED, row))
    elif row.answered and row.status != HTTPStatus.NOT_FOUND:
        findings.append(case.finding(codes.MISSING_INTENT_STATUS, row))
    return findings


def _bad_request(row: Probed, case: _Case) -> list[Finding]:
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(codes.REQUIRED_FIELD_OPTIONAL, row))
    elif row.answered and row.status != HTTPStatus.BAD_REQUEST:
        findings.append(case.finding(codes.REQUIRED_FIELD_STATUS, row))
    return findings


def _client_error(row: Probed, case: _Case) -> list[Finding]:
    findings = _recorded(row, case)
    if row.accepted:
        findings.append(case.finding(codes.MALFORMED_JSON_ACCEPTED, row))
    elif row.problem == Problem.SERVER_ERROR:
        findings.append(case.finding(codes.MALFORMED_JSON_500, row))
    return findings


def _events(entries: Iterator[LeftEntry]) -> frozenset[str]:
    return frozenset(entry.event for entry in entries)


_ROW_JUDGES: Mapping[Expect, Callable[[Probed, _Case], list[Finding]]] = {
    Expect.REFUSED: _refused,
    Expect.FOREIGN_TENANT: _foreign_tenant,
    Expect.OWN_TENANT_ONLY: _own_tenant_only,
    Expect.ACCEPTED: _accepted,
    Expect.REQUESTER: _requester_claimed,
    Expect.NOT_ALLOWED: _not_allowed,
    Expect.NOT_FOUND: _not_found,
    Expect.BAD_REQUEST: _bad_request,
    Expect.CLIENT_ERROR: _client_error,
}
