"""Evidence of rows 3.1 and 3.3: the tables `replay_probes_sent` and `replay_probe`, one row per probe. Pure.

The first says what was sent and what came back; the second adds what each probe left in the ledger. A ledger entry belongs to the
probe whose replay reason or whose intent it names; both are unique to one probe of one run.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from phase5_ops.ccnative.ledger import REPLAY_REQUESTED
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.probing.canary_intent import is_ours, mentioned, must_be_refused
from phase5_ops.probing.codes import Obstacle
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.sections.replay.probes.plan import Probe


@dataclass(frozen=True, slots=True)
class LeftEntry:
    """A ledger entry that a probe left behind; "" for what the entry does not have."""

    tenant: str  # whose partition holds it
    event: str
    account: str
    trace: str
    timestamp: str
    intent: str
    requester: str
    reason: str
    key: str = ""  # of the ledger's item
    intents: tuple[str, ...] = ()  # every canary intent that it names anywhere


@dataclass(frozen=True, slots=True)
class EffectAttribution:
    """Which probe left which entry of the ledger.

    Attributes:
        left: entries by the name of the probe of this run.
        unexplained: replay requests of this run's time that name no probe of any run.
        late: entries that came of an earlier run's probe that was refused, or should have been; no run has reported them yet.
    """

    left: Mapping[str, list[LeftEntry]]
    unexplained: Sequence[LeftEntry] = ()
    late: Sequence[LeftEntry] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """One row of `replay_probes_sent`."""

    name: Annotated[str, "of the probe", Column(unique=True)]
    row: Annotated[str, "that it is for", Column(among=("3.1", "3.3"))]
    token: Annotated[str, "TokenKind"]
    placement: Annotated[str, "names of the channels through which it names a tenant or account besides its token"]
    named_tenant: Annotated[str | None, "whom it names there"]
    route: Annotated[str, '"" for POST /replay']
    expect: Annotated[str, "Expect"]
    expected: Annotated[str, "the same in words"]
    account: Annotated[str, "that it names"]
    intent: Annotated[str, "only repeats of a replay share one"]
    intent_tenant: Annotated[str | None, "whose the canary intent is; null where none was written"]
    intent_account: Annotated[str | None, "likewise"]
    reason: Annotated[str, "of the replay", Column(unique=True)]
    requester: Annotated[str, "name of the user"]
    not_tried: Annotated[str | None, "why the probe was not sent; null if it was"]
    tries: Annotated[int, "how often it was sent"]
    status: Annotated[int | None, "HTTP status"]
    problem: Annotated[str | None, "Problem: why the answer says nothing about the request"]
    detail: Annotated[str, "of the problem"]
    body: Annotated[str, "beginning of the body, redacted"]
    latency_ms: Annotated[float | None, "milliseconds"]

    @property
    def answered(self) -> bool:
        """An answer came that says something about the request."""
        return self.not_tried is None and self.problem is None and self.status is not None

    @property
    def accepted(self) -> bool:
        """It was answered with 2xx."""
        return self.answered and self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own


@dataclass(frozen=True, slots=True)
class Probed(Sent):
    """One row of `replay_probe`: what was sent, what came back, and what it left behind."""

    left_behind: Annotated[tuple[LeftEntry, ...], "in the order of the ledger"]


@dataclass(frozen=True)
class SentFacts:
    """What is known beside the rows.

    Attributes:
        obstacles: reasons why probes were not sent or collected.
        context: what collecting and judging need, as JSON values; see `sending`.
    """

    obstacles: tuple[Obstacle, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProbeFacts(SentFacts):
    """The facts of the sending, and what else the ledger holds.

    Attributes:
        unexplained: replay requests in the test tenants' ledgers that no probe accounts for.
        late: entries that refused probes of earlier runs caused after those runs.
    """

    unexplained: tuple[LeftEntry, ...] = ()
    late: tuple[LeftEntry, ...] = ()


REPLAY_PROBES_SENT = DeclaredTable(Sent, SentFacts)
SentProbes = GatheredTable[Sent, SentFacts]
REPLAY_PROBE = DeclaredTable(Probed, ProbeFacts)
Probes = GatheredTable[Probed, ProbeFacts]


def probed(row: Sent, left: Iterable[LeftEntry]) -> Probed:
    """The row of a probe with what it left behind."""
    return Probed(**{name: getattr(row, name) for name in _OF_SENT}, left_behind=tuple(left))


_OF_SENT = tuple(each.name for each in fields(Sent))


def sent_row(probe: Probe, answer: HttpAnswer | None, not_tried: str | None, *, tries: int = 1) -> Sent:
    """The row of a probe: its answer and how often it was sent, or why it was not tried."""
    return Sent(
        name=probe.name,
        row=probe.row,
        token=probe.token.value,
        placement=probe.placement,
        named_tenant=probe.tenant,
        route=probe.route.name,
        expect=probe.expect.value,
        expected=probe.expect.words,
        account=probe.account,
        intent=probe.intent,
        intent_tenant=probe.home.tenant if probe.home else None,
        intent_account=probe.home.account if probe.home else None,
        reason=probe.reason,
        requester=probe.requester,
        not_tried=not_tried,
        tries=tries if answer else 0,
        status=answer.status if answer else None,
        problem=answer.problem.value if answer and answer.problem else None,
        detail=answer.detail if answer else "",
        body=answer.body if answer else "",
        latency_ms=answer.latency_ms if answer else None,
    )


def probe_table(sent: SentProbes, found: EffectAttribution, obstacles: Iterable[Obstacle]) -> Probes:
    """The table `replay_probe`; the caller says how its inputs were read.

    Args:
        sent: the table `replay_probes_sent`.
        found: what the ledger holds of them.
        obstacles: what went wrong while collecting; added to those of sending.
    """
    facts = ProbeFacts((*sent.facts.obstacles, *obstacles), sent.facts.context, tuple(found.unexplained), tuple(found.late))
    return REPLAY_PROBE.gathered((probed(row, found.left.get(row.name, ())) for row in sent.rows), facts)


def attribute_entries(
    rows: Sequence[Sent],
    entries: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    since: str = "",
    refused: Collection[str] = (),
    reported: Collection[str] = (),
) -> EffectAttribution:
    """Which probe left which ledger entry: by replay reason, else by intent, else by an intent's id anywhere in the entry.

    Args:
        rows: the probes of this run.
        entries: tenant (of the partition) and item (DynamoDB JSON) of every ledger entry found, each once.
        since: sort key from which on an entry is of this run's time.
        refused: intents of earlier runs that were refused, beside those whose ids say that they must be.
        reported: keys of the entries that an earlier run has reported.
    """
    by_reason = {row.reason: row.name for row in rows}
    by_intent = {row.intent: row.name for row in reversed(rows)}
    left: dict[str, list[LeftEntry]] = defaultdict(list)
    unexplained, late = [], []
    for tenant, item in entries:
        entry = left_entry(tenant, item)
        name = by_reason.get(entry.reason) or by_intent.get(entry.intent)
        if name is None:
            name = next((by_intent[intent] for intent in entry.intents if intent in by_intent), None)
        if name is not None:
            left[name].append(entry)
        elif any(must_be_refused(intent) or intent in refused for intent in entry.intents):
            late += [] if entry.key in reported else [entry]
        elif entry.event.upper() == REPLAY_REQUESTED and _text(item, "sk") >= since and not is_ours(entry.intent):
            unexplained += [] if entry.reason.startswith(REASON_PREFIX) else [entry]
    return EffectAttribution(left, unexplained, late)


def left_entry(tenant: str, item: Mapping[str, Any]) -> LeftEntry:
    """What is kept of a ledger item; whatever is missing or of another type is "", since a faulty platform may write anything."""
    data = item.get("data", {})
    inner = data.get("M", {}) if isinstance(data, Mapping) else {}
    return LeftEntry(
        tenant=tenant,
        event=_text(item, "eventType"),
        account=_text(item, "accountId"),
        trace=_text(item, "traceId"),
        timestamp=_text(item, "timestamp"),
        intent=_text(inner, "action_intent_id"),
        requester=_text(inner, "requested_by"),
        reason=_text(inner, "replay_reason"),
        key=f"{_text(item, 'pk')} {_text(item, 'sk')}",
        intents=tuple(mentioned(str(item))),
    )


def _text(item: object, name: str) -> str:
    value = item.get(name) if isinstance(item, Mapping) else None
    bare = value.get("S") if isinstance(value, Mapping) else None
    return bare if isinstance(bare, str) else ""
