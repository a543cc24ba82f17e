"""What posts to a webhook writes nothing of its address: whoever knows the path of some webhooks can post to them."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from phase5_ops.gate.candidates.posting import post_once


class Answering(BaseHTTPRequestHandler):
    """Takes a post."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/services/hidden-path"
        server.shutdown()
        thread.join()


def test_the_path_of_a_webhook_is_in_no_log(address, caplog):
    with caplog.at_level(logging.DEBUG):
        assert post_once(address, b"{}", {}, seconds=10, read=5) == (200, b"taken")
        logging.getLogger("urllib3.connectionpool").debug("of somebody else")
    assert "hidden-path" not in caplog.text
    assert "of somebody else" in caplog.text
