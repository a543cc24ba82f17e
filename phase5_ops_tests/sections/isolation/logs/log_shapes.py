"""Invocations in the shapes that log files have: lawful ones, and ones with a line that names another tenant."""

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

TENANTS = ("acme", "globex")
GROUP = "/aws/lambda/cc-native-tool-invoker"
START_MS = 1_795_424_883_000


@dataclass(frozen=True)
class Invocation:
    """One invocation of a tenant; one that leaks names the other tenant on a line that has no id of its own."""

    number: int
    tenant: str
    leaks: bool = False

    @property
    def request(self) -> str:
        return f"11111111-aaaa-4bbb-8ccc-{self.number:012d}"

    @property
    def loose(self) -> str:
        """The line without ids."""
        return f"sent mail to {TENANTS[self.tenant == TENANTS[0]] if self.leaks else 'somebody'} admins"

    def lines(self) -> list[str]:
        """In Lambda's text format."""
        said = json.dumps({"trace_id": f"trace-{self.number}-x", "tenant_id": self.tenant})
        return [
            f"START RequestId: {self.request} Version: $LATEST",
            f"2026-11-23T09:08:03.525Z\t{self.request}\tINFO\t[2026-11-23T09:08:03.525Z] [INFO] [Exec] begin {said}",
            self.loose,
            f"END RequestId: {self.request}",
            f"REPORT RequestId: {self.request}\tDuration: 3.00 ms",
        ]

    def json_lines(self) -> list[str]:
        """In Lambda's JSON format."""
        ids = {"requestId": self.request, "trace_id": f"trace-{self.number}-x", "tenant_id": self.tenant}
        return [
            *(json.dumps(each) for each in (self._platform("start"), {"level": "INFO", "message": "begin", **ids})),
            self.loose,
            *(json.dumps(self._platform(kind)) for kind in ("runtimeDone", "report")),
        ]

    def _platform(self, kind: str) -> dict[str, object]:
        return {"time": "2026-11-23T09:08:03.525Z", "type": f"platform.{kind}", "record": {"requestId": self.request}}

    def events(self) -> list[dict[str, object]]:
        return [{"id": str(n), "timestamp": START_MS + n, "message": line + "\n"} for n, line in enumerate(self.lines())]

    def answers(self) -> list[dict[str, object]]:
        """As filter-log-events gives them."""
        more = {"logStreamName": f"stream-{self.number}", "ingestionTime": START_MS}
        return [{**more, "eventId": f"{self.number}-{event.pop('id')}", **event} for event in self.events()]

    def telemetry(self) -> list[dict[str, object]]:
        time = "2026-11-23T09:08:03.525Z"
        lines = [{"time": time, "type": "function", "record": line} for line in self.json_lines()[1:3]]
        return [self._platform("start"), *lines, self._platform("report")]


Shape = Callable[[Invocation, Invocation], str]


def _interleaved(one: Invocation, two: Invocation) -> list[dict[str, object]]:
    return [event for pair in zip(one.answers(), two.answers(), strict=True) for event in pair]


def _envelope(invocation: Invocation) -> str:
    return json.dumps(
        {
            "messageType": "DATA_MESSAGE",
            "owner": "111122223333",
            "logGroup": GROUP,
            "logStream": f"stream-{invocation.number}",
            "subscriptionFilters": ["all"],
            "logEvents": invocation.events(),
        }
    )


_CONTROL = json.dumps(
    {
        "messageType": "CONTROL_MESSAGE",
        "owner": "CloudwatchLogs",
        "logGroup": "",
        "logStream": "",
        "subscriptionFilters": [],
        "logEvents": [{"id": "", "timestamp": START_MS, "message": "CWL CONTROL MESSAGE: Checking health"}],
    }
)


def _answer(one: Invocation, two: Invocation, indent: int | None = None) -> str:
    return json.dumps({"events": _interleaved(one, two), "searchedLogStreams": []}, indent=indent)


def _query(one: Invocation, two: Invocation) -> str:
    rows = [
        [
            {"field": "@timestamp", "value": f"2026-11-23 09:08:{event['timestamp'] % 60_000 / 1000:06.3f}"},
            {"field": "@message", "value": event["message"]},
            {"field": "@logStream", "value": event["logStreamName"]},
            {"field": "@log", "value": f"111122223333:{GROUP}"},
            {"field": "@ptr", "value": "x"},
        ]
        for event in reversed([*one.answers(), *two.answers()])
    ]
    return json.dumps({"results": rows, "statistics": {"recordsMatched": 10.0}, "status": "Complete"}, indent=4)


def _packed(invocation: Invocation) -> str:
    return base64.b64encode(gzip.compress(_envelope(invocation).encode())).decode()


