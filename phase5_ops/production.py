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
_ENDPOINT = "AWS_ENDPOINT_URL"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def in_sandbox(settings: "Settings") -> bool:
    """Whether what is judged is a sandbox on this machine: called so, and the AWS that is asked is here.

    Both together, so that neither a name nor an address alone makes one; and no service may be asked anywhere else. See
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html for the variables.
    """
    given = {name: urlsplit(value).hostname for name, value in os.environ.items() if name.startswith(_ENDPOINT) and value}
    ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    here = _ENDPOINT in given and not ignored and all(host in _LOOPBACK for host in given.values())
    return settings.environment == SANDBOX_ENVIRONMENT and here


def is_production(settings: "Settings") -> bool:
    """Whether what is judged counts as production."""
    return not in_sandbox(settings) and settings.environment not in settings.non_production_environments
