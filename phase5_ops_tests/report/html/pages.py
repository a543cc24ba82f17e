"""Reports for tests that look at them in a browser: every kind of verdict, waivers, hostile names, pictures, many tenants."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from phase5_ops.build import CATALOGUE, PREVIEWS
from phase5_ops.evidence.preview import Preview
from phase5_ops.report.changes import changes_between
from phase5_ops.report.html.render import render_report
from phase5_ops.sections.breakers.plot import plot_timeline
from phase5_ops.sections.costs.bill.plot import plot_costs
from phase5_ops.sections.costs.budgets.plot import plot_budget_use
from phase5_ops.sections.slo.summary.plot import plot_summary
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import AT, document, finding, row
from phase5_ops_tests.sections.breakers.support import Platform as Breakers
from phase5_ops_tests.sections.breakers.support import state
from phase5_ops_tests.sections.costs.bill.cost_platform import Bill, outcome, tenant
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import NOTE, TODAY
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import Platform as Budgets

if TYPE_CHECKING:
    from phase5_ops.evidence.table import GatheredTable

HOSTILE = "<script>document.title = 'taken'</script>" + "x" * 300
_MANY = 500
_PICTURES = {
    "breaker_snapshot": plot_timeline,
    "tenant_cost_report": plot_costs,
    "autonomy_budget": plot_budget_use,
    "tool_slo_summary": plot_summary,
}


def previews(tables: "Mapping[str, GatheredTable[Any, Any]]") -> dict[str, Preview]:
    """How the assembled project shows these tables, with their pictures."""
    shown = {asset: PREVIEWS[asset] for asset in tables}
    return {asset: Preview(of.columns, of.worst_first, of.figures, _PICTURES[asset]) for asset, of in shown.items()}


def waiver(name: str, *, in_force: bool) -> dict[str, Any]:
    """A waiver of an open breaker, as a document shows it."""
    return {
        "id": name, "row": "2.1", "pairs": [["breaker_open", "crm"]], "reason": "the vendor repairs it", "ticket": "T-1",
        "issued_at": AT, "until": "2026-12-01T00:00:00.000Z", "signed_by": "ops-sre", "by": "jane", "in_force": in_force,
        "why_not": "" if in_force else "it ended", "used": in_force, "unmatched": [], "releases_in_a_row": 2,
    }  # fmt: skip


def page(connectors: int = 3) -> str:
    """A report with every kind of verdict, waivers, a change, a table and its picture."""
    before = document("run-1", row("1.1", finding("breaker_open")))
    shown = document(
        "run-2",
        row("2.1", *(finding("breaker_open", Verdict.FAIL, f"{HOSTILE}{n}") for n in range(2)), open=2).model_copy(
            update={"waived": True}
        ),
        row("1.2", finding("read_failed", Verdict.ERROR)),
        row("4.2", finding("read_failed", Verdict.INCONCLUSIVE)),
        row("5.2", finding("cost_estimated", Verdict.WARN)),
    )
    items = [state(f"connector_{n:05}", "OPEN" if n % 7 == 0 else "CLOSED") for n in range(connectors)]
    blockers = [
        *(f"2.1 FAIL breaker_open {HOSTILE}{n}: open" for n in range(9)),
        "1.2 ERROR read_failed alarms: AccessDenied",
        "4.2 INCONCLUSIVE read_failed logs: throttled",
    ]
    waivers = [waiver("w1", in_force=True), waiver("w2", in_force=False)]
    shown = shown.model_copy(update={"blockers": blockers, "waivers": waivers})
    tables = {"breaker_snapshot": Breakers(items=items).table()}
    changes = changes_between(before, shown)
    return render_report(shown, tables=tables, previews=previews(tables), changes=changes, catalogue=CATALOGUE)


def page_of_many_tenants() -> str:
    """A report of 500 tenants: each has a cost, a budget and a finding."""
    names = [f"tenant-{n:03}" for n in range(_MANY)]
    lines = {(name, "internal"): str(_MANY - n) for n, name in enumerate(names)}
    bill = Bill(lines | {("", ""): "5"}, tenants=[tenant(name) for name in names], outcomes=[outcome(name) for name in names])
    budgets = Budgets()
    for n, name in enumerate(names):
        budgets.tenant(name)
        budgets.mode(name, "eu", "AUTO_EXECUTE", NOTE)
        budgets.cap(name, "eu", 5)
        budgets.state(name, "eu", TODAY, {NOTE: n % 7})
    tables = {"tenant_cost_report": bill.table(), "autonomy_budget": budgets.table()}
    shown = document(
        "run-1",
        row("5.1", *(finding("budget_overspent", Verdict.FAIL, name, "6 of 5") for name in names[6::7])),
        row("5.2", *(finding("active_tenant_without_cost", Verdict.WARN, name, "0.00") for name in names)),
    )
    return render_report(shown, tables=tables, previews=previews(tables), changes=None, catalogue=CATALOGUE)
