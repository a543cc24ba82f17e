"""The client ends every exchange, follows nothing, and takes no page for an answer."""

import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phase5_ops.probing.client import MAX_BODY_BYTES, SHOWN_BODY, HttpClient
from phase5_ops.probing.redact import MASK, Redactor
from phase5_ops.probing.request import Problem, Request
from phase5_ops.settings import ConfigurationError

pytestmark = pytest.mark.over_sockets

REQUEST = Request("POST", "/replay", {"tenant_id": "phase5-a"}, {"Authorization": "Bearer opaque-secret"}, {"a": "b"})


def client(url, timeout=1.0):
    return HttpClient(url, timeout_seconds=timeout, user_agent="phase5-test/1", redactor=Redactor("opaque-secret"))


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        self.server.behave(self)

    def answer(self, status, body=b"{}", content="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.seen, running.ended = [], threading.Event()
    running.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.ended.set()
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("status", [200, 202, 400, 401, 403, 404, 409])
def test_an_answer_of_the_api_is_an_answer(server, status):
    server.behave = lambda handler: handler.answer(status, b'{"ok": true}')
    answer = client(server.url).send(REQUEST)
    assert (answer.status, answer.problem, answer.body) == (status, None, '{"ok": true}')
    assert answer.latency_ms > 0


def test_what_is_sent_is_what_was_asked_and_who_sends_it_can_be_recognised(server):
    server.behave = lambda handler: handler.answer(202)
    client(server.url).send(REQUEST)
    path, headers, body = server.seen[0]
    assert (path, body) == ("/replay?tenant_id=phase5-a", b'{"a": "b"}')
    assert headers["User-Agent"] == "phase5-test/1"


@pytest.mark.parametrize(
    ("behave", "problem"),
    [
        (lambda handler: handler.answer(302, Location="https://elsewhere.example/?token=1"), Problem.REDIRECT),
        (lambda handler: handler.answer(307, Location="/replay"), Problem.REDIRECT),
        (lambda handler: handler.answer(200, b"<html>", "text/html; charset=utf-8"), Problem.HTML),
        (lambda handler: handler.answer(404, b"  <!doctype html>", "text/plain"), Problem.HTML),
        (lambda handler: handler.answer(500), Problem.SERVER_ERROR),
        (lambda handler: handler.answer(503), Problem.SERVER_ERROR),
        (lambda handler: handler.answer(429), Problem.THROTTLED),
        (lambda handler: handler.answer(200, b"x" * (MAX_BODY_BYTES + 10_000)), Problem.TOO_LARGE),
        (lambda handler: handler.connection.close(), Problem.DOWN),
    ],
    ids=["redirect", "same host", "page", "page in disguise", "500", "503", "429", "huge", "broken off"],
)
def test_what_says_nothing_about_the_request_is_a_problem(server, behave, problem):
    server.behave = behave
    assert client(server.url).send(REQUEST).problem is problem
    assert len(server.seen) == 1  # nothing is followed, nothing is sent twice


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_one_whatever_its_body_looks_like(server, status):
    server.behave = lambda handler: handler.answer(status, b"<html>", "text/html")
    answer = client(server.url).send(REQUEST)
    assert (answer.status, answer.problem) == (status, None)


def slow(handler):
    handler.server.ended.wait(20)


def drip(handler):
    handler.send_response(202)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def drip_headers(handler):
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b"H")
        handler.wfile.flush()


@pytest.mark.parametrize("behave", [slow, drip, drip_headers])
def test_time_is_bounded_also_for_a_server_that_drips(server, behave):
    server.behave = behave
    started = time.monotonic()
    answer = client(server.url, timeout=0.4).send(REQUEST)
    assert (answer.status, answer.problem) == (None, Problem.TIMEOUT)
    assert time.monotonic() - started < 2


