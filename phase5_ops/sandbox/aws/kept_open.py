"""The handler of the sandbox's HTTP servers, which keeps connections open between requests.

werkzeug ends each connection after one answer, since an application may leave a body unread, and looks for what is left of it.
Here every application reads the whole body before it answers, so that a client may ask again over the same connection, as it
may ask AWS: opening one costs more than most answers.
"""

import traceback
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from werkzeug.serving import WSGIRequestHandler


class KeptOpenHandler(WSGIRequestHandler):  # type: ignore[misc]  # werkzeug is not followed
    """Answers one request after the other. It writes no log, since requests carry tokens; what an application raises is shown."""

    disable_nagle_algorithm = True  # head and body are two writes; the second would wait until the first is acknowledged

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
