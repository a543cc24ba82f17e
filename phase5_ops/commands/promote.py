"""`phase5 promote`: registers a candidate or gives it up, and waits for what becomes of it.

Registering is an event in Dagster, the state folder's own or one behind a webserver; the sensor `promotion_gate` does everything
else. What became of a candidate is read from the state table alone. Exit codes: 0 promoted and live still, or registered; 1
rejected, aborted, superseded, promoted and no longer live, nothing to abort, or no end in time; 2 the webserver or the state
table did not do it, or did not say; 3 the name is taken by another digest, or a usage error.
Dagster is imported where an instance is used: a release pipeline over HTTP needs none.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from phase5_ops.clock import iso
from phase5_ops.commands.waiting import WaitingLog
from phase5_ops.files import write_whole
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import stored_order
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.candidates.registration import NotARegistration, registration
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, OVERRIDE_FILE, READINESS_FILE, record_problems
from phase5_ops.gate.promotion.released import after, in_its_place, released
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate, Promotion
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import printable

if TYPE_CHECKING:
    import dagster as dg


_POLL_SECONDS = 2.0

#: Records an event of the candidates' asset, from the name of the release and the metadata; raises where it is not recorded.
Post = Callable[[str, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """What is asked for: a candidate, or that it is given up."""

    name: str
    digest: str
    abort: bool = False
    supersede: bool = False
    new_series: bool = False
    context: tuple[str, ...] = ()  # NAME=VALUE

    def metadata(self) -> dict[str, str]:
        """The metadata of the event.

        Raises:
            ConfigurationError: a context is not NAME=VALUE.
        """
        flags = {candidates.ABORT: self.abort, candidates.SUPERSEDE: self.supersede, candidates.NEW_SERIES: self.new_series}
        return {
            candidates.DIGEST: self.digest,
            candidates.BY: "phase5 promote",
            **{name: "true" for name, chosen in flags.items() if chosen},
            **{candidates.CONTEXT + name: value for name, value in context_of(self.context).items()},
        }


def context_of(entries: Sequence[str]) -> dict[str, str]:
    """What NAME=VALUE entries say.

    Raises:
        ConfigurationError: one is not of this form.
    """
    pairs = [entry.partition("=") for entry in entries]
    if wrong := [entry for entry, (name, equals, _) in zip(entries, pairs, strict=True) if not name or not equals]:
        raise ConfigurationError(f"--context {wrong[0]}: give it as NAME=VALUE")
    return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class RegistrationAnswer:
    """What is printed, and the exit code; `attestation` (file name -> envelope) of a promotion that verifies."""

    text: str
    exit_code: int
    attestation: Mapping[str, str] = field(default_factory=dict)

    def keep(self, folder: Path | None) -> None:
        """Writes the attestation into a folder, for `phase5 verify`; the folder is made where there is none.

        Raises:
            ConfigurationError: a file cannot be written.
        """
        if folder is None or not self.attestation:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, envelope in self.attestation.items():
                write_whole(folder / name, envelope.encode())
        except OSError as error:
            raise ConfigurationError(f"--attestation {folder}: cannot be written: {error}") from error


def to_instance(instance: "dg.DagsterInstance", names: DagsterNames) -> Post:
    """A `Post` that records the event in a Dagster instance on this machine, under the environment's names."""
    import dagster as dg

    asset = names.key(candidates.ASSET)

    def post(name: str, metadata: Mapping[str, str]) -> None:
        instance.add_dynamic_partitions(names.releases, [name])
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=name, metadata=dict(metadata)))

    return post


def ask(settings: Settings, post: Post, state: StateTable, asked: RegistrationRequest) -> tuple[RegistrationAnswer, int]:
    """Posts the event, if there is nothing against it.

    For a closed candidate nothing is posted and its end is reported, unless a new series is asked for. The end of one that is to
    be aborted is reported too, and posted it is all the same: a new series may have been asked for that has not begun.

    Returns:
        What to print; and the series that the candidate has, or will have once the sensor has seen the event.

    Raises:
        ConfigurationError: the name or digest may not be used, or the clock is fixed.
        StateError: the state table cannot be read.
        WebserverError: the event was not recorded, or it is not known whether it was.
    """
    refuse_fixed_clock(settings, "phase5 promote")
    try:
        release = registration(asked.name, asked.metadata(), settings.environment, datetime.now(UTC)).release
    except NotARegistration as error:
        raise ConfigurationError(str(error)) from error
    present = state.candidate(release)
    if present is not None and present.release.digest != release.digest:
        raise ConfigurationError(
            f"CONFLICT: {release.name} is registered with {present.release.digest}; another artifact needs another name"
        )
    if asked.abort and present is None:
        raise ConfigurationError(f"no candidate {release.name} in {release.environment}")
    if asked.abort and present is not None and present.fate not in (Fate.PENDING, Fate.READY_TO_SIGN):
        post(release.name, asked.metadata())  # a new series that was asked for may be waiting for the sensor
        text = f"{line(present)}; the candidate has ended, so there is nothing to abort but a new series that has not begun yet"
        return RegistrationAnswer(text, 1), present.series
    again = present is not None and present.fate in CLOSED and not asked.abort
    if present is not None and again and not asked.new_series:
        text = f"{line(present)}; the candidate has ended: give --new-series to try the release again"
        return RegistrationAnswer(text, 1), present.series
    # a candidate under way asks for no new series: if its events were read again after its end, one would begin
    post(release.name, replace(asked, new_series=again).metadata())
    series = 1 if present is None else present.series + again
    done = "to be aborted" if asked.abort else "registered"
    kept = _kept_context(present, asked) if present is not None and not again else ""
    return RegistrationAnswer(f"{release.name} {release.digest}: {done}, series {series}{kept}", 0), series


