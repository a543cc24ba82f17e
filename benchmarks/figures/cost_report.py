"""The cost report of row 5.2 as tenants grow, beside pandas reading the same pages."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.targets import linear

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
GROUPS_A_PAGE = 5000
CONNECTORS = ("internal", "crm_salesforce")
SHARED = Decimal("150.0123")  # a day's cost that no tenant's tag has


def prepare(tenants: int, folder: Path) -> None:
    """Writes what Cost Explorer answers: the grouped pages, one a line, and the page of totals."""
    sums = dict.fromkeys(_days(), Decimal(0))
    with (folder / "pages.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(page) + "\n" for page in pages(tenants, sums))
    (folder / "total.json").write_text(json.dumps(total_page(sums)), encoding="utf-8")


def _days() -> list[str]:
    from phase5_ops.policy import CostPolicy
    from phase5_ops.sections.costs.bill.evidence import Scope

    return list(Scope.of(CostPolicy(), ACCOUNT, NOW).query.days())


def pages(tenants: int, sums: dict[str, Decimal]) -> Iterator[dict[str, Any]]:
    """Grouped pages as Cost Explorer gives them, made one by one; each day's cost is added to `sums`."""
    chance = random.Random(5)
    results: list[dict[str, Any]] = []
    room = GROUPS_A_PAGE
    for day in sums:
        period = {"Start": day, "End": (date.fromisoformat(day) + timedelta(days=1)).isoformat()}
        groups: list[dict[str, Any]] = []
        for number in range(tenants):
            for connector in CONNECTORS:
                amount = {"Amount": f"{chance.random() * 3:.10f}", "Unit": "USD"}
                sums[day] += Decimal(amount["Amount"])
                keys = [f"tenant$tenant-{number:05}", f"connector${connector}"]
                groups.append({"Keys": keys, "Metrics": {"UnblendedCost": amount, "AmortizedCost": amount}})
                room -= 1
                if not room:
                    yield {"ResultsByTime": [*results, {"TimePeriod": period, "Groups": groups, "Estimated": False}]}
                    results, groups, room = [], [], GROUPS_A_PAGE
        shared = {"Amount": str(SHARED), "Unit": "USD"}
        sums[day] += SHARED
        groups.append({"Keys": ["tenant$", "connector$"], "Metrics": {"UnblendedCost": shared, "AmortizedCost": shared}})
        results.append({"TimePeriod": period, "Groups": groups, "Estimated": False})
    yield {"ResultsByTime": results}


def total_page(sums: dict[str, Decimal]) -> dict[str, Any]:
    """The ungrouped answer to the same question."""
    results = []
    for day, amount in sums.items():
        entry = {"Amount": str(amount), "Unit": "USD"}
        period = {"Start": day, "End": (date.fromisoformat(day) + timedelta(days=1)).isoformat()}
        total = {"UnblendedCost": entry, "AmortizedCost": entry}
        results.append({"TimePeriod": period, "Total": total, "Groups": [], "Estimated": False})
    return {"ResultsByTime": results}


