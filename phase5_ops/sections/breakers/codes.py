"""The finding codes of checklist section 2. Pure."""

from phase5_ops.verdict import FindingCode, FindingCodes, Verdict

_KILL_SWITCH = "Set the kill switch of every tenant (execution_enabled or disabled_action_types); never close a breaker by hand."


class BreakerCode(FindingCodes):
    """What can be wrong with a breaker, or with the operator action for it."""

    BREAKER_STATE_INVALID = FindingCode(
        Verdict.FAIL,
        "A breaker's state is none of CLOSED, OPEN, HALF_OPEN, or its times contradict each other or the clock.",
        "Find out who wrote the item: the platform writes no such state. Correct the writer, not the item.",
    )
    BREAKER_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "An item of the resilience table is not what the platform writes, so the connector's breaker cannot be judged.",
        "Look at the named attribute of the named item, and at what wrote it.",
    )
    BREAKER_TTL_MISSING = FindingCode(
        Verdict.FAIL,
        "A STATE item has no ttl_epoch_sec: it never expires, and its last write cannot be dated.",
        "Write ttl_epoch_sec with every state change (7 to 30 days ahead).",
    )
    BREAKER_TTL_OUT_OF_RANGE = FindingCode(
        Verdict.FAIL,
        "The state's time to live is outside 7 to 30 days.",
        "Correct the platform's state TTL (days, in epoch seconds).",
    )
    CONNECTOR_UNKNOWN = FindingCode(
        Verdict.FAIL,
        "The table names a connector of no registered tool, no setting and no document.",
        "Register its tools, or add it to PHASE5_CONNECTORS, or find out what writes under this name.",
    )
    CONNECTOR_NOT_CANONICAL = FindingCode(
        Verdict.FAIL,
        "A breaker is kept under another form of a connector's name, so one connector has several breakers.",
        "Give the wrapper the canonical connector id instead of the gateway's tool name.",
    )
    OPEN_WITHOUT_DEADLINE = FindingCode(
        Verdict.FAIL,
        "A breaker is OPEN without open_until_epoch_sec, so it is not known when it lets a probe through.",
        "Find out who wrote the item; the platform writes the deadline with every OPEN.",
    )
    BREAKER_NOT_OBSERVED = FindingCode(
        Verdict.INCONCLUSIVE,
        "A connector that must be there has neither a STATE nor a CONCURRENCY item: it was never called through the breaker.",
        "Run one action through the connector, and check that the tool invoker writes to this table (RESILIENCE_TABLE_NAME).",
        not_tried=True,
    )
    OPEN_BREAKER_WITHOUT_OPERATOR_ACTION = FindingCode(
        Verdict.FAIL,
        "A breaker keeps re-opening, is found open in most runs, or stays open under traffic, and tenants still execute"
        " through the connector.",
        f"Follow the runbook section. {_KILL_SWITCH}",
    )
    BREAKER_OPEN = FindingCode(
        Verdict.WARN,
        "A breaker is open, and either its cooldown has not ended or its operator action is in place.",
        "Watch the next probe; if it re-opens, follow the runbook section.",
    )
    OPEN_IDLE = FindingCode(
        Verdict.WARN,
        "A breaker is open past its deadline without traffic; it changes only on the next request.",
        "Nothing has to be done; the next request is the probe.",
    )
    HALF_OPEN_STUCK = FindingCode(
        Verdict.FAIL,
        "A breaker has been HALF_OPEN for longer than a probe can take: its probe was lost, and every request is refused.",
        "Find out what became of the probe (timeout, crash of the tool invoker) and repair the platform's probe handling.",
        also=(Verdict.INCONCLUSIVE,),
    )
    SLOT_LEAKED = FindingCode(
        Verdict.FAIL,
        "Slots of a connector's calls are not released: more calls are in flight than the limit allows, or calls are in"
        " flight and none of them ends.",
        "Find the calls that ended without releasing their slot; when the limit is reached, the connector refuses everything.",
        also=(Verdict.WARN,),
    )
    CLOSED_BY_HAND = FindingCode(
        Verdict.FAIL,
        "A breaker was closed or deleted, and no probe can have done it.",
        "Find out who changed the item and why; check the connector's health; remove what the item still holds of OPEN or"
        " HALF_OPEN. Use kill switches instead.",
        also=(Verdict.WARN,),
    )
    TENANT_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "A tenant's item cannot be understood, so it is not known what its kill switch stops.",
        "Correct the named attribute of the named tenant.",
    )
