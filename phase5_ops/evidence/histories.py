"""Histories as evidence: what earlier runs recorded must still be there, unless a person accepted the loss. Pure.

The judges of breakers, of the ledger and of budgets rely on what earlier runs kept. So each run records, in its evidence and in
the state table, the head of every history at its end: a hash over everything in it. The next run must continue from there. If it
does not, that is a break: it closes the rows that rest on the history and is carried from run to run until a person signs an
acceptance of exactly this break. What must not live here: reading files or tables.

A break has a `code` (below), `about` (what it concerns), `subject` (its name for people), and what was `lost` and `found` in its
place, as text. A history is identified by the hash of its first entry, so one that was made anew counts as another.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, TypeAdapter, with_config

from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Judgement, Verdict, in_order, worst

#: What a break can be about; for a table: `table:` and the table's role in the settings.
RUN, LEDGER, RECORDS = "run", "ledger", "records"
RESILIENCE_TABLE, LEDGER_TABLE, STATE_TABLE = "table:resilience", "table:ledger", "table:readiness"
RUN_HISTORY, LEDGER_HISTORY = "history.sqlite", "ledger_history.sqlite"

#: Every row that rests on a history also rests on these: they tell where the history stood.
_EVERYWHERE = frozenset({RECORDS, STATE_TABLE})

_ACCEPT = "Find out who did it. If the loss may stand, accept exactly this break with phase5 history accept."


class HistoryCode(FindingCodes):
    """How a history can fail to continue what earlier runs had."""

    HISTORY_STARTS_ANEW = FindingCode(
        Verdict.INCONCLUSIVE,
        "An earlier run had a history that is not there now, or another one is in its place: what it would show is not known.",
        f"Put the file back from a backup of the state folder, and use one state folder for all runs. {_ACCEPT}",
    )
    HISTORY_NOT_CONTINUED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The history does not hold what an earlier run had in it: it was cut off, or put back from an older copy.",
        f"Put the newest file back. {_ACCEPT}",
    )
    HISTORY_ALTERED = FindingCode(
        Verdict.FAIL,
        "Entries of the history were taken out, altered or put in by something else than a run.",
        "Find out who changed the file; put it back from a backup. If there is none, move the file away; the next run begins a"
        " new history, which a person accepts with phase5 history accept.",
    )
    TABLE_MADE_ANEW = FindingCode(
        Verdict.INCONCLUSIVE,
        "The table has another id or creation time than in an earlier run, or is gone: the history is about that earlier table.",
        _ACCEPT,
    )
    RUN_RECORDS_GONE = FindingCode(
        Verdict.INCONCLUSIVE,
        "The state table no longer holds the records of runs that an earlier run saw in it.",
        f"Put the table back (point-in-time recovery), as docs/operating.md says, since it forgets what came later. {_ACCEPT}",
    )
    HISTORY_UNCONFIRMED = FindingCode(
        Verdict.INCONCLUSIVE,
        "Where the histories stood when the last run ended cannot be told: neither the state table nor earlier evidence says it.",
        "Allow dynamodb:Query on the partition RUNS of the state table (phase5 iam-policy), or put the evidence folder back.",
    )


#: Breaks that nobody can accept: what is there is unreliable, or nothing is known of it.
NEVER_ACCEPTED = frozenset({HistoryCode.HISTORY_ALTERED.code, HistoryCode.HISTORY_UNCONFIRMED.code})


@dataclass(frozen=True, slots=True)
class Chain:
    """A history as it is now: the hashes of its entries, each covering the one before, and where it contradicts itself."""

    hashes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def head(self) -> "Head | None":
        """Where the history stands; None if it is empty."""
        return Head(self.hashes[0], len(self.hashes), self.hashes[-1]) if self.hashes else None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a history stood: the hash of its first entry, how many there were, the hash of the last."""

    id: str
    length: int
    hash: str

    def __str__(self) -> str:
        return f"{self.id} of {self.length}, head {self.hash}"


def _known(code: str) -> str:
    if code not in {each.code for each in HistoryCode.all()}:
        raise ValueError(f"no code of a break: {code}")
    return code


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Break:
    """A history, or what it is about, differs from what an earlier run recorded."""

    code: Annotated[str, AfterValidator(_known)]
    about: str
    subject: str
    lost: str
    found: str = ""

    @property
    def id(self) -> str:
        """Identifies exactly this break; acceptances name such ids."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def finding(self) -> Finding:
        """As a row shows it."""
        seen = f"found {self.found or 'none'}; break {self.id[:16]}, which nobody has accepted"
        return HistoryCode.named(self.code).at(self.subject, expected=f"what the earlier run had: {self.lost}", seen=seen)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everything stood when a run ended; the next run is compared with it.

    Attributes:
        heads: history -> where it stood; for the ledger one per table that existed (`ledger_history.sqlite <table id>`).
        tables: `table:<role>` -> identity of the table (id and creation time).
        breaks: those that nobody has accepted.
        record: sequence number and digest of the newest run record that the run saw in the state table; (0, "") for none.
    """

    heads: Mapping[str, Head] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    record: tuple[int, str] = (0, "")

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        content: dict[str, Any] = _STANDING.dump_python(self)
        return content

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "Standing":
        """The inverse of `as_json`.

        Raises:
            KeyError, TypeError, ValueError: it is not one.
        """
        return _STANDING.validate_python({each.name: content[each.name] for each in fields(cls)})


