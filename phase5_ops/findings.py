"""The catalogue of finding codes: every code that a row can carry, from the modules that declare them, and its documentation."""

from collections.abc import Iterator, Mapping

from phase5_ops.breakers.codes import BreakerCode
from phase5_ops.ccnative.runbook import RunbookCode
from phase5_ops.costs import budget_judge
from phase5_ops.costs.budget_judge import BudgetCode
from phase5_ops.costs.cost_judge import CostCode
from phase5_ops.gate.drill_judge import DrillCode
from phase5_ops.gate.reasons import GateReason, SignOffReason
from phase5_ops.histories import HistoryCode
from phase5_ops.isolation import log_judge
from phase5_ops.isolation.harness_judge import HarnessCode
from phase5_ops.isolation.iam_judge import IamCode
from phase5_ops.isolation.log_judge import LogCode
from phase5_ops.loosened import PolicyCode
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.reads import ReadCode
from phase5_ops.replay.audit_files import LedgerFileCode
from phase5_ops.replay.audit_judge import AuditCode
from phase5_ops.replay.probe_codes import AuthorizationCode, PermissionCode, ProbeCode
from phase5_ops.report.document import ReportCode
from phase5_ops.slo.alarm_codes import AlarmCode
from phase5_ops.slo.burn_judge import BurnCode
from phase5_ops.slo.notification_path import DeliveryCode
from phase5_ops.slo.runbook_judge import RunbookLinkCode
from phase5_ops.slo.slo_met_judge import SloCode
from phase5_ops.slo.summary_judge import MetricCode
from phase5_ops.verdict import FindingCode, FindingCodes, JudgingCode

_OF_EVERY_SLO_CHECK = (MetricCode.NO_TOOL_REGISTERED, MetricCode.REGISTRY_RECORD_MALFORMED, MetricCode.TOO_FEW_SAMPLES)

#: Heading -> who declares the codes, in the order of the documentation.
_DECLARED: Mapping[str, tuple[type[FindingCodes] | FindingCode, ...]] = {
    "Any row": (ReadCode, JudgingCode, ReportCode),
    "Rows that rest on histories: 2.1, 2.2, 3.2, error budget": (HistoryCode,),
    "1.1 Tool SLO metrics visible": (ReadCode, MetricCode),
    "Tool SLO met": (ReadCode, *_OF_EVERY_SLO_CHECK, SloCode),
    "Error budget not burning": (ReadCode, *_OF_EVERY_SLO_CHECK, BurnCode),
    "1.2 Alarms defined, no SLO alarm firing": (AlarmCode, DeliveryCode),
    "1.3 Alarm runbook, and the runbook section of 2.2": (RunbookCode, RunbookLinkCode),
    "2.1 and 2.2 Circuit breakers": (BreakerCode,),
    "3.1 Replay API authorization": (AuthorizationCode,),
    "3.2 Replay audit trail": (AuditCode, LedgerFileCode),
    "3.3 Replay permission tests": (PermissionCode,),
    "3.1 and 3.3 Probes": (ProbeCode, ProbingCode),
    "4.1 Isolation harness": (HarnessCode,),
    "Function roles bound to the tenant": (IamCode,),
    "4.2 Log scan": (LogCode,),
    "4.3 Gate": (DrillCode,),
    "5.1 Autonomy budget visibility": (BudgetCode,),
    "5.2 Cost reports": (CostCode,),
    "S.1 to S.3 Sign-off": (SignOffReason,),
    "What is signed": (PolicyCode,),
    "A release candidate, as the gate sees it": (GateReason,),
}


def _codes(declared: tuple[type[FindingCodes] | FindingCode, ...]) -> Iterator[FindingCode]:
    for each in declared:
        yield from (each,) if isinstance(each, FindingCode) else each.all()


#: Heading -> codes, in the order of the documentation.
GROUPS: Mapping[str, tuple[FindingCode, ...]] = {heading: tuple(_codes(declared)) for heading, declared in _DECLARED.items()}

#: Names of the codes that say that something was not tried. A name used by two rows means it in both, or in neither.
NOT_TRIED: frozenset[str] = frozenset(code.code for codes in GROUPS.values() for code in codes if code.not_tried)

#: Check -> fact -> what it says was not tried, in words.
NOT_TRIED_FACTS: Mapping[str, Mapping[str, str]] = {
    "no_foreign_tenant_in_logs": log_judge.NOT_TRIED_FACTS,
    "autonomy_budget_visible": budget_judge.NOT_TRIED_FACTS,
}


def catalogue() -> dict[str, list[FindingCode]]:
    """Every code by its name; a name used by two rows has an entry for each, since it is about another thing there."""
    found: dict[str, list[FindingCode]] = {}
    for codes in GROUPS.values():
        for code in codes:
            if code not in found.setdefault(code.code, []):
                found[code.code].append(code)
    return found


def as_markdown() -> str:
    """The documentation of all codes."""
    lines = [
        "# Finding codes",
        "",
        "Stable names; a row's verdict is its worst finding. `phase5 explain CODE` shows one in the terminal. Who signs is",
        "shown, under `not tried`, every finding that says that something was not tried, read or judged: "
        + ", ".join(f"`{name}`" for name in sorted(NOT_TRIED))
        + ".",
        "",
    ]
    for title, codes in GROUPS.items():
        lines += [f"## {title}", "", "| code | verdict | meaning | what to do |", "|---|---|---|---|"]
        lines += [
            f"| `{code.code}` | {' or '.join((code.verdict, *code.also))} | {_cell(code.meaning)} | {_cell(code.remedy)} |"
            for code in codes
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
