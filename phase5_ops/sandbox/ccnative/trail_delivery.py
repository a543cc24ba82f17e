"""Delivers the sandbox's access trail as CloudTrail does: gzip files of data events in a bucket, under the day of delivery.

CloudTrail brings its files minutes later; here they are there as soon as somebody lists the bucket. Unlike CloudTrail's, so that
every detector can be tried, expressions keep their values, and each record names the execution that it belongs to
(`additionalEventData.executionTrace`). With `PlatformFault.TRAIL_HIDES_VALUES` it hides and leaves out what CloudTrail does.
"""

import gzip
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from moto.s3.models import S3Backend, s3_backends

from phase5_ops.sandbox.aws.access_trail import AccessTrail, Actor, DataAccess
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.inside import from_item
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import table_specs

BUCKET = "cc-native-data-trail"
ROLE = "cc-native-platform"
#: Another function of the account, whose event ends each file: the last event shows up to when a trail is complete.
PASSER_BY = "account-inventory"

_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_S3_OPERATIONS = ("GetObject", "PutObject", "DeleteObject")


class TrailDelivery:
    """Writes what the trail has recorded since the last delivery.

    Args:
        trail: what the platform's functions did.
        clock: the platform's clock.
        region: the trail's region.
        platform_faults: the platform's faults.
        settled: waits until no execution is under way, so that a listing finds whole executions.
    """

    def __init__(
        self,
        trail: AccessTrail,
        clock: PlatformClock,
        region: str,
        platform_faults: set[PlatformFault],
        settled: Callable[[], object],
    ) -> None:
        self._trail, self._clock, self._region, self._faults, self._settled = trail, clock, region, platform_faults, settled
        self._keys = {spec["name"]: spec["key"] for spec in table_specs()}

    @property
    def location(self) -> str:
        """Where it delivers, down to the region."""
        return f"s3://{BUCKET}/{self._prefix}"

    @property
    def _prefix(self) -> str:
        return f"AWSLogs/{ACCOUNT}/CloudTrail/{self._region}"

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """In this block the bucket exists, and whoever lists it finds everything recorded so far."""
        original = S3Backend.list_objects_v2

        def list_objects_v2(backend: Any, bucket: Any, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - moto is not typed
            if bucket.name == BUCKET:
                self._settled()
                self.deliver()
            return original(backend, bucket, *given, **more)

        s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, self._region)
        with patch.object(S3Backend, "list_objects_v2", list_objects_v2):
            yield

    def deliver(self) -> None:
        """Puts one file with what is new, if anything is."""
        accesses = self._trail.undelivered()
        if not accesses or PlatformFault.TRAIL_NOT_DELIVERED in self._faults:
            return
        now = self._clock.now()
        records = [record for access in accesses if (record := self._record(access)) is not None]
        records.append(self._passer_by(now))
        name = f"{ACCOUNT}_CloudTrail_{self._region}_{now:%Y%m%dT%H%MZ}_{uuid.uuid4().hex[:16]}.json.gz"
        content = gzip.compress(json.dumps({"Records": records}, default=str).encode(), compresslevel=1)
        s3_backends[ACCOUNT]["aws"].put_object(BUCKET, f"{self._prefix}/{now:%Y/%m/%d}/{name}", content)

    def _passer_by(self, now: datetime) -> dict[str, Any]:
        """The last event of a file: CloudTrail gives whole seconds, so it bears the next one."""
        request = {"TableName": "cc-native-tenants", "Key": {"tenantId": {"S": "acme"}}}
        access = DataAccess(now + timedelta(seconds=1), Actor(PASSER_BY), "dynamodb", "GetItem", request)
        return self._envelope(access, "dynamodb", self._dynamodb_request(access))

    def _record(self, access: DataAccess) -> dict[str, Any] | None:
        """The data event of one call; None for a call that a trail of data events does not have."""
        if access.service == "dynamodb" and access.table is not None:
            return self._envelope(access, "dynamodb", self._dynamodb_request(access))
        if access.service == "s3" and access.operation in _S3_OPERATIONS:
            parameters = {"bucketName": access.request.get("Bucket"), "key": access.request.get("Key")}
            return self._envelope(access, "s3", parameters)
        return None

    def _envelope(self, access: DataAccess, service: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        function, known = access.actor.function, access.actor.trace_id and PlatformFault.TRAIL_HIDES_VALUES not in self._faults
        table = {"type": "AWS::DynamoDB::Table", "ARN": f"arn:aws:dynamodb:{self._region}:{ACCOUNT}:table/{access.table}"}
        return {
            "eventVersion": "1.10",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": f"AROASANDBOX:{function}",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{function}",
                "accountId": ACCOUNT,
            },
            "eventTime": f"{access.at:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": access.operation,
            "awsRegion": self._region,
            "requestParameters": parameters,
            **({"additionalEventData": {"executionTrace": access.actor.trace_id}} if known else {}),
            "requestID": uuid.uuid4().hex.upper(),
            "eventID": str(uuid.uuid4()),
            "readOnly": access.operation in ("GetItem", "Query", "Scan", "BatchGetItem", "GetObject"),
            **({"resources": [{"accountId": ACCOUNT, **table}]} if service == "dynamodb" else {}),
            "eventType": "AwsApiCall",
            "managementEvent": False,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Data",
        }

    def _dynamodb_request(self, access: DataAccess) -> dict[str, Any]:
        """The parameters: names begin small, keys are shown, of an item its key and the names of its attributes."""
        request = access.request
        told = {name[:1].lower() + name[1:]: value for name, value in request.items() if name not in ("Item", "Key")}
        if isinstance(values := request.get("ExpressionAttributeValues"), Mapping):
            hidden = PlatformFault.TRAIL_HIDES_VALUES in self._faults
            told["expressionAttributeValues"] = dict.fromkeys(values, _HIDDEN) if hidden else from_item(values)
        if isinstance(key := request.get("Key"), Mapping):
            told["key"] = from_item(key)
        if isinstance(item := request.get("Item"), Mapping):
            names = self._keys.get(str(access.table), ())
            told |= {"key": from_item({name: item[name] for name in names if name in item}), "items": sorted(item)}
        return told
