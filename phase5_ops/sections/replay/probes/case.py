"""The evidence of row 3.1 or 3.3 as their judges need it, and the findings common to all probes, whatever they expect. Pure.

Common are: obstacles, probes not tried, answers that say nothing about the request, and ledger entries that no probe of this
run accounts for. A search that found nothing proves nothing unless `shown` says that it can be relied on.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from statistics import median

from phase5_ops.probing.channel import CHANNELS, Channel, Subject
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.probing.request import Problem
from phase5_ops.reads import ReadStatus, read_findings
from phase5_ops.sections.replay.probes import codes
from phase5_ops.sections.replay.probes.codes import ProbeCode
from phase5_ops.sections.replay.probes.evidence import LeftEntry, Probed, Probes
from phase5_ops.sections.replay.probes.plan import AUTHORIZATION_ROW, MISSING_INTENT, NOWHERE, OWN_REPLAY, PERMISSION_ROW, Expect
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
_LEDGER_SEARCH = "dynamodb:Query"
_SHOWN_NAMES = 6
#: How many findings of one code are shown one by one; the others become one.
_SHOWN_FINDINGS = 12
#: Obstacles that concern one row alone.
_ONLY_ROW = {
    ProbingCode.EXPIRED_TOKEN_UNAVAILABLE.code: AUTHORIZATION_ROW,
    ProbingCode.ACCOUNT_SCOPE_NOT_TESTABLE.code: PERMISSION_ROW,
}
#: Another method or path may be answered by a router that knows no JSON, or that only points to where the API is.
_OF_A_ROUTER = (Problem.HTML, Problem.REDIRECT)


@dataclass(frozen=True)
class Case:
    """The evidence of one row, and what all its judges need; `link` is to the ledger, `everything` the probes of both rows."""

    table: Probes
    row: str
    link: str
    everything: Sequence[Probed]

    @property
    def probes(self) -> list[Probed]:
        """The probes of this row."""
        return [row for row in self.everything if row.row == self.row]

    @cached_property
    def tried(self) -> list[Probed]:
        """The probes of this row that were sent."""
        return [row for row in self.probes if row.not_tried is None]

    @property
    def context(self) -> Mapping[str, object]:
        """What the sending kept about the run."""
        return self.table.facts.context

    @property
    def requesters(self) -> frozenset[str]:
        """The names of user A in its token."""
        names = self.context.get("requesters", [])
        return frozenset(map(str, names)) if isinstance(names, (list, tuple)) else frozenset()

    @cached_property
    def _by_name(self) -> Mapping[str, Probed]:
        return {row.name: row for row in self.everything}

    def named(self, name: str) -> Probed | None:
        """The probe of that name, of either row."""
        return self._by_name.get(name)

    @cached_property
    def tenant_a(self) -> str | None:
        """Test tenant A, to which the intent of the own replay belongs."""
        own = self.named(OWN_REPLAY)
        return own.intent_tenant if own is not None else None

    @cached_property
    def plain(self) -> frozenset[str]:
        """The tokens that were accepted at POST /replay without a tenant or account named elsewhere."""
        rows = (row for row in self.everything if row.placement == NOWHERE and not row.route and row.accepted)
        return frozenset(row.token for row in rows)

    @cached_property
    def _guilty(self) -> frozenset[str]:
        """The channels through which a probe was accepted that used no other channel."""
        return frozenset(row.placement for row in self.everything if row.accepted and row.placement in CHANNELS)

    def tenant_channel(self, row: Probed) -> Channel | None:
        """The tenant's channel that a probe was accepted through: of several, one also accepted alone, else the first."""
        channels = [CHANNELS[name] for name in row.placement.split("+") if name in CHANNELS]
        channels = [channel for channel in channels if channel.subject is Subject.TENANT]
        return next((channel for channel in channels if channel.name in self._guilty), channels[0] if channels else None)

    @cached_property
    def shown(self) -> bool:
        """Whether the ledger was read whole, and shown to hold what probes leave; if not, finding nothing proves nothing."""
        return self._read_whole and (self._left_something or not any(row.accepted for row in self.everything))

    @property
    def _read_whole(self) -> bool:
        return all(read.status is ReadStatus.OK for read in self.table.reads if read.operation == _LEDGER_SEARCH)

    @property
    def _left_something(self) -> bool:
        return any(row.left_behind for row in self.everything)

    @cached_property
    def control(self) -> bool:
        """Whether a valid token was shown to be accepted: by the own replay, or, where that was not tried, by a plain 404."""
        own, missing = self.named(OWN_REPLAY), self.named(MISSING_INTENT)
        if own is not None and own.not_tried is None:
            return own.accepted
        return missing is not None and missing.answered and missing.status == HTTPStatus.NOT_FOUND

    def seen_of_control(self) -> str:
        """The answers that `control` rests on."""
        rows = [row for row in (self.named(OWN_REPLAY), self.named(MISSING_INTENT)) if row is not None]
        return "; ".join(f"{row.name}: {answer_of(row)}" for row in rows) or "no such probe"

    def finding(self, code: FindingCode, row: Probed, *, seen: str | None = None, expected: str | None = None) -> Finding:
        """A finding about one probe."""
        return code.at(row.name, expected=expected or row.expected, seen=seen or answer_of(row), link=self.link)

    def common(self) -> list[Finding]:
        """Findings on obstacles, probes not tried, answers that say nothing, entries of no known probe, and failed reads."""
        obstacles = [o for o in self.table.facts.obstacles if _ONLY_ROW.get(o.code, self.row) == self.row]
        findings = [obstacle.as_finding() for obstacle in obstacles]
        findings += [] if not self.tried and obstacles else read_findings(self.table.reads, ignoring=_JUDGED_READS)
        return [*findings, *self._not_tried(), *self._problems(), *self._unexplained(), *self._late(), *self._found_nothing()]

    def _not_tried(self) -> Iterator[Finding]:
        reasons: dict[str, list[str]] = defaultdict(list)
        for row in self.probes:
            if row.not_tried is not None:
                reasons[row.not_tried].append(row.name)
        for reason, names in reasons.items():
            yield ProbeCode.PROBE_NOT_TRIED.at(listed(names), expected="every probe sent", seen=reason)

    def _problems(self) -> Iterator[Finding]:
        nobody_answered = not any(row.answered for row in self.everything)
        by_problem: dict[str, list[Probed]] = defaultdict(list)
        for row in self.everything if nobody_answered else self.tried:
            if row.problem is not None and not _says_enough(row):
                by_problem[row.problem].append(row)
        for problem, rows in by_problem.items():
            yield codes.CONTROL_CENTER[Problem(problem)].at(
                listed([row.name for row in rows]),
                expected="an answer of the API",
                seen=rows[0].detail or problem,
                verdict=Verdict.ERROR if nobody_answered else Verdict.INCONCLUSIVE,
                link=str(self.context.get("control_center") or "") or None,
            )

    def _unexplained(self) -> Iterator[Finding]:
        for entry in self.table.facts.unexplained:
            yield ProbeCode.REPLAY_REQUEST_UNEXPLAINED.at(
                f"{entry.tenant} {entry.timestamp}",
                expected="only the probes' own replay requests",
                seen=f"intent {entry.intent or 'none'}, by {entry.requester or 'nobody'}",
                link=self.link,
            )

    def _late(self) -> Iterator[Finding]:
        """Effects of an earlier run's refused probes after that run: ledger entries, by intent, and traces of executions."""
        by_intent: dict[str, list[LeftEntry]] = defaultdict(list)
        for entry in self.table.facts.late:
            by_intent[entry.intents[0]].append(entry)
        expected = "nothing of what was refused"
        for intent, entries in by_intent.items():
            events = sorted({f"{entry.event} under {entry.tenant} at {entry.timestamp}" for entry in entries})
            reason = next((entry.reason for entry in entries if entry.reason), "no reason")
            yield ProbeCode.REFUSED_PROBE_ACTED_ON_LATER.at(
                intent, expected=expected, seen=f"{', '.join(events)} ({reason})"[:400], link=self.link
            )
        acted_on = self.context.get("acted_on", ())
        for key in acted_on if isinstance(acted_on, (list, tuple)) else ():
            kind, _, intent = str(key).partition("#")
            if intent not in by_intent:
                yield ProbeCode.REFUSED_PROBE_ACTED_ON_LATER.at(intent, expected=expected, seen=f"{kind} of it", link=self.link)

    def _found_nothing(self) -> Iterator[Finding]:
        accepted = [row.name for row in self.everything if row.accepted]
        if accepted and self._read_whole and not self._left_something:
            seen = f"no entry since {self.context.get('since') or 'the probes began'}, nor of the day before"
            yield ProbeCode.LEDGER_SEARCH_EMPTY.at(
                listed(accepted), expected="entries of what was accepted", seen=seen, link=self.link
            )

    def conclude(self, title: str, findings: Sequence[Finding]) -> Judgement:
        """The judgement of the row."""
        tried = self.tried
        refused = sum(1 for row in tried if row.status is not None and row.status >= HTTPStatus.BAD_REQUEST and _decides(row))
        latencies = [row.latency_ms for row in tried if row.latency_ms is not None]
        facts: dict[str, Fact] = {
            "probes": len(self.probes),
            "sent": len(tried),
            "refused": refused,
            "accepted": sum(1 for row in tried if row.accepted),
            "not_tried": len(self.probes) - len(tried),
            "ledger_entries": sum(len(row.left_behind) for row in tried),
            "mode": str(self.context.get("mode", "")),
            **{name: value for name in _COST if isinstance(value := self.context.get(name), (int, float))},
        }
        if latencies:
            facts["median_latency_ms"] = round(median(latencies), 1)
        summary = f"{title}: {len(tried)} of {len(self.probes)} probes sent, {refused} refused, {facts['accepted']} accepted."
        evidence = [EvidenceLink("Ledger", self.link)]
        return conclude(judged=len(tried), summary=summary, findings=_shortened(findings), facts=facts, evidence=evidence)


