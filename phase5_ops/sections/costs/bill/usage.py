"""Reads the outcomes table, which both rows of the section need, once a run.

Row 5.1 reads it last of its tables and needs the items. Row 5.2 needs counts only, and is gathered later: it takes the counts
made while row 5.1 read, if that read was whole and of the same period; else it reads the table itself.
"""

from datetime import UTC, datetime, time
from typing import Any

from phase5_ops.aws.tables import scan_items, scan_pages
from phase5_ops.ccnative.executions.stored import OUTCOME_ATTRIBUTES
from phase5_ops.ccnative.executions.usage import ATTRIBUTES, ExecutionUsage
from phase5_ops.context import RunContext
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.run_reads.executions import offer_outcomes
from phase5_ops.sections.costs.bill.evidence import Scope

_COUNTED = "costs/execution_usage"  # key in `run.shared`


def read_outcomes(run: RunContext, attributes: tuple[str, ...]) -> tuple[list[dict[str, Any]], Read]:
    """The outcomes with at least these attributes, consistently read; counts them for `read_usage` and offers them on the way."""
    table = run.settings.tables.execution_outcomes
    items, read = scan_items(run.reader, table, attributes=tuple(dict.fromkeys((*attributes, *ATTRIBUTES, *OUTCOME_ATTRIBUTES))))
    offer_outcomes(run, items, read)
    if read.status is ReadStatus.OK:
        usage = _no_usage(run, Scope.of(run.settings.costs, "", run.now()))  # executions are not limited to an account
        usage.take(items)
        run.shared[_COUNTED] = (usage, read)
    return items, read


def read_usage(run: RunContext, scope: Scope) -> tuple[ExecutionUsage, Read]:
    """Executions in the charge period of `scope`, and how they were read."""
    usage = _no_usage(run, scope)
    if _COUNTED in run.shared:
        counted, read = run.shared[_COUNTED]
        if (counted.start, counted.end) == (usage.start, usage.end):  # else a day began meanwhile
            return counted, read
    return usage, scan_pages(run.reader, usage.table, usage.take, attributes=ATTRIBUTES)


def _no_usage(run: RunContext, scope: Scope) -> ExecutionUsage:
    begin, end = (datetime.combine(day, time(), UTC) for day in (scope.start, scope.query.end))
    return ExecutionUsage(begin, end, run.settings.tables.execution_outcomes)
