"""The audit export worker of the sandbox's platform: writes a tenant's ledger entries of a time span to S3."""

import csv
import io
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from phase5_ops.ccnative.audit_exports import KEYS
from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.access_trail import Actor, acting_as
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import InsideAws, from_item, to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import other_tenant
from phase5_ops.sandbox.state.records import LEDGER, Item, tenant_key

EXPORTS = "cc-native-audit-export"
WORKER = "cc-native-audit-export-worker"
_LINK_SECONDS = 3600
_COLUMNS = ("timestamp", "eventType", "tenantId", "accountId", "traceId", "entryId")


class AuditExportWorker:
    """Writes an export when its event arrives."""

    def __init__(self, context: PlatformContext) -> None:
        self._aws, self._clock, self._logs, self._region = context.aws, context.clock, context.logs, context.region
        self._faults = context.platform_faults

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Writes the export that an AuditExportRequested event asks for; an event without one is ignored."""
        detail = event.get("detail") or {}
        key = {"pk": tenant_key(str(detail.get("tenant_id"))), "sk": f"EXPORT#{detail.get('export_id')}"}
        with acting_as(Actor(WORKER)), self._logs.invocation("audit-export-worker") as lines:
            item = self._aws.get(EXPORTS, **key)
            if item is None:
                return
            if PlatformFault.EXPORT_NEVER_COMPLETED in self._faults:
                return
            if PlatformFault.EXPORT_FAILS in self._faults:
                failed = {"status": "FAILED", "updated_at": iso(self._clock.now()), "error_message": "Worker misconfigured"}
                self._aws.put(EXPORTS, item | failed)
                return
            entries = self._entries(item)
            bucket = f"cc-native-audit-export-{ACCOUNT}-{self._region}"
            name = f"audit-exports/{item['tenant_id']}/{item['export_id']}.{item['format']}"
            s3 = self._aws.client("s3")
            with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=bucket, **bucket_location(self._region))
            body = _rendered(spoiled(entries, self._faults), item["format"])
            s3.put_object(Bucket=bucket, Key=name, Body=body[:-1] if PlatformFault.EXPORT_CUT_OFF in self._faults else body)
            done = {"status": "COMPLETED", "updated_at": iso(self._clock.now()), "s3_bucket": bucket, "s3_key": name}
            self._aws.put(EXPORTS, item | done)
            lines.info(
                "Audit export completed",
                export_id=item["export_id"],
                tenant_id=item["tenant_id"],
                trace_id=export_trace(str(item["export_id"])),
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
        read = islice(pages, 1) if PlatformFault.EXPORT_FIRST_PAGE_ALONE in self._faults else pages
        entries = [from_item(item) for page in read for item in page["Items"]]
        return [entry for entry in entries if export.get("account_id") in (None, entry.get("accountId"))]


def export_trace(export_id: str) -> str:
    """The trace of an export: what the ledger and the worker's line have in common."""
    return f"export-{export_id}"


def spoiled(entries: list[Item], faults: Collection[PlatformFault]) -> list[Item]:
    """The entries as a faulty worker writes them."""
    found = list(entries)
    if not found:
        return found
    if PlatformFault.EXPORT_DOUBLES_ENTRY in faults:
        found.append(found[0])
    if PlatformFault.EXPORT_ALTERS_ENTRY in faults:
        found[0] = found[0] | {"data": {}}
    if PlatformFault.EXPORT_INVENTS_ENTRY in faults:
        found.append(found[0] | {"entryId": "entry-invented"})
    if PlatformFault.EXPORT_NAMES_OTHER in faults:
        found.append(found[0] | {"entryId": "entry-of-other", "tenantId": other_tenant(str(found[0]["tenantId"]))})
    return found


def presigned_url(aws: InsideAws, export: Item, now: datetime, endpoint: str) -> dict[str, str]:
    """The link of a completed export, to where the sandbox's AWS is served, and when it ends."""
    url = urlsplit(
        aws.client("s3").generate_presigned_url(
            "get_object", Params={"Bucket": export["s3_bucket"], "Key": export["s3_key"]}, ExpiresIn=_LINK_SECONDS
        )
    )
    served = urlsplit(endpoint)
    link = url._replace(scheme=served.scheme, netloc=served.netloc).geturl()
    return {"presigned_url": link, "expires_at": iso(now + timedelta(seconds=_LINK_SECONDS))}


def bucket_location(region: str) -> dict[str, Any]:
    """What CreateBucket must be told; us-east-1 is where buckets are by default, and must not be said."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _rendered(entries: list[Item], kind: str) -> bytes:
    if kind == "json":
        shown = [{name: value for name, value in entry.items() if name not in KEYS} for entry in entries]
        return json.dumps(shown, default=_number).encode()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([entry.get(column, "") for column in _COLUMNS] for entry in entries)
    return text.getvalue().encode()


def _number(value: object) -> int | float:
    """A number as the platform's JSON has it."""
    if not isinstance(value, Decimal):
        raise TypeError(f"no JSON: {value!r}")
    return int(value) if value == value.to_integral_value() else float(value)
