"""The finding codes of executions. Pure."""

from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class ExecutionCode(FindingCodes):
    """What can be wrong with how an execution ends, by its records."""

    EXECUTION_STUCK = FindingCode(
        Verdict.FAIL,
        "An attempt is RUNNING beyond the time limit of an execution, and neither an outcome nor the ledger says how it ended:"
        " nobody is told, and the intent stays locked.",
        "Look at the state machine's execution by its trace: every state before RecordOutcome must catch all errors and lead to"
        " RecordFailure, which must be able to end whatever the starter began. Then replay the intent.",
    )
    EXECUTION_LEFT_NOTHING = FindingCode(
        Verdict.FAIL,
        "An execution started longer ago than its time limit and has neither an end in the ledger nor an outcome, and its attempt"
        " does not say RUNNING any more, or has expired.",
        "Look at the state machine's execution by its trace, and at the failure recorder's log: what failed there left nothing."
        " What the action did to the customer's systems must be found out by hand.",
    )
    END_NOT_RECORDED = FindingCode(
        Verdict.FAIL,
        "An outcome is there, and the ledger has no ACTION_EXECUTED or ACTION_FAILED of its execution: the audit trail does not"
        " say what was done.",
        "Look at the recorder: it writes the outcome first and the ledger after it, and must not end between the two.",
    )
    OUTCOME_MISSING = FindingCode(
        Verdict.FAIL,
        "The ledger says that an execution ended, and its intent has no outcome, or only one that an execution after it wrote, or"
        " one from before the time that was read: then the intent was executed again without a replay.",
        "Look at the intent's outcome. If there is none: who removed it, or why did the recorder write the ledger without it?"
        " Callers are told by the outcome how it ended. If there is an older one: what delivered the approval again?",
    )
    ATTEMPT_MISSING = FindingCode(
        Verdict.FAIL,
        "An execution began so shortly ago that its attempt cannot have expired, and there is none, or only that of an earlier"
        " execution: the intent is not locked and can be executed twice.",
        "Look at who removed the item, and at the starter: it takes the lock before anything else.",
    )
    EXECUTION_ENDED_TWICE = FindingCode(
        Verdict.FAIL,
        "The ledger has more than one end of one execution.",
        "Look for a recorder that was retried, or for recorder and failure recorder both having run: an append must be once an"
        " execution.",
    )
    EXECUTION_STARTED_TWICE = FindingCode(
        Verdict.FAIL,
        "The ledger has more than one start under one trace: two executions share it, or one was recorded twice.",
        "Every start must get a trace of its own; look for a starter that was retried.",
    )
    EXECUTION_REPEATED = FindingCode(
        Verdict.FAIL,
        "An intent was executed again, and no REPLAY_STARTED is in the trace: nobody asked for it, and what the action does to"
        " the customer's systems was done twice. The outcome tells of one of the two, so callers do not know.",
        "Look for what delivered ACTION_APPROVED again after the intent's lock had expired (a redrive, an archive's replay): the"
        " starter must refuse an intent that has an outcome, unless it is a replay. Undo by hand what was done twice.",
    )
    EXECUTION_NOT_STARTED = FindingCode(
        Verdict.FAIL,
        "The ledger has the end of an execution and not its start.",
        "Look at the starter: it must not go on where its entry could not be written. Entries are never removed.",
    )
    EXECUTION_RECORDS_DISAGREE = FindingCode(
        Verdict.FAIL,
        "Start, end, outcome and attempt of one execution do not say the same: status, tenant, account, intent, attempt count.",
        "Look at the named items, and at which function wrote them; a foreign tenant among them is a matter of isolation (4.1).",
    )
    EXECUTION_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "An entry, outcome or attempt is not what the platform writes, so its execution cannot be judged.",
        "Look at the named attribute of the named item, and at what wrote it.",
    )
    NO_EXECUTION_IN_WINDOW = FindingCode(
        Verdict.INCONCLUSIVE,
        "The window holds no execution, those of the test tenants left out, that ended or is past its time limit, so it could not"
        " be shown that executions end.",
        "Let the platform execute something, or widen PHASE5_REPLAY__WINDOW_DAYS.",
        not_tried=True,
    )


class CallCode(FindingCodes):
    """What can be wrong with how calls of tools are measured."""

    EXECUTION_NOT_MEASURED = FindingCode(
        Verdict.FAIL,
        "A tool was executed more often than its metrics show calls while the executions ran: calls bypassed the wrapper that"
        " measures, so the SLO does not see them.",
        "Call the tool through the resilience wrapper, under its canonical name, and let it put metrics (RESILIENCE_TABLE_NAME,"
        " cloudwatch:PutMetricData; its failures are logged as warnings).",
    )
    FAILURE_MEASURED_AS_SUCCESS = FindingCode(
        Verdict.FAIL,
        "A tool reported failures (ACTION_FAILED with a status) that its metrics do not count as errors: what is answered with"
        " HTTP 200 counts as tool_success.",
        "Have the wrapper count a reported failure as tool_error; where such failures are the callers' own, say how many may be"
        " in PHASE5_EXECUTIONS__MAX_HIDDEN_FAILURE_SHARE.",
    )
    CALLS_REFUSED = FindingCode(
        Verdict.WARN,
        "Executions failed since their connector's breaker was open or its slots were taken. Such a call emits no metric, so the"
        " SLO does not count what these customers saw; FAIL where they are more than the SLO's own share of errors.",
        "Mend the connector (row 2.2 says what is open); count a refusal as tool_error if the SLO is to speak for customers.",
        also=(Verdict.FAIL,),
    )
    CALLS_NOT_COMPARABLE = FindingCode(
        Verdict.INCONCLUSIVE,
        "CloudWatch gives a tool's calls in longer periods than five minutes only, so they cannot be compared with when the tool"
        " was executed.",
        "Judge a time for which CloudWatch still keeps five minutes (63 days).",
        not_tried=True,
    )
    NO_CALL_IN_WINDOW = FindingCode(
        Verdict.INCONCLUSIVE,
        "No execution of the SLO's lookback is known to have called a tool, those of the test tenants left out, so it could not"
        " be shown that calls are measured.",
        "Let the platform execute something, or widen PHASE5_SLO__LOOKBACK_HOURS.",
        not_tried=True,
    )
