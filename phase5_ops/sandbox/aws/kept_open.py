"""The handler of the sandbox's HTTP servers, which keeps connections open between requests.

werkzeug ends each connection after one answer, since an application may leave a body unread, and looks for what is left of it.
Here every application reads the whole body before it answers, so that a client may ask again over the same connection, as it
may ask AWS: opening one costs more than most answers.

Python's server reads headers as those of mail, which takes longer than most answers, too. The head of an ordinary request is read
here; whatever is not ordinary, which probes send on purpose, is left to Python.
"""

import re
import traceback
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from http.client import HTTPMessage

from werkzeug.serving import WSGIRequestHandler

_REQUEST = re.compile(rb"([A-Z]+) (/(?!/)[!-~]*|/) (HTTP/1\.1)\r\n")
_HEADER = re.compile(r"([A-Za-z0-9-]+): ?([!-~]|[!-~][ -~]*[!-~])")
_MOST_HEADERS = 100  # that Python's server takes
#: Headers for which the server itself does something.
_MEANT_FOR_THE_SERVER = frozenset({"connection", "expect"})


class KeptOpenHandler(WSGIRequestHandler):  # type: ignore[misc]  # werkzeug is not followed
    """Answers one request after the other. It writes no log, since requests carry tokens; what an application raises is shown."""

    disable_nagle_algorithm = True  # head and body are two writes; the second would wait until the first is acknowledged

    def parse_request(self) -> bool:
        """Reads the head of a request; False where it was answered that it is none."""
        request = _REQUEST.fullmatch(self.raw_requestline)
        headers = self._ordinary_headers() if request else None
        if request is None or headers is None:
            answerable: bool = super().parse_request()
            return answerable
        self.command, self.path, self.request_version = (part.decode("ascii") for part in request.groups())
        self.requestline = self.raw_requestline.decode("ascii").rstrip("\r\n")
        self.headers, self.close_connection = headers, self.protocol_version < "HTTP/1.1"
        return True

    def _ordinary_headers(self) -> HTTPMessage | None:
        """The headers that come next, taken from what is there to read; None, and nothing taken, where they are not ordinary."""
        head, end, _ = self.rfile.peek().partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not end or len(lines) > _MOST_HEADERS:
            return None
        found = HTTPMessage()
        for line in lines:
            header = _HEADER.fullmatch(line)
            if header is None or header[1].lower() in _MEANT_FOR_THE_SERVER:
                return None
            found.set_raw(header[1], header[2])
        self.rfile.read(len(head) + len(end))
        return found

    def log_request(self, *_: object) -> None:
        """Nothing."""

    def run_wsgi(self) -> None:
        """Answers one request."""
        self._begun = False
        try:
            for piece in self.server.app(self.make_environ(), self._begin):
                self.wfile.write(piece)
        except ConnectionError:
            self.close_connection = True
        except Exception:  # noqa: BLE001 - the border: the client gets an answer, and the next request its turn
            traceback.print_exc()
            if not self._begun:
                self._begin(f"{HTTPStatus.INTERNAL_SERVER_ERROR.value} Internal Server Error", ())
            self.close_connection = True

    def _begin(self, status: str, headers: Sequence[tuple[str, str]], _failed: object = None) -> None:
        """Sends the head of an answer, as WSGI's `start_response`; where its end would not be known, nothing comes after it."""
        self._begun = True
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection or not _ends(self.command, int(code), headers):  # the former where the client asked for it
            self.send_header("Connection", "close")
        self.end_headers()

    def log(self, *_: object) -> None:
        """Nothing."""


def _ends(method: str, code: int, headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a client knows where the answer ends."""
    without_body = method == "HEAD" or code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
    return without_body or any(name.lower() == "content-length" for name, _ in headers)
