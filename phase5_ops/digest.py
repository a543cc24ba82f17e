"""How content is named by its digest, everywhere alike: `sha256:` and 64 hex digits."""

import hashlib


def sha256_of(content: bytes) -> str:
    """`sha256:` and the hex digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
