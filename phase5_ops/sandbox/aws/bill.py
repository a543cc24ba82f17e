"""What the sandbox's Cost Explorer makes its bill from. Pure data."""

from dataclasses import dataclass, field

from phase5_ops.sandbox.aws.account import ACCOUNT


@dataclass
class BillingLine:
    """What one resource costs, every day alike but for a small weekly pattern.

    Attributes:
        service: as Cost Explorer names it.
        daily: cost a day, decimal text; negative for a credit.
        tags: cost allocation tags of the resource.
        account: linked account.
        record_type: Usage, Credit, Refund, Tax, ...
        currency: billing currency.
        amortized: amortized cost a day where it differs.
        from_days, until_days: first and last day that cost anything, so many days before the platform's today.
        grouped_only: cost that the total leaves out, as a bill that does not add up.
        total_only: cost that the grouped answer leaves out.
    """

    service: str
    daily: str
    tags: dict[str, str] = field(default_factory=dict)
    account: str = ACCOUNT
    record_type: str = "Usage"
    currency: str = "USD"
    amortized: str | None = None
    from_days: int = 70
    until_days: int = 0
    grouped_only: bool = False
    total_only: bool = False
