"""The faults of the platform inside the sandbox: what its Control Center and its executor can be told to do wrong.

A healthy platform has none. Each fault is really there: a request that would slip through such a platform slips through here and
leaves in the tables what it would leave. The set of faults may change while the sandbox serves.
"""

from enum import StrEnum


class PlatformFault(StrEnum):
    """One fault of the platform."""

    # Which tokens the Control Center lets in
    NO_TOKEN_ACCEPTED = "no-token-accepted"  # noqa: S105 - the names of faults are no passwords
    ANY_TOKEN_ACCEPTED = "any-token-accepted"  # noqa: S105
    ALG_NONE_ACCEPTED = "alg-none-accepted"
    HS256_PUBLIC_KEY_ACCEPTED = "hs256-public-key-accepted"
    SIGNATURE_NOT_CHECKED = "signature-not-checked"
    EXPIRED_ACCEPTED = "expired-accepted"
    OTHER_CLIENT_ACCEPTED = "other-client-accepted"
    ACCESS_TOKEN_ACCEPTED = "access-token-accepted"  # noqa: S105
    UNKNOWN_KID_ACCEPTED = "unknown-kid-accepted"

    # Whose tenant it acts for: the first four override the claim, the fallbacks serve callers without a valid token
    TENANT_FROM_QUERY = "tenant-from-query"
    TENANT_FROM_HEADER = "tenant-from-header"
    TENANT_FROM_HEADER_ANY_CASE = "tenant-from-header-any-case"
    TENANT_FROM_BODY = "tenant-from-body"
    TENANT_FALLBACK_QUERY = "tenant-fallback-query"
    TENANT_FALLBACK_HEADER = "tenant-fallback-header"
    TENANT_FALLBACK_BODY = "tenant-fallback-body"

    # What a replay request may name, and what it leaves behind
    REFUSED_BUT_RECORDED = "refused-but-recorded"
    FOREIGN_INTENT_ACCEPTED = "foreign-intent-accepted"
    FOREIGN_ACCOUNT_ACCEPTED = "foreign-account-accepted"
    ACCOUNT_SCOPE_NOT_ENFORCED = "account-scope-not-enforced"
    MISSING_INTENT_ACCEPTED = "missing-intent-accepted"
    REQUIRED_FIELD_OPTIONAL = "required-field-optional"
    MALFORMED_JSON_500 = "malformed-json-500"
    REQUESTER_FROM_BODY = "requester-from-body"

    # How a replay runs
    REPLAY_NOT_STARTED = "replay-not-started"
    REPLAY_NEVER_FINISHES = "replay-never-finishes"
    REPLAY_FAILS = "replay-fails"
    KILL_SWITCH_IGNORED = "kill-switch-ignored"
    OWN_REPLAY_RECORDED_ELSEWHERE = "own-replay-recorded-elsewhere"

    # What an execution writes
    NOTE_UNDER_PREFIX_TENANT = "note-under-prefix-tenant"
    NOTE_IN_OTHER_PARTITION = "note-in-other-partition"
    NOTE_KEY_WITHOUT_TENANT = "note-key-without-tenant"
    NOTE_ATTRIBUTE_OF_OTHER = "note-attribute-of-other"
    DEDUPE_KEY_OF_OTHER = "dedupe-key-of-other"
    CACHE_KEY_WITHOUT_TENANT = "cache-key-without-tenant"
    ARTIFACT_UNDER_OTHER = "artifact-under-other"
    OUTCOME_INDEXED_UNDER_OTHER = "outcome-indexed-under-other"
    SIGNAL_FOR_OTHER = "signal-for-other"
    SIGNAL_REFERS_TO_OTHER = "signal-refers-to-other"
    NESTED_DATA_OF_OTHER = "nested-data-of-other"
    EVENT_NAMES_OTHER = "event-names-other"
    EXECUTION_RECORDED_ELSEWHERE = "execution-recorded-elsewhere"
    OUTCOME_NOT_WRITTEN = "outcome-not-written"
    LEDGER_END_MISSING = "ledger-end-missing"

    # What an execution reads
    SCAN_WITHOUT_TENANT = "scan-without-tenant"
    QUERY_WITHOUT_TENANT = "query-without-tenant"
    FOREIGN_INTENT_READ = "foreign-intent-read"

    # Whose data the Control Center shows and changes: it takes the tenant from what the request names
    FOREIGN_EXPLANATION_READABLE = "foreign-explanation-readable"
    FOREIGN_BUDGET_READABLE = "foreign-budget-readable"
    FOREIGN_BUDGET_STATE_READABLE = "foreign-budget-state-readable"
    FOREIGN_CONFIG_READABLE = "foreign-config-readable"
    FOREIGN_KILL_SWITCHES_READABLE = "foreign-kill-switches-readable"
    FOREIGN_EXPORT_READABLE = "foreign-export-readable"
    FOREIGN_EXECUTION_STATUS_READABLE = "foreign-execution-status-readable"
    FOREIGN_EXECUTIONS_READABLE = "foreign-executions-readable"
    FOREIGN_BUDGET_WRITABLE = "foreign-budget-writable"
    FOREIGN_CONFIG_WRITABLE = "foreign-config-writable"
    CONFIG_KEY_FROM_BODY = "config-key-from-body"
    FOREIGN_KILL_SWITCHES_WRITABLE = "foreign-kill-switches-writable"
    FOREIGN_EXPORT_WRITABLE = "foreign-export-writable"

    # What the data-access trail shows
    TRAIL_NOT_DELIVERED = "trail-not-delivered"
    TRAIL_HIDES_VALUES = "trail-hides-values"

    # What an audit export holds
    EXPORT_FIRST_PAGE_ALONE = "export-first-page-alone"
    EXPORT_NEVER_COMPLETED = "export-never-completed"
    EXPORT_FAILS = "export-fails"
    EXPORT_DOUBLES_ENTRY = "export-doubles-entry"
    EXPORT_ALTERS_ENTRY = "export-alters-entry"
    EXPORT_INVENTS_ENTRY = "export-invents-entry"
    EXPORT_NAMES_OTHER = "export-names-other"
    EXPORT_CUT_OFF = "export-cut-off"
    EXPORT_LINK_ELSEWHERE = "export-link-elsewhere"

    # How the Control Center answers at all
    DOWN = "down"
    SLOW = "slow"
    HTML = "html"
    ERROR_500 = "error-500"
    REDIRECT_ELSEWHERE = "redirect-elsewhere"
    DRIP = "drip"