_STANDING = TypeAdapter(Standing)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A trusted acceptance: its id, what its breaks are about, and who gave it, in words."""

    id: str
    about: frozenset[str]
    said: str


@dataclass(frozen=True, slots=True)
class Continuity:
    """What a run found of the histories that it builds on.

    Attributes:
        earlier: where things stood before.
        breaks: those that nobody has accepted.
        acceptances: the trusted ones of the last weeks, and those that this run relied on.
        record: number and digest of the newest run record; (0, "") where there is none.
        notices: what could not be read.
    """

    earlier: tuple[Standing, ...]
    breaks: tuple[Break, ...]
    acceptances: tuple[Accepted, ...] = ()
    record: tuple[int, str] = (0, "")
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """Histories and tables as they are now.

    Attributes:
        chains: history -> chain; one that is not there is left out.
        tables: `table:<role>` -> identity; empty text for a table that is not there; left out where it could not be read.
        records: sequence number -> digest of the run records that were read; None where the state table could not be read.
        newest: the highest sequence number in the state table.
    """

    chains: Mapping[str, Chain]
    tables: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[int, str] | None = None
    newest: int = 0


#: Nothing tells where the histories stood.
UNCONFIRMED = Break(HistoryCode.HISTORY_UNCONFIRMED.code, RECORDS, "histories", "not known")


def breaks(earlier: Sequence[Standing], now: Present, accepted: Collection[str] = ()) -> tuple[Break, ...]:
    """Every break with what earlier runs recorded whose id is not among the accepted ones.

    `earlier`: where things stood, by the state table and by the evidence folder. Each of them must be continued.
    """
    found: list[Break] = []
    for standing in earlier:
        found += [each for each in standing.breaks if _still_holds(each, now)]
        found += [*_of_heads(standing, now), *_of_tables(standing, now), *_of_records(standing, now)]
    found += [
        Break(HistoryCode.HISTORY_ALTERED.code, _about(name), name, "entries as runs wrote them", "; ".join(chain.problems)[:300])
        for name, chain in now.chains.items()
        if chain.problems
    ]
    if not earlier and now.records is None:
        found.append(UNCONFIRMED)
    return tuple(each for each in dict.fromkeys(found) if each.code in NEVER_ACCEPTED or each.id not in accepted)


def _still_holds(carried: Break, now: Present) -> bool:
    """Whether an earlier run's break still holds: an altered file is checked anew, a readable state table ends UNCONFIRMED."""
    if carried.code == HistoryCode.HISTORY_UNCONFIRMED.code:
        return now.records is None
    return carried.code != HistoryCode.HISTORY_ALTERED.code


def _about(name: str) -> str:
    return RUN if name == RUN_HISTORY else LEDGER


def _of_heads(standing: Standing, now: Present) -> Iterable[Break]:
    for name, head in standing.heads.items():
        chain = now.chains.get(name, Chain())
        if chain.hashes[:1] != (head.id,):
            yield Break(HistoryCode.HISTORY_STARTS_ANEW.code, _about(name), name, str(head), str(chain.head or ""))
        elif chain.hashes[head.length - 1 : head.length] != (head.hash,):
            yield Break(HistoryCode.HISTORY_NOT_CONTINUED.code, _about(name), name, str(head), str(chain.head))


def _of_tables(standing: Standing, now: Present) -> Iterable[Break]:
    for name, identity in standing.tables.items():
        present = now.tables.get(name)
        if present is not None and present != identity:
            yield Break(HistoryCode.TABLE_MADE_ANEW.code, name, name, identity, present)


def _of_records(standing: Standing, now: Present) -> Iterable[Break]:
    seq, digest = standing.record
    if not seq or now.records is None:
        return
    if now.newest < seq or now.records.get(seq, digest) != digest:
        yield Break(HistoryCode.RUN_RECORDS_GONE.code, RECORDS, "run records", f"record {seq} {digest}", f"{now.newest} records")


def standing_now(open_breaks: Iterable[Break], earlier: Sequence[Standing], now: Present, record: tuple[int, str]) -> Standing:
    """Where things stand when a run ends; the next run is compared with it.

    A table that could not be read keeps its earlier identity. A break that this run found first names what is there at the run's
    end, since the run itself writes to the histories. `earlier` is what this run was compared with, `record` the newest record.
    """
    known = {name: identity for standing in earlier for name, identity in standing.tables.items()}
    tables = {**known, **{name: identity for name, identity in now.tables.items() if identity}}
    heads = {name: chain.head for name, chain in now.chains.items() if chain.head is not None}
    carried = {each for standing in earlier for each in standing.breaks}
    histories = (HistoryCode.HISTORY_STARTS_ANEW.code, HistoryCode.HISTORY_NOT_CONTINUED.code)
    settled = tuple(
        replace(each, found=str(heads.get(each.subject) or "")) if each.code in histories and each not in carried else each
        for each in open_breaks
    )
    return Standing(heads, tables, settled, record)


def with_breaks(judgement: Judgement, continuity: Continuity, rests_on: Collection[str]) -> Judgement:
    """The judgement, with the breaks in what it rests on as findings; an acceptance of earlier ones becomes a fact.

    `rests_on`: what the check rests on, as `Break.about` names it.
    """
    wanted = _EVERYWHERE | set(rests_on)
    found = [each.finding() for each in continuity.breaks if each.about in wanted]
    accepted = "; ".join(each.said for each in continuity.acceptances if not wanted.isdisjoint(each.about))
    facts = {**judgement.facts, "history_accepted": accepted} if accepted else judgement.facts
    verdict = worst([judgement.verdict, *(finding.verdict for finding in found)])
    return replace(judgement, verdict=verdict, findings=in_order([*judgement.findings, *found]), facts=facts)
