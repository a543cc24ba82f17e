"""Bounded, counted reading of AWS: every call has a time limit, every answer says how it was got.

`AwsReader` gives plain answers and never raises for what AWS does: denied access, throttling, a timeout or a missing table is
recorded in the `Read` of the answer, beside the pages that came before it. Retries are botocore's standard mode. botocore does
not bound a server that accepts a call and then answers byte by byte; the reader does, by waiting for no call longer than the
run's deadline allows.
"""

import copy
import logging
import os
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from phase5_ops.aws.sessions import RoleNotAssumed, UnreadableAnswer, call_config, new_session, set_up
from phase5_ops.clock import iso
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings, Settings

log = logging.getLogger(__name__)

USER_AGENT = "phase5-ops"

_STATUS_OF_CODE = {
    "AccessDenied": ReadStatus.DENIED,
    "AccessDeniedException": ReadStatus.DENIED,
    "AuthorizationError": ReadStatus.DENIED,
    "AuthorizationErrorException": ReadStatus.DENIED,
    "UnauthorizedOperation": ReadStatus.DENIED,
    "UnrecognizedClientException": ReadStatus.DENIED,
    "InvalidClientTokenId": ReadStatus.DENIED,
    "ExpiredToken": ReadStatus.DENIED,
    "ExpiredTokenException": ReadStatus.DENIED,
    "KMSAccessDeniedException": ReadStatus.DENIED,
    "Throttling": ReadStatus.THROTTLED,
    "ThrottlingException": ReadStatus.THROTTLED,
    "ThrottledException": ReadStatus.THROTTLED,
    "TooManyRequestsException": ReadStatus.THROTTLED,
    "RequestLimitExceeded": ReadStatus.THROTTLED,
    "LimitExceededException": ReadStatus.THROTTLED,
    "ProvisionedThroughputExceededException": ReadStatus.THROTTLED,
    "SlowDown": ReadStatus.THROTTLED,
    "ResourceNotFoundException": ReadStatus.NOT_FOUND,
    "ResourceNotFound": ReadStatus.NOT_FOUND,
    "NotFound": ReadStatus.NOT_FOUND,
    "NotFoundException": ReadStatus.NOT_FOUND,
    "AWS.SimpleQueueService.NonExistentQueue": ReadStatus.NOT_FOUND,
    "QueueDoesNotExist": ReadStatus.NOT_FOUND,
    "NoSuchEntity": ReadStatus.NOT_FOUND,
    "PolicyNotFoundException": ReadStatus.NOT_FOUND,
    "NoSuchKey": ReadStatus.NOT_FOUND,
    "NoSuchBucket": ReadStatus.NOT_FOUND,
    "404": ReadStatus.NOT_FOUND,
    "403": ReadStatus.DENIED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The pages that came, and how the read ended. Pages may be there although the read failed later."""

    pages: list[Mapping[str, Any]]
    read: Read

    def items(self, key: str) -> list[Any]:
        """The entries of list `key` over all pages."""
        return [item for page in self.pages for item in page.get(key) or []]


@dataclass(slots=True)
class CallMeter:
    """Calls made, by service and operation: attempts on the wire (retries included), failures, units billed, seconds."""

    calls: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: str, *, calls: int = 0, failures: int = 0, units: float = 0, seconds: float = 0) -> None:
        """Adds to one operation (`dynamodb:Scan`)."""
        with self._lock:
            for table, amount in ((self.calls, calls), (self.failures, failures), (self.units, units), (self.seconds, seconds)):
                if amount:
                    table[operation] = table.get(operation, 0) + amount  # type: ignore[assignment]


class DeadlineExceeded(Exception):
    """The run's reading time is used up."""


def within(seconds: float, call: Callable[[], Any], *, late: str) -> Any:  # noqa: ANN401 - whatever the call returns
    """Runs `call` no longer than so many seconds; a call still running then is left behind in its daemon thread.

    Raises:
        DeadlineExceeded: with the words of `late`.
    """
    try:
        caller = _IDLE.pop()
    except IndexError:
        caller = _Caller()
    ended = caller.make(call, seconds)
    if ended is None:
        raise DeadlineExceeded(late)
    _IDLE.append(caller)
    if ended.failure is not None:
        raise ended.failure
    return ended.outcome


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: Any = None
    failure: BaseException | None = None


class _Caller:
    """A daemon thread that makes one call after the other; one whose call was late is not given another."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._ended: SimpleQueue[_Ended] = SimpleQueue()
        self._given_up = False
        threading.Thread(target=self._run, daemon=True, name="aws-read").start()

    def make(self, call: Callable[[], Any], seconds: float) -> _Ended | None:
        """How the call ended; None if it did not in time."""
        self._calls.put(call)
        ended = None
        try:
            ended = self._ended.get(timeout=seconds)
        except Empty:
            pass
        finally:  # also where the wait is interrupted
            self._given_up = ended is None
        return ended

    def _run(self) -> None:
        while not self._given_up:
            try:
                call = self._calls.get(timeout=_IDLE_SECONDS)
            except Empty:
                with suppress(ValueError):  # another thread has just taken it: a call will come
                    _IDLE.remove(self)
                    return
                continue
            try:
                ended = _Ended(call())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
                ended = _Ended(failure=error)
            del call  # what it holds is not kept until the next one comes
            self._ended.put(ended)
            del ended


#: Threads that wait for a call. A fork has none of them.
_IDLE: deque[_Caller] = deque()
_IDLE_SECONDS = 1.0
os.register_at_fork(after_in_child=_IDLE.clear)


class AwsReader:
    """Reads AWS within a deadline. One instance per run, shared by its assets; safe to use from several threads."""

    def __init__(
        self,
        reading: ReadingSettings,
        *,
        meter: CallMeter | None = None,
        session: boto3.Session | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.meter = meter or CallMeter()
        self._reading = reading
        self._session = set_up(session or new_session())
        self._monotonic = monotonic
        self._ends = monotonic() + reading.deadline_seconds
        self._clients: dict[tuple[str, str | None], BaseClient] = {}
        self._lock = threading.Lock()
        self._whole: dict[str, Answer] = {}
        self._reading_once: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @property
    def region(self) -> str:
        """The region that is read; us-east-1 where none is configured."""
        return self._session.region_name or "us-east-1"

    @property
    def partition(self) -> str:
        """The partition of AWS that is read, as ARNs name it."""
        return str(self.client("iam").meta.partition)

    @property
    def access_key_id(self) -> str | None:
        """The id of the access key that calls are made with, as CloudTrail records it; None without credentials."""
        credentials = self._session.get_credentials()
        return credentials.access_key if credentials else None

    def client(self, service: str, region: str | None = None) -> BaseClient:
        """The client of a service, made once, with this reader's timeouts and retries."""
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                config = call_config(self._reading, USER_AGENT)
                client = self._session.client(service, region_name=region or self.region, config=config)
                client.meta.events.register("before-send", partial(self._count_attempt, service))
                self._clients[key] = client
            return self._clients[key]

    def _count_attempt(self, service: str, *, event_name: str, **_: object) -> None:
        """Counts one request under the service's name in this code, which botocore's event does not always use (ce, logs)."""
        self.meter.add(f"{service}:{event_name.rsplit('.', 1)[-1]}", calls=1)

    def call(
        self,
        service: str,
        operation: str,
        resource: str,
        *,
        region: str | None = None,
        may_miss: bool = False,
        **params: Any,  # noqa: ANN401
    ) -> Answer:
        """One call, e.g. `call("sts", "get_caller_identity", "caller")`.

        With `may_miss`, a missing resource is an answer like any other: OK without a page.
        """
        return self._read(service, operation, resource, region, params, paginate=False, may_miss=may_miss)

    def paginate(
        self,
        service: str,
        operation: str,
        resource: str,
        *,
        region: str | None = None,
        consume: Callable[[Mapping[str, Any]], None] | None = None,
        before_page: Callable[[], object] | None = None,
        **params: Any,  # noqa: ANN401
    ) -> Answer:
        """All pages of a call, with boto3's own paginator.

        With `consume` every page is passed to it as it comes and is not kept, so that memory does not grow with the answer.
        `before_page` may make each page wait for its turn, where a service takes only so many calls a second.
        """
        return self._read(service, operation, resource, region, params, paginate=True, consume=consume, before_page=before_page)

    def once(self, name: str, read: Callable[[], Answer]) -> Answer:
        """The first complete answer of `read` under this name, kept for later calls; after a failure it is read again."""
        with self._lock:
            one_at_a_time = self._reading_once[name]
        with one_at_a_time:  # other threads wait for the answer
            if name not in self._whole:
                answer = read()
                if answer.read.status is not ReadStatus.OK:
                    return answer
                self._whole[name] = answer
            return self._whole[name]

    def share(self, name: str, answer: Answer) -> None:
        """Keeps an answer that was read for itself for later calls of `once` under this name, if it is complete."""
        if answer.read.status is ReadStatus.OK:
            with self._lock:
                self._whole.setdefault(name, answer)

    def shared(self, name: str) -> Answer | None:
        """The answer that is kept under this name."""
        return self._whole.get(name)

    def _read(
        self,
        service: str,
        operation: str,
        resource: str,
        region: str | None,
        params: Mapping[str, Any],
        *,
        paginate: bool,
        may_miss: bool = False,
        consume: Callable[[Mapping[str, Any]], None] | None = None,
        before_page: Callable[[], object] | None = None,
    ) -> Answer:
        started = datetime.now(UTC)
        clock_started = self._monotonic()
        pages: list[Mapping[str, Any]] = []
        came = 0
        take = consume or pages.append
        name = f"{service}:{operation}"
        status, message = ReadStatus.OK, None
        try:
            client = self.client(service, region)
            name = f"{service}:{client.meta.method_to_api_mapping[operation]}"
            log.info("waiting for %s of %s", name, resource)
            if paginate:
                iterator = iter(client.get_paginator(operation).paginate(**params))
                while (page := self.bounded(lambda: _next_page(iterator, before_page))) is not None:
                    take(page)
                    came += 1
            else:
                take(self.bounded(lambda: getattr(client, operation)(**params)))
                came += 1
        except Exception as error:  # noqa: BLE001 - the border: whatever AWS or the network does becomes the read's status
            status, message = describe_failure(error)
            if may_miss and status is ReadStatus.NOT_FOUND:
                status, message = ReadStatus.OK, None
            else:
                log.warning("%s %s: %s: %s", name, resource, status, message)
                self.meter.add(name, failures=1)
        self.meter.add(name, seconds=self._monotonic() - clock_started)
        read = Read(name, resource, status, message, came, iso(started), iso(datetime.now(UTC)))
        return Answer(pages, read)

    @contextmanager
    def not_reading(self) -> Iterator[None]:
        """What takes its time in this block, and has a limit of its own, does not use up the time for reading."""
        began = self._monotonic()
        try:
            yield
        finally:
            self._ends += self._monotonic() - began

    def renewed(self) -> "AwsReader":
        """A reader with the same clients and meter, whose time begins now: for what is done long after this one was made."""
        renewed = copy.copy(self)
        renewed._ends = self._monotonic() + self._reading.deadline_seconds
        return renewed

    def bounded(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call returns
        """Runs `call` no longer than the deadline allows; a call still running then is left behind in its daemon thread."""
        remaining = self._ends - self._monotonic()
        if remaining <= 0:
            raise DeadlineExceeded(f"reading took longer than {self._reading.deadline_seconds:g} s (reading.deadline_seconds)")
        limit = f"reading.deadline_seconds ({self._reading.deadline_seconds:g} s)"
        return within(remaining, call, late=f"AWS had not answered when {limit} ended")


def reader_of(settings: Settings, *, reading: ReadingSettings | None = None, meter: CallMeter | None = None) -> AwsReader:
    """A reader of the environment of these settings, in the role that they name, if any; other bounds may be given."""
    bounds = reading or settings.reading
    return AwsReader(bounds, meter=meter, session=new_session(settings.aws, bounds))


def _next_page(iterator: Iterator[Any], before_page: Callable[[], object] | None) -> Any:  # noqa: ANN401 - a page of any call
    if before_page is not None:
        before_page()
    return next(iterator, None)


def describe_failure(error: Exception) -> tuple[ReadStatus, str]:
    """Status and message of what a call raised; the message never holds credentials or payloads."""
    if isinstance(error, RoleNotAssumed):
        return describe_failure(error.why)[0], str(error)
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code = str(details.get("Code", "Unknown"))
        status = _STATUS_OF_CODE.get(code, ReadStatus.FAILED)
        return status, f"{code}: {_said(details.get('Message', ''))}"
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError, DeadlineExceeded, TimeoutError)):
        return ReadStatus.TIMEOUT, _said(error)
    if isinstance(error, (EndpointConnectionError, ConnectionClosedError, HTTPClientError)):
        return ReadStatus.UNREACHABLE, _said(error)
    if isinstance(error, (UnreadableAnswer, ResponseParserError)):
        return ReadStatus.INVALID, _said(error)
    if isinstance(error, NoCredentialsError):
        return ReadStatus.DENIED, "no AWS credentials found"
    if isinstance(error, BotoCoreError):
        return ReadStatus.FAILED, _said(error)
    return ReadStatus.FAILED, f"{type(error).__name__}: {_said(error)}"


def _said(text: object) -> str:
    """The text on one line, at most 300 characters; of a proxy's HTML page, only its words."""
    said = str(text)
    if "<html" in said.lower():
        said = re.sub(r"<[^>]*>", " ", said)
    return " ".join(said.split())[:300]
