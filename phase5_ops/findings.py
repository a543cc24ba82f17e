"""The catalogue of finding codes: every code that a row can carry, from the modules that declare them, and its documentation."""

from collections.abc import Mapping

from phase5_ops import histories
from phase5_ops.breakers import codes as breakers
from phase5_ops.ccnative import runbook
from phase5_ops.costs import budget_judge, cost_judge
from phase5_ops.gate import drill_judge, reasons
from phase5_ops.isolation import harness_judge, iam_judge, log_judge
from phase5_ops.loosened import POLICY_LOOSENED
from phase5_ops.reads import COMMON_CODES
from phase5_ops.replay import audit_judge, probe_codes
from phase5_ops.replay.audit_files import LEDGER_FILE_WITHOUT_ITEMS
from phase5_ops.report.document import CHECK_NOT_EVALUATED, NOT_IMPLEMENTED
from phase5_ops.slo import alarm_judge, burn_judge, runbook_judge, slo_met_judge, summary_judge
from phase5_ops.verdict import JUDGE_CRASHED, NOTHING_JUDGED, FindingCode

#: Heading -> codes, in the order of the documentation.
GROUPS: Mapping[str, tuple[FindingCode, ...]] = {
    "Any row": (*COMMON_CODES, NOTHING_JUDGED, JUDGE_CRASHED, CHECK_NOT_EVALUATED, NOT_IMPLEMENTED),
    "Rows that rest on histories: 2.1, 2.2, 3.2, error budget": histories.CODES,
    "1.1 Tool SLO metrics visible": summary_judge.CODES,
    "Tool SLO met": slo_met_judge.CODES,
    "Error budget not burning": burn_judge.CODES,
    "1.2 Alarms defined, no SLO alarm firing": alarm_judge.CODES,
    "1.3 Alarm runbook, and the runbook section of 2.2": (*runbook.CODES, *runbook_judge.CODES),
    "2.1 and 2.2 Circuit breakers": breakers.CODES,
    "3.1 Replay API authorization": probe_codes.AUTHORIZATION_CODES,
    "3.2 Replay audit trail": (*audit_judge.CODES, LEDGER_FILE_WITHOUT_ITEMS),
    "3.3 Replay permission tests": probe_codes.PERMISSION_CODES,
    "3.1 and 3.3 Probes": probe_codes.SHARED_CODES,
    "4.1 Isolation harness": harness_judge.CODES,
    "Function roles bound to the tenant": iam_judge.CODES,
    "4.2 Log scan": log_judge.CODES,
    "4.3 Gate": drill_judge.CODES,
    "5.1 Autonomy budget visibility": budget_judge.CODES,
    "5.2 Cost reports": cost_judge.CODES,
    "S.1 to S.3 Sign-off": tuple(code for code in reasons.CODES if code.of_sign_off),
    "What is signed": (POLICY_LOOSENED,),
    "A release candidate, as the gate sees it": tuple(code for code in reasons.CODES if not code.of_sign_off),
}

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
