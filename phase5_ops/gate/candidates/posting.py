"""One POST to an address of the settings: verified, no retries, redirects or proxies. What an answer means is the caller's."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import urllib3


def post_once(address: str, body: bytes, headers: Mapping[str, str], *, seconds: float, read: int = 0) -> tuple[int, bytes]:
    """Posts JSON; the status and the first `read` bytes of the answer.

    `seconds` bounds connecting and each read, not an answer that comes byte by byte: the caller bounds the call as a whole.

    Raises:
        urllib3.exceptions.HTTPError: no answer.
    """
    common = {"Content-Type": "application/json", "User-Agent": "phase5-ops", "Connection": "close"}
    with _unlogged(), urllib3.PoolManager(num_pools=1, cert_reqs="CERT_REQUIRED") as pool:
        answer = pool.request(
            "POST",
            address,
            body=body,
            headers={**common, **headers},
            timeout=urllib3.Timeout(total=seconds),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        return int(answer.status), answer.read(read) if read else b""


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keeps what urllib3 logs in this thread from being written: its DEBUG lines name the path, and who knows that can post."""
    thread, log = threading.get_ident(), logging.getLogger("urllib3.connectionpool")

    def of_others(_record: logging.LogRecord) -> bool:
        return threading.get_ident() != thread

    log.addFilter(of_others)
    try:
        yield
    finally:
        log.removeFilter(of_others)
