"""What executions of the sandbox's platform leak between tenants: each fault really writes, reads or leaves out what it says.

The executor and the tool invoker pass in what a healthy platform would write, and write what they get back: the same, where the
platform has no such fault. So the healthy path can be read without its faults.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import to_item
from phase5_ops.sandbox.ccnative.audit_export import bucket_location
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.state.blueprint import DAY
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS, other_tenant
from phase5_ops.sandbox.state.records import (
    DEDUPE,
    INTENTS,
    OUTCOMES,
    Item,
    account_key,
    idempotency_key,
    remembered_write,
    tenant_key,
)

CACHE = "cc-native-cache"
PREFIX_SUFFIX = "-eu"
"""A tenant id that begins with another's is that id with this at its end."""


class ExecutionLeaks:
    """The leaks of one platform's executions."""

    def __init__(self, context: PlatformContext) -> None:
        self._aws, self._clock, self._region, self._faults = context.aws, context.clock, context.region, context.platform_faults

    def reads_before(self, tenant: str, account: str, intent_id: str) -> None:
        """Makes the reads that a validator with such a fault makes besides its own."""
        dynamodb = self._aws.dynamodb
        if PlatformFault.SCAN_WITHOUT_TENANT in self._faults:
            mine = to_item({":intent": intent_id})
            dynamodb.scan(TableName=OUTCOMES, FilterExpression="action_intent_id = :intent", ExpressionAttributeValues=mine)
        if PlatformFault.QUERY_WITHOUT_TENANT in self._faults:
            dynamodb.query(
                TableName=OUTCOMES,
                IndexName="gsi2-index",
                KeyConditionExpression="gsi2pk = :pk",
                ExpressionAttributeValues=to_item({":pk": f"ACCOUNT#{account}"}),
            )
        if PlatformFault.FOREIGN_INTENT_READ in self._faults:
            other = other_tenant(tenant)
            self._aws.get(INTENTS, pk=account_key(other, _account_of(other)), sk=f"ACTION_INTENT#{intent_id}")

    def note(self, item: Item) -> Item:
        """A note as it is written."""
        tenant, account = str(item["tenant_id"]), str(item["account_id"])
        other = other_tenant(tenant)
        changes: Mapping[PlatformFault, Item] = {
            PlatformFault.NOTE_UNDER_PREFIX_TENANT: {"pk": account_key(tenant + PREFIX_SUFFIX, account)},
            PlatformFault.NOTE_IN_OTHER_PARTITION: {"pk": account_key(other, _account_of(other))},
            PlatformFault.NOTE_KEY_WITHOUT_TENANT: {"pk": f"ACCOUNT#{account}"},
            PlatformFault.NOTE_ATTRIBUTE_OF_OTHER: {"tenant_id": other},
        }
        return self._changed(item, changes)

    def remember_write(self, tenant: str, intent_id: str, tool: str, arguments: Mapping[str, Any], refs: list[Item]) -> None:
        """With its fault, remembers a write under the idempotency key that another tenant would have."""
        if PlatformFault.DEDUPE_KEY_OF_OTHER not in self._faults:
            return
        key = idempotency_key(other_tenant(tenant), intent_id, tool, arguments, 1)
        if self._aws.get(DEDUPE, pk=f"IDEMPOTENCY_KEY#{key}", sk="LATEST") is None:
            for item in remembered_write(key, refs=refs, intent_id=intent_id, tool=tool, at=self._clock.now()):
                self._aws.put(DEDUPE, item)

    def outcome(self, item: Item) -> Item | None:
        """An outcome as it is written; None where it is lost."""
        if PlatformFault.OUTCOME_NOT_WRITTEN in self._faults:
            return None
        tenant = str(item["tenant_id"])
        if PlatformFault.ARTIFACT_UNDER_OTHER in self._faults:
            item = item | {"artifact_s3_key": self._archive(other_tenant(tenant), item)}
        return self._changed(item, {PlatformFault.OUTCOME_INDEXED_UNDER_OTHER: {"gsi2pk": tenant_key(other_tenant(tenant))}})

    def cache_outcome(self, item: Item) -> None:
        """With its fault, caches the outcome under a key that all tenants share."""
        if PlatformFault.CACHE_KEY_WITHOUT_TENANT in self._faults:
            content = {"action_intent_id": item["action_intent_id"], "status": item["status"]}
            expires = int(self._clock.now().timestamp()) + DAY
            key = f"last-outcome:{item['tool_name']}"
            self._aws.put(CACHE, {"cacheKey": key, "value": json.dumps(content), "ttl": expires})

    def signal(self, item: Item) -> Item:
        """A signal as it is written."""
        tenant, account = str(item["tenantId"]), str(item["accountId"])
        if PlatformFault.SIGNAL_REFERS_TO_OTHER in self._faults:
            evidence = item["evidence"]
            uri = evidence["evidenceRef"]["s3Uri"].replace(f"//{tenant}/{account}/", f"//{other_tenant(tenant)}/{account}/")
            item = item | {"evidence": {**evidence, "evidenceRef": {**evidence["evidenceRef"], "s3Uri": uri}}}
        return self._changed(item, {PlatformFault.SIGNAL_FOR_OTHER: {"tenantId": other_tenant(tenant)}})

    def event_detail(self, detail: Item) -> Item:
        """The detail of an event as it is put on the bus."""
        return self._changed(detail, {PlatformFault.EVENT_NAMES_OTHER: {"tenantId": other_tenant(str(detail["tenantId"]))}})

    def entry_data(self, event_type: str, tenant: str, data: Item) -> Item:
        """`data` of a ledger entry as it is written."""
        if event_type != "ACTION_EXECUTED":
            return data
        context = {"request": {"headers": [{"tenantId": other_tenant(tenant)}]}}
        return self._changed(data, {PlatformFault.NESTED_DATA_OF_OTHER: {"gateway": context}})

    def loses_entry(self, event_type: str) -> bool:
        """Whether a ledger entry is never written."""
        return event_type in ("ACTION_EXECUTED", "ACTION_FAILED") and PlatformFault.LEDGER_END_MISSING in self._faults

    def _changed(self, item: Item, changes: Mapping[PlatformFault, Item]) -> Item:
        for fault, change in changes.items():
            if fault in self._faults:
                item = item | change
        return item

    def _archive(self, owner: str, item: Item) -> str:
        """Puts the outcome into the artifacts bucket under another tenant's prefix; returns the object's key."""
        bucket, s3 = f"cc-native-execution-artifacts-{ACCOUNT}-{self._region}", self._aws.client("s3")
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, **bucket_location(self._region))
        key = f"executions/tenant={owner}/{item['action_intent_id']}.json"
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(item, default=str).encode())
        return key


def _account_of(tenant: str) -> str:
    """The first account of a test tenant."""
    return next(each.accounts[0] for each in PROBE_TENANTS if each.tenant_id == tenant)
