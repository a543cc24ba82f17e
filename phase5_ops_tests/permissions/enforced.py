"""AWS that lets each purpose do what its printed policy allows and nothing else, and notes what was asked.

Requests are judged where they leave botocore for the network, so that no way of making a call goes past it: the reader's clients,
those of other libraries, paginators, retries. moto itself checks no permissions of this kind.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Any
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPHeaderDict, HTTPResponse

from phase5_ops_tests.permissions.iam_evaluation import Grant, Statement, granting
from phase5_ops_tests.permissions.iam_requests import IamRequest, iam_requests


class EnforcedPolicies:
    """What every purpose was allowed and refused so far.

    Attributes:
        used: purpose -> the grants of its policy that some request needed.
        denied: purpose -> action and resource of what its policy does not allow.
        made: purpose -> what it was allowed.
        not_understood: what could not be judged; the product would take the error for one of AWS.
        answers: `service:operation` -> the JSON that it answers, for services that the sandbox does not have.
    """

    def __init__(self) -> None:
        self.used: defaultdict[str, set[Grant]] = defaultdict(set)
        self.denied: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self.made: defaultdict[str, list[IamRequest]] = defaultdict(list)
        self.not_understood: list[str] = []
        self.answers: dict[str, bytes] = {}
        self._acting: Mapping[str, Sequence[Statement]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def acting(self, policies: Mapping[str, Sequence[Statement]]) -> Iterator[None]:
        """In this block every call is made by somebody who has these policies, by purpose, and no other.

        A call that several of them allow is counted for the first one.
        """
        before, self._acting = self._acting, policies
        try:
            yield
        finally:
            self._acting = before

    def judge(self, service: str, operation: str, params: Mapping[str, Any], region: str) -> None:
        """Notes one request.

        Raises:
            ClientError: nothing allows it.
        """
        if not self._acting:
            return
        try:
            requests = iam_requests(service, operation, params, region)
        except Exception as error:
            self.not_understood.append(f"{service}:{operation}: {error!r}")
            raise
        for request in requests:
            found = {purpose: granting(request, statements) for purpose, statements in self._acting.items()}
            names = "+".join(self._acting)
            with self._lock:
                if first := next((purpose for purpose, grants in found.items() if grants), None):
                    self.used[first] |= found[first]
                    self.made[names].append(request)
                    continue
                self.denied[names].add((request.action, request.resource))
            message = f"not authorized to perform: {request.action} on resource: {request.resource}"
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, operation)


@contextmanager
def enforced_policies() -> Iterator[EnforcedPolicies]:
    """Judges every request to AWS in this block."""
    policies, call, send, under_way = EnforcedPolicies(), BaseClient._make_api_call, URLLib3Session.send, threading.local()

    def noted_call(client: Any, operation: str, params: dict[str, Any]) -> Any:
        before = getattr(under_way, "call", None)
        meta = client.meta
        under_way.call = (meta.service_model.service_name, operation, params, meta.region_name)
        try:
            return call(client, operation, params)
        finally:
            under_way.call = before

    def judged(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        assert getattr(under_way, "call", None), f"a request that no client's operation made: {request.url}"
        service, operation, _, _ = under_way.call
        policies.judge(*under_way.call)
        if (answer := policies.answers.get(f"{service}:{operation}")) is None:
            found = send(session, request)
            if service == "s3" and operation == "GetObject" and found.status_code == HTTPStatus.NOT_FOUND:
                # S3 says that there is no such object only to who may list the bucket
                policies.judge(service, "ListObjectsV2", {"Bucket": under_way.call[2]["Bucket"]}, "")
            return found
        raw = HTTPResponse(BytesIO(answer), HTTPHeaderDict(), 200, preload_content=False)
        return AWSResponse(request.url, 200, raw.headers, raw)

    with patch.object(BaseClient, "_make_api_call", noted_call), patch.object(URLLib3Session, "send", judged):
        yield policies
