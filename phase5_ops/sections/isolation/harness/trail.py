"""Rows of row 4.1 from the data-access trail: every read and write of the execution, key by key. Pure.

The trail is CloudTrail's record of DynamoDB data events. It shows the keys of single-item, batch and transaction calls, and the
text of PartiQL statements. It hides the values of expressions, so it often does not show a Query's partition key. A key that the
trail hides is *not judged*, never taken for in scope. CloudTrail does not say which execution a call belongs to: a call is this
execution's if it names one of its ids or its tenant, if the trail itself carries the execution's trace, or if the canary was the
only traffic (a setting). Scans and queries without a tenant break the contract whoever makes them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from phase5_ops.ccnative.keys import ExecutionScope, KeyScope, judge_key, plain
from phase5_ops.clock import parse_iso
from phase5_ops.sections.isolation.harness.evidence import AccessKind, HarnessRow, Result, TableKeys, mentions, shown_key
from phase5_ops.sections.isolation.harness.partiql import ANY, HIDDEN, StatementNotUnderstood, read_statement

DYNAMODB = "dynamodb.amazonaws.com"

_SINGLE = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem"})
_BATCHES = frozenset({"BatchGetItem", "BatchWriteItem"})
_TRANSACTIONS = frozenset({"TransactWriteItems", "TransactGetItems"})
_STATEMENTS = frozenset({"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"})
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_STREAM = "GetRecords"  # the changes of every item of a table, as they come
_DATA_OPERATIONS = _SINGLE | _BATCHES | _TRANSACTIONS | _STATEMENTS | {"Query", "Scan", _STREAM}
_READING_PARTS = frozenset({"get", "conditioncheck", "check"})


@dataclass(frozen=True, slots=True)
class Access:
    """One key (or one scan, or one query) of one request.

    Attributes:
        table: the table's name as the trail has it; ARNs are cut to the name. "" where the trail does not say which it is.
        key: the key's attributes with their values; None where the trail hides them.
        statement: number of the request's PartiQL statement that it belongs to.
        hidden: attributes that the request names with values that the trail hides; `partiql.ANY` where the name is hidden too.
        scan: True for a request that reads a table, index or stream without naming a key.
    """

    at: datetime
    operation: str
    principal: str
    trace: str
    failed: str
    table: str
    index: str = ""
    key: Mapping[str, str] | None = None
    hidden: frozenset[str] = frozenset()
    scan: bool = False
    writes: bool = False
    statement: int = 0


@dataclass(frozen=True, slots=True)
class TrailWindow:
    """Which records may belong to the execution.

    Attributes:
        start, end: from the announcement to the outcome.
        functions: patterns (`cc-native-*`) of the platform's functions, against the session name of the caller.
        exclusive: True where nothing but test executions ran in the window, so that every call of these in it is theirs.
    """

    start: datetime
    end: datetime
    functions: Sequence[str]
    exclusive: bool = False

    def holds(self, access: Access) -> bool:
        """True for a call of one of the functions within the window; the trail's times are whole seconds."""
        within = self.start.replace(microsecond=0) <= access.at <= self.end
        return within and any(fnmatchcase(access.principal, pattern) for pattern in self.functions)


class UnreadableRecord(Exception):
    """A record that is no CloudTrail record of a call."""


