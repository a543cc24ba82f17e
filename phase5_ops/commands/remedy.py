"""`phase5 remedy`: what would mend the rows of the last readiness run, made from its evidence. Reads no AWS, applies nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from phase5_ops.build import CATALOGUE, EVIDENCE, JUDGING
from phase5_ops.checklist import ALL_CHECKS, CHECKLIST_VERSION, ROW_OF_ID, Row
from phase5_ops.clock import iso, parse_iso
from phase5_ops.commands.run_history import meant
from phase5_ops.context import UNKNOWN_ACCOUNT
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.store import EvidenceStore, Origin
from phase5_ops.evidence.table import GatheredTable, Tables, observed_at
from phase5_ops.gate.decision.row_state import max_age
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.orchestration.wiring import Judging
from phase5_ops.reads import ReadStatus
from phase5_ops.remedies.model import ByHand, CannotMend, MendingCase, Remedy, RemedyPlan, RowRemedies, answering
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import first_few, in_one_line
from phase5_ops.verdict import Finding, Verdict

_DECLARED = {each.name: each.table for each in EVIDENCE}
_JUDGING_OF = {check: judging for judging in JUDGING for check in judging.judges}


@dataclass(frozen=True)
class _ChosenRun:
    """The run that remedies are made from; `changed`: files of it that are not as they were sealed, with how."""

    id: str
    origin: Origin
    store: EvidenceStore
    settings: Settings
    changed: dict[str, str]

    def unchanged(self, *names: str) -> None:
        """Raises ValueError if one of these files is not as it was sealed."""
        for name in names:
            if how := self.changed.get(name):
                raise ValueError(f"{name} of run {self.id} is {how} since it was sealed; run phase5 check again")


@dataclass(frozen=True)
class _StoredResult:
    """The stored result of a check, with the tables that it was judged from."""

    entry: RowEntry
    policy_digest: object
    tables: Tables


def remedy_plan(settings: Settings, rows: Sequence[str] | None, run_id: str | None) -> RemedyPlan:
    """What would mend these rows (ids, default: all that the run judged), from the evidence of a run (default: the newest).

    A run is named by its id or the beginning of it.

    Raises:
        ConfigurationError: there is no such run, several begin so, or there is none at all.
    """
    run, notices = _chosen(settings, run_id)
    found: list[RowRemedies] = []
    for row in [ROW_OF_ID[each] for each in rows] if rows else [row for row in ALL_CHECKS if _has_verdict(run, row)]:
        remedies, said = _of_row(run, row)
        found.append(remedies)
        notices += said
    if not rows:
        left = [row.id for row in ALL_CHECKS if not row.is_sign_off and not _has_verdict(run, row)]
        notices += [f"the run has no result of {first_few(left, len(left))}"] if left else []
    began = run.origin.began_at
    return RemedyPlan(
        run_id=run.id,
        environment=run.origin.environment,
        observed=iso(began) if began else "an unknown time",
        account=_known(run.origin.account),
        region=_known(run.origin.region),
        rows=tuple(found),
        notices=tuple(dict.fromkeys(notices)),
    )


def _known(value: str | None) -> str:
    return value if value and value != UNKNOWN_ACCOUNT else ""


def _chosen(settings: Settings, run_id: str | None) -> tuple[_ChosenRun, list[str]]:
    """The run and what is to be said of it."""
    root = settings.own_folder / "evidence"
    store = EvidenceStore(root)
    try:
        present = store.run_ids()
    except OSError as error:
        raise ConfigurationError(f"the evidence in {root} cannot be read: {error.strerror}") from error
    chosen = present if run_id is None else meant(present, run_id)
    origins, unreadable = _origins(store, chosen)
    mine = {
        name: each for name, each in origins.items() if each.job == READINESS_JOB and each.environment == settings.environment
    }
    if not mine:
        raise ConfigurationError(_none(settings, run_id, [*unreadable, *(f"{name} is not of it" for name in origins if run_id)]))
    newest = max(mine, key=lambda name: (iso(began) if (began := mine[name].began_at) else "", name))
    notices = [f"another run cannot be read and may be newer: {problem}" for problem in unreadable]
    changed: dict[str, str] = {}
    try:
        for line in store.differences(newest, store.sealed_digest(newest)):
            name, _, how = line.partition(": ")
            changed[name] = how
            notices.append(f"the evidence is not as it was sealed: {line}")
    except OSError:
        notices.append("the evidence was never sealed: the run was interrupted, or goes on")
    try:
        if store.ended(newest) is None:
            notices.append("the run is not recorded as ended: it was interrupted, or goes on")
    except (OSError, ValueError) as error:
        notices.append(f"how the run ended cannot be read: {error}")
    if mine[newest].fixed_now:
        notices.append("the run had a fixed clock (PHASE5_NOW)")
    return _ChosenRun(newest, mine[newest], store, settings, changed), notices


def _origins(store: EvidenceStore, run_ids: Iterable[str]) -> tuple[dict[str, Origin], list[str]]:
    """What made the evidence of each run that has any; and why that cannot be read."""
    found, unreadable = {}, []
    for run_id in run_ids:
        try:
            origin = store.origin(run_id)
        except (OSError, ValueError) as error:
            unreadable.append(f"run {run_id}: {error}")
            continue
        if origin is not None:
            found[run_id] = origin
    return found, unreadable


def _none(settings: Settings, run_id: str | None, why: Sequence[str]) -> str:
    asked = f"no readiness run {run_id}" if run_id is not None else "no readiness run"
    because = f" ({first_few(why, 3)})" if why else ""
    place = f"{settings.own_folder / 'evidence'}"
    return (
        f"{asked} of environment {settings.environment} in {place}{because}:"
        " make one with phase5 check, or set PHASE5_STATE_DIR to the folder that has it"
    )


def _has_verdict(run: _ChosenRun, row: Row) -> bool:
    return row.check in _JUDGING_OF and (run.store.run_folder(run.id) / "verdicts" / f"{row.check}.json").exists()


def _of_row(run: _ChosenRun, row: Row) -> tuple[RowRemedies, list[str]]:
    """What would mend a row, and what is to be said of its evidence."""
    if row.is_sign_off:
        unsigned = SignOffReason.NO_RELEASE.at(row.check, expected="a signature", seen="a readiness run has none")
        return RowRemedies(row.id, row.title, "not signed", by_hand=(ByHand(unsigned, SignOffReason.NO_RELEASE.remedy),)), []
    if not _has_verdict(run, row):
        return RowRemedies(row.id, row.title, "", f"the run has no result of it; run phase5 check --row {row.id}"), []
    judging = _JUDGING_OF[row.check]
    try:
        judged = _judged(run, row, judging)
        remedies, refused = _mended(run, row, judging, judged)
    except (OSError, KeyError, TypeError, ValueError) as error:
        why = in_one_line(error) if isinstance(error, ValidationError) else str(error)
        return RowRemedies(row.id, row.title, "", f"its evidence cannot be used: {why}"), []
    answered = {pair for each in remedies for pair in each.answers}
    findings = [each for each in _findings(judged.entry) if (each.code, each.subject) not in answered]
    by_hand = tuple(ByHand(each, _what_to_do(each, judging), refused.get((each.code, each.subject), "")) for each in findings)
    made = RowRemedies(row.id, row.title, str(judged.entry.verdict), "", tuple(remedies), by_hand)
    return made, _notices(run, row, judged)


def _judged(run: _ChosenRun, row: Row, judging: Judging) -> _StoredResult:
    """The stored result of a row, with its tables.

    Raises:
        OSError, KeyError, ValueError: a file is missing, changed, or not understood; or another table was judged.
    """
    assets = tuple(dict.fromkeys((judging.asset, *judging.also)))
    run.unchanged(f"verdicts/{row.check}.json", *(f"tables/{asset}.parquet" for asset in assets))
    content = dict(run.store.read_verdict(run.id, row.check))
    digests, policy_digest = content.pop("tables", None), content.pop("policy_digest", None)
    entry = RowEntry.model_validate(content)
    tables: dict[str, GatheredTable[object, object]] = {}
    for asset in assets:
        tables[asset] = run.store.read_table(run.id, asset, _DECLARED[asset])
        if not isinstance(digests, dict) or digests.get(asset) != tables[asset].digest:
            raise ValueError(f"it was judged from another table {asset}; run phase5 check again")
    return _StoredResult(entry, policy_digest, tables)


def _mended(
    run: _ChosenRun, row: Row, judging: Judging, judged: _StoredResult
) -> tuple[list[Remedy], dict[tuple[str, str], str]]:
    """The remedies of a row; and why a finding that code mends as a rule is not mended, by code and subject."""
    mend = judging.mends.get(row.check)
    findings = _findings(judged.entry)
    if mend is None or not findings:
        return [], {}
    origin = run.origin
    now = observed_at(judged.tables) or parse_iso(judged.entry.observed_at)
    case = MendingCase(findings, judged.tables, run.settings, _known(origin.account), _known(origin.region), now)
    remedies: list[Remedy] = []
    refused: dict[tuple[str, str], str] = {}
    for each in mend(case):
        if isinstance(each, CannotMend):
            refused |= dict.fromkeys(each.answers, each.why)
        elif set(each.answers) & set(answering(findings)):
            remedies.append(each)
    return remedies, refused


def _findings(entry: RowEntry) -> list[Finding]:
    return [Finding(**each.model_dump()) for each in entry.findings if each.verdict is not Verdict.PASS]


def _what_to_do(finding: Finding, judging: Judging) -> str:
    """The remedy of a finding's code, as its own judge means it."""
    own = [code for chapter in judging.codes for code in chapter.all() if code.code == finding.code]
    known = own or CATALOGUE.by_name.get(finding.code, [])
    return known[0].remedy if known else "this version of phase5_ops does not know the code; run phase5 check again"


def _notices(run: _ChosenRun, row: Row, judged: _StoredResult) -> list[str]:
    """What makes the evidence of a row old or partial."""
    settings, entry = run.settings, judged.entry
    notices = []
    now, seen, limit = settings.clock.now(), parse_iso(entry.observed_at), max_age(row, settings.gate)
    if now - seen > limit:
        notices.append(
            f"{row.id}: its evidence is stale, read {_hours(now, seen)} h ago, of at most {_in_hours(limit.total_seconds())}"
        )
    account = run.origin.account or UNKNOWN_ACCOUNT
    if judged.policy_digest != settings.policy_digest(checklist_version=CHECKLIST_VERSION, account=account):
        notices.append("settings have changed since the run: remedies follow those of now, and what they mend is judged anew")
    for name, table in judged.tables.items():
        failed = [f"{each.operation} {each.resource} {each.status}" for each in table.reads if each.status is not ReadStatus.OK]
        if failed:
            notices.append(f"{row.id}: the table {name} is partial: {first_few(failed, 3)}")
    return notices


def _hours(now: datetime, then: datetime) -> str:
    return f"{(now - then).total_seconds() / 3600:.1f}"


def _in_hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"
