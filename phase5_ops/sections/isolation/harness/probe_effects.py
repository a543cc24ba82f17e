"""Turns the answers to the cross-tenant probes of row 4.1, and what they changed, into rows of the table. Pure.

A change is traced to its probe by the mark that the probe writes: each probe has its own. A change without a mark is blamed on
the probes that could have caused it: on those that were answered with success, or on all of them if none was.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from phase5_ops.ccnative.keys import plain_item
from phase5_ops.probing.forge import ODD_CLAIMS, TokenKind, WhoGroup, group_of
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.sections.isolation.harness.evidence import AccessKind, HarnessRow, ProbeAnswer, Result, probe_row, shown_key
from phase5_ops.sections.isolation.harness.probe_data import ANY_MARK, Item, Watched, late_mark
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe, CrossTargets, ExpectedAnswer
from phase5_ops.sections.isolation.harness.probe_routes import DECISIONS

Snapshot = dict[Watched, list[Item]]
Told = dict[tuple[str, str], Mapping[str, Any]]
"""Entries of the ledger about decisions, by tenant and sort key."""

#: Ledger events that say that somebody asked for a decision or decided.
DECIDED = ("DECISION_EVALUATION_REQUESTED", "ACTION_APPROVED", "ACTION_REJECTED")
_EVENT_OF = {"evaluate": DECIDED[0], "approve": DECIDED[1], "reject": DECIDED[2]}
_DECIDES = (None, Problem.SERVER_ERROR, Problem.TOO_LARGE)


def key_of(place: Watched, item: Item) -> dict[str, Any]:
    """The key of an item of a watched partition."""
    return {name: item[name] for name in (("tenantId",) if place.role == "tenants" else ("pk", "sk"))}


def without_mark(role: str, item: Item) -> Item | None:
    """The item as it was before a probe's late write, as far as that is known; None if the item must be removed."""
    if late_mark(item) is None:
        return item
    if role != "tenants":
        return None
    disabled = [each for each in item.get("disabled_action_types", {}).get("L", []) if not late_mark(each)]
    return {**item, "disabled_action_types": {"L": disabled}}


