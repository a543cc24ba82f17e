"""What one canary execution for tenant A leaves behind, in the shapes that the platform's own code wrote."""

from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.evidence.table import NoFacts
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness.controls import control_rows
from phase5_ops.sections.isolation.harness.evidence import (
    ISOLATION_HARNESS,
    FootprintOutcome,
    HarnessRow,
    TableImage,
    TableKeys,
    exception_rows,
    footprint,
    outcome_rows,
)
from phase5_ops.sections.isolation.harness.judge import judge_harness
from phase5_ops.verdict import Judgement

NOW = datetime(2026, 11, 23, 9, 16, tzinfo=UTC)
A, B = "phase5-canary-a", "phase5-canary-b"
INTENT, TRACE = "ai_1795424883915_phase5x", "trace-1795424883938-a1f4"
LINKS = ConsoleLinks("us-west-2")
#: The tables with the records of a platform's past.
LARGE = ("cc-native-ledger", "cc-native-execution-outcomes", "cc-native-autonomy-budget-state", "cc-native-execution-attempts")

GSIS = {"gsi1-index": ("gsi1pk", "gsi1sk"), "gsi2-index": ("gsi2pk", "gsi2sk")}
KEYS = {
    keys.name: keys
    for keys in (
        TableKeys(
            "cc-native-action-intent",
            ("pk", "sk"),
            {"action-intent-id-index": ("action_intent_id",), "account-index": ("account_id", "approval_timestamp")},
        ),
        TableKeys("cc-native-execution-attempts", ("pk", "sk"), GSIS),
        TableKeys("cc-native-execution-outcomes", ("pk", "sk"), GSIS),
        TableKeys("cc-native-ledger", ("pk", "sk"), GSIS),
        TableKeys("cc-native-signals", ("tenantId", "signalId"), {"accountId-index": ("accountId", "timestamp")}),
        TableKeys("cc-native-internal-notes", ("pk", "sk")),
        TableKeys("cc-native-cache", ("cacheKey",)),
        TableKeys("cc-native-audit-export", ("pk", "sk")),
        TableKeys("cc-native-autonomy-budget-state", ("pk", "sk")),
        TableKeys("cc-native-resilience", ("pk", "sk")),
        TableKeys("cc-native-action-type-registry", ("pk", "sk")),
    )
}


def scope(tenant: str = A, other: str = B, *others: str) -> ExecutionScope:
    return ExecutionScope(
        tenant,
        accounts=frozenset({"canary-a-1"}),
        intents=frozenset({INTENT}),
        traces=frozenset({TRACE}),
        action_types=frozenset({"CREATE_INTERNAL_NOTE"}),
        connectors=frozenset({"internal"}),
        other_tenants=frozenset({other, *others}),
        foreign_markers=frozenset({other, "canary-b-1"}),
    )


def db(value: Any) -> Any:
    """Plain JSON as DynamoDB JSON."""
    if isinstance(value, dict):
        return {"M": {name: db(entry) for name, entry in value.items()}}
    if isinstance(value, list):
        return {"L": [db(entry) for entry in value]}
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def item(**attributes: Any) -> dict[str, Any]:
    return {name: db(value) for name, value in attributes.items()}


def written(tenant: str = A, account: str = "canary-a-1") -> dict[str, list[dict[str, Any]]]:
    """Every item of one healthy execution, plain, by table; change it to plant a leak."""
    whole, short = f"TENANT#{tenant}#ACCOUNT#{account}", f"TENANT#{tenant}"
    ids = {"action_intent_id": INTENT, "tenant_id": tenant, "account_id": account}
    at = "2026-11-23T09:16:00.000Z"
    indexed = {"gsi1pk": f"ACTION_INTENT#{INTENT}", "gsi1sk": f"UPDATED_AT#{at}", "gsi2pk": short, "gsi2sk": f"UPDATED_AT#{at}"}
    entries = [
        {
            "pk": short,
            "sk": f"ENTRY#{at}#entry-{number}",
            "gsi1pk": f"TRACE#{TRACE}",
            "gsi1sk": at,
            "gsi2pk": short,
            "gsi2sk": at,
            "eventType": event,
            "tenantId": tenant,
            "accountId": account,
            "traceId": TRACE,
            "data": {"action_intent_id": INTENT},
        }
        for number, event in enumerate(("EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"))
    ]
    return {
        "cc-native-execution-attempts": [
            {"pk": whole, "sk": f"EXECUTION#{INTENT}", **indexed, **ids, "trace_id": TRACE, "status": "SUCCEEDED"}
        ],
        "cc-native-execution-outcomes": [
            {
                "pk": whole,
                "sk": f"OUTCOME#{INTENT}",
                **indexed,
                **ids,
                "trace_id": TRACE,
                "external_object_refs": [{"system": "INTERNAL", "object_id": "note_1_x"}],
                "auto_executed": False,
            }
        ],
        "cc-native-ledger": entries,
        "cc-native-signals": [
            {
                "tenantId": tenant,
                "signalId": f"exec-{INTENT}-{account}-ACTION_EXECUTED",
                "accountId": account,
                "timestamp": at,
                "traceId": TRACE,
                "evidence": {"evidenceRef": {"s3Uri": f"execution://{tenant}/{account}/{INTENT}"}},
            }
        ],
        "cc-native-internal-notes": [
            {
                "pk": whole,
                "sk": "NOTE#note_1_x",
                "note_id": "note_1_x",
                "tenant_id": tenant,
                "account_id": account,
                "content": "x",
            }
        ],
    }


def images(after: dict[str, list[dict[str, Any]]], before: dict[str, list[dict[str, Any]]] | None = None) -> list[TableImage]:
    before = before or {}
    return [
        TableImage(
            KEYS[name],
            [item(**entry) for entry in before.get(name, [])],
            [item(**entry) for entry in (*before.get(name, []), *after.get(name, []))],
        )
        for name in sorted({*after, *before})
    ]


def rows(after: dict[str, list[dict[str, Any]]], **more: Any) -> list[HarnessRow]:
    return footprint(images(after, more.pop("before", None)), more.pop("scope", scope()), other_test_tenant=B, **more)


SUCCEEDED = FootprintOutcome("SUCCEEDED", ("EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"), 1.2)
READ = Read("dynamodb:Query", "cc-native-ledger", ReadStatus.OK, None, 1, "2026-11-23T09:16:00Z", "2026-11-23T09:16:01Z")


def judged(
    *extra: HarnessRow,
    after: dict[str, list[dict[str, Any]]] | None = None,
    production: bool = True,
    outcome: FootprintOutcome = SUCCEEDED,
    controls: bool = True,
    reads: tuple[Read, ...] = (READ,),
) -> Judgement:
    """The judgement of a run: a healthy execution, or `after` instead, and further rows."""
    evidence = [*rows(written() if after is None else after), *outcome_rows(outcome, scope()), *extra, *exception_rows()]
    if controls:
        evidence += control_rows(scope(), B)
    table = ISOLATION_HARNESS.gathered(evidence, NoFacts()).with_reads(reads, NOW)
    return judge_harness(table, production=production, links=LINKS)


def codes(judgement: Judgement) -> set[tuple[str, str]]:
    return {(str(finding.verdict), finding.code) for finding in judgement.findings}
