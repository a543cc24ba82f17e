"""The gate drill as Dagster sees it: asset `gate_drill` and the check of row 4.3. Thin: runs the drill, calls the judge."""

import logging
from datetime import datetime

from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import NoFacts, Tables
from phase5_ops.gate.drill.cases import GATE_DRILL, GateDrill, drill
from phase5_ops.gate.drill.judge import DrillCode, judge_gate_drill
from phase5_ops.gate.drill.preview import PREVIEW
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.verdict import CodeChapter, Judgement

log = logging.getLogger(__name__)

#: Stands among the reads of the table for an AWS call: nothing outside this process is asked.
DRILLED = "phase5:Decide"


def gather_gate_drill(run: RunContext, _tables: Tables) -> GateDrill:
    """Tries every case on the decision function of this very version, under the policy in force.

    A drill that cannot run at all gives an empty table with a failed read, so that the row is ERROR and names the cause.
    """
    now, status, problem = run.now(), ReadStatus.OK, None
    try:
        table = drill(run.settings.gate, now)
    except Exception as error:
        log.exception("the gate cannot be drilled")
        table = GATE_DRILL.gathered([], NoFacts())
        status, problem = ReadStatus.FAILED, f"{type(error).__name__}: {str(error)[:300]}"
    return table.with_reads([Read(DRILLED, "phase5_ops.gate.decision.decide", status, problem, 1, iso(now), iso(now))], now)


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_gate_drill(tables["gate_drill"], policy=run.settings.gate)


SOURCES: tuple[Source, ...] = ()  # the gate is exercised in memory

EVIDENCE = (
    Evidence(
        name="gate_drill",
        section="4",
        description="One row per case: what was wrong with the candidate, and what the gate said.",
        gather=gather_gate_drill,
        owner="security-compliance",
        kinds=frozenset({"python", "table"}),
        preview=PREVIEW,
        table=GATE_DRILL,
    ),
)

JUDGING = (
    Judging(
        "gate_drill",
        {"gate_blocks_on_failure": _judge},
        codes=(CodeChapter("4.3 Gate", (DrillCode,), "4.3"),),
    ),
)
