"""Requests to services of one address go straight to moto's handler of the service, with the same answers.

Most of the work on a small request is Flask's, and for a client of this process moto's search among all services' addresses.
DynamoDB has a shorter way yet (`dynamodb.py`). Services with many addresses, such as S3, go moto's own way; so does SSM, which
few ask for: it imports all of EC2, which would take a third of a sandbox's start.
"""

import re
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.budgets.responses import BudgetsResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.cognitoidp.responses import CognitoIdpResponse
from moto.core.botocore_stubber import MockRawResponse
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.events.responses import EventsHandler
from moto.iam.responses import IamResponse
from moto.kms.responses import KmsResponse
from moto.logs.responses import LogsResponse
from moto.moto_server.werkzeug_app import BackendRequest
from moto.sns.responses import SNSResponse
from moto.sts.responses import TokenResponse
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from phase5_ops.sandbox.aws import dynamodb
from phase5_ops.sandbox.aws.dynamodb import StartResponse, WsgiApp

#: Who answers for a service that has one address, by the name that requests to it are signed for.
_ANSWERING: Mapping[str, type[BaseResponse]] = {
    "budgets": BudgetsResponse,
    "cognito-idp": CognitoIdpResponse,
    "events": EventsHandler,
    "iam": IamResponse,
    "kms": KmsResponse,
    "logs": LogsResponse,
    "monitoring": CloudWatchResponse,
    "sns": SNSResponse,
    "sts": TokenResponse,
}
_SERVICE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/ ,]+/\d{8}/[^/ ,]+/([^/ ,]+)/aws4_request")
_UNKNOWN_TYPE = "text/html; charset=utf-8"  # Flask's, where moto says nothing


def served_directly(app: WsgiApp) -> WsgiApp:
    """The application, past which requests to these services and to DynamoDB go."""
    otherwise = dynamodb.served_directly(app)

    def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        signed_for = _SERVICE.match(environ.get("HTTP_AUTHORIZATION", ""))
        answering = _ANSWERING.get(signed_for[1]) if signed_for else None
        plain = environ["REQUEST_METHOD"] == "POST" and environ.get("PATH_INFO") == "/" and not environ.get("QUERY_STRING")
        if answering is None or not plain:
            return otherwise(environ, start_response)
        request = BackendRequest(environ)
        try:
            status, headers, body = answering.dispatch(request, request.raw_url, dict(request.headers))
        except HTTPException as error:  # as Flask answers it
            refused: Iterable[bytes] = error.get_response(environ)(environ, start_response)
            return refused
        content = body.encode() if isinstance(body, str) else body
        sent = {"Content-Type": _UNKNOWN_TYPE, **{name: str(value) for name, value in headers.items()}}
        sent["Content-Length"] = str(len(content))
        start_response(f"{status} {HTTP_STATUS_CODES.get(int(status), 'Unknown').upper()}", [*sent.items()])
        return [content]

    return serve


def answered_inside(service: str, request: AWSPreparedRequest) -> AWSResponse | None:
    """The answer to a request of a client in this process; None to one that goes moto's own way.

    Args:
        service: the name that requests to the service are signed for.
        request: what the client sends.
    """
    if service == "dynamodb":
        return dynamodb.answered_inside(request)
    answering, url = _ANSWERING.get(service), urlsplit(request.url)
    if answering is None or request.method != "POST" or url.path not in ("", "/") or url.query:
        return None
    content = request.body.encode() if isinstance(request.body, str) else request.body or b""
    if not isinstance(content, bytes | bytearray):
        return None
    said = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
    environ = {
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in said.items()},
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": BytesIO(content),
        "CONTENT_LENGTH": str(len(content)),
        "CONTENT_TYPE": said.get("Content-Type", ""),
        "HTTP_HOST": url.netloc,
    }
    moved = Request(environ)
    try:
        status, headers, body = answering.dispatch(moved, moved.raw_url, moved.headers)
    except HTTPException as error:
        status, headers, body = error.code, dict(error.get_headers()), error.get_body()
    return AWSResponse(request.url, int(status), headers, MockRawResponse(body))
