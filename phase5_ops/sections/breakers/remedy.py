"""What code can mend of row 2.2: the runbook's section on an open breaker. Breakers themselves are never written. Pure."""

from collections.abc import Iterator

from phase5_ops.ccnative.runbook_remedy import mend_section
from phase5_ops.ccnative.runbook_texts import BREAKER_SECTION
from phase5_ops.remedies.model import CannotMend, MendingCase, Remedy


def mend_operator_action(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """The section, where it is missing or empty."""
    yield from mend_section(case, BREAKER_SECTION, case.settings.runbook_policy.breaker_anchor)
