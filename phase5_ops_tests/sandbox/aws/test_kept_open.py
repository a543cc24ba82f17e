"""The sandbox's servers answer one request after the other over a connection, and end it where they are asked to."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from werkzeug.serving import make_server

from phase5_ops.sandbox.aws.kept_open import KeptOpenHandler

pytestmark = pytest.mark.over_sockets


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == "/raises":
        raise ValueError("as it was asked to")
    answer = environ["PATH_INFO"].encode() + b" " + body
    length = [] if environ["PATH_INFO"] == "/endless" else [("Content-Length", str(len(answer)))]
    start_response("200 OK", [("Content-Type", "text/plain"), *length])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer]


@pytest.fixture
def connection() -> Iterator[HTTPConnection]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeptOpenHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    client = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    yield client
    client.close()
    server.shutdown()
    server.server_close()


def asked(connection, path, method="GET", body=None, **headers):
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode(), response.will_close


def test_requests_in_a_row_get_their_own_answers_over_one_connection(connection):
    assert asked(connection, "/one", "POST", b"body") == (200, "/one body", False)
    first = connection.sock
    assert asked(connection, "/two", "HEAD") == (200, "", False)
    assert asked(connection, "/three") == (200, "/three ", False)
    assert connection.sock is first


def test_a_connection_ends_where_the_client_asks_for_it_or_could_not_tell_where_the_answer_ends(connection):
    assert asked(connection, "/one", Connection="close") == (200, "/one ", True)
    assert asked(connection, "/endless") == (200, "/endless ", True)


def test_what_an_application_raises_is_an_answer_and_is_shown(connection, capfd):
    assert asked(connection, "/raises") == (500, "", True)
    assert "ValueError: as it was asked to" in capfd.readouterr().err
    assert asked(connection, "/one") == (200, "/one ", False)
