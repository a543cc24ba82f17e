"""Reading AWS Budgets: whether there is a cost budget that alerts somebody. Judges nothing; the calls are free."""

from datetime import datetime
from typing import Any

from phase5_ops.aws.cost_answers import BudgetAlerts
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

#: The IAM actions that this reader needs; one action covers every call that shows budgets.
IAM_ACTIONS = ("budgets:ViewBudget",)


def read_budget_alerts(reader: AwsReader, account: str, now: datetime) -> tuple[BudgetAlerts, list[Read]]:
    """Reads the account's cost budgets until one has an alert; AWS requires a subscriber for every alert.

    Args:
        reader: reads AWS.
        account: the account's number.
        now: a budget whose period has ended by then does not count.
    """
    listed = reader.paginate("budgets", "describe_budgets", account, AccountId=account)
    reads = [listed.read]
    current = [budget for budget in listed.items("Budgets") if budget.get("BudgetType") == "COST" and not _over(budget, now)]
    for budget in current:
        name = str(budget.get("BudgetName"))
        answer = reader.paginate("budgets", "describe_notifications_for_budget", name, AccountId=account, BudgetName=name)
        if answer.items("Notifications"):
            return BudgetAlerts(len(current), name), [*reads, answer.read]
        if answer.read.status is not ReadStatus.OK:
            reads.append(answer.read)
    return BudgetAlerts(len(current), None), reads


def _over(budget: dict[str, Any], now: datetime) -> bool:
    end = (budget.get("TimePeriod") or {}).get("End")
    return isinstance(end, datetime) and end <= now
