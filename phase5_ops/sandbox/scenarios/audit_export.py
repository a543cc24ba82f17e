"""Scenarios of audit_export_is_whole: exports that are not what the ledger is, or never come."""

from datetime import timedelta

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A
from phase5_ops.sandbox.state.records import LEDGER
from phase5_ops.sections.isolation.exports.filler import EVENT, filler_entries
from phase5_ops.verdict import Verdict

EXPORT = "audit_export_is_whole"


def _fault(fault: PlatformFault, description: str, code: str, verdict: Verdict = FAIL) -> None:
    @scenario(fault.value, description, {EXPORT: (verdict, code)})
    def _change(state: Blueprint) -> None:
        state.platform_faults.add(fault)
        state.settings |= {"PHASE5_EXPORTS__SECONDS": "1"}


_fault(
    PlatformFault.EXPORT_FIRST_PAGE_ALONE,
    "An audit export holds the first page of the ledger alone, as the platform's code writes it.",
    "export_entries_missing",
)
_fault(PlatformFault.EXPORT_DOUBLES_ENTRY, "An audit export holds an entry twice.", "export_entries_doubled")
_fault(PlatformFault.EXPORT_ALTERS_ENTRY, "An audit export leaves out what an entry says.", "export_entries_altered")
_fault(PlatformFault.EXPORT_INVENTS_ENTRY, "An audit export holds an entry that the ledger does not.", "export_entries_unknown")
_fault(PlatformFault.EXPORT_NAMES_OTHER, "An audit export holds an entry of another tenant.", "export_names_other_tenant")
_fault(PlatformFault.EXPORT_NEVER_COMPLETED, "An audit export is never completed.", "export_failed")
_fault(PlatformFault.EXPORT_FAILS, "The export worker fails.", "export_failed")
_fault(PlatformFault.EXPORT_CUT_OFF, "The file of an export lacks its end.", "export_malformed", ERROR)
_fault(PlatformFault.EXPORT_LINK_ELSEWHERE, "The link of an export leads past S3.", "export_link_refused")


@scenario("export-page-to-be-filled", "The test tenant's ledger has a few short entries; this run writes what is missing.", {})
def _export_page_to_be_filled(state: Blueprint) -> None:
    state.raw_items = [(table, item) for table, item in state.raw_items if item.get("eventType") != {"S": EVENT}]
    old = filler_entries(A.tenant_id, "old", state.now - timedelta(days=61))  # no longer in the period
    state.raw_items += [(LEDGER, entry) for entry in old]
