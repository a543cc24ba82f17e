"""A webhook on this machine: it keeps what is posted, and answers as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hook:
    """What came, and how it is answered: the statuses in turn, then the last one; 0 is an answer that never ends."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def hook(*statuses: int) -> Iterator[Hook]:
    """A running webhook."""
    made = Hook(statuses=list(statuses) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.requests.append((dict(self.headers), body))
            status = made.statuses.pop(0) if len(made.statuses) > 1 else made.statuses[0]
            if status:
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", made.url)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            try:
                for char in "HTTP/1.1 200 OK\r\nX-Slow: " + "x" * 10_000:
                    self.wfile.write(char.encode())
                    if made.over.wait(0.05):
                        return
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}/secret-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def seconds_of(action) -> float:
    """How long something takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
