"""What the tables of attempts and outcomes hold of executions, one item an intent each. Pure.

An attempt (`EXECUTION#<intent>`) is the lock of the intent's latest execution and expires by its ttl; an outcome
(`OUTCOME#<intent>`) is written once, by the first execution that ends. Both name the execution by its trace. Items are taken page
by page, and only what lies in the time asked for is kept, so that memory grows with that time's executions and not with the
table. An item that is not what the platform writes becomes a `MalformedRecord`; its intent is then not known, and not absent.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

from phase5_ops.ccnative.attributes import (
    AttributeProblem,
    MalformedRecord,
    as_item,
    key_text,
    moment,
    required,
    text,
    whole_number,
)
from phase5_ops.ccnative.executions.records import ATTEMPT_PREFIX, FAILED, OUTCOME_PREFIX, RUNNING, SUCCEEDED, partition_key
from phase5_ops.ccnative.executions.trails import MALFORMED_KEPT
from phase5_ops.ccnative.executions.usage import UNKNOWN_TOOL
from phase5_ops.ccnative.ledger import stamp_of
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.clock import epoch_milliseconds

CANCELLED = "CANCELLED"

#: How long an outcome is kept.
OUTCOME_KEPT_DAYS = 90

#: The attributes of an attempt that are needed.
ATTEMPT_ATTRIBUTES = (
    "pk",
    "sk",
    "status",
    "attempt_count",
    "started_at",
    "updated_at",
    "tenant_id",
    "account_id",
    "action_intent_id",
    "trace_id",
)
#: The attributes of an outcome that are needed.
OUTCOME_ATTRIBUTES = (
    "pk",
    "sk",
    "status",
    "attempt_count",
    "tool_name",
    "completed_at",
    "tenant_id",
    "account_id",
    "action_intent_id",
    "trace_id",
)

_STATUSES = {ATTEMPT_PREFIX: (RUNNING, SUCCEEDED, FAILED, CANCELLED), OUTCOME_PREFIX: (SUCCEEDED, FAILED)}

Key = tuple[str, str, str]  # tenant, account, intent


class Stored(NamedTuple):
    """An attempt or an outcome.

    Attributes:
        trace: of the execution that it is about.
        status: RUNNING, SUCCEEDED, FAILED or CANCELLED.
        number: which attempt of its intent it is.
        at: epoch ms; when an attempt started, when an outcome was completed.
        tool: canonical name; "" where it is not known, as of every attempt.
        owner: tenant, account and intent that the item names, where they are not those of its key; else None.
        updated: epoch ms of the last change of an attempt: when it started, or when it was told how it ended.
    """

    trace: str
    status: str
    number: int
    at: int
    tool: str = ""
    owner: Key | None = None
    updated: int = 0

    @property
    def latest(self) -> int:
        """The latest moment that the item names."""
        return max(self.at, self.updated)


@dataclass
class StoredExecutions:
    """The attempts, or the outcomes, of a span of time.

    Attributes:
        table: its name, for malformed records.
        prefix: what sort keys begin with: `ATTEMPT_PREFIX` or `OUTCOME_PREFIX`.
        since: epoch ms; older items are left out.
        latest: epoch ms; an item stamped later cannot have been written yet and is malformed. None where that is not known.
        by_intent: by tenant, account and intent.
        unreadable: intents of items that could not be read.
        items: how many were taken.
    """

    table: str
    prefix: str
    since: int
    latest: int | None = None
    by_intent: dict[Key, Stored] = field(default_factory=dict)
    unreadable: set[Key] = field(default_factory=set)
    malformed: list[MalformedRecord] = field(default_factory=list)
    malformed_count: int = 0
    items: int = 0

    def take(self, items: Iterable[object]) -> None:
        """Takes the items of one page, DynamoDB JSON."""
        for item in items:
            self.items += 1
            try:
                self._add(as_item(item))
            except AttributeProblem as problem:
                self._refuse(item, problem)

    def _add(self, item: Mapping[str, Any]) -> None:
        key = self._key(item)
        stored = _stored(item, self.prefix, key)
        if self.latest is not None and stored.latest > self.latest:
            name = "started_at or updated_at" if self.prefix == ATTEMPT_PREFIX else "completed_at"
            raise AttributeProblem(name, f"ahead of the clock: {stamp_of(stored.latest)}")
        if stored.latest >= self.since:
            self.by_intent[key] = stored

    def _key(self, item: Mapping[str, Any]) -> Key:
        pk, sk = required(text(item, "pk"), "pk"), required(text(item, "sk"), "sk")
        intent = sk.removeprefix(self.prefix)
        if not sk.startswith(self.prefix) or not intent:
            raise AttributeProblem("sk", f"expected {self.prefix}<intent>, found {sk!r}")
        tenant, account = (required(text(item, name) or None, name) for name in ("tenant_id", "account_id"))
        if pk == partition_key(tenant, account):
            return intern(tenant), intern(account), intent
        owner = re.fullmatch(r"TENANT#(.+?)#ACCOUNT#(.+)", pk, re.DOTALL)
        if owner is None:
            raise AttributeProblem("pk", f"expected TENANT#<tenant>#ACCOUNT#<account>, found {pk!r}")
        return intern(owner[1]), intern(owner[2]), intent

    def _refuse(self, item: object, problem: AttributeProblem) -> None:
        self.malformed_count += 1
        holder = item if isinstance(item, Mapping) else {}
        if len(self.malformed) < MALFORMED_KEPT:
            key = f"{key_text(holder, 'pk')} / {key_text(holder, 'sk')}"
            self.malformed.append(MalformedRecord(self.table, key, problem.attribute, problem.problem))
        try:
            self.unreadable.add(self._key(holder))
        except AttributeProblem:
            return  # whose item it is cannot be told; the malformed record says that it is there


def _stored(item: Mapping[str, Any], prefix: str, key: Key) -> Stored:
    status = required(text(item, "status"), "status")
    if status not in _STATUSES[prefix]:
        raise AttributeProblem("status", f"expected one of {', '.join(_STATUSES[prefix])}, found {status!r}")
    trace = required(text(item, "trace_id") or None, "trace_id")
    count = required(whole_number(item, "attempt_count"), "attempt_count")
    intent = required(text(item, "action_intent_id") or None, "action_intent_id")
    owner = (str(text(item, "tenant_id")), str(text(item, "account_id")), intent)
    own = None if owner == key else owner
    if prefix == ATTEMPT_PREFIX:
        return Stored(trace, status, count, _time(item, "started_at"), owner=own, updated=_time(item, "updated_at"))
    at = _time(item, "completed_at")
    tool = canonical_tool(required(text(item, "tool_name") or None, "tool_name"))
    known = "" if tool == UNKNOWN_TOOL else intern(tool)
    return Stored(trace, status, count, at, known, own)


def _time(item: Mapping[str, Any], name: str) -> int:
    return epoch_milliseconds(required(moment(item, name), name))


def attempts(table: str, since: int, latest: int | None = None) -> StoredExecutions:
    """Of a table of attempts, none taken yet."""
    return StoredExecutions(table, ATTEMPT_PREFIX, since, latest)


def outcomes(table: str, since: int, latest: int | None = None) -> StoredExecutions:
    """Of a table of outcomes, none taken yet."""
    return StoredExecutions(table, OUTCOME_PREFIX, since, latest)
