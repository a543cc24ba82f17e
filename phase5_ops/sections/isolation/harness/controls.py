"""Negative controls of row 4.1: in every run each detector is shown a planted violation, and a clean case beside it. Pure.

Everything is planted in memory with the names of this run, and passes through the same code as real evidence: items through the
footprint, records through the trail, answers through the probes, rows through the judge. Nothing reaches the platform.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.clock import iso
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.sections.isolation.harness.evidence import (
    AccessKind,
    FootprintOutcome,
    HarnessRow,
    ProbeAnswer,
    Result,
    TableImage,
    TableKeys,
    footprint,
    outcome_rows,
    probe_row,
)
from phase5_ops.sections.isolation.harness.judge import DETECTORS, findings_of
from phase5_ops.sections.isolation.harness.probe_data import late_mark
from phase5_ops.sections.isolation.harness.probe_effects import JudgedProbe, late_row
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe, CrossTargets, ExpectedAnswer
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES
from phase5_ops.sections.isolation.harness.trail import DYNAMODB, TrailWindow, read_trail, trail_row

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_NOTES = TableKeys("cc-native-internal-notes", ("pk", "sk"))
_ATTEMPTS = TableKeys("cc-native-execution-attempts", ("pk", "sk"), {"gsi1-index": ("gsi1pk", "gsi1sk")})
_FUNCTION = "cc-native-control"
_COMPLETE = ("EXECUTION_STARTED", "ACTION_EXECUTED")

Plant = Callable[[ExecutionScope, str], list[HarnessRow]]


def control_rows(scope: ExecutionScope, other_test_tenant: str) -> list[HarnessRow]:
    """One row per detector: DETECTED if it reports its planted violation and is silent on the clean case, else BLIND.

    Args:
        scope: the run's own scope, so that the real names (and their oddities) are tried.
        other_test_tenant: tenant B, in whose name violations are planted.
    """
    scope = _with_ids(scope, other_test_tenant)
    return [_control(detector, scope, other_test_tenant) for detector in DETECTORS]


def _control(detector: str, scope: ExecutionScope, other: str) -> HarnessRow:
    if detector not in _PLANTS:
        return HarnessRow(AccessKind.CONTROL, detector, "", Result.BLIND, "no violation is planted for this detector")
    clean, planted = _PLANTS[detector]
    try:
        silent, seen = _codes(clean(scope, other)), _codes(planted(scope, other))
    except Exception as error:  # noqa: BLE001 - a detector that breaks on its own control is blind, and the row says how
        return HarnessRow(AccessKind.CONTROL, detector, "", Result.BLIND, f"{type(error).__name__}: {error}")
    if detector not in seen:
        return HarnessRow(AccessKind.CONTROL, detector, "", Result.BLIND, "the planted violation was not reported")
    if silent:
        return HarnessRow(AccessKind.CONTROL, detector, "", Result.BLIND, "reports a violation where none is planted")
    return HarnessRow(AccessKind.CONTROL, detector, "", Result.DETECTED, "reported the planted violation, silent without it")


def _codes(rows: Sequence[HarnessRow]) -> set[str]:
    found = findings_of(rows, production=False, links=ConsoleLinks("us-east-1"))
    return {finding.code for finding in found}


def _with_ids(scope: ExecutionScope, other: str) -> ExecutionScope:
    return ExecutionScope(
        scope.tenant,
        accounts=frozenset({"control-account"}),
        intents=frozenset({"ai_1_control"}),
        traces=frozenset({"trace-1-control"}),
        connectors=scope.connectors,
        action_types=scope.action_types,
        other_tenants=scope.other_tenants | {other},
        foreign_markers=scope.foreign_markers,
    )


def _wrote(keys: TableKeys, **attributes: str) -> Plant:
    """The footprint of one written item; `{a}` and `{b}` stand for the two tenants."""

    def plant(scope: ExecutionScope, other: str) -> list[HarnessRow]:
        texts = _filled(attributes, scope.tenant, other)
        item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        item["refs"] = {"L": [{"M": {"tenantId": {"S": texts.get("nested", scope.tenant)}}}]}
        item.pop("nested", None)
        return footprint([TableImage(keys, [], [item])], scope, other_test_tenant=other)

    return plant


def _called(operation: str, **parameters: Any) -> Plant:  # noqa: ANN401 - request parameters
    """The trail of one call of the execution; `{a}` and `{b}` stand for the two tenants."""

    def plant(scope: ExecutionScope, other: str) -> list[HarnessRow]:
        record = {
            "eventSource": DYNAMODB,
            "eventName": operation,
            "eventTime": iso(_AT),
            "eventID": "control",
            "userIdentity": {"arn": f"arn:aws:sts::000000000000:assumed-role/control/{_FUNCTION}"},
            "additionalEventData": {"executionTrace": "trace-1-control"},
            "requestParameters": _filled(parameters, scope.tenant, other),
        }
        window = TrailWindow(_AT - timedelta(minutes=1), _AT + timedelta(minutes=1), (_FUNCTION,))
        tables = {keys.name: keys for keys in (_NOTES, _ATTEMPTS)}
        return read_trail([record], scope, window, tables, other_test_tenant=other).rows

    return plant


def _filled(value: Any, own: str, other: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return re.sub(r"\{[ab]\}", lambda match: own if match.group() == "{a}" else other, value)
    if isinstance(value, Mapping):
        return {name: _filled(entry, own, other) for name, entry in value.items()}
    return value


def _ended(status: str | None, *events: str) -> Plant:
    return lambda scope, _other: outcome_rows(FootprintOutcome(status, events, 1.0), scope)


def _answered(**answer: Any) -> Plant:  # noqa: ANN401 - fields of ProbeAnswer
    base: dict[str, Any] = {"name": "control", "request": "GET /control", "reads": True, "status": 403}
    return lambda _scope, _other: [probe_row(ProbeAnswer(**base | answer))]


def _judged(who: TokenKind, status: int = 200) -> Plant:
    """The row of a probe that has to be refused and got this status, made by the code that judges real answers."""

    def plant(scope: ExecutionScope, other: str) -> list[HarnessRow]:
        targets = CrossTargets(
            scope.tenant, other, "control-account", "control-b", "marker", "written_1", "ai_1_b", "ai_2_b", "exp-b", None, _AT
        )
        route = next(route for route in ROUTES if route.name == "budget")
        probe = CrossProbe("control", route, "GET", "/budget", who=who, expect=ExpectedAnswer.REFUSED, out_of_scope=True)
        return [JudgedProbe(targets, {route.family: ""}, {}).row(probe, HttpAnswer(status, None, "", "{}", 1.0))]

    return plant


def _refused_or_answered(who: TokenKind) -> tuple[Plant, Plant]:
    return _judged(who, 401), _judged(who)


def _left(item: Mapping[str, Any]) -> Plant:
    return lambda _scope, _other: [late_row("control", mark, True) for mark in [late_mark(dict(item))] if mark]


def _trail(why_not: str) -> Plant:
    def plant(scope: ExecutionScope, other: str) -> list[HarnessRow]:
        window = TrailWindow(_AT, _AT, (_FUNCTION,))
        return [trail_row(read_trail([], scope, window, {}, other_test_tenant=other), why_not)] if why_not else []

    return plant


_CLEAN_ITEM: dict[str, str] = {
    "pk": "TENANT#{a}#ACCOUNT#control-account",
    "sk": "NOTE#ai_1_control",
    "action_intent_id": "ai_1_control",
    "tenant_id": "{a}",
}
_CLEAN_WRITE = _wrote(_NOTES, **_CLEAN_ITEM)
_CLEAN_READ = _called("GetItem", tableName=_NOTES.name, key={"pk": "TENANT#{a}", "sk": "x"})
_CLEAN_QUERY = _called(
    "Query",
    tableName=_ATTEMPTS.name,
    indexName="gsi1-index",
    keyConditionExpression="gsi1pk = :k",
    expressionAttributeValues={":k": "ACTION_INTENT#ai_1_control"},
)

#: Detector -> a clean case and its planted violation.
_PLANTS: Mapping[str, tuple[Plant, Plant]] = {
    "foreign_key_written": (_CLEAN_WRITE, _wrote(_NOTES, **_CLEAN_ITEM | {"pk": "TENANT#{b}#ACCOUNT#control-account"})),
    "foreign_tenant_attribute": (_CLEAN_WRITE, _wrote(_NOTES, **_CLEAN_ITEM, nested="{b}")),
    "key_without_tenant": (_CLEAN_WRITE, _wrote(_NOTES, **_CLEAN_ITEM | {"pk": "NOTES"})),
    "key_attribute_mismatch": (_CLEAN_WRITE, _wrote(_NOTES, **_CLEAN_ITEM | {"tenant_id": "{b}"})),
    "outcome_missing": (_ended("SUCCEEDED", *_COMPLETE), _ended(None)),
    "ledger_trail_incomplete": (_ended("SUCCEEDED", *_COMPLETE), _ended("SUCCEEDED", _COMPLETE[0])),
    "unscoped_scan": (_CLEAN_READ, _called("Scan", tableName=_NOTES.name)),
    "unscoped_query": (
        _CLEAN_QUERY,
        _called(
            "Query",
            tableName=_ATTEMPTS.name,
            indexName="gsi1-index",
            keyConditionExpression="gsi1pk = :k",
            expressionAttributeValues={":k": "ACTION_INTENT#ai_2_other"},
        ),
    ),
    "foreign_key_read": (_CLEAN_READ, _called("GetItem", tableName=_NOTES.name, key={"pk": "TENANT#{b}", "sk": "x"})),
    "reads_not_judged": (_trail(""), _trail("control")),
    "foreign_data_readable": (_answered(), _answered(status=200, shown=("budget",))),
    "foreign_data_writable": (_answered(reads=False), _answered(reads=False, status=200, changed=("TENANT#b / BUDGET",))),
    "unauthorized_request_answered": _refused_or_answered(TokenKind.NONE),
    "request_without_tenant_answered": _refused_or_answered(TokenKind.UNCLAIMED),
    "foreign_account_answered": _refused_or_answered(TokenKind.VALID),
    "late_effect": (_left({"sk": {"S": "AUTONOMY#DEFAULT"}}), _left({"sk": {"S": "AUTONOMY#PHASE5_0123456789ABCDEF_1000"}})),
}
