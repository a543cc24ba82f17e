"""Evidence of row 4.1: the table `isolation_harness`, one row per key that one execution wrote, read or tried. Pure.

The footprint compares every platform table before and after the canary execution. A changed item that mentions the execution's
ids was written by the execution; nobody may change an item in the other test tenant's partitions. What lives here: rows and their
classification. What must not: reading AWS, verdicts (`judge.py`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from phase5_ops.ccnative.keys import (
    APPROVED,
    ExecutionScope,
    KeyJudgement,
    KeyScope,
    Naming,
    holds_token,
    judge_key,
    plain_item,
    tenants_named,
)
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, NoFacts


class AccessKind(StrEnum):
    """What a row is about."""

    WRITE = "write"  # a key of a written item, in the table or in an index
    EVENT = "event"  # an event of this execution on the bus
    OUTCOME = "outcome"  # what the execution had to leave behind
    READ = "read"  # one key of one request in the data-access trail
    TRAIL = "trail"  # the data-access trail as a whole
    PROBE = "probe"  # one cross-tenant request through the Control Center
    CONTROL = "control"  # a planted violation that a detector was shown, in memory
    EXCEPTION = "exception"  # an approved tenant-less key form, with its justification
    RUN = "run"  # the harness run itself: why it could not be made, what was cleaned


class Result(StrEnum):
    """What was found about a row."""

    IN_SCOPE = "in scope"
    APPROVED = "approved"
    VIOLATION = "violation"
    NOT_JUDGED = "not judged"
    SET_ASIDE = "set aside"
    REFUSED = "refused"  # a probe that got nothing and changed nothing
    DETECTED = "detected"  # a planted violation that was reported
    BLIND = "blind"  # a planted violation that was not
    PRESENT = "present"
    MISSING = "missing"
    LISTED = "listed"


_UNESCAPED = Column(json={"ensure_ascii": False})


@dataclass(frozen=True, slots=True)
class HarnessRow:
    """One row of `isolation_harness`."""

    kind: Annotated[AccessKind, "what was looked at, see `AccessKind`"]
    table: Annotated[str, "table, event source, Control Center route, or detector"]
    key: Annotated[str, "the key as JSON, or the request"]
    result: Annotated[Result, "see `Result`"]
    reason: Annotated[str, "why, in words; exceptions carry their justification"]
    index: Annotated[str, 'index of the key; "" is the table\'s own key'] = ""
    operation: Annotated[str, "`written`, `removed`, or the API operation of a read"] = ""
    tenants: Annotated[tuple[str, ...], "every tenant named by key and attributes: `path=tenant`, in order", _UNESCAPED] = ()
    codes: Annotated[tuple[str, ...], "finding codes that this row gives rise to", _UNESCAPED] = ()
    expected: Annotated[str, "what should have been seen, for findings"] = ""


ISOLATION_HARNESS = DeclaredTable(HarnessRow, NoFacts)
Harness = GatheredTable[HarnessRow, NoFacts]


@dataclass(frozen=True, slots=True)
class TableKeys:
    """Key attributes of a table and of its indexes, partition key first; `name` is the platform's literal."""

    name: str
    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> "TableKeys":
        """The keys in a DescribeTable answer's `Table`."""
        listed = [*(description.get("GlobalSecondaryIndexes") or []), *(description.get("LocalSecondaryIndexes") or [])]
        indexes = {str(index["IndexName"]): _key_names(index.get("KeySchema") or []) for index in listed}
        return cls(name, _key_names(description.get("KeySchema") or []), indexes)


