"""What moto works out anew for each request or user pool, and always the same: worked out once for the process.

Nothing of what is answered depends on it. What must not live here: anything that a request or a backend's state changes.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.cognitoidp.models import jwk
from moto.core.responses import BaseResponse
from moto.core.utils import method_names_from_class
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

_find_backend = DomainDispatcherApplication.get_backend_for_host
_add_request_id = BaseResponse._enrich_response

_backends: dict[str | None, Any] = {}
_names: dict[tuple[object, ...], list[str]] = {}
_keys: dict[str, jwk.RSAKey] = {}


@contextmanager
def answered_quickly() -> Iterator[None]:
    """In this block moto knows what it found out once: a host's service, a service's operations, the key of user pools."""
    with (
        patch.object(DomainDispatcherApplication, "get_backend_for_host", _backend_of),
        patch("moto.core.responses.method_names_from_class", _names_of_methods),
        patch("moto.core.responses.gen_amzn_requestid_long", _request_id),
        patch.object(BaseResponse, "_enrich_response", staticmethod(_with_request_id)),
        patch.object(jwk.RSAKey, "import_key", _imported_once(jwk.RSAKey.import_key)),
    ):
        yield


def _backend_of(application: DomainDispatcherApplication, host: str | None) -> Any:  # noqa: ANN401 - a service's name
    """The service behind a host; moto looks through its own folders and some hundred patterns."""
    if host not in _backends:
        _backends[host] = _find_backend(application, host)
    return _backends[host]


def _names_of_methods(answering: type) -> list[str]:
    """The operations of a service; sandboxes add some to it while they run."""
    key = (answering, *vars(answering))
    if key not in _names:
        _names[key] = method_names_from_class(answering)
    return _names[key]


def _imported_once(import_key: Callable[..., jwk.RSAKey]) -> Callable[..., jwk.RSAKey]:
    """The same; of moto's own key, which every user pool has, once: reading it takes a tenth of a second."""

    def imported(value: Any, *further: Any, **named: Any) -> jwk.RSAKey:  # noqa: ANN401 - whatever a key is made of
        if further or named or not isinstance(value, dict):
            return import_key(value, *further, **named)
        name = json.dumps(value, sort_keys=True)
        if name not in _keys:
            _keys[name] = import_key(value)
        return _keys[name]

    return imported


def _request_id(headers: dict[str, Any] | None = None) -> str:
    """A request's id, drawn at once and not character by character: 52 capitals and digits."""
    made = f"{random.getrandbits(52 * 4):052X}"
    if headers is not None:
        headers["x-amzn-requestid"] = made
    return made


def _with_request_id(headers: dict[str, Any], body: Any) -> tuple[dict[str, Any], Any]:  # noqa: ANN401 - text or bytes
    """An answer with its request's id, for which moto searches all of each body: only XML names it."""
    headers, named = _add_request_id(headers, body if isinstance(body, str) and "<RequestId>" in body else "")
    return headers, named or body
