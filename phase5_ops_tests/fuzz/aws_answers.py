"""Answers of AWS's JSON services as boto3 hands them on: read by the very parser that the product's sessions use."""

from functools import cache
from typing import Any

from botocore.model import Shape
from botocore.session import get_session

from phase5_ops.aws.sessions import UnreadableAnswer, _Parsers

#: How an answer is refused that is not of the shape that the service documents: the read is then INVALID or FAILED.
UNREADABLE = (UnreadableAnswer, ValueError, TypeError, OverflowError)


@cache
def _shape(service: str, operation: str) -> Shape:
    return get_session().get_service_model(service).operation_model(operation).output_shape


def answered(service: str, operation: str, body: str) -> dict[str, Any]:
    """The answer in this body.

    Raises:
        UnreadableAnswer: it is not of the shape that the service documents; the read is then INVALID.
    """
    response = {"body": body.encode("utf-8", "surrogatepass"), "headers": {}, "status_code": 200, "context": {}}
    return _Parsers().create_parser("json").parse(response, _shape(service, operation))
