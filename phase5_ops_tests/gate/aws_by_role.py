"""One AWS endpoint for several sandboxes, as AWS itself is one for several accounts: the role that was assumed tells which.

An AssumeRole goes to the sandbox of the role that it names; the access key that it gives leads there from then on, and the
address of a user pool's keys, which anybody may read, to the sandbox that has the pool. A call with other credentials is refused,
so that a process which forgot its environment's role reaches no platform at all.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from phase5_ops.sandbox.ports import HOST
from phase5_ops_tests.forwarding import Forwarding, serving

_SECONDS = 60.0
_KEY = re.compile(r"Credential=([^/]+)/")
_GIVEN = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")


@contextmanager
def aws_by_role(sandboxes: Mapping[str, str], pools: Mapping[str, str]) -> Iterator[str]:
    """Yields the endpoint; behind it are the endpoints of sandboxes, by the ARN of the role and by the id of the user pool."""
    handler = type("Handler", (_Handler,), {"sandboxes": dict(sandboxes), "keys": {}, "pools": dict(pools)})
    server = ThreadingHTTPServer((HOST, 0), handler)
    with serving(server) as address:
        yield f"http://{address}"


class _Handler(Forwarding):
    sandboxes: ClassVar[dict[str, str]]
    keys: ClassVar[dict[str, str]]
    pools: ClassVar[dict[str, str]]

    def _exchange(self) -> None:
        body = self.body()
        role = parse_qs(body.decode("latin-1")).get("RoleArn", [""])[0] if b"Action=AssumeRole&" in body else None
        if role is not None:
            target = self.sandboxes.get(role)
        elif found := _KEY.search(self.headers.get("Authorization", "")):
            target = self.keys.get(found.group(1))
        else:
            target = self.pools.get(self.path.split("/")[1])
        if target is None:
            self.answer(HTTPStatus.FORBIDDEN, [], b"<Error><Code>AccessDenied</Code><Message>no such role here</Message></Error>")
            return
        status, headers, said = self.pass_on(urlsplit(target), body, _SECONDS)
        if role is not None and (given := _GIVEN.search(said)):
            self.keys[given.group(1).decode()] = target
        self.answer(status, headers, said)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _exchange