#: Two invocations, one after the other or mixed, as text.
SHAPES: dict[str, Shape] = {
    "text": lambda one, two: "\n".join([*one.lines(), *two.lines()]) + "\n",
    "JSON format": lambda one, two: "\n".join([*one.json_lines(), *two.json_lines()]) + "\n",
    "JSON format kept by a collector": lambda one, two: "".join(
        json.dumps({"log": line + "\n", "stream": "stdout"}) + "\n" for line in [*one.json_lines(), *two.json_lines()]
    ),
    "JSON format in a table": lambda one, two: (
        "@timestamp,@message\n"
        + "".join('x,"' + line.replace('"', '""') + '"\n' for line in [*one.json_lines(), *two.json_lines()])
    ),
    "rows in a table": lambda one, two: (
        "@timestamp,@message\r\n"
        + "".join(
            f'2026-11-23 09:08:03.{n:03},"' + line.replace('"', '""') + '"\r\n'
            for n, line in reversed(list(enumerate([*one.json_lines(), *two.json_lines()])))
        )
    ),
    "export": lambda one, two: "".join(f"2026-11-23T09:08:03.525Z {line}\n" for line in [*one.json_lines(), *two.lines()]),
    "envelopes joined": lambda one, two: _CONTROL + _envelope(one) + _envelope(two),
    "envelopes on lines": lambda one, two: f"{_CONTROL}\n{_envelope(one)}\n{_envelope(two)}\n",
    "envelopes in a list": lambda one, two: f"[{_envelope(one)},\n{_envelope(two)}]",
    "answer on a line": _answer,
    "answer over lines": lambda one, two: _answer(one, two, 4),
    "answers joined": lambda one, two: _answer(one, one, 2) + _answer(two, two),
    "events of a stream": lambda one, two: json.dumps(
        {
            "events": [*one.events()[:0], *({k: e[k] for k in ("timestamp", "message")} for e in one.events() + two.events())],
            "nextForwardToken": "f/1",
            "nextBackwardToken": "b/1",
        }
    ),
    "list of events": lambda one, two: json.dumps(_interleaved(one, two), indent=4),
    "list of messages": lambda one, two: json.dumps([*one.lines(), *two.lines()], indent=4),
    "query": _query,
    "telemetry": lambda one, two: json.dumps([*one.telemetry(), *two.telemetry()]),
    "packed for a function": lambda one, two: "\n".join(json.dumps({"awslogs": {"data": _packed(each)}}) for each in (one, two)),
    "rows of the console": lambda one, two: json.dumps(
        [
            {"@timestamp": f"2026-11-23 09:08:03.{n:03}", "@message": event["message"], "@logStream": event["logStreamName"]}
            for n, event in reversed(list(enumerate([*one.answers(), *two.answers()])))
        ]
    ),
    "records in a list": lambda one, two: json.dumps(
        [{"date": 1795424883.5, "log": line, "host": "x"} for line in [*one.lines(), *two.lines()]]
    ),
    "records joined": lambda one, two: "".join(
        json.dumps({"time": 1795424883.5, "event": line, "source": "x"}) for line in [*one.lines(), *two.lines()]
    ),
    "events one by one": lambda one, two: "\n".join(json.dumps(event) for event in _interleaved(one, two)),
    "events one by one over lines": lambda one, two: "\n".join(json.dumps(event, indent=2) for event in _interleaved(one, two)),
    "packed answer": lambda one, two: json.dumps(
        {"Records": [{"SequenceNumber": "1", "Data": _packed(each)} for each in (one, two)], "MillisBehindLatest": 0}, indent=4
    ),
    "packed on lines": lambda one, two: "".join(f"{_packed(each)}\n" for each in (one, two)),
    "packed failures": lambda one, two: "".join(
        json.dumps({"attemptsMade": 4, "errorCode": "x", "rawData": _packed(each), "lambdaArn": "x"}) + "\n"
        for each in (one, two)
    ),
    "packed in what is said": lambda one, two: "".join(
        f"2026-11-23T09:08:03.525Z\t-\tINFO\tevent {json.dumps({'awslogs': {'data': _packed(each)}})}\n" for each in (one, two)
    ),
    "base64 of envelopes": lambda one, two: "".join(
        f"{base64.urlsafe_b64encode(_envelope(each).replace(': ', ':').encode()).decode()}\n" for each in (one, two)
    ),
    "transformed records": lambda one, two: json.dumps(
        {
            "records": [
                {"recordId": "1", "result": "Ok", "data": base64.b64encode("\n".join([*each.lines(), ""]).encode()).decode()}
                for each in (one, two)
            ]
        }
    ),
    "packed records": lambda one, two: json.dumps({"Records": [{"kinesis": {"data": _packed(each)}} for each in (one, two)]}),
}


def _zipped(data: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing here\n")
        archive.writestr("deep/one.log", data)
    return whole.getvalue()


def _tarred(data: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        member = tarfile.TarInfo("one.log")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
    "gzip joined": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "zip": _zipped,
    "tar in gzip": lambda data: gzip.compress(_tarred(data)),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
}

#: What is not read: each must be named. They hold the text that they are given, and nobody can see it.
UNKNOWN: dict[str, Callable[[bytes], bytes]] = {
    "Snappy": lambda data: pa.Codec("snappy").compress(data, asbytes=True),
    "Snappy frames": lambda data: b"\xff\x06\x00\x00sNaPpY" + pa.Codec("snappy").compress(data, asbytes=True),
    "LZ4": lambda data: pa.compress(data, codec="lz4", asbytes=True),
    "encrypted": lambda data: bytes((byte * 167 + n * n * 31 + 13) % 256 for n, byte in enumerate(data)),
    "gzip cut": lambda data: gzip.compress(data)[:-9],
    "gzip in zip cut": lambda data: _zipped(gzip.compress(data)[:-9]),
    "packed text in a line": lambda data: b"said " + base64.b64encode(gzip.compress(b"said\n" + data)) + b"\n",
    "packed over lines": lambda data: base64.encodebytes(gzip.compress(data)),
    "xz in a line": lambda data: b'{"payload": "' + base64.b64encode(lzma.compress(b"said\n" + data)) + b'"}\n',
    "table cut": lambda data: b'@timestamp,@message,@logStream\n2026-11-23 09:08:03.000,"said\n' + data.replace(b'"', b'""'),
    "another encoding": lambda data: data.decode().encode("cp037"),
    "unknown document": lambda data: json.dumps({"lines": data.decode().splitlines(), "of": "x"}, indent=2).encode(),
    "unknown envelope": lambda data: json.dumps({"logEvents": data.decode().splitlines(), "logGroup": GROUP}).encode(),
    "envelope cut": lambda data: _envelope(Invocation(7, "acme")).encode()[:-40],
}
