"""Evidence of rows 3.1 and 3.3: the tables `replay_probes_sent` and `replay_probe`, one row per probe. Pure.

The first says what was sent and what came back; the second adds what each probe left in the ledger. A ledger entry belongs to the
probe whose replay reason or whose intent it names; both are unique to one probe of one run.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd
import pandera.pandas as pa

from phase5_ops.probing.canary_intent import is_ours, mentioned, must_be_refused
from phase5_ops.probing.codes import Obstacle
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.replay.probe_plan import Probe

#: Names of table attributes (kept in the Parquet metadata).
OBSTACLES, UNEXPLAINED, LATE, CONTEXT = "obstacles", "unexplained", "late", "context"

_SENT_COLUMNS = {
    "name": pa.Column(str, unique=True),
    "row": pa.Column(str, pa.Check.isin(["3.1", "3.3"])),
    "token": pa.Column(str),  # TokenKind
    "placement": pa.Column(str),  # names of the channels through which it names a tenant or account besides its token
    "named_tenant": pa.Column(str, nullable=True),
    "route": pa.Column(str),  # "" for POST /replay
    "expect": pa.Column(str),  # Expect
    "expected": pa.Column(str),  # the same in words
    "account": pa.Column(str),
    "intent": pa.Column(str),  # only repeats of a replay share one
    "intent_tenant": pa.Column(str, nullable=True),  # whose the canary intent is; null where none was written
    "intent_account": pa.Column(str, nullable=True),
    "reason": pa.Column(str, unique=True),
    "requester": pa.Column(str),
    "not_tried": pa.Column(str, nullable=True),  # why the probe was not sent; null if it was
    "tries": pa.Column(int),  # how often it was sent
    "status": pa.Column("Int64", nullable=True),  # HTTP status
    "problem": pa.Column(str, nullable=True),  # Problem: why the answer says nothing about the request
    "detail": pa.Column(str),
    "body": pa.Column(str),  # beginning of the body, redacted
    "latency_ms": pa.Column("Float64", nullable=True),
}

REPLAY_PROBES_SENT = pa.DataFrameSchema(_SENT_COLUMNS, strict=True, coerce=True)
REPLAY_PROBE = pa.DataFrameSchema(
    {**_SENT_COLUMNS, "left_behind": pa.Column(str)},  # JSON list of LeftEntry, in the order of the ledger
    strict=True,
    coerce=True,
)


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
class Attribution:
    """Which probe left which entry of the ledger.

    Attributes:
        left: entries by the name of the probe of this run.
        unexplained: replay requests of this run's time that name no probe of any run.
        late: entries of what an earlier run's probe was refused, or should have been, and that no run has reported yet.
    """

    left: Mapping[str, list[LeftEntry]]
    unexplained: Sequence[LeftEntry] = ()
    late: Sequence[LeftEntry] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """One row of `replay_probes_sent`; columns there."""

    name: str
    row: str
    token: str
    placement: str
    named_tenant: str | None
    route: str
    expect: str
    expected: str
    account: str
    intent: str
    intent_tenant: str | None
    intent_account: str | None
    reason: str
    requester: str
    not_tried: str | None
    tries: int
    status: int | None
    problem: str | None
    detail: str
    body: str
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Probed(Sent):
    """One row of `replay_probe`: what was sent, what came back, and what it left behind."""

    left_behind: tuple[LeftEntry, ...]

    @property
    def answered(self) -> bool:
        """An answer came that says something about the request."""
        return self.not_tried is None and self.problem is None and self.status is not None

    @property
    def accepted(self) -> bool:
        """It was answered with 2xx."""
        return self.answered and self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own


_SENT_NAMES = [field.name for field in fields(Sent)]


def _values(row: Sent) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SENT_NAMES}


def probed(row: Sent, left: Iterable[LeftEntry]) -> Probed:
    """The row of a probe with what it left behind."""
    return Probed(**_values(row), left_behind=tuple(left))


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


def sent_table(rows: Iterable[Sent], obstacles: Sequence[Obstacle], context: Mapping[str, Any]) -> pd.DataFrame:
    """The table `replay_probes_sent`; the caller attaches how its inputs were read.

    Args:
        rows: one a probe.
        obstacles: what kept probes from being sent.
        context: what collecting and judging need, as JSON values; see `replay.probe_assets`.
    """
    table = REPLAY_PROBES_SENT.validate(pd.DataFrame([_values(row) for row in rows], columns=_SENT_NAMES))
    table.attrs[OBSTACLES] = [asdict(obstacle) for obstacle in obstacles]
    table.attrs[CONTEXT] = dict(context)
    return table


def sent_rows(table: pd.DataFrame) -> list[Sent]:
    """The rows of a `replay_probes_sent` table (or of the same columns of `replay_probe`); nulls of any kind are None."""
    return [Sent(**record) for record in _records(table, _SENT_NAMES)]


def probe_table(sent: pd.DataFrame, found: Attribution, obstacles: Sequence[Obstacle]) -> pd.DataFrame:
    """The table `replay_probe`; the caller attaches how its inputs were read.

    Args:
        sent: the table `replay_probes_sent`.
        found: what the ledger holds of them.
        obstacles: what went wrong while collecting; added to those of sending.
    """
    records = [
        {**_values(row), "left_behind": json.dumps([asdict(entry) for entry in found.left.get(row.name, [])])}
        for row in sent_rows(sent)
    ]
    table = REPLAY_PROBE.validate(pd.DataFrame(records, columns=[*_SENT_NAMES, "left_behind"]))
    table.attrs[OBSTACLES] = [*sent.attrs.get(OBSTACLES, []), *(asdict(obstacle) for obstacle in obstacles)]
    table.attrs[CONTEXT] = dict(sent.attrs.get(CONTEXT, {}))
    table.attrs[UNEXPLAINED] = [asdict(entry) for entry in found.unexplained]
    table.attrs[LATE] = [asdict(entry) for entry in found.late]
    return table


def probed_rows(table: pd.DataFrame) -> list[Probed]:
    """The rows of a `replay_probe` table."""
    left = table["left_behind"].tolist()
    return [probed(row, map(_left_of, json.loads(each))) for row, each in zip(sent_rows(table), left, strict=True)]


def obstacles_of(table: pd.DataFrame) -> list[Obstacle]:
    """What kept probes from being sent or collected."""
    return [Obstacle.from_entry(entry) for entry in table.attrs.get(OBSTACLES, [])]


def unexplained_of(table: pd.DataFrame) -> list[LeftEntry]:
    """Replay requests in the test tenants' ledgers that no probe accounts for."""
    return [_left_of(entry) for entry in table.attrs.get(UNEXPLAINED, [])]


def late_of(table: pd.DataFrame) -> list[LeftEntry]:
    """What came of refused probes of earlier runs after those runs."""
    return [_left_of(entry) for entry in table.attrs.get(LATE, [])]


def _left_of(stored: Mapping[str, Any]) -> LeftEntry:
    return LeftEntry(**{**stored, "intents": tuple(stored["intents"])})


def _records(table: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    return [
        {str(name): None if pd.isna(value) else value for name, value in record.items()}
        for record in table[names].astype(object).to_dict("records")
    ]


def attribute_entries(
    rows: Sequence[Sent],
    entries: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    since: str = "",
    refused: Collection[str] = (),
    reported: Collection[str] = (),
) -> Attribution:
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
        elif _is_request(entry) and _text(item, "sk") >= since and not is_ours(entry.intent):
            unexplained += [] if entry.reason.startswith(REASON_PREFIX) else [entry]
    return Attribution(left, unexplained, late)


def _is_request(entry: LeftEntry) -> bool:
    return entry.event.upper() == "REPLAY_REQUESTED"


def left_entry(tenant: str, item: Mapping[str, Any]) -> LeftEntry:
    """What is kept of a ledger item; whatever is missing or of another type is "", since a hole may write anything."""
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
