"""Whether the record of a promotion is what it says: its envelopes verify, and it is about this release and series.

The state table is not believed: who can write items can write that something was promoted. What is believed is the gate's signed
decision in the record. Reads nothing but what it is given.
"""

from datetime import datetime, timedelta

from phase5_ops.gate.keys import KeySet
from phase5_ops.gate.orders import Kind, idempotency_key
from phase5_ops.gate.overrides import Override
from phase5_ops.gate.records import Release
from phase5_ops.gate.state import Promotion
from phase5_ops.gate.verification import verify

#: Names of the envelopes of a promotion, as files.
READINESS_FILE, OVERRIDE_FILE, DECISION_FILE = "readiness.dsse.json", "override.dsse.json", "decision.dsse.json"

_ANY_AGE = timedelta(days=36500)  # what was promoted stays promoted


def record_problems(
    record: Promotion, release: Release, series: int, *, keys: KeySet, now: datetime, override: Override | None = None
) -> tuple[str, ...]:
    """Why a record does not show that this series was promoted; empty if it does.

    Args:
        record: as the table holds it.
        release: name, digest, environment.
        series: of the candidate.
        keys: the keys that are believed.
        now: evaluation time.
        override: the order by which it was promoted; None where the gate was open.
    """
    name = override.id if override else ""
    problems = []
    if record.idempotency_key != idempotency_key(release, series, name):
        problems.append(f"its idempotency key {record.idempotency_key} is another's")
    basis, decision = record.readiness_envelope.encode("utf-8"), record.decision_envelope.encode("utf-8")
    files = {READINESS_FILE if override is None else OVERRIDE_FILE: basis, DECISION_FILE: decision}
    accept: tuple[Kind, ...] = () if override is None else (override.kind,)
    found = verify(files, digest=release.digest, keys=keys, now=now, max_age=_ANY_AGE, accept=accept)
    about = (found.facts.get("release"), found.facts.get("environment"))
    if found.ok and about != (release.name, release.environment):
        problems.append(f"it is about {about[0]} in {about[1]}")
    if found.ok and override is not None and found.facts.get("override") != override.id:
        problems.append(f"it is of override {found.facts.get('override')}")
    return (*problems, *found.problems)
