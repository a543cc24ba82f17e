"""Records which AWS calls and HTTP requests a readiness run makes, for `bare_script.py` to make them again."""

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from benchmarks.inputs.bare_script import AwsCall, Given, HttpCall, Keys, Recording

#: Under which names AWS gives out what a later call must say again, and no two runs have the same.
_GIVEN_OUT = frozenset(
    {
        "AccessToken",
        "IdToken",
        "RefreshToken",
        "Session",
        "NextToken",
        "nextToken",
        "NextMarker",
        "Marker",
        "queryId",
        "NextPageToken",
    }
)
_BASES = {"PHASE5_CONTROL_CENTER_URL": "control center", "AWS_ENDPOINT_URL": "AWS"}


@dataclass
class Recorder:
    """What was called so far; safe to use from several threads.

    Attributes:
        requests: how many HTTP requests left this process, whoever made them: what is recorded must account for all of them.
    """

    environment: Mapping[str, str]
    calls: list[AwsCall | HttpCall] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)
    statuses: dict[int, int | None] = field(default_factory=dict)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def began(self, call: AwsCall | HttpCall) -> int:
        """Notes a call; its number."""
        with self.lock:
            self.calls.append(call)
            return len(self.calls) - 1

    def base_of(self, url: str) -> str:
        """The name of the base of a URL.

        Raises:
            LookupError: it goes somewhere that is not of the sandbox.
        """
        for variable, name in _BASES.items():
            if urlsplit(self.environment[variable]).netloc == urlsplit(url).netloc:
                return name
        raise LookupError(f"a request went to {url}")

    def recording(self) -> Recording:
        """All calls, each with what it needs of the answers to earlier ones.

        Raises:
            RuntimeError: requests were made past what is recorded.
        """
        if self.requests != len(self.calls):
            raise RuntimeError(f"{self.requests} requests left the process, and {len(self.calls)} calls were recorded")
        given = {
            value: Given(value, name, ())
            for name, value in self.environment.items()
            if name.startswith("PHASE5_") and len(value) > 8
        }
        calls: list[AwsCall | HttpCall] = []
        for number, call in enumerate(self.calls):
            texts = (
                list(_texts(call.parameters)) if isinstance(call, AwsCall) else [call.target, *(text for _, text in call.headers)]
            )
            needs = tuple(each for old, each in given.items() if any(old in text for text in texts))
            calls.append(replace(call, needs=needs, status=self.statuses.get(number)))
            for text, keys in _given_out(self.answers.get(number)):
                given.setdefault(text, Given(text, number, keys))
        giving = {each.by for call in calls for each in call.needs}
        return Recording(
            [replace(call, gives=number in giving) if isinstance(call, AwsCall) else call for number, call in enumerate(calls)],
            {name: variable for variable, name in _BASES.items()},
        )


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - parameters of any call
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _given_out(answer: Any, keys: Keys = ()) -> Iterator[tuple[str, Keys]]:  # noqa: ANN401 - an answer of any call
    if isinstance(answer, dict):
        for name, each in answer.items():
            if isinstance(each, str) and name in _GIVEN_OUT:
                yield each, (*keys, name)
            elif name != "ResponseMetadata":
                yield from _given_out(each, (*keys, name))
    elif isinstance(answer, list):
        for place, each in enumerate(answer):
            yield from _given_out(each, (*keys, place))


@contextmanager
def recorded(environment: Mapping[str, str]) -> Iterator[Recorder]:
    """Records what this process calls within the block; `environment` points to the sandbox."""
    from phase5_ops.probing.client import HttpClient

    recorder = Recorder(environment)
    call_aws, send, put_request = BaseClient._make_api_call, HttpClient.send, http.client.HTTPConnection.putrequest

    def aws(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - an answer of any call
        meta = client.meta
        number = recorder.began(AwsCall(meta.service_model.service_name, meta.region_name, operation, dict(parameters)))
        answer: Any = None
        try:
            answer = call_aws(client, operation, parameters)
        except ClientError as error:
            answer = error.response
            raise
        finally:
            if answer is not None:
                recorder.answers[number], recorder.statuses[number] = answer, answer["ResponseMetadata"]["HTTPStatusCode"]
        return answer

    def http_request(client: Any, request: Any) -> Any:  # noqa: ANN401 - of the probes' client
        base = client._url
        name = recorder.base_of(base.geturl())
        path = base.path.rstrip("/") if name == "AWS" else ""
        headers = [*client._headers.items(), *((name, str(value)) for name, value in request.header_pairs)]
        number = recorder.began(HttpCall(name, request.method, path + request.target, headers, request.content))
        answer = send(client, request)
        recorder.statuses[number] = answer.status
        return answer

    def counted(connection: http.client.HTTPConnection, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        with recorder.lock:
            recorder.requests += 1
        put_request(connection, *arguments, **named)

    with (
        patch.object(BaseClient, "_make_api_call", aws),
        patch.object(HttpClient, "send", http_request),
        patch.object(http.client.HTTPConnection, "putrequest", counted),
    ):
        yield recorder
