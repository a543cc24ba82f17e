"""The sandbox's servers answer one request after the other over a connection, and end it where they are asked to."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BufferedReader, BytesIO
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.serving import WSGIRequestHandler, make_server

from phase5_ops.sandbox.aws.kept_open import KeptOpenHandler

pytestmark = pytest.mark.over_sockets
SERVER = SimpleNamespace(_server_version="sandbox", log=lambda *_: None)


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


def read(handler: type[WSGIRequestHandler], sent: bytes) -> tuple[object, ...]:
    """What a handler makes of a request: whether it is one, its parts, what is left to read, and what was answered."""
    reading = handler.__new__(handler)
    reading.rfile, reading.wfile = BufferedReader(BytesIO(sent)), BytesIO()
    reading.protocol_version, reading.client_address, reading.server = "HTTP/1.1", ("127.0.0.1", 1), SERVER
    reading.log = lambda *_: None
    reading.raw_requestline = reading.rfile.readline()
    taken = reading.parse_request()
    if not taken:
        return (taken,)
    request = (reading.command, reading.path, reading.request_version, reading.requestline, reading.close_connection)
    return (taken, *request, reading.headers.items(), reading.rfile.read())


HEADERS = st.tuples(
    st.sampled_from(["Host", "X-Two", "x_y", "Connection", "Content-Length", "Bad Name", "", "Ä", " Folded", "Authorization"])
    | st.text(max_size=8),
    st.sampled_from([": ", ":", ":  ", " : ", ""]),
    st.sampled_from(["a", "close", "keep-alive", "a b", " a", "a ", "", "ä", "a\tb", "0", '(c); d="e"']) | st.text(max_size=8),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n\t"]),
)


@given(
    st.sampled_from(
        ["GET / HTTP/1.1", "POST /a?b=%20 HTTP/1.1", "GET //host/a HTTP/1.1", "GET /a HTTP/1.0", "get / HTTP/1.1", "GET /"]
    )
    | st.text(max_size=12),
    st.sampled_from(["\r\n", "\n"]),
    st.lists(HEADERS, max_size=4),
    st.sampled_from(["\r\n", "\n", ""]),
)
@example("GET / HTTP/1.1", "\r\n", [("Host", ": ", "a", "\r\n"), ("Host", ": ", "b", "\r\n")], "\r\n")
@example("GET / HTTP/1.1", "\r\n", [("X", ": ", "y", "\r\n")] * 101, "\r\n")
@example("GET / HTTP/1.1", "\r\n", [("X", ": ", "y" * 9000, "\r\n")], "\r\n")
@example("GET / HTTP/1.1", "\r\n", [], "\r\n")
def test_every_request_is_read_as_pythons_own_server_reads_it(request_line, end, headers, last):
    text = request_line + end + "".join("".join(header) for header in headers) + last + "body\r\n\r\nof it"
    sent = text.encode("utf-8", "surrogatepass")
    assert read(KeptOpenHandler, sent) == read(WSGIRequestHandler, sent)