def accesses_of(record: Mapping[str, Any]) -> list[Access]:
    """The accesses of one CloudTrail record; none for another service or for a call that touches no items.

    Raises:
        UnreadableRecord: the record does not have CloudTrail's form.
    """
    try:
        if record["eventSource"] != DYNAMODB or record["eventName"] not in _DATA_OPERATIONS:
            return []
        request = _lowered(record.get("requestParameters") or {})
        operation = str(record["eventName"])
        common: dict[str, Any] = {
            "at": parse_iso(str(record["eventTime"])),
            "operation": operation,
            "principal": _principal(record.get("userIdentity") or {}),
            "trace": str((record.get("additionalEventData") or {}).get("executionTrace") or ""),
            "failed": str(record.get("errorCode") or ""),
        }
        resources = record.get("resources") or []
        tables = [_table_name(str(entry.get("ARN") or entry.get("arn") or "")) for entry in resources]
        return [Access(**common, **part) for part in _parts(operation, request, tables)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecord(f"{type(error).__name__}: {error}") from error


def _lowered(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The parameters with names in CloudTrail's usual case; within one record it mixes `tableName` and `TableName`.

    Keys and items hold attribute names of the platform, and expressions hold placeholders: those stay as they are.
    """
    if isinstance(value, list):
        return [_lowered(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    lowered = {str(name)[:1].lower() + str(name)[1:]: entry for name, entry in value.items()}
    verbatim = (
        "key",
        "keys",
        "item",
        "items",
        "keyConditions",
        "attributeValueList",
        "expressionAttributeValues",
        "expressionAttributeNames",
        "requestItems",
    )
    return {
        name: entry if name in verbatim and not (name == "requestItems" and isinstance(entry, list)) else _lowered(entry)
        for name, entry in lowered.items()
    }


def _principal(identity: Mapping[str, Any]) -> str:
    """The session name of an assumed role (for a Lambda function: its name), else the user or the service."""
    arn = str(identity.get("arn") or "")
    return arn.rsplit("/", 1)[-1] or str(identity.get("userName") or identity.get("invokedBy") or "")


def _table_name(arn_or_name: str) -> str:
    return arn_or_name.split(":table/", 1)[-1].split("/", 1)[0]


def _parts(operation: str, request: Mapping[str, Any], tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What differs between the accesses of one request: fields of `Access`."""
    table = _table_name(str(request.get("tableName") or (tables[0] if tables else "")))
    if operation in _SINGLE:
        yield {"table": table, "key": _key(request.get("key") or _whole_item(request)), "writes": operation in _WRITES}
    elif operation == _STREAM:
        iterated = str(request.get("shardIterator") or "")  # begins with the stream's ARN
        yield {"table": table or (_table_name(iterated) if ":table/" in iterated else ""), "scan": True}
    elif operation == "Scan":
        yield {"table": table, "index": str(request.get("indexName") or ""), "scan": True}
    elif operation == "Query":
        yield {"table": table, "index": str(request.get("indexName") or ""), "key": _queried(request)}
    elif operation in _BATCHES:
        yield from _batch(request, tables)
    elif operation in _TRANSACTIONS:
        yield from _transaction(operation, request, tables)
    else:
        yield from _statements(request, tables)


def _whole_item(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The item of a PutItem if the trail has it whole; None where CloudTrail lists its attribute names only."""
    item = request.get("item")
    return item if isinstance(item, Mapping) else None


def _key(value: object) -> dict[str, str] | None:
    """The texts of a key; None where there is none or where a value is hidden."""
    if not isinstance(value, Mapping) or not value:
        return None
    texts = {str(name): plain(entry) for name, entry in value.items()}
    texts = {name: entry for name, entry in texts.items() if isinstance(entry, str)}
    return None if not texts or any(HIDDEN.search(entry) for entry in texts.values()) else texts


_CONDITION = re.compile(r"(?P<name>#?[\w.\-]+)\s*=\s*(?P<value>:\w+)")


def _queried(request: Mapping[str, Any]) -> dict[str, str] | None:
    """The key values that a Query names with `=`; None where the trail hides them."""
    values = request.get("expressionAttributeValues")
    names = request.get("expressionAttributeNames")
    expression = str(request.get("keyConditionExpression") or "")
    found: dict[str, str] = {}
    if isinstance(values, Mapping):
        for match in _CONDITION.finditer(expression):
            name = str(names.get(match["name"], match["name"])) if isinstance(names, Mapping) else match["name"]
            value = plain(values.get(match["value"]))
            if isinstance(value, str) and not HIDDEN.search(value):
                found[name] = value
    conditions = request.get("keyConditions")
    if isinstance(conditions, Mapping):
        for name, condition in conditions.items():
            listed = _lowered(condition).get("attributeValueList") or []
            if _lowered(condition).get("comparisonOperator") == "EQ" and listed and isinstance(plain(listed[0]), str):
                found[str(name)] = plain(listed[0])
    return found or None


def _batch(request: Mapping[str, Any], tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    items = request.get("requestItems")
    if not isinstance(items, Mapping) or not items:
        yield from ({"table": table} for table in tables or [""])
        return
    for name, asked in items.items():
        table = _table_name(str(name))
        keys = _lowered(asked).get("keys") if isinstance(asked, Mapping) else None
        if keys is not None:
            yield from ({"table": table, "key": _key(key)} for key in keys or [None])
            continue
        for entry in asked if isinstance(asked, list) and asked else [{}]:
            written = _lowered(entry)
            inner = _lowered(written.get("putRequest") or written.get("deleteRequest") or written)
            yield {"table": table, "key": _key(inner.get("key") or _whole_item(inner)), "writes": True}


def _transaction(operation: str, request: Mapping[str, Any], tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    listed = request.get("requestItems") or request.get("transactItems")
    if not isinstance(listed, list) or not listed:
        yield from ({"table": table, "writes": operation in _WRITES} for table in tables or [""])
        return
    for entry in listed:
        kind, inner = str(entry.get("operation", "")), entry
        if not kind:  # {"Put": {...}} as the API has it
            kind, inner = next(
                ((name, _lowered(value)) for name, value in entry.items() if isinstance(value, Mapping)), ("", entry)
            )
        named = [str(inner["tableName"])] if inner.get("tableName") else tables or [""]
        key = _key(inner.get("key") or _whole_item(inner)) if len(named) == 1 else None  # else nobody knows whose key it is
        writes = operation in _WRITES and kind.lower() not in _READING_PARTS
        yield from ({"table": _table_name(table), "key": key, "writes": writes} for table in named)


def _statements(request: Mapping[str, Any], tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    """PartiQL: an access for each key that a statement names; a statement that cannot be read hides its keys."""
    listed = request.get("requestItems") or request.get("statements") or request.get("transactStatements") or [request]
    for number, entry in enumerate(listed if isinstance(listed, list) else [listed]):
        text = str(entry.get("statement") or "") if isinstance(entry, Mapping) else str(entry)
        try:
            statement = read_statement(text)
        except StatementNotUnderstood:
            yield from ({"table": table, "statement": number} for table in tables or [""])
            continue
        for key in statement.keys:
            yield {
                "table": _table_name(statement.table),
                "index": statement.index,
                "key": key.attributes,
                "hidden": key.hidden | ({ANY} if statement.inserts else set()),  # an inserted item always has a key
                "scan": key.names_nothing and not statement.inserts,
                "writes": statement.writes,
                "statement": number,
            }


# Judging


@dataclass(frozen=True, slots=True)
class TrailReading:
    """The rows of a trail, with counts of accesses and records."""

    rows: list[HarnessRow]
    records: int
    judged: int
    hidden: int
    elsewhere: int  # calls in the window that nothing shows to be this execution's


def read_trail(
    records: Iterable[Mapping[str, Any]],
    scope: ExecutionScope,
    window: TrailWindow,
    tables: Mapping[str, TableKeys],
    *,
    other_test_tenant: str,
) -> TrailReading:
    """The rows of every access in the window.

    Args:
        records: CloudTrail records in any order; repeated deliveries count once.
        scope: the test tenant with the ids of all its executions of this run.
        window: which records may belong to them.
        tables: keys of the platform's tables, by the name in the trail; other tables are left out. A call of which the trail
            does not name the table may be to any of them.
        other_test_tenant: tenant B: any call that names it is a leak, since B is used by probes only.
    """
    rows: list[HarnessRow] = []
    seen: set[str] = set()
    judged = hidden = elsewhere = total = 0
    for record in records:
        identity = str(record.get("eventID") or "") if isinstance(record, Mapping) else ""
        if identity and identity in seen:
            continue
        seen.add(identity)
        try:
            accesses = accesses_of(record)
        except UnreadableRecord as problem:
            reason, codes = f"a record of the trail cannot be read: {problem}", ("reads_not_judged",)
            rows.append(HarnessRow(AccessKind.READ, "data-access trail", "", Result.NOT_JUDGED, reason, codes=codes))
            continue
        held = [access for access in accesses if (access.table in tables or not access.table) and window.holds(access)]
        found = _judged_together(held, scope, tables, exclusive=window.exclusive, other_test_tenant=other_test_tenant)
        total += len(held)
        elsewhere += sum(row is None for row in found)
        shown = _shown(held, found)
        hidden += sum(row.result is Result.NOT_JUDGED for row in shown)
        judged += sum(row.result is not Result.NOT_JUDGED for row in shown)
        rows += shown
    return TrailReading(rows, total, judged, hidden, elsewhere)


def _judged_together(
    held: Sequence[Access], scope: ExecutionScope, tables: Mapping[str, TableKeys], *, exclusive: bool, other_test_tenant: str
) -> list[HarnessRow | None]:
    """The row of each access of one request; if one names the execution's tenant, all of the request's are the execution's."""

    def rows(certain: bool) -> list[HarnessRow | None]:
        return [
            judge_access(access, scope, tables[access.table], exclusive=certain, other_test_tenant=other_test_tenant)
            if access.table
            else _row(access, _UNNAMED, Result.NOT_JUDGED, ("reads_not_judged",), "the trail does not name the table")
            for access in held
        ]

    found = rows(exclusive)
    own = any(row is not None and row.result is Result.IN_SCOPE for row in found)
    return rows(True) if own and None in found else found


def _shown(held: Sequence[Access], found: Sequence[HarnessRow | None]) -> list[HarnessRow]:
    """The rows of one request; of a PartiQL statement that reads a whole table, only the violations."""
    pairs = [(access, row) for access, row in zip(held, found, strict=True) if row is not None]
    whole = {access.statement for access, row in pairs if access.operation in _STATEMENTS and "unscoped_scan" in row.codes}
    shown: list[HarnessRow] = []
    said: set[tuple[int, HarnessRow]] = set()
    for access, row in pairs:
        if access.operation in _STATEMENTS:
            if (access.statement, row) in said or (access.statement in whole and row.result is not Result.VIOLATION):
                continue
            said.add((access.statement, row))
        shown.append(row)
    return shown


def judge_access(
    access: Access, scope: ExecutionScope, keys: TableKeys, *, exclusive: bool, other_test_tenant: str
) -> HarnessRow | None:
    """The row of one access; None where nothing shows that it is this execution's and it breaks no rule by itself."""
    if access.scan:
        what = (
            "the changes of a whole table" if access.operation == _STREAM else "a whole table or index, whatever it then filters"
        )
        return _row(access, keys, Result.VIOLATION, ("unscoped_scan",), f"reads {what}")
    schema = keys.indexes.get(access.index, keys.key) if access.index else keys.key
    if access.key is None or not set(schema[:1]) & set(access.key):
        hidden = access.hidden & {*schema[:1], ANY}
        if access.key is not None and access.operation in _STATEMENTS and not hidden:  # names values, but no partition key
            return _row(access, keys, Result.VIOLATION, ("unscoped_scan",), "names no partition key, so the table is read whole")
        return _row(access, keys, Result.NOT_JUDGED, ("reads_not_judged",), "the trail hides the key")
    ordered = {name: access.key[name] for name in schema if name in access.key}
    judged = judge_key(keys.name, access.index, ordered, scope, written=access.writes)
    if judged.scope is KeyScope.OWN:
        return _row(access, keys, Result.IN_SCOPE, (), judged.reason)
    if judged.scope is KeyScope.APPROVED:
        return _row(access, keys, Result.APPROVED, (), judged.reason)
    certain = exclusive or access.trace in scope.traces or mentions(ordered, scope.execution_ids)
    if judged.scope is KeyScope.FOREIGN and (certain or judged.tenant == other_test_tenant):
        code = "foreign_key_written" if access.writes else "foreign_key_read"
        return _row(access, keys, Result.VIOLATION, (code,), judged.reason)
    if judged.scope is KeyScope.AMBIGUOUS or (judged.scope is KeyScope.WITHOUT_TENANT and access.hidden & {*schema, ANY}):
        return _row(access, keys, Result.NOT_JUDGED, ("reads_not_judged",), judged.reason)
    if judged.scope is KeyScope.WITHOUT_TENANT and certain:
        code = "key_without_tenant" if access.writes else "unscoped_query" if access.operation == "Query" else "foreign_key_read"
        return _row(access, keys, Result.VIOLATION, (code,), judged.reason)
    return None


def _row(access: Access, keys: TableKeys, result: Result, codes: tuple[str, ...], reason: str) -> HarnessRow:
    schema = keys.indexes.get(access.index, keys.key) if access.index else keys.key
    failed = f" (the call failed: {access.failed})" if access.failed else ""
    return HarnessRow(
        AccessKind.READ,
        keys.name,
        shown_key([name for name in schema if name in access.key], access.key) if access.key else "",
        result,
        f"{access.principal}: {reason}{failed}",
        index=access.index,
        operation=access.operation,
        codes=codes,
        expected="a key of the execution's tenant, or an approved form of this execution",
    )


#: In place of a table that the trail does not name.
_UNNAMED = TableKeys("a table not named", ())


# The trail as a whole


def trail_row(reading: TrailReading | None, why_not: str = "", *, delivered: bool = True) -> HarnessRow:
    """The row about the whole trail: how many accesses were judged, or why none could be.

    Args:
        reading: None where there is no trail or it could not be read.
        why_not: the reason for that.
        delivered: False where the trail has not reached the end of the execution yet.
    """
    problem = why_not
    if reading is not None and not problem:
        if not reading.records:
            problem = "the trail holds no call of the platform's functions in the window"
        elif not delivered:
            problem = "the trail is not delivered up to the end of the execution yet"
        elif not reading.judged:
            problem = "the trail shows no key that could be judged"
    counts = "" if reading is None else f"{reading.judged} judged, {reading.hidden} hidden, {reading.elsewhere} of other traffic"
    return HarnessRow(
        AccessKind.TRAIL,
        "data-access trail",
        "",
        Result.NOT_JUDGED if problem else Result.PRESENT,
        "; ".join(part for part in (problem, counts) if part),
        codes=("reads_not_judged",) if problem else (),
        expected="every read and write of the execution in the trail, with its key",
    )