def _read(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "pages.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _draw(picture: Any) -> None:  # noqa: ANN401 - a drawing, or in an earlier tree (`--against`) a figure of matplotlib
    if hasattr(picture, "image"):
        picture.image("costs")
    else:
        import_module("phase5_ops.evidence.preview").as_png(picture)


@contextmanager
def report(tenants: int, folder: Path) -> Iterator[Work]:
    """From the pages to the verdict, the stored report and the picture; every tenant is active and executes."""
    from phase5_ops.aws.cost_answers import BudgetAlerts, CostAnswers, CostTag
    from phase5_ops.aws.links import ConsoleLinks
    from phase5_ops.ccnative.executions.usage import ExecutionUsage
    from phase5_ops.ccnative.tenant_register import RegisteredTenant
    from phase5_ops.policy import CostPolicy
    from phase5_ops.reads import Read, ReadStatus
    from phase5_ops.sections.costs.bill.cache import CostCache, CostPull
    from phase5_ops.sections.costs.bill.evidence import Scope, tenant_cost_report
    from phase5_ops.sections.costs.bill.judge import judge_cost_report
    from phase5_ops.sections.costs.bill.plot import plot_costs
    from phase5_ops.sections.costs.bill.report import as_html

    policy = CostPolicy()
    scope = Scope.of(policy, ACCOUNT, NOW)
    read = Read("ce:GetCostAndUsage", "costs", ReadStatus.OK, None, 1, "", "")
    reads = [read, *(replace(read, operation="dynamodb:Scan", resource=name) for name in ("tenants", "outcomes"))]
    tags = tuple(CostTag(key, "Active", None) for key in ("connector", "tenant"))
    names = [f"tenant-{number:05}" for number in range(tenants)]
    usage = ExecutionUsage(NOW - timedelta(days=30), NOW, "outcomes")
    usage.counts.update({(name, "internal.create_note"): number % 97 + 1 for number, name in enumerate(names)})

    def work() -> Counts:
        answers = CostAnswers(scope.query)
        for page in _read(folder):
            answers.take_grouped(page)
        answers.take_total(json.loads((folder / "total.json").read_text(encoding="utf-8")))
        lines, totals = answers.finish()
        pull = CostPull(lines, tuple(totals), tags, tuple(answers.problems), (read,), NOW, 1)
        with TemporaryDirectory(dir=folder) as kept:
            CostCache(Path(kept)).keep("d" * 64, pull)
            if CostCache(Path(kept)).load("d" * 64, until=NOW) is None:
                raise RuntimeError("the kept answer was not found again")
        table = tenant_cost_report(
            scope=scope,
            pull=pull,
            tenants={name: RegisteredTenant(name, "active", None) for name in names},
            usage=usage,
            malformed=(),
            budget_alerts=BudgetAlerts(1, "monthly"),
            canary_tenants=frozenset(),
            policy=policy,
            now=NOW,
        )
        table = table.with_reads(reads, NOW)
        links = ConsoleLinks("us-west-2")
        judgement = judge_cost_report(table, policy=policy, links=links, tenants_table="tenants", outcomes_table="outcomes")
        if judgement.verdict != "PASS":
            raise RuntimeError(f"{judgement.verdict}: {judgement.summary}")
        as_html(table)
        picture = plot_costs(table)
        if picture is not None:
            _draw(picture)
        return {"cost lines": lines.num_rows, "pictures": int(picture is not None)}

    yield work


@contextmanager
def with_pandas(_tenants: int, folder: Path) -> Iterator[Work]:
    """Nothing but the sums: the pages as one table, grouped by tenant."""
    import pandas as pd

    def work() -> Counts:
        rows = [
            (result["TimePeriod"]["Start"], *group["Keys"], float(group["Metrics"]["UnblendedCost"]["Amount"]))
            for page in _read(folder)
            for result in page["ResultsByTime"]
            for group in result["Groups"]
        ]
        frame = pd.DataFrame(rows, columns=["day", "tenant", "connector", "cost"])
        frame.groupby(["tenant", "connector"])["cost"].sum()
        return {"cost lines": len(frame)}

    yield work


FIGURES = (
    Figure(
        name="cost-report",
        title="Cost report",
        measures="""
            Row 5.2 from Cost Explorer's pages (60 days, two connectors a tenant) to the verdict: parsing them, keeping the
            answer and finding it again, the table, judging it, the stored report, the picture. pandas sums the same pages by
            tenant and connector, and does nothing else. Asking Cost Explorer is not measured.""",
        unit="tenants",
        sizes=(100, 1_000, 10_000),
        small=5,
        sides=(Side("cost report", report),),
        reference=Side("pandas sums", with_pandas),
        prepare=prepare,
        rounds=3,
        targets=(linear(1.2),),
    ),
)
