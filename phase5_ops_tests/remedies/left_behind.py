"""A readiness run of some rows without Dagster, whose evidence is left behind as a run leaves it: verdicts, origin, seal."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from phase5_ops.build import evidence_for
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.store import Origin
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.settings import Settings
from phase5_ops.verdict import Judgement
from phase5_ops_tests.without_dagster import gathered, judged_rows


def readiness_run(
    settings: Settings, rows: Collection[str], given: Mapping[str, GatheredTable[Any, Any]] | None = None
) -> dict[str, Judgement]:
    """The judgement of each row, by its id; `given` holds tables that are kept as they are, and not gathered."""
    run = open_run(settings, str(uuid4()), look_back)
    origin = Origin(
        READINESS_JOB, settings.environment, False, None, datetime.now(UTC), run.account, run.reader.region, run.identity
    )
    run.store.write_origin(run.run_id, origin)
    needed = evidence_for(set(rows))
    tables = gathered(run, needed, given)
    kept = {name: run.store.write_table(run.run_id, name, table) for name, table in (given or {}).items() if name in needed}
    found = {}
    for entry, judgement, seen in judged_rows(run, rows, tables):
        digests = {name: kept.get(name, table.digest) for name, table in seen.items()}
        content = {**entry.model_dump(mode="json"), "tables": digests, "policy_digest": run.policy_digest}
        run.store.write_verdict(run.run_id, entry.check, content)
        found[entry.id] = judgement
    run.store.seal(run.run_id)
    return found
