"""How long the cost report takes, and how much memory, as tenants grow: 100, 1,000, 10,000 tenants over 30 days.

    python benchmarks/cost_report.py [tenants ...]

Each size runs in a process of its own. Measured are parsing the pages of Cost Explorer (60 days, two connectors a tenant), making
the table, judging it, the stored report, the picture, keeping the pull and finding it again. Reading itself is not: it is
Cost Explorer's own time.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from phase5_ops.aws.cost_answers import BudgetAlerts, CostAnswers, CostTag
from phase5_ops.ccnative.execution_usage import ExecutionUsage
from phase5_ops.ccnative.tenant_register import RegisteredTenant
from phase5_ops.policy import CostPolicy
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.sections.costs.bill.cache import CostCache, CostPull
from phase5_ops.sections.costs.bill.evidence import Scope, tenant_cost_report

T = TypeVar("T")

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GROUPS_A_PAGE = 5000
POLICY = CostPolicy()
READ = Read("ce:GetCostAndUsage", "costs", ReadStatus.OK, None, 1, "", "")


def pages(tenants: int, sums: dict[str, Decimal]) -> Iterator[dict[str, Any]]:
    """Grouped pages as Cost Explorer gives them, made one by one; each day's cost is added to `sums`."""
    chance = random.Random(5)
    results: list[dict[str, Any]] = []
    room = GROUPS_A_PAGE
    for day in sums:
        period = {"Start": day, "End": (date.fromisoformat(day) + timedelta(days=1)).isoformat()}
        groups: list[dict[str, Any]] = []
        for number in range(tenants):
            for connector in ("internal", "crm_salesforce"):
                amount = {"Amount": f"{chance.random() * 3:.10f}", "Unit": "USD"}
                sums[day] += Decimal(amount["Amount"])
                keys = [f"tenant$tenant-{number:05}", f"connector${connector}"]
                groups.append({"Keys": keys, "Metrics": {"UnblendedCost": amount, "AmortizedCost": amount}})
                room -= 1
                if not room:
                    yield {"ResultsByTime": [*results, {"TimePeriod": period, "Groups": groups, "Estimated": False}]}
                    results, groups, room = [], [], GROUPS_A_PAGE
        shared = {"Amount": "150.0123", "Unit": "USD"}
        sums[day] += Decimal("150.0123")
        groups.append({"Keys": ["tenant$", "connector$"], "Metrics": {"UnblendedCost": shared, "AmortizedCost": shared}})
        results.append({"TimePeriod": period, "Groups": groups, "Estimated": False})
    yield {"ResultsByTime": results}


def measure(tenants: int) -> dict[str, float | str]:
    """Processor seconds of each step, and the peak memory in MiB beyond what the imports take."""
    from phase5_ops.aws.links import ConsoleLinks
    from phase5_ops.evidence.preview import as_png
    from phase5_ops.sections.costs.bill.judge import judge_cost_report
    from phase5_ops.sections.costs.bill.plot import plot_costs
    from phase5_ops.sections.costs.bill.report import as_html

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    watch = Stopwatch()
    pull = make_pull(tenants, watch)
    with tempfile.TemporaryDirectory() as folder:
        keep_and_find(pull, Path(folder), watch)
    table = make_table(tenants, pull, watch)
    links, tables = ConsoleLinks("us-west-2"), {"tenants_table": "tenants", "outcomes_table": "outcomes"}
    judgement = watch.time("judge", lambda: judge_cost_report(table, policy=POLICY, links=links, **tables))
    watch.time("report", lambda: as_html(table))
    watch.time("picture", lambda: as_png(plot_costs(table)))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    return {
        "tenants": tenants,
        "lines": pull.lines.num_rows,
        **{step: round(seconds, 2) for step, seconds in watch.seconds.items()},
        "seconds": round(sum(watch.seconds.values()), 2),
        "peak_mib": round(peak),
        "verdict": str(judgement.verdict),
    }


class Stopwatch:
    """Processor seconds by step, so that a busy machine does not count; a step may be timed several times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, step: str, work: Callable[[], T]) -> T:
        """Does the work and adds its time to the step."""
        started = time.process_time()
        result = work()
        self.seconds[step] += time.process_time() - started
        return result


def make_pull(tenants: int, watch: Stopwatch) -> CostPull:
    """A pull of 60 days; making the pages is not timed."""
    query = Scope.of(POLICY, "123456789012", NOW).query
    answers, sums = CostAnswers(query), dict.fromkeys(query.days(), Decimal(0))
    for page in pages(tenants, sums):
        watch.time("parse", lambda page=page: answers.take_grouped(page))  # type: ignore[misc]
    answers.take_total(total_page(sums))
    lines, totals = watch.time("parse", answers.finish)
    tags = tuple(CostTag(key, "Active", None) for key in ("connector", "tenant"))
    return CostPull(lines, tuple(totals), tags, tuple(answers.problems), (READ,), NOW, 1)


def keep_and_find(pull: CostPull, folder: Path, watch: Stopwatch) -> None:
    """The cache's two ways."""
    cache = CostCache(folder)
    watch.time("keep", lambda: cache.keep("d" * 64, pull))
    if watch.time("find again", lambda: cache.load("d" * 64, until=NOW)) is None:
        raise RuntimeError("the pull was not found again")


def make_table(tenants: int, pull: CostPull, watch: Stopwatch) -> pd.DataFrame:
    """The table of a platform on which every tenant is active and executes."""
    names = [f"tenant-{number:05}" for number in range(tenants)]
    usage = ExecutionUsage(NOW - timedelta(days=30), NOW, "outcomes")
    usage.counts.update({(name, "internal.create_note"): number % 97 + 1 for number, name in enumerate(names)})
    table = watch.time(
        "table",
        lambda: tenant_cost_report(
            scope=Scope.of(POLICY, "123456789012", NOW),
            pull=pull,
            tenants={name: RegisteredTenant(name, "active", None) for name in names},
            usage=usage,
            malformed=(),
            budget_alerts=BudgetAlerts(1, "monthly"),
            canary_tenants=frozenset(),
            policy=POLICY,
            now=NOW,
        ),
    )
    return attach(
        table, [READ, *(replace(READ, operation="dynamodb:Scan", resource=name) for name in ("tenants", "outcomes"))], NOW
    )


def total_page(sums: dict[str, Decimal]) -> dict[str, Any]:
    """The ungrouped answer to the same question."""
    results = []
    for day, amount in sums.items():
        entry = {"Amount": str(amount), "Unit": "USD"}
        period = {"Start": day, "End": (date.fromisoformat(day) + timedelta(days=1)).isoformat()}
        total = {"UnblendedCost": entry, "AmortizedCost": entry}
        results.append({"TimePeriod": period, "Total": total, "Groups": [], "Estimated": False})
    return {"ResultsByTime": results}


def main() -> None:
    """Measures every size in a process of its own and prints one JSON line each."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    for tenants in sys.argv[1:] or ["100", "1000", "10000"]:
        subprocess.run([sys.executable, __file__, "--one", tenants], check=True)


if __name__ == "__main__":
    main()
