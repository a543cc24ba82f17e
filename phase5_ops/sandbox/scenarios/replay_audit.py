"""Scenarios of row 3.2: the past of the healthy platform's ledger with one thing wrong in it."""

from copy import deepcopy
from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, WARN, Turns, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.records import ATTEMPTS, LEDGER, OUTCOMES, Item, milliseconds, tenant_key
from phase5_ops.verdict import Verdict

#: The row that these scenarios declare.
ROW = "3.2"


def _turns(code: str, verdict: Verdict = FAIL) -> Turns:
    return {ROW: (verdict, code)}


def _ledger(state: Blueprint) -> list[Item]:
    return state.items[LEDGER]


def _request(state: Blueprint) -> Item:
    """The newest replay request; its intent was replayed once, and long enough ago for every deadline."""
    return max((i for i in _ledger(state) if i["eventType"] == "REPLAY_REQUESTED"), key=lambda item: str(item["timestamp"]))


def _entry(state: Blueprint, event: str) -> Item:
    """The entry of that replay of one type."""
    request = _request(state)
    if event == "REPLAY_REQUESTED":
        return request
    intent = request["data"]["action_intent_id"]
    after = [i for i in _ledger(state) if i["timestamp"] > request["timestamp"] and i["data"].get("action_intent_id") == intent]
    return next(item for item in after if item["eventType"] == event)


def _drop(state: Blueprint, *events: str) -> None:
    gone = [_entry(state, event)["sk"] for event in events]
    state.items[LEDGER] = [item for item in _ledger(state) if item["sk"] not in gone]


def _move(item: Item, by: timedelta) -> None:
    """Stamps an entry otherwise, keys and entry id included."""
    moment = datetime.fromisoformat(item["timestamp"]) + by
    stamp, unique = iso(moment), item["entryId"].split("-", 2)[2]
    entry_id = f"entry-{milliseconds(moment)}-{unique}"
    item.update(timestamp=stamp, entryId=entry_id, sk=f"ENTRY#{stamp}#{entry_id}", gsi1sk=stamp, gsi2sk=stamp)


def _again(state: Blueprint, item: Item, *, by: timedelta = timedelta(0), **changes: str) -> None:
    """Adds an entry once more, under an entry id of its own."""
    copy = {**deepcopy(item), "entryId": f"{item['entryId']}-again", **changes}
    _move(copy, by)
    if "traceId" in changes:
        copy["gsi1pk"] = f"TRACE#{changes['traceId']}"
    state.add(LEDGER, copy)


def _record(state: Blueprint, table: str) -> Item:
    """The attempt or outcome of the replayed intent."""
    intent = _request(state)["data"]["action_intent_id"]
    return next(item for item in state.items[table] if item["action_intent_id"] == intent)


_LATER = ("REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED")


@scenario("audit-not-started", "A replay was requested yesterday, and nothing came of it.", _turns("replay_not_started"))
def _not_started(state: Blueprint) -> None:
    _drop(state, *_LATER)


@scenario("audit-not-finished", "A replay started yesterday and has no end.", _turns("replay_not_finished"))
def _not_finished(state: Blueprint) -> None:
    _drop(state, "REPLAY_COMPLETED")


@scenario("audit-reason-missing", "A replay was started without its reason.", _turns("replay_reason_missing"))
def _reason_missing(state: Blueprint) -> None:
    del _entry(state, "REPLAY_STARTED")["data"]["replay_reason"]


@scenario("audit-requester-blank", "A replay's requester is a blank.", _turns("requested_by_missing"))
def _requester_blank(state: Blueprint) -> None:
    for event in ("REPLAY_REQUESTED", "REPLAY_STARTED", "REPLAY_COMPLETED"):
        _entry(state, event)["data"]["requested_by"] = " "


@scenario("audit-out-of-order", "A replay completed before its action was executed.", _turns("replay_out_of_order"))
def _out_of_order(state: Blueprint) -> None:
    _move(_entry(state, "ACTION_EXECUTED"), timedelta(seconds=5))


@scenario("audit-without-request", "A replay started that nobody requested.", _turns("replay_started_without_request"))
def _without_request(state: Blueprint) -> None:
    _drop(state, "REPLAY_REQUESTED")


