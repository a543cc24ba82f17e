"""What may become a candidate: reading a registration that anybody could have posted, and applying it to the state table.

A release pipeline registers by an event of the external asset `release_candidate`, through `phase5 promote` or Dagster's own
endpoint. Dagster takes any event for such an asset: no partition, no digest, `../x` as partition. So an event is read here as
untrusted input; what is not exactly a registration is refused with the reason, and nothing of it becomes a path, a tag or a run
key. Applying is idempotent: an event that is not younger than the present series was applied already, so that reading all events
again (a cursor that was reset) changes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate, Registered, check_release
from phase5_ops.gate.state.table import StateTable

#: The external asset; its partitions are the releases.
ASSET = "release_candidate"
#: Metadata of the asset itself: the environment whose candidates these are.
ENVIRONMENT = "environment"

#: Metadata of an event. `context/NAME` is passed on to the target as NAME; the poster finds its event again by `request`.
DIGEST, ABORT, SUPERSEDE, BY, CONTEXT, REQUEST = "digest", "abort", "supersede", "by", "context/", "request"
NEW_SERIES = "new_series"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")  # of a text of the context
_LONGEST = 256  # of a text of the context
_MOST = 10  # entries of the context


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration, or the wish to abort one.

    Attributes:
        release: name, digest, environment; checked.
        at: when Dagster recorded the event (wall clock), in whole milliseconds.
        abort: the candidate is to be given up.
        supersede: older candidates give way even where their statement is signed already.
        new_series: a candidate that is closed is tried again, as the next series; without it, it stays closed.
        by: who claims to have registered it; shown, never trusted.
        context: for the target.
    """

    release: Release
    at: datetime
    abort: bool
    supersede: bool
    new_series: bool
    by: str
    context: Mapping[str, str]


class NotARegistration(ValueError):
    """The event is no registration; the message says why."""


def registration(partition: str | None, metadata: Mapping[str, object], environment: str, at: datetime) -> Registration:
    """The registration in an event.

    Args:
        partition: the event's partition key: the name of the release.
        metadata: its metadata, as plain values.
        environment: which this gate guards.
        at: when Dagster recorded it.

    Raises:
        NotARegistration: it is none.
    """
    digest = metadata.get(DIGEST)
    if partition is None or not isinstance(digest, str):
        raise NotARegistration(
            f"an event needs the release's name as its partition and the metadata {DIGEST};"
            f" it has {_shown(partition)}, {_shown(digest)}"
        )
    release = Release(partition, digest, environment)
    try:
        check_release(release)
    except ValueError as error:
        raise NotARegistration(_shown(str(error))) from error
    context = {name.removeprefix(CONTEXT): value for name, value in metadata.items() if name.startswith(CONTEXT)}
    texts = {
        name: value for name, value in context.items() if _NAME.fullmatch(name) and isinstance(value, str) and value.isprintable()
    }
    if texts.keys() != context.keys() or len(texts) > _MOST or any(len(text) > _LONGEST for text in (*texts, *texts.values())):
        raise NotARegistration(
            f"the context takes at most {_MOST} printable texts of at most {_LONGEST} characters, named with A-Z a-z 0-9 . _ -"
        )
    by = metadata.get(BY)
    return Registration(
        release,
        at.replace(microsecond=at.microsecond // 1000 * 1000),  # as the state table keeps it, so that the two compare
        abort=_flag(metadata, ABORT),
        supersede=_flag(metadata, SUPERSEDE),
        new_series=_flag(metadata, NEW_SERIES),
        by=_shown(by) if isinstance(by, str) else "unknown",
        context={**texts, **({SUPERSEDE: "true"} if _flag(metadata, SUPERSEDE) else {})},
    )


def apply(state: StateTable, wanted: Registration, deadline: timedelta) -> tuple[Registered | None, Candidate | None]:
    """Registers or aborts a candidate.

    Returns:
        How the registration ended, None for an abort; and the candidate, None where there is none to abort.

    Raises:
        StateError: the state table cannot be read or written.
    """
    present = state.candidate(wanted.release)
    if wanted.abort:
        return None, _abort(state, wanted, present)
    same = present is not None and present.release.digest == wanted.release.digest
    tried_again = wanted.new_series and present is not None and present.fate in CLOSED and wanted.at > present.registered_at
    if present is not None and same and not tried_again:
        return Registered.SAME, present
    candidate = Candidate(
        wanted.release, 1, Fate.PENDING, wanted.at, wanted.at + deadline, wanted.by, context=dict(wanted.context)
    )
    return state.register(candidate)


def _abort(state: StateTable, wanted: Registration, present: Candidate | None) -> Candidate | None:
    if present is None or present.release.digest != wanted.release.digest or wanted.at <= present.registered_at:
        return present
    if present.fate not in (Fate.PENDING, Fate.READY_TO_SIGN):
        return present
    state.set_fate(present, Fate.ABORTED, f"aborted by {wanted.by}")  # refused if it changed meanwhile: that change stands
    return state.candidate(wanted.release)


def _flag(metadata: Mapping[str, object], name: str) -> bool:
    value = metadata.get(name)
    return value is True or (isinstance(value, str) and value.casefold() == "true")


def _shown(value: object) -> str:
    """Untrusted text for people: short, in one line."""
    return repr(value)[:120] if not isinstance(value, str) else "".join(c if c.isprintable() else "?" for c in value)[:120]
