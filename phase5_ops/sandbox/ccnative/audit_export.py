"""The audit export worker of the sandbox's platform: writes a tenant's ledger entries of a time span to S3."""

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.access_trail import Actor, acting_as
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import InsideAws, from_item, to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.state.records import LEDGER, Item, tenant_key

EXPORTS = "cc-native-audit-export"
WORKER = "cc-native-audit-export-worker"
_LINK_SECONDS = 3600
_COLUMNS = ("timestamp", "eventType", "tenantId", "accountId", "traceId", "entryId")


class AuditExportWorker:
    """Writes an export when its event arrives."""

    def __init__(self, context: PlatformContext) -> None:
        self._aws, self._clock, self._logs, self._region = context.aws, context.clock, context.logs, context.region

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Writes the export that an AuditExportRequested event asks for; an event without one is ignored."""
        detail = event.get("detail") or {}
        key = {"pk": tenant_key(str(detail.get("tenant_id"))), "sk": f"EXPORT#{detail.get('export_id')}"}
        with acting_as(Actor(WORKER)), self._logs.invocation("audit-export-worker") as lines:
            item = self._aws.get(EXPORTS, **key)
            if item is None:
                return
            entries = self._entries(item)
            bucket = f"cc-native-audit-export-{ACCOUNT}-{self._region}"
            name = f"audit-exports/{item['tenant_id']}/{item['export_id']}.{item['format']}"
            s3 = self._aws.client("s3")
            with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=bucket, **bucket_location(self._region))
            s3.put_object(Bucket=bucket, Key=name, Body=_rendered(entries, item["format"]))
            done = {"status": "COMPLETED", "updated_at": iso(self._clock.now()), "s3_bucket": bucket, "s3_key": name}
            self._aws.put(EXPORTS, item | done)
            lines.info(
                "Audit export completed",
                export_id=item["export_id"],
                tenant_id=item["tenant_id"],
                entry_count=len(entries),
                s3_key=name,
            )

    def _entries(self, export: Item) -> list[Item]:
        pages = self._aws.dynamodb.get_paginator("query").paginate(
            TableName=LEDGER,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :from AND :to",
            ExpressionAttributeValues=to_item(
                {":pk": export["pk"], ":from": f"ENTRY#{export['from']}", ":to": f"ENTRY#{export['to']}~"}
            ),
        )
        entries = [from_item(item) for page in pages for item in page["Items"]]
        return [entry for entry in entries if export.get("account_id") in (None, entry.get("accountId"))]


def presigned_url(aws: InsideAws, export: Item, now: datetime) -> dict[str, str]:
    """The link of a completed export, and when it ends."""
    url = aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": export["s3_bucket"], "Key": export["s3_key"]}, ExpiresIn=_LINK_SECONDS
    )
    return {"presigned_url": url, "expires_at": iso(now + timedelta(seconds=_LINK_SECONDS))}


def bucket_location(region: str) -> dict[str, Any]:
    """What CreateBucket must be told; us-east-1 is where buckets are by default, and must not be said."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _rendered(entries: list[Item], kind: str) -> bytes:
    if kind == "json":
        return json.dumps(entries, default=str).encode()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([entry.get(column, "") for column in _COLUMNS] for entry in entries)
    return text.getvalue().encode()
