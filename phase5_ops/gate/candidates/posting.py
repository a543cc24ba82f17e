"""One POST to an address of the settings: verified, no retries, redirects or proxies. What an answer means is the caller's."""

from collections.abc import Mapping

import urllib3


def post_once(address: str, body: bytes, headers: Mapping[str, str], *, seconds: float, read: int = 0) -> tuple[int, bytes]:
    """Posts JSON; the status and the first `read` bytes of the answer.

    `seconds` bounds connecting and each read, not an answer that comes byte by byte: the caller bounds the call as a whole.

    Raises:
        urllib3.exceptions.HTTPError: no answer.
    """
    common = {"Content-Type": "application/json", "User-Agent": "phase5-ops", "Connection": "close"}
    with urllib3.PoolManager(num_pools=1, cert_reqs="CERT_REQUIRED") as pool:
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