#: Facts of the whole plan: cases that it was chosen from, requests sent, and seconds of sending.
_COST = ("combinations", "requests", "send_seconds")


def _decides(row: Probed) -> bool:
    return row.answered or _says_enough(row)


def _says_enough(row: Probed) -> bool:
    """Whether a problem is answer enough: a body that is no JSON may break the API, another route may not lead to it."""
    if row.expect == Expect.CLIENT_ERROR:
        return row.problem == Problem.SERVER_ERROR
    by_router = row.status is not None and HTTPStatus.MULTIPLE_CHOICES <= row.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return bool(row.route) and row.problem in _OF_A_ROUTER and by_router


def _shortened(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; those of one code beyond `_SHOWN_FINDINGS` become one."""
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_code[finding.code].append(finding)
    kept: list[Finding] = []
    for same in by_code.values():
        kept += same[:_SHOWN_FINDINGS]
        if rest := same[_SHOWN_FINDINGS:]:
            worst = max(rest, key=lambda finding: finding.verdict.severity)
            kept.append(replace(worst, subject=listed([finding.subject for finding in rest])))
    return kept


def listed(names: Sequence[str]) -> str:
    """The first of several names, and how many there are."""
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    return f"{len(names)} probes: {shown}" if len(names) > 1 else shown


def answer_of(row: Probed) -> str:
    """What came of a probe, as a finding says it."""
    if row.not_tried is not None:
        return f"not tried: {row.not_tried}"
    answer = row.detail or row.problem or "no answer" if row.problem else f"HTTP {row.status}"
    if not row.left_behind:
        return answer
    events = sorted({f"{entry.event} under {entry.tenant}" for entry in row.left_behind})
    return f"{answer}; ledger: {', '.join(events)}"
