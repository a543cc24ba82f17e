"""`phase5 promote` and `phase5 status`: registers a candidate or gives it up, waits for what becomes of it, shows what keeps it.

Registering is an event in the state folder's Dagster; the sensor `promotion_gate` does everything else. What became of a
candidate is read from the state table alone. Exit codes: 0 promoted, or registered; 1 rejected, aborted, superseded, or no end in
time; 3 the name is taken by another digest, or a usage error.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from phase5_ops.build import open_platform
from phase5_ops.gate import candidates
from phase5_ops.gate.candidates import NotARegistration, registration
from phase5_ops.gate.decision import decide
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.inputs import GateSources, look_again, read_inputs
from phase5_ops.gate.keys import KeysError
from phase5_ops.gate.records import Release
from phase5_ops.gate.signing import SigningError
from phase5_ops.gate.state import CLOSED, Candidate, Fate, StateError, StateTable
from phase5_ops.settings import ConfigurationError, Settings

_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a candidate, or that it is given up."""

    name: str
    digest: str
    abort: bool = False
    supersede: bool = False
    by: str = "phase5 promote"
    context: tuple[str, ...] = ()  # NAME=VALUE

    def metadata(self) -> dict[str, str]:
        """The metadata of the event.

        Raises:
            ConfigurationError: a context is not NAME=VALUE.
        """
        pairs = [entry.partition("=") for entry in self.context]
        if wrong := [entry for entry, (name, equals, _) in zip(self.context, pairs, strict=True) if not name or not equals]:
            raise ConfigurationError(f"--context {wrong[0]}: give it as NAME=VALUE")
        flags = {candidates.ABORT: self.abort, candidates.SUPERSEDE: self.supersede}
        return {
            candidates.DIGEST: self.digest,
            candidates.BY: self.by,
            **{name: "true" for name, chosen in flags.items() if chosen},
            **{candidates.CONTEXT + name: value for name, _, value in pairs},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What is printed, and the exit code."""

    text: str
    exit_code: int


def ask(settings: Settings, instance: dg.DagsterInstance, state: StateTable, wish: Wish) -> tuple[Answer, int]:
    """Posts the event.

    Returns:
        What to print; and the series that the candidate has, or will have once the sensor has seen the event.

    Raises:
        ConfigurationError: the name or digest may not be used, or the clock is fixed.
        StateError: the state table cannot be read.
    """
    refuse_fixed_clock(settings, "phase5 promote")
    metadata = wish.metadata()
    try:
        release = registration(wish.name, metadata, settings.environment, datetime.now(UTC)).release
    except NotARegistration as error:
        raise ConfigurationError(str(error)) from error
    present = state.candidate(release)
    if present is not None and present.release.digest != release.digest:
        raise ConfigurationError(
            f"CONFLICT: {release.name} is registered with {present.release.digest}; another artifact needs another name"
        )
    if wish.abort and present is None:
        raise ConfigurationError(f"no candidate {release.name} in {release.environment}")
    instance.add_dynamic_partitions(candidates.PARTITIONS, [release.name])
    instance.report_runless_asset_event(
        dg.AssetMaterialization(candidates.ASSET, partition=release.name, metadata=dict(metadata))
    )
    again = present is not None and present.fate in CLOSED and not wish.abort
    series = 1 if present is None else present.series + again
    asked = "to be aborted" if wish.abort else "registered"
    return Answer(f"{release.name} {release.digest}: {asked}, series {series}", 0), series


def wait(
    table: Callable[[], StateTable],
    release: Release,
    series: int,
    *,
    timeout: float,
    tell: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Waits until the series has ended.

    Args:
        table: opens the state table; each look has a reader of its own.
        release: the candidate's.
        series: which; an earlier one is not looked at.
        timeout: seconds.
        tell: told each change.
        monotonic: seconds.
        sleep: pauses for seconds.

    Raises:
        StateError: the state table cannot be read.
    """
    ends, said = monotonic() + timeout, ""
    while True:
        state = table()
        found = state.candidate(release)
        if found is not None and found.release.digest != release.digest:
            return Answer(f"CONFLICT: {release.name} is registered with {found.release.digest}", 3)
        present = found if found is not None and found.series >= series else None
        if present is not None and present.fate is Fate.PROMOTED:
            return Answer(_line(present), 0)
        if present is not None and present.fate in CLOSED and not _renewed(state, present):
            return Answer(_line(present), 1)
        now_said = _line(present) if present else f"{release.name}: the sensor has not seen it yet"
        if now_said != said:
            tell(now_said)
            said = now_said
        if monotonic() >= ends:
            return Answer(f"{said}; no end within {timeout:g} s", 1)
        sleep(min(_POLL_SECONDS, max(0.0, ends - monotonic())))


def _renewed(state: StateTable, closed: Candidate) -> bool:
    """Whether the next series has begun meanwhile."""
    present = state.candidate(closed.release)
    return present is not None and present.series > closed.series


def status(settings: Settings, instance: dg.DagsterInstance, name: str | None) -> Answer:
    """What the candidates are waiting for: of one release, or of all that may be open.

    Raises:
        ConfigurationError: no such candidate.
        StateError: the state table cannot be read.
    """
    sources = GateSources(instance, open_platform(settings, "status"))
    if name is None:
        found = [candidate for candidate, _ in sources.state.open_candidates(settings.environment)]
    else:
        candidate = sources.state.candidate(Release(name, "", settings.environment))
        if candidate is None:
            raise ConfigurationError(f"no candidate {name} in {settings.environment}; register it with phase5 promote")
        found = [candidate]
    lines = [line for candidate in found for line in _lines(sources, candidate)]
    return Answer("\n".join(lines) or f"no open candidate in {settings.environment}", 0)


def _lines(sources: GateSources, candidate: Candidate) -> Iterator[str]:
    yield _line(candidate)
    if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        return
    try:
        decision = decide(look_again(sources, read_inputs(sources, candidate)))
    except (StateError, KeysError, SigningError) as error:
        yield f"  not known: {error}"
        return
    yield f"  the gate is {decision.outcome}"
    for reason in decision.reasons:
        yield f"  {reason}"


def _line(candidate: Candidate) -> str:
    because = f": {candidate.closed_because}" if candidate.closed_because else ""
    return f"{candidate.release.name} {candidate.release.digest} series {candidate.series} {candidate.fate}{because}"