def of_planted(targets: CrossTargets, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the ledger is about a planted decision."""
    data = entry.get("data")
    return isinstance(data, Mapping) and data.get("decision_id") in targets.decisions


def succeeded(answer: HttpAnswer) -> bool:
    """Whether an answer says yes."""
    return answer.status is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES and answer.problem in _DECIDES


def unproven_of(answers: Sequence[HttpAnswer | None], probe: CrossProbe) -> str:
    """Why refusals of a family show nothing; "" where A's own data came, before the probes and after them.

    Without this, a platform that blocks a caller after too many refusals would seem to be closed.
    """
    for answer, when in zip(answers, ("before", "after"), strict=True):
        if answer is None:
            return f"A's own {probe.shown} was not sent in time, so a refusal shows nothing"
        if not succeeded(answer):
            seen = f"HTTP {answer.status}" if answer.problem is None else answer.detail or str(answer.problem)
            return f"A's own {probe.shown} was not answered with success {when} the probes ({seen}), so a refusal shows nothing"
    return ""


@dataclass(frozen=True, slots=True)
class Effects:
    """Finds which probe changed what.

    Attributes:
        targets: what the probes named.
        plan: all of them.
        answers: of those that were sent, by name.
    """

    targets: CrossTargets
    plan: Sequence[CrossProbe]
    answers: Mapping[str, HttpAnswer]

    def of(self, seen: Sequence[Snapshot], told: Told, told_after: Told) -> Mapping[str, list[str]]:
        """The changes that are violations, by the name of the probe that caused them.

        Args:
            seen: the watched partitions at first, after the probes that must be refused, and after those that may write for A;
                nothing is put back in between.
            told: the ledger's decisions before the first probe.
            told_after: the ledger's decisions after the last probe.
        """
        found: dict[str, list[str]] = {}
        changes = [
            change
            for at, (before, after) in enumerate(pairwise(seen))
            for change in self._changes(before, after, may_write=at > 0)
        ]
        for what, probes in (*changes, *self._decisions(told, told_after)):
            for probe in probes:
                found.setdefault(probe.name, []).append(what)
        return found

    def _changes(self, before: Snapshot, after: Snapshot, *, may_write: bool) -> Iterator[tuple[str, Sequence[CrossProbe]]]:
        sent = [probe for probe in self.plan if not probe.reads and probe.name in self.answers]
        for place, items in after.items():
            foreign = place.tenant == self.targets.tenant_b or not may_write
            out = self._out_of_scope(place)
            for key, item in _differences(place, before[place], items):
                writers = [
                    probe for probe in sent if probe.role == place.role and (may_write or probe.expect is ExpectedAnswer.REFUSED)
                ]
                named = [probe for probe in writers if _holds(item, probe)]
                if named:
                    yield (
                        f"{place.role} {key}",
                        [each for each in named if foreign or out or each.expect is ExpectedAnswer.REFUSED],
                    )
                elif foreign or (out and place.role == "autonomy_budget_state"):
                    yield f"{place.role} {key}", self._suspects(writers or sent, foreign=foreign)

    def _suspects(self, writers: Sequence[CrossProbe], *, foreign: bool) -> Sequence[CrossProbe]:
        """Of the probes that may have made a change without a mark, those that were answered with success; else all."""
        chosen = writers if foreign else [each for each in writers if each.expect is ExpectedAnswer.REFUSED]
        return [each for each in chosen if succeeded(self.answers[each.name])] or chosen

    def _out_of_scope(self, place: Watched) -> bool:
        _, _, account = place.partition.partition("#ACCOUNT#")
        return place.tenant == self.targets.tenant_a and bool(account) and account != self.targets.account_a

    def _decisions(self, told: Told, told_after: Told) -> Iterator[tuple[str, Sequence[CrossProbe]]]:
        """New decisions in the ledger, with the probes suspected: no probe may have a decision made or decided."""
        for (tenant, key), entry in sorted(told_after.items()):
            event = str(entry["eventType"])
            ours = event == DECIDED[0] or of_planted(self.targets, entry)
            if (tenant, key) in told or not ours:
                continue
            sent = [probe for probe in self.plan if _EVENT_OF.get(probe.route.name) == event and probe.name in self.answers]
            account = str(entry.get("accountId"))
            yield f"ledger {tenant} {account} {event}", self._suspects(sent, foreign=True)


def _holds(item: Item, probe: CrossProbe) -> bool:
    """Whether an item is what this probe would write."""
    text = json.dumps(item, default=repr)
    period = dict(probe.body or probe.query).get("from") if probe.role == "audit_export" else None
    return f'"{probe.mark}"' in text or f'#{probe.mark}"' in text or (isinstance(period, str) and f'"{period}"' in text)


def _differences(place: Watched, before: Sequence[Item], after: Sequence[Item]) -> list[tuple[str, Item]]:
    old = {json.dumps(key_of(place, item)): item for item in before}
    new = {json.dumps(key_of(place, item)): item for item in after}
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [
        (shown_key(list(key_of(place, item)), plain_item(item)), item) for item in (new.get(key) or old[key] for key in changed)
    ]


@dataclass(frozen=True, slots=True)
class JudgedProbe:
    """Turns answers and effects into rows.

    Attributes:
        targets: what the probes named.
        unproven: by family, why its refusals show nothing; "" where they do.
        effects: forbidden changes, by the name of the probe.
        put_back: whether everything was put back.
        elsewhere: whether the settings name an address of the decision API.
    """

    targets: CrossTargets
    unproven: Mapping[str, str]
    effects: Mapping[str, Sequence[str]]
    put_back: bool = True
    elsewhere: bool = False
    _absent: set[str] = field(default_factory=set)

    def absences(self) -> list[HarnessRow]:
        """One row if the decision API is not at the Control Center's address and the settings name no other; else none."""
        why = self.unproven[DECISIONS]
        if self.elsewhere or "(HTTP 404)" not in why:
            return []
        self._absent.add(DECISIONS)
        return [
            HarnessRow(
                AccessKind.RUN,
                "decision API",
                "",
                Result.NOT_JUDGED,
                why,
                codes=("decision_api_not_found",),
                expected="the routes of the decision API, at PHASE5_DECISION_API_URL or at the Control Center's address",
            )
        ]

    def unanswered(self, probe: CrossProbe) -> HarnessRow:
        """The row of a probe that was not sent, since nothing answered."""
        return probe_row(ProbeAnswer(probe.name, probe.shown, probe.reads, None, problem=self.unproven[probe.family]))

    def row(self, probe: CrossProbe, answer: HttpAnswer) -> HarnessRow:
        """The row of one probe."""
        yes = succeeded(answer)
        changed = tuple(self.effects.get(probe.name, ()))
        shown = self._shown(probe, answer, yes)
        answered = _code_of(probe) if yes and probe.expect is ExpectedAnswer.REFUSED else ""
        if probe.who in ODD_CLAIMS and (shown or changed):
            answered = "request_without_tenant_answered"
            shown = ()
        if answered == "foreign_data_readable":
            answered, shown = "", shown or ("what only the other tenant has",)
        elif answered == "foreign_data_writable":
            answered, changed = "", changed or ("what it asks for was accepted",)
        why = "" if shown or changed or answered else self.unproven[probe.family]
        if why and probe.family in self._absent:
            return HarnessRow(
                AccessKind.PROBE, probe.shown, probe.name, Result.NOT_JUDGED, why, operation="read" if probe.reads else "write"
            )
        refused = answer.status is not None and HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        decided = answer.problem in _DECIDES or (answer.problem is Problem.HTML and refused)
        status = None if why or not decided else answer.status
        problem = why or answer.detail
        return probe_row(
            ProbeAnswer(
                probe.name, probe.shown, probe.reads, status, shown, changed, self.put_back, problem, answered, probe.expect.words
            )
        )

    def _shown(self, probe: CrossProbe, answer: HttpAnswer, yes: bool) -> tuple[str, ...]:
        if any(mark in answer.body for mark in probe.shown_marks):
            return ("the marker of this run in data that is not the caller's",)
        if yes and any(each in answer.body for each in probe.asked_ids):
            return ("an execution that is not the caller's",)
        return ("what only the other tenant has",) if yes and probe.only_b and probe.expect is ExpectedAnswer.OWN_ONLY else ()


def _code_of(probe: CrossProbe) -> str:
    """The finding code of a probe that had to be refused and was answered."""
    group = group_of(probe.who)
    if probe.who is TokenKind.OTHER_CLIENT:
        return "other_client_request_answered"
    if group in (WhoGroup.NOBODY, WhoGroup.INVALID):
        return "unauthorized_request_answered"
    if group is WhoGroup.UNCLAIMED or probe.who in ODD_CLAIMS:
        return "request_without_tenant_answered"
    if probe.out_of_scope:
        return "foreign_account_answered"
    return "foreign_data_readable" if probe.reads else "foreign_data_writable"


def late_decisions(told: Told) -> list[HarnessRow]:
    """The rows of decisions made since the last run ended; only probes ask for decisions of the test tenants."""
    rows = []
    for (tenant, _), entry in sorted(told.items()):
        event, data = str(entry["eventType"]), entry.get("data")
        planted = isinstance(data, Mapping) and ANY_MARK.fullmatch(str(data.get("decision_id")))
        if event == DECIDED[0] or planted:
            rows.append(late_row(f"ledger {tenant} {entry.get('accountId')} {event}", str(entry["sk"]), None))
    return rows


def late_row(subject: str, mark: str, removed: bool | None) -> HarnessRow:
    """The row of a change that an earlier run's probe caused after that run ended; `removed` None: nothing is to be removed."""
    return HarnessRow(
        AccessKind.PROBE,
        subject,
        mark,
        Result.VIOLATION,
        f"{mark} of an earlier run" + {None: "", True: ", removed", False: ", NOT removed"}[removed],
        operation="write",
        codes=("late_effect", *(("not_put_back",) if removed is False else ())),
        expected="nothing, once a probe was refused or undone",
    )