def _key_names(schema: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    ordered = sorted(schema, key=lambda part: part["KeyType"] != "HASH")
    return tuple(part["AttributeName"] for part in ordered)


@dataclass(frozen=True, slots=True)
class TableImage:
    """The items of one table that were read before and after the execution, DynamoDB JSON."""

    keys: TableKeys
    before: Sequence[Mapping[str, Any]]
    after: Sequence[Mapping[str, Any]]


def exception_rows() -> list[HarnessRow]:
    """The approved tenant-less key forms with their justification, so that the report shows them."""
    return [
        HarnessRow(AccessKind.EXCEPTION, form.table, form.form, Result.LISTED, form.justification, index=form.index)
        for form in APPROVED
    ]


# The footprint


def footprint(
    images: Iterable[TableImage],
    scope: ExecutionScope,
    *,
    other_test_tenant: str,
    own_ids: Iterable[str] = (),
    exports: Iterable[str] = (),
) -> list[HarnessRow]:
    """A row for every key, in tables and indexes, of every item that the execution wrote, changed or removed.

    Args:
        images: every platform table before and after.
        scope: the canary execution, with every id that it is known to have.
        other_test_tenant: tenant B: nothing may change there between the two readings, whatever the item mentions.
        own_ids: ids of other canaries and probes of this run; items that mention one of them but nothing of this execution
            are set aside and counted, and the section that made them judges them.
        exports: ids of audit exports of this run, which the platform chose: the same, under tenant A's keys alone.
    """
    others, exported = tuple(own_ids), tuple(exports)
    rows: list[HarnessRow] = []
    for image in images:
        rows += _table_footprint(image, scope, other_test_tenant, others, exported)
    return rows


def _table_footprint(
    image: TableImage, scope: ExecutionScope, other_test_tenant: str, others: tuple[str, ...], exports: tuple[str, ...]
) -> Iterator[HarnessRow]:
    before, after = (
        {shown_key(image.keys.key, plain_item(item)): item for item in items} for items in (image.before, image.after)
    )
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        item = new if new is not None else old
        plain = plain_item(item or {})
        operation = "removed" if new is None else "written" if old is None else "changed"
        judged = judge_key(image.keys.name, "", _texts(image.keys.key, plain), scope)
        # while this run holds the lease, nobody else writes under the test tenants' keys
        of_tests = judged.scope is KeyScope.OWN or (judged.scope is KeyScope.FOREIGN and judged.tenant == other_test_tenant)
        ours = mentions(plain, others) or (judged.scope is KeyScope.OWN and mentions(plain, exports))
        if mentions(plain, scope.execution_ids) or (of_tests and not ours):
            yield from item_rows(image.keys, plain, scope, operation=operation)
        elif of_tests:
            reason = "belongs to another canary or probe of this run"
            yield HarnessRow(AccessKind.WRITE, image.keys.name, key, Result.SET_ASIDE, reason, operation=operation)


def shown_key(attributes: Sequence[str], item: Mapping[str, Any]) -> str:
    """The key of a plain item as JSON, partition key first."""
    return json.dumps({name: item.get(name) for name in attributes}, ensure_ascii=False, default=str)


def mentions(item: Any, ids: Iterable[str]) -> bool:  # noqa: ANN401 - plain JSON
    """True if any text of a plain item holds one of `ids` as a whole token; ids inside longer ids do not count."""
    wanted = tuple(ids)
    if not wanted:
        return False
    if isinstance(item, Mapping):
        return any(mentions(entry, wanted) for entry in item.values())
    if isinstance(item, (list, tuple, set)):
        return any(mentions(entry, wanted) for entry in item)
    # An id is also bounded by `-`: a signal's id is exec-<intent>-<account>-ACTION_EXECUTED
    return isinstance(item, str) and any(one in item and (holds_token(item, one) or f"-{one}-" in item) for one in wanted)


def item_rows(
    keys: TableKeys, item: Mapping[str, Any], scope: ExecutionScope, *, operation: str = "written"
) -> Iterator[HarnessRow]:
    """The rows of one plain item: its own key with its attributes, then the key of each index that holds it."""
    attributes = list(dict.fromkeys(tenants_named(item, scope)))
    judged = judge_key(keys.name, "", _texts(keys.key, item), scope)
    codes, reasons = _key_codes(judged), [judged.reason]
    for naming in attributes:
        code = _attribute_code(naming, judged, keys)
        if code:
            codes.append(code)
            reasons.append(f"{naming.path} names {naming.tenant!r} ({naming.how})")
    if (mismatch := _mismatch(item, judged)) and "key_attribute_mismatch" not in codes:
        codes.append("key_attribute_mismatch")
        reasons.append(mismatch)
    yield _write_row(keys, "", keys.key, item, judged, codes, reasons, attributes, operation)
    for index, attribute_names in sorted(keys.indexes.items()):
        if attribute_names and attribute_names[0] in item:
            place = judge_key(keys.name, index, _texts(attribute_names, item), scope)
            yield _write_row(keys, index, attribute_names, item, place, _key_codes(place), [place.reason], [], operation)


def _write_row(  # noqa: PLR0917 - one call site, in the order of the columns
    keys: TableKeys,
    index: str,
    attributes: Sequence[str],
    item: Mapping[str, Any],
    judged: KeyJudgement,
    codes: Sequence[str],
    reasons: Sequence[str],
    named: Sequence[Naming],
    operation: str,
) -> HarnessRow:
    clean = Result.APPROVED if judged.scope is KeyScope.APPROVED else Result.IN_SCOPE
    return HarnessRow(
        AccessKind.WRITE,
        keys.name,
        shown_key(attributes, item),
        Result.VIOLATION if codes else clean,
        "; ".join(reasons),
        index=index,
        operation=operation,
        tenants=tuple(f"{naming.path}={naming.tenant}" for naming in named),
        codes=tuple(dict.fromkeys(codes)),
        expected="a key and attributes that name the execution's tenant only",
    )


_KEY_CODES = {
    KeyScope.FOREIGN: "foreign_key_written",
    KeyScope.WITHOUT_TENANT: "key_without_tenant",
    KeyScope.AMBIGUOUS: "key_ambiguous",
}


def _key_codes(judged: KeyJudgement) -> list[str]:
    return [_KEY_CODES[judged.scope]] if judged.scope in _KEY_CODES else []


_TENANT_ATTRIBUTES = ("tenantId", "tenant_id")


def _attribute_code(naming: Naming, judged: KeyJudgement, keys: TableKeys) -> str | None:
    """The code of an attribute that names another tenant; key attributes are judged as keys."""
    if (
        naming.scope is not KeyScope.FOREIGN
        or naming.path in keys.key
        or any(naming.path in names for names in keys.indexes.values())
    ):
        return None
    if naming.path in _TENANT_ATTRIBUTES and judged.scope is KeyScope.OWN:
        return "key_attribute_mismatch"
    return "foreign_tenant_attribute"


def _mismatch(item: Mapping[str, Any], judged: KeyJudgement) -> str | None:
    """The difference where the key names one tenant and the item's tenant attribute another; None if there is none."""
    if judged.tenant is None:
        return None
    for name in _TENANT_ATTRIBUTES:
        value = item.get(name)
        if isinstance(value, str) and value and value != judged.tenant:
            return f"the key names {judged.tenant!r}, {name} names {value!r}"
    return None


def _texts(names: Sequence[str], item: Mapping[str, Any]) -> dict[str, str]:
    return {name: item[name] for name in names if isinstance(item.get(name), str)}


# Events


def event_row(source: str, detail_type: str, detail: Mapping[str, Any], scope: ExecutionScope) -> HarnessRow:
    """The row of one event of this execution: its detail must name the execution's tenant, and no other."""
    named = list(dict.fromkeys(tenants_named(detail, scope)))
    foreign = [naming for naming in named if naming.scope is not KeyScope.OWN]
    codes: tuple[str, ...] = ()
    reason = "names the execution's tenant only"
    if foreign:
        codes, reason = ("foreign_tenant_attribute",), "; ".join(f"{each.path} names {each.tenant!r}" for each in foreign)
    elif not named:
        codes, reason = ("key_without_tenant",), "the detail names no tenant, so its receiver cannot know whose event it is"
    return HarnessRow(
        AccessKind.EVENT,
        source,
        detail_type,
        Result.VIOLATION if codes else Result.IN_SCOPE,
        reason,
        operation="put",
        tenants=tuple(f"{naming.path}={naming.tenant}" for naming in named),
        codes=codes,
        expected="a detail that names the execution's tenant only",
    )


# What the execution had to leave behind

#: Ledger events that one execution must leave; each is a tuple of alternatives.
EXPECTED_EVENTS: tuple[tuple[str, ...], ...] = (("EXECUTION_STARTED",), ("ACTION_EXECUTED", "ACTION_FAILED"))


@dataclass(frozen=True, slots=True)
class FootprintOutcome:
    """How the canary execution ended: its outcome item, and its events in the tenant's partition of the ledger.

    `status` is None where no outcome came in time.
    """

    status: str | None
    events: tuple[str, ...]
    waited_seconds: float
    detail: str = ""


def outcome_rows(outcome: FootprintOutcome, scope: ExecutionScope) -> list[HarnessRow]:
    """Rows for the outcome and for the ledger trail of the canary execution."""
    intent = ", ".join(sorted(scope.intents))
    rows = [_outcome_row(outcome, intent)]
    if outcome.status is None and not outcome.events:
        return rows  # nothing ran, as the first row says
    missing = [" or ".join(names) for names in EXPECTED_EVENTS if not set(names) & set(outcome.events)]
    rows.append(
        HarnessRow(
            AccessKind.OUTCOME,
            "cc-native-ledger",
            intent,
            Result.MISSING if missing else Result.PRESENT,
            f"no {', no '.join(missing)}" if missing else f"events: {', '.join(outcome.events)}",
            codes=("ledger_trail_incomplete",) if missing else (),
            expected=", ".join(" or ".join(names) for names in EXPECTED_EVENTS) + " in the tenant's partition",
        )
    )
    return rows


def _outcome_row(outcome: FootprintOutcome, intent: str) -> HarnessRow:
    codes: tuple[str, ...] = ()
    reason = f"{outcome.status} after {outcome.waited_seconds:.1f} s"
    if outcome.status is None:
        codes, reason = ("outcome_missing",), f"no outcome after {outcome.waited_seconds:.1f} s"
    elif outcome.status != "SUCCEEDED":
        codes = ("canary_failed",)
    if outcome.detail:
        reason = f"{reason}: {outcome.detail}"
    return HarnessRow(
        AccessKind.OUTCOME,
        "cc-native-execution-outcomes",
        intent,
        Result.MISSING if outcome.status is None else Result.PRESENT,
        reason,
        codes=codes,
        expected="an outcome SUCCEEDED under the tenant's own key",
    )


# Cross-tenant probes


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What one cross-tenant request through the Control Center led to.

    Attributes:
        name, request: which probe it was, method and route.
        reads: True for a request for B's data, False for a write that names B.
        status: HTTP status; None where no answer came (`problem` says why).
        shown: names of the data of B that the answer shows, without the data itself.
        changed: keys of B's partitions that changed.
        put_back: True if everything that changed was put back.
        problem: why no answer came.
        answered: the finding code if the request was answered although it had to be refused; else "".
        expected: what should have happened, for findings; "" for the usual text.
    """

    name: str
    request: str
    reads: bool
    status: int | None
    shown: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    put_back: bool = True
    problem: str = ""
    answered: str = ""
    expected: str = ""


_SERVER_ERROR = 500


def probe_row(answer: ProbeAnswer) -> HarnessRow:
    """The row of one probe. It is judged by the data of B that the answer shows and that changed, not by the status alone."""
    codes = [answer.answered] if answer.answered else []
    if answer.shown:
        codes.append("foreign_data_readable")
    if answer.changed:
        codes.append("foreign_data_writable")
        if not answer.put_back:
            codes.append("not_put_back")
    if not codes and (answer.status is None or answer.status >= _SERVER_ERROR):
        codes.append("probe_not_answered")
    seen = f"HTTP {answer.status}" if answer.status is not None else answer.problem or "no answer"
    if answer.shown:
        seen += f", shows {', '.join(answer.shown)}"
    if answer.changed:
        seen += f", changed {', '.join(answer.changed)}" + (", put back" if answer.put_back else ", NOT put back")
    violated = bool(answer.shown or answer.changed or answer.answered)
    return HarnessRow(
        AccessKind.PROBE,
        answer.request,
        answer.name,
        Result.VIOLATION if violated else Result.NOT_JUDGED if codes else Result.REFUSED,
        seen,
        operation="read" if answer.reads else "write",
        codes=tuple(codes),
        expected=answer.expected or ("nothing of tenant B" if answer.reads else "refused, or acting on the caller's own tenant"),
    )
