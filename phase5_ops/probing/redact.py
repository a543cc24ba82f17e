"""Keeps tokens and passwords out of everything that is written: masks them by value and by shape. Pure.

Whatever the Control Center or AWS answers goes through a `Redactor` before it becomes evidence, metadata, a log line or a
message.
"""

import base64
import json
import re
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

_MIN_SECRET = 4  # shorter values would mask ordinary text
_MIN_TOKEN_PART = 16

#: A JWT, whole or cut off: its parts are base64url of JSON, so header and payload begin with `eyJ` (`{"`) or `ey`.
_JWT = re.compile(r"eyJ[\w+/=-]{6,}(?:\.[\w+/=-]*){0,4}")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;}\]]+")


class Redactor:
    """Masks the secrets it was told of, and whatever looks like a token."""

    def __init__(self, *secrets: str) -> None:
        self._secrets: set[str] = set()
        self._longest_first: tuple[str, ...] = ()
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} values)"

    def add(self, *secrets: str) -> None:
        """Also masks these: as they are, as they stand in JSON, in a URL and in base64; a token also part by part."""
        for secret in secrets:
            if len(secret) < _MIN_SECRET:
                continue
            raw = secret.encode("utf-8", "surrogatepass")
            encoded = base64.b64encode(raw).decode().rstrip("=")
            self._secrets |= {secret, json.dumps(secret)[1:-1], quote(raw, safe=""), quote_plus(raw), encoded}
            if secret.startswith("eyJ"):
                self._secrets |= {part for part in secret.split(".") if len(part) >= _MIN_TOKEN_PART}
        self._longest_first = tuple(sorted(self._secrets, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._longest_first:
            text = text.replace(secret, MASK)
        return _BEARER.sub(rf"\g<1>{MASK}", _JWT.sub(MASK, text))
