"""What moto works out anew for each request, and always the same: worked out once for the process.

Nothing of what is answered depends on it. What must not live here: anything that a request or a backend's state changes.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.utils import method_names_from_class
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

_find_backend = DomainDispatcherApplication.get_backend_for_host

_backends: dict[str | None, Any] = {}
_names: dict[tuple[object, ...], list[str]] = {}


@contextmanager
def answered_quickly() -> Iterator[None]:
    """In this block moto knows the service of a host and the operations of a service once it was asked."""
    with (
        patch.object(DomainDispatcherApplication, "get_backend_for_host", _backend_of),
        patch("moto.core.responses.method_names_from_class", _names_of_methods),
        patch("moto.core.responses.gen_amzn_requestid_long", _request_id),
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


def _request_id(headers: dict[str, Any] | None = None) -> str:
    """A request's id, drawn at once and not character by character: 52 capitals and digits."""
    made = f"{random.getrandbits(52 * 4):052X}"
    if headers is not None:
        headers["x-amzn-requestid"] = made
    return made
