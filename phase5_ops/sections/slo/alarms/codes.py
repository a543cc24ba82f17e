"""What can be wrong with an SLO alarm: its definition, its state, and that there is none (rows 1.2, no_slo_alarm_firing). Pure.

The codes about who hears of an alarm are in `notification_path`.
"""

from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class AlarmCode(FindingCodes):
    """What can be wrong with an SLO alarm itself."""

    LATENCY_ALARM_MISSING = FindingCode(
        Verdict.FAIL,
        "No alarm watches the latency of a registered tool.",
        "Create an alarm on p99 of tool_latency_ms; ccnative/recommended_alarms.py gives the parameters.",
    )
    ERROR_ALARM_MISSING = FindingCode(
        Verdict.FAIL,
        "No alarm watches the error share of a registered tool.",
        "Create an alarm on the share of tool_error (Metrics Insights); ccnative/recommended_alarms.py gives the parameters.",
    )
    ALARM_STATISTIC_WRONG = FindingCode(
        Verdict.FAIL,
        "A latency alarm watches a statistic that says nothing of the slowest calls (average, sum, a low percentile).",
        "Use p99, p95 or the percentile rank PR(:threshold).",
    )
    ALARM_COMPARISON_WRONG = FindingCode(
        Verdict.FAIL,
        "The comparison points the wrong way: the alarm fires while all is well, and not when it should.",
        "Turn the comparison operator around.",
    )
    ALARM_FIRES_WHEN_HEALTHY = FindingCode(
        Verdict.FAIL,
        "The alarm would be in ALARM without any slow or failed call, so it says nothing.",
        "Correct threshold (latency is in milliseconds), comparison or the treatment of missing data.",
    )
    ALARM_THRESHOLD_TOO_LAX = FindingCode(
        Verdict.FAIL,
        "The SLO can be missed without the alarm firing: its threshold is beyond the SLO's.",
        "Lower the threshold (for a percentile rank: raise it); mind percent and fraction.",
    )
    ALARM_SILENT_WHEN_WORSE = FindingCode(
        Verdict.FAIL,
        "The alarm fires when the SLO is missed by little, and not when it is missed by more, such as when every call fails.",
        "Let the share (or the latency) alone decide, without an upper limit; where every call fails the successes have no data:"
        " put them into FILL(..., 0).",
    )
    ALARM_SILENT_AT_OTHER_TRAFFIC = FindingCode(
        Verdict.FAIL,
        "The alarm fires at the tool's usual traffic, and not at more, or not in its quiet periods (WARN: these have few calls,"
        " but as many as the SLO allows a bad one for; or hardly any period was so quiet yet).",
        "Set no upper limit to the number of calls; ask for no more of them than the SLO allows a bad one for (100 at 1 %).",
        also=(Verdict.WARN,),
    )
    ALARM_WINDOW_OUT_OF_RANGE = FindingCode(
        Verdict.FAIL,
        "Period x evaluation periods is outside the allowed range (default 5-15 min).",
        "Change the period or the number of evaluation periods.",
    )
    ALARM_PERIOD_TOO_SHORT = FindingCode(
        Verdict.FAIL,
        "A period is shorter than the minute in which the platform's metrics are stored: most periods have no data, so that"
        " the alarm goes into INSUFFICIENT_DATA, or sees only the few periods that have data.",
        "Use a period of 60 seconds or more.",
    )
    ALARM_CANNOT_FIRE = FindingCode(
        Verdict.FAIL,
        "The alarm is there and can never go into ALARM: its metrics receive no data points, or its settings cannot be met.",
        "Define it over dimension sets in which the platform emits (errors always carry tenant_id); see what the finding names.",
    )
    LATENCY_ALARM_MISSES_CALLS = FindingCode(
        Verdict.FAIL,
        "The latency alarm watches only dimension sets with tenant_id, which hold 1 % of the successful calls.",
        "Watch the dimension set {tool_name, connector_id}.",
    )
    ERROR_ALARM_MISSES_TENANTS = FindingCode(
        Verdict.FAIL,
        "The error alarm sees the errors of some tenants only.",
        "Add up over all tenants with a Metrics Insights query: SELECT SUM(tool_error) ... WHERE tool_name = '...'.",
    )
    ALARM_READS_OTHER_ACCOUNTS = FindingCode(
        Verdict.INCONCLUSIVE,
        "The alarm puts metrics of other accounts together with the platform's, whose traffic is not known here: it may hide"
        " what the alarm should see.",
        "Ask for the own account alone (WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()), or group by AWS.AccountId.",
        not_tried=True,
    )
    ERROR_ALARM_COUNTS_ERRORS = FindingCode(
        Verdict.WARN,
        "The error alarm compares a number of errors, not their share: at which share it fires changes with the traffic.",
        "Divide by the number of calls with metric math.",
    )
    MISSING_DATA_LOOKS_FINE = FindingCode(
        Verdict.WARN,
        "The latency alarm of a tool with steady traffic stays OK when its data points stop.",
        "Use TreatMissingData missing or breaching; or mark the tool as traffic: rare.",
    )
    MISSING_DATA_BREACHES = FindingCode(
        Verdict.WARN,
        "The error alarm changes its state when there is merely nothing to count (to ALARM, or to INSUFFICIENT_DATA).",
        "Use TreatMissingData notBreaching, or FILL(..., 0).",
    )
    LATENCY_ALARM_BLIND_TO_ERRORS = FindingCode(
        Verdict.WARN,
        "The latency alarm cannot see failed calls (they are emitted with tenant_id only), and no working error alarm covers"
        " them.",
        "Give the tool a working error alarm.",
    )
    ALARM_INSUFFICIENT_DATA = FindingCode(
        Verdict.FAIL,
        "The alarm has INSUFFICIENT_DATA although its inputs had data that day (INCONCLUSIVE: just created, or in the check"
        " no_slo_alarm_firing; WARN: rare traffic).",
        "See what its queries really select, and how it treats missing data.",
        also=(Verdict.INCONCLUSIVE, Verdict.WARN),
    )
    ALARM_EVALUATION_FAILED = FindingCode(
        Verdict.ERROR,
        "CloudWatch says that it could not evaluate the alarm (ERROR), or only on part of the data (WARN).",
        "See the alarm's state reason; for partial data narrow its Metrics Insights query.",
        also=(Verdict.WARN,),
    )
    ALARM_STATE_UNREADABLE = FindingCode(
        Verdict.ERROR,
        "CloudWatch gives the alarm a state that it does not document.",
        "Look at the alarm in the console, then run again.",
    )
    ALARM_MALFORMED = FindingCode(
        Verdict.ERROR,
        "What CloudWatch says of an alarm (DescribeAlarms) could not be understood.",
        "Look at the alarm in the console; report its definition to the maintainers of phase5_ops.",
    )
    SLO_ALARM_FIRING = FindingCode(Verdict.FAIL, "An SLO alarm is in ALARM now.", "Follow the runbook's section on SLO alarms.")
    NO_SLO_ALARM = FindingCode(
        Verdict.INCONCLUSIVE,
        "There is no SLO alarm, so that none is in ALARM shows nothing.",
        "Create the SLO alarms that row 1.2 asks for.",
        not_tried=True,
    )
