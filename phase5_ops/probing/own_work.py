"""What this project made the platform do: ids of canary intents and their traces, kept in the history and found in the ledger.

Other evidence must be able to tell our own probes from the platform's traffic, also those of earlier runs: the history holds what
runs of this state folder noted, the ledger what the canaries of any run left. What must not live here: judging anything.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from phase5_ops.context import RunContext
from phase5_ops.probing.canary_intent import is_ours

_STREAM = "own_work"
_EXPORTS = "probing/exports"  # key in `run.shared`


def _scope(run: RunContext) -> str:
    return "/".join((run.account, run.reader.region, run.settings.environment))


def note(run: RunContext, ids: Iterable[str]) -> None:
    """Keeps the ids of intents, traces or requests that this run caused."""
    run.history.sight(_scope(run), run.now(), {_STREAM: sorted(set(ids))})


def noted(run: RunContext, *, days: int) -> frozenset[str]:
    """The ids that runs of this state folder caused in the last `days`."""
    now = run.now() + timedelta(minutes=1)
    return frozenset(each.subject for each in run.history.sightings(_STREAM, _scope(run), until=now, days=days))


def note_export(run: RunContext, *ids: str) -> None:
    """Keeps, for the other probes of this run, ids that everything mentions which an audit export of this run left."""
    run.shared.setdefault(_EXPORTS, set()).update(ids)


def exports_of(run: RunContext) -> frozenset[str]:
    """The ids of this run's audit exports."""
    return frozenset(run.shared.get(_EXPORTS, ()))


def in_ledger(entries: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The canary intents that ledger entries (DynamoDB JSON) name, and the traces of those entries."""
    found: set[str] = set()
    for entry in entries:
        data = _field(entry, "data", "M")
        intent = _field(data, "action_intent_id", "S") if isinstance(data, Mapping) else None
        trace = _field(entry, "traceId", "S")
        if isinstance(intent, str) and is_ours(intent):
            found.add(intent)
            if isinstance(trace, str):
                found.add(trace)
    return frozenset(found)


def _field(item: Mapping[str, Any], name: str, kind: str) -> Any:  # noqa: ANN401 - whatever DynamoDB holds
    value = item.get(name)
    return value.get(kind) if isinstance(value, Mapping) else None