def test_a_server_that_never_finishes_the_tls_handshake_ends_too():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        started = time.monotonic()
        answer = client(f"https://127.0.0.1:{listening.getsockname()[1]}", timeout=0.4).send(REQUEST)
    assert answer.problem in (Problem.TIMEOUT, Problem.TLS)
    assert time.monotonic() - started < 2


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(server, tmp_path):
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.behave = lambda handler: handler.answer(202)
    answer = client(server.url.replace("http:", "https:")).send(REQUEST)
    assert (answer.status, answer.problem) == (None, Problem.TLS)
    assert server.seen == []


def self_signed(folder):
    import ipaddress
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_nothing_listens_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = client(f"http://127.0.0.1:{port}").send(REQUEST)
    assert (answer.status, answer.problem) == (None, Problem.DOWN)


def test_an_echoed_secret_is_masked_and_a_long_body_is_cut(server):
    server.behave = lambda handler: handler.answer(400, b'{"token": "opaque-secret", "more": "' + b"y" * 5000 + b'"}')
    body = client(server.url).send(REQUEST).body
    assert "opaque-secret" not in body
    assert MASK in body
    assert len(body) <= SHOWN_BODY


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_of_the_environment_sees_a_token(server, monkeypatch, proxy):
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    server.behave = lambda handler: handler.answer(202)
    assert client(server.url).send(REQUEST).status == 202


@pytest.mark.parametrize("url", ["http://control.example.com", "ftp://127.0.0.1", "http://127.0.0.1.example.com"])
def test_an_unencrypted_way_that_leaves_this_machine_is_refused(url):
    with pytest.raises(ConfigurationError, match="https"):
        client(url)


@pytest.fixture
def keeping(monkeypatch, server, tmp_path):
    """A server with TLS that leaves its connections open, and notes over which one each request came."""
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = server.url.replace("http:", "https:")
    server.over = []

    def behave(handler):
        server.over.append(handler.client_address)
        if handler.path.startswith("/late"):
            server.ended.wait(0.6)
        handler.answer(200, b"{}", **{"Content-Length": "2"})

    server.behave = behave
    return server


def test_requests_in_a_row_go_over_one_connection_and_their_answers_are_their_own(keeping):
    sending = client(keeping.url)
    answers = [sending.send(Request("POST", f"/{number}", {}, {})).status for number in range(5)]
    assert (answers, len(set(keeping.over))) == ([200] * 5, 1)
    assert [path for path, _, _ in keeping.seen] == [f"/{number}" for number in range(5)]


def test_after_an_answer_that_did_not_come_in_time_the_next_request_has_a_connection_of_its_own(keeping):
    sending = client(keeping.url, timeout=0.3)
    assert sending.send(Request("POST", "/late", {}, {})).problem is Problem.TIMEOUT
    assert sending.send(REQUEST).status == 200
    assert len(set(keeping.over)) == 2


def test_a_connection_that_the_other_side_closed_is_not_used_again(keeping):
    sending = client(keeping.url)
    keeping.behave = lambda handler: handler.answer(200, b"{}", **{"Content-Length": "2", "Connection": "close"})
    assert [sending.send(REQUEST).status for _ in range(3)] == [200] * 3


def test_a_connection_that_nobody_used_for_a_while_is_closed(keeping, monkeypatch):
    monkeypatch.setattr("phase5_ops.probing.client._REUSED_WITHIN", 0.05)
    sending = client(keeping.url)
    assert sending.send(REQUEST).status == 200
    waited = time.monotonic() + 5
    while sending._idle and time.monotonic() < waited:
        threading.Event().wait(0.01)
    assert not sending._idle
    assert sending.send(REQUEST).status == 200
    assert len(set(keeping.over)) == 2


def test_requests_without_tls_go_over_one_connection_too(monkeypatch, server):
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    over = []
    server.behave = lambda handler: (over.append(handler.client_address), handler.answer(200, b"{}", **{"Content-Length": "2"}))
    sending = client(server.url)
    assert [sending.send(REQUEST).status for _ in range(3)] == [200] * 3
    assert len(set(over)) == 1
