"""The calls of a recorded readiness run, made again by nothing but boto3 and urllib3.

It imports nothing of phase5_ops, keeps nothing and judges nothing. One call after the other, in the order in which the run began
them, without the run's waiting. What the platform gave out in the recorded run (tokens, ids of queries, markers of pages) is
replaced by what it gives out now.
"""

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

Keys = tuple[str | int, ...]  #: where a value stands in an answer


@dataclass(frozen=True)
class Given:
    """A value that an earlier call's answer or the environment gave out: as it was in the recorded run, and where it is now."""

    recorded: str
    by: int | str  # number of a call, or name of a variable
    keys: Keys


@dataclass(frozen=True)
class AwsCall:
    """A call of boto3; `gives` says whether a later call needs its answer."""

    service: str
    region: str
    operation: str
    parameters: Mapping[str, Any]
    status: int | None = None  # of its answer in the recorded run
    needs: tuple[Given, ...] = ()
    gives: bool = False


@dataclass(frozen=True)
class HttpCall:
    """A request to `base`, a name of `Recording.bases`."""

    base: str
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    content: bytes | None
    status: int | None = None
    needs: tuple[Given, ...] = ()


@dataclass(frozen=True)
class Recording:
    """All calls of a run in the order in which they began.

    Attributes:
        calls: what was called.
        bases: where HTTP requests go: the variable that has the URL, by name of a base.
    """

    calls: Sequence[AwsCall | HttpCall]
    bases: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, float]:
        """How many of each kind."""
        aws = sum(isinstance(call, AwsCall) for call in self.calls)
        return {"AWS calls": aws, "HTTP requests": len(self.calls) - aws}


def load(file: Path) -> Recording:
    """What `recorded_run.py` wrote."""
    found: Recording = pickle.loads(file.read_bytes())
    return found


def replay(recording: Recording, environment: Mapping[str, str]) -> dict[str, float]:
    """Makes the calls; how many were made, and how many were answered otherwise than in the recorded run."""
    session, pool = boto3.Session(), urllib3.PoolManager(retries=False)
    config = Config(connect_timeout=10, read_timeout=60)
    clients: dict[tuple[str, str], Any] = {}
    answers: dict[int | str, Any] = dict(environment.items())
    otherwise = 0
    for number, call in enumerate(recording.calls):
        new = {given.recorded: _at(answers[given.by], given.keys) for given in call.needs}
        if isinstance(call, HttpCall):
            headers = urllib3.HTTPHeaderDict()
            for name, value in call.headers:
                headers.add(name, _renewed(value, new))
            url = environment[recording.bases[call.base]].rstrip("/") + _renewed(call.target, new)
            answer = pool.request(call.method, url, headers=headers, body=call.content, redirect=False)
            otherwise += answer.status != call.status
            continue
        key = (call.service, call.region)
        if key not in clients:
            clients[key] = session.client(call.service, region_name=call.region, config=config)
        parameters = _renewed(call.parameters, new) if new else call.parameters
        try:
            found = clients[key]._make_api_call(call.operation, parameters)
        except ClientError as error:
            found = error.response
        otherwise += found["ResponseMetadata"]["HTTPStatusCode"] != call.status
        if call.gives:
            answers[number] = found
    return {**recording.counts, "answered with another status": otherwise}


def _at(answer: Any, keys: Keys) -> str:  # noqa: ANN401 - an answer of any call
    for key in keys:
        answer = answer[key]
    return str(answer)


def _renewed(value: Any, new: Mapping[str, str]) -> Any:  # noqa: ANN401 - parameters of any call
    """The value with the recorded texts in it replaced."""
    if isinstance(value, str):
        for old, now in new.items():
            value = value.replace(old, now)
        return value
    if isinstance(value, dict):
        return {name: _renewed(each, new) for name, each in value.items()}
    return [_renewed(each, new) for each in value] if isinstance(value, list) else value


def main() -> None:
    """Makes the calls of the file that is named on the command line, and prints the counts."""
    print(*replay(load(Path(sys.argv[1])), os.environ).values())
