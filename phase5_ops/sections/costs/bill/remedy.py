"""What code can mend of row 5.2: a cost budget with an alert, and tags that are not active. Pure."""

from collections.abc import Iterator

from phase5_ops.reads import ReadStatus
from phase5_ops.remedies.model import ActiveCostTag, CannotMend, MendingCase, NewBudget, Remedy, RemedyParameter, answering
from phase5_ops.sections.costs.bill.evidence import CostReport

_BUDGET = "phase5-monthly-cost"
_CURRENCY = RemedyParameter("BudgetCurrency", "Currency that the account is billed in, as in USD.", r"[A-Z]{3}")
_AMOUNT = RemedyParameter(
    "MonthlyBudgetAmount", "What the account may cost a month, in its billing currency.", r"[0-9]+", number=True
)
_ADDRESS = RemedyParameter("BudgetAlertEmail", "Email address of whoever is told when the budget is used up.", r"[^@\s]+@[^@\s]+")


def mend_costs(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """A budget where it is known that none has an alert; activation of tags that Cost Explorer lists as inactive."""
    table: CostReport = case.tables["tenant_cost_report"]
    if missing := answering(case.of("budget_alarm_missing")):
        asked = [read for read in table.reads if read.operation.startswith("budgets:")]
        if not asked or any(read.status is not ReadStatus.OK for read in asked):
            yield CannotMend(missing, "AWS Budgets could not be read, so that a budget may be there already")
        else:
            currencies = table.facts.currencies
            currency = currencies[0] if len(currencies) == 1 else _CURRENCY
            yield Remedy(missing, NewBudget(_BUDGET, _AMOUNT, currency, _ADDRESS))
    listed = {tag.key: tag for tag in table.facts.tags}
    for finding in case.of("tag_not_active"):
        if finding.subject in listed and not listed[finding.subject].active:
            yield Remedy(
                answering([finding]),
                ActiveCostTag(finding.subject),
                (
                    "works in the management account alone",
                    "takes up to 24 hours to show, and does not reach back unless backfilled",
                ),
            )
        else:
            why = "a tag can be activated only where Cost Explorer lists it, which needs a resource that carries it"
            yield CannotMend(answering([finding]), why)
