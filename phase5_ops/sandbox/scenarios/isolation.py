"""Scenarios of row 4.1: a platform that leaks between tenants, one leak each, and a data-access trail that does not show enough.

Each leak is really there (`ccnative/leaks.py`, `control_center/named_tenant.py`); leaks into log lines are in `logs.py`. Some
leaks also turn the rows of replay, which execute on the same platform; these scenarios declare rows 4.1 and 4.2 alone.
"""

from phase5_ops.sandbox.scenarios.registry import FAIL, WARN, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.verdict import Verdict

HARNESS = "4.1"
#: The rows that these scenarios declare: what they do not turn passes.
ROWS = (HARNESS, "4.2")

_IMPATIENT = {"PHASE5_ISOLATION__OUTCOME_SECONDS": "1"}


def _leak(fault: PlatformFault, description: str, code: str, verdict: Verdict = FAIL) -> None:
    @scenario(f"isolation-{fault.value}", description, {HARNESS: (verdict, code)})
    def _change(state: Blueprint) -> None:
        state.platform_faults.add(fault)
        state.settings |= _IMPATIENT


# Writes of an execution

_leak(
    PlatformFault.NOTE_UNDER_PREFIX_TENANT,
    "A note is written under a tenant whose id begins with the execution's tenant.",
    "foreign_key_written",
)
_leak(PlatformFault.NOTE_IN_OTHER_PARTITION, "A note is written into another tenant's partition.", "foreign_key_written")
_leak(PlatformFault.NOTE_KEY_WITHOUT_TENANT, "A note's key names the account alone.", "key_without_tenant")
_leak(
    PlatformFault.NOTE_ATTRIBUTE_OF_OTHER,
    "A note under the right key names another tenant in its tenant_id.",
    "key_attribute_mismatch",
)
_leak(PlatformFault.DEDUPE_KEY_OF_OTHER, "A write is remembered under another tenant's idempotency key.", "key_without_tenant")
_leak(PlatformFault.CACHE_KEY_WITHOUT_TENANT, "An outcome is cached under a key that all tenants share.", "key_without_tenant")
_leak(PlatformFault.ARTIFACT_UNDER_OTHER, "An outcome's artifact has an S3 key of another tenant.", "foreign_tenant_attribute")
_leak(PlatformFault.OUTCOME_INDEXED_UNDER_OTHER, "An outcome stands in the index under another tenant.", "foreign_key_written")
_leak(PlatformFault.SIGNAL_FOR_OTHER, "The signal of an execution is written for another tenant.", "foreign_key_written")
_leak(
    PlatformFault.SIGNAL_REFERS_TO_OTHER, "A signal's evidence refers to another tenant's execution.", "foreign_tenant_attribute"
)
_leak(PlatformFault.NESTED_DATA_OF_OTHER, "Deep in a ledger entry stands another tenant.", "foreign_tenant_attribute")
_leak(PlatformFault.EVENT_NAMES_OTHER, "An event of an execution names another tenant.", "foreign_tenant_attribute")
_leak(
    PlatformFault.EXECUTION_RECORDED_ELSEWHERE,
    "An execution is told in the ledger of another tenant.",
    "ledger_trail_incomplete",
)
_leak(PlatformFault.OUTCOME_NOT_WRITTEN, "An execution leaves no outcome.", "outcome_missing")
_leak(PlatformFault.LEDGER_END_MISSING, "The ledger does not tell how an execution ended.", "ledger_trail_incomplete")

# Reads of an execution

_leak(PlatformFault.SCAN_WITHOUT_TENANT, "An execution scans a table of all tenants.", "unscoped_scan")
_leak(PlatformFault.QUERY_WITHOUT_TENANT, "An execution queries an index without a tenant.", "unscoped_query")
_leak(PlatformFault.FOREIGN_INTENT_READ, "An execution reads an intent of another tenant.", "foreign_key_read")
_leak(PlatformFault.TRAIL_NOT_DELIVERED, "The data-access trail is not delivered.", "reads_not_judged", WARN)
_leak(PlatformFault.TRAIL_HIDES_VALUES, "The data-access trail hides the values of queries.", "reads_not_judged", WARN)

# The Control Center

_leak(PlatformFault.FOREIGN_EXPLANATION_READABLE, "Another tenant's ledger is explained.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_BUDGET_READABLE, "Another tenant's budget is shown.", "foreign_data_readable")
_leak(
    PlatformFault.FOREIGN_BUDGET_STATE_READABLE, "What another tenant has used of its budget is shown.", "foreign_data_readable"
)
_leak(PlatformFault.FOREIGN_CONFIG_READABLE, "Another tenant's configuration is shown.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_KILL_SWITCHES_READABLE, "Another tenant's kill switches are shown.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_EXPORT_READABLE, "Another tenant's audit export is shown.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_EXECUTION_STATUS_READABLE, "Another tenant's execution is shown.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_EXECUTIONS_READABLE, "Another tenant's executions are listed.", "foreign_data_readable")
_leak(PlatformFault.FOREIGN_BUDGET_WRITABLE, "A budget is set for the tenant that the body names.", "foreign_data_writable")
_leak(
    PlatformFault.FOREIGN_CONFIG_WRITABLE, "A configuration is set for the tenant that the body names.", "foreign_data_writable"
)
_leak(
    PlatformFault.CONFIG_KEY_FROM_BODY, "A configuration is written under the key that the body names.", "foreign_data_writable"
)
_leak(
    PlatformFault.FOREIGN_KILL_SWITCHES_WRITABLE, "Kill switches are set for the tenant that is named.", "foreign_data_writable"
)
_leak(
    PlatformFault.FOREIGN_EXPORT_WRITABLE, "An audit export is made for the tenant that the body names.", "foreign_data_writable"
)