@scenario("audit-end-elsewhere", "A replay's end is in another trace.", _turns("replay_finished_without_start"))
def _end_elsewhere(state: Blueprint) -> None:
    end = _entry(state, "REPLAY_COMPLETED")
    end.update(traceId="trace-elsewhere", gsi1pk="TRACE#trace-elsewhere")


@scenario("audit-finished-twice", "A replay completed, and failed two seconds later.", _turns("replay_finished_twice"))
def _finished_twice(state: Blueprint) -> None:
    _again(state, _entry(state, "REPLAY_COMPLETED"), by=timedelta(seconds=2), eventType="REPLAY_FAILED")


@scenario("audit-trace-reused", "Two executions ran under one trace.", _turns("replay_trace_reused"))
def _trace_reused(state: Blueprint) -> None:
    _again(state, _entry(state, "EXECUTION_STARTED"), by=timedelta(milliseconds=20))


@scenario("audit-tenant-mismatch", "A replay's end is in another tenant's partition.", _turns("replay_tenant_mismatch"))
def _tenant_mismatch(state: Blueprint) -> None:
    end = _entry(state, "REPLAY_COMPLETED")
    other = next(str(tenant["tenantId"]) for tenant in state.tenants if tenant["tenantId"] != end["tenantId"])
    end.update(pk=tenant_key(other), tenantId=other, gsi2pk=tenant_key(other))


@scenario("audit-contradicts-outcome", "A replay's outcome is not its end.", _turns("replay_contradicts_outcome"))
def _contradicts(state: Blueprint) -> None:
    _record(state, OUTCOMES).update(status="FAILED", trace_id=_entry(state, "REPLAY_STARTED")["traceId"])


@scenario(
    "audit-status-contradicts", "A replay's end says COMPLETED, and its status FAILED.", _turns("replay_contradicts_outcome")
)
def _status_contradicts(state: Blueprint) -> None:
    _entry(state, "REPLAY_COMPLETED")["data"]["status"] = "FAILED"


@scenario("audit-requester-nobody", "A replay was requested by `undefined`.", _turns("requested_by_missing"))
def _requester_nobody(state: Blueprint) -> None:
    for event in ("REPLAY_REQUESTED", "REPLAY_STARTED", "REPLAY_COMPLETED"):
        _entry(state, event)["data"]["requested_by"] = "undefined"


@scenario("audit-index-mismatch", "A replay's end is indexed under another trace.", _turns("ledger_index_mismatch"))
def _index_mismatch(state: Blueprint) -> None:
    _entry(state, "REPLAY_COMPLETED")["gsi1pk"] = "TRACE#trace-elsewhere"


@scenario(
    "audit-misdated",
    "A replay's request was written six hours after the time it is stamped with.",
    _turns("ledger_entry_misdated"),
)
def _misdated(state: Blueprint) -> None:
    request = _request(state)
    written = milliseconds(datetime.fromisoformat(request["timestamp"]) + timedelta(hours=6))
    request["entryId"] = f"entry-{written}-written-later"
    request["sk"] = f"ENTRY#{request['timestamp']}#{request['entryId']}"


@scenario("audit-attempt-stuck", "A replay's attempt is RUNNING long after its ttl.", _turns("replay_attempt_stuck"))
def _attempt_stuck(state: Blueprint) -> None:
    _record(state, ATTEMPTS)["status"] = "RUNNING"


@scenario("audit-repeated", "One intent was replayed four times in a day.", _turns("replay_repeated", WARN))
def _repeated(state: Blueprint) -> None:
    entries = [_entry(state, event) for event in ("REPLAY_REQUESTED", *_LATER)]
    for number in range(1, 4):
        for entry in entries:
            _again(state, entry, by=timedelta(minutes=10 * number), traceId=f"{entry['traceId']}-{number}")


@scenario("audit-record-malformed", "A ledger entry has no trace.", _turns("ledger_record_malformed", ERROR))
def _malformed(state: Blueprint) -> None:
    del _entry(state, "REPLAY_COMPLETED")["traceId"]
