"""Which environments are production: every one that is not a sandbox on this machine and that no setting lists otherwise. Pure.

No spelling makes an environment production, so none can be missed: a name that nobody thought of is judged strictly.
"""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from phase5_ops.settings import Settings

DEFAULT_ENVIRONMENT = "production"
SANDBOX_ENVIRONMENT = "sandbox"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def in_sandbox(settings: "Settings") -> bool:
    """Whether what is judged is a sandbox on this machine: called so, and the AWS that is asked is here.

    Both together, so that neither a name nor an address alone makes one.
    """
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
    return settings.environment == SANDBOX_ENVIRONMENT and host in _LOOPBACK


def is_production(settings: "Settings") -> bool:
    """Whether what is judged counts as production."""
    return not in_sandbox(settings) and settings.environment not in settings.non_production_environments