def _kept_context(present: Candidate, asked: RegistrationRequest) -> str:
    """Says that a candidate under way keeps the context that it has, where another is given."""
    wanted = context_of(asked.context)
    kept = {name: value for name, value in (present.context or {}).items() if name != candidates.SUPERSEDE}
    if not wanted or wanted == kept:
        return ""
    listed = ", ".join(f"{name}={value}" for name, value in sorted(kept.items())) or "none"
    return printable(f"; it keeps the context that it was registered with first: {listed}")


def wait(
    look: Callable[[], GateSession],
    release: Release,
    series: int,
    *,
    timeout: float,
    accept_break_glass: bool = False,
    tell: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RegistrationAnswer:
    """Waits until this series of the candidate has ended, for at most `timeout` seconds, and tells of each change.

    One that was promoted counts as promoted only while it is live: what took its place did so by the gate or by an order.

    Each line begins with its time. `look` opens a session with its own reader; the keys are read only when the table says that
    the candidate was promoted, or holds another document of the gate than before.
    `accept_break_glass`: a promotion by break-glass counts as promoted too.

    Raises:
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    begins, log = monotonic(), WaitingLog(release.name, lambda text: tell(f"{iso(clock())} {text}"))
    while True:
        session = look()
        state, passed = session.state, monotonic() - begins
        found = state.candidate(release)
        if found is not None and found.release.digest != release.digest:
            return RegistrationAnswer(f"CONFLICT: {release.name} is registered with {found.release.digest}", 3)
        present = found if found is not None and found.series >= series else None
        if present is not None and present.fate in (Fate.PROMOTED, Fate.BREAK_GLASS):
            return _attested(look(), present, accept_break_glass=accept_break_glass)
        if present is not None and present.fate in CLOSED and not _renewed(state, present):
            return RegistrationAnswer(line(present), 1)
        said = line(present) if present else f"{release.name}: the sensor promotion_gate has not seen the candidate yet"
        log.look(session, present, said, passed)
        if passed >= timeout:
            return RegistrationAnswer(f"{said}; the candidate did not end within {timeout:g} s", 1)
        sleep(min(_POLL_SECONDS, timeout - passed))


def _attested(session: GateSession, candidate: Candidate, *, accept_break_glass: bool) -> RegistrationAnswer:
    """The answer for a candidate that was promoted by the table's word: only the gate's signature proves it."""
    release, series, now = candidate.release, candidate.series, datetime.now(UTC)
    state, keys = session.state, session.keys
    if candidate.fate is Fate.BREAK_GLASS:
        if not accept_break_glass:
            return RegistrationAnswer(
                f"{line(candidate)}; the gate was not open: give --accept-break-glass if that may count as promoted", 1
            )
        orders = [
            order for each in state.overrides(release.environment) if (order := stored_order(each.id, each.payload)) is not None
        ]
        glass = [
            order for order in orders if (order.kind, order.release, order.series) == (OrderKind.BREAK_GLASS, release, series)
        ]
        records = [(order, state.promotion(release, series, override=order.id)) for order in glass]
        tried = [
            (r, record_problems(r, release, series, keys=keys, now=now, override=order)) for order, r in records if r is not None
        ]
    else:
        record = state.promotion(release, series)
        tried = [(record, record_problems(record, release, series, keys=keys, now=now))] if record is not None else []
    for each, problems in tried:
        if not problems:
            return _unless_replaced(session, candidate, each)
    why = "; ".join(problem for _, problems in tried for problem in problems) or "there is no record of it"
    return RegistrationAnswer(
        f"{line(candidate)}; but its attestation does not verify: {why}; so it is not known whether it was promoted", 2
    )


def _unless_replaced(session: GateSession, candidate: Candidate, record: Promotion) -> RegistrationAnswer:
    """The answer for a candidate whose promotion is proved: what is live no longer is not deployed again without an order."""
    release, at = candidate.release, record.promoted_at
    history = released(session.state, session.keys, release.environment, now=session.now, since=at)
    others = after(history, release, at)
    if by := next((each for each in others if not each.problems), None):
        back = f"; to go back to it: phase5 rollback {release.name}" if candidate.fate is Fate.PROMOTED else ""
        return RegistrationAnswer(printable(f"{line(candidate)}; but it is no longer live, {in_its_place(by)}{back}"), 1)
    if others:
        return RegistrationAnswer(printable(f"{line(candidate)}; but it is not known whether it is live still: {others[-1]}"), 2)
    return RegistrationAnswer(line(candidate), 0, _files(record, by_glass=candidate.fate is Fate.BREAK_GLASS))


def _files(record: Promotion, *, by_glass: bool) -> dict[str, str]:
    """The envelopes of a promotion under the names of their files."""
    rests_on = OVERRIDE_FILE if by_glass else READINESS_FILE
    return {rests_on: record.readiness_envelope, DECISION_FILE: record.decision_envelope}


def _renewed(state: StateTable, closed: Candidate) -> bool:
    """Whether the next series has begun meanwhile."""
    present = state.candidate(closed.release)
    return present is not None and present.series > closed.series


def line(candidate: Candidate) -> str:
    """A candidate and what became of it, in one line."""
    because = f": {printable(candidate.closed_because)}" if candidate.closed_because else ""
    return f"{candidate.release.name} {candidate.release.digest} series {candidate.series} {candidate.fate}{because}"
