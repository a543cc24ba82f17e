"""The settings without which nothing can be probed. Pure."""

from dataclasses import dataclass
from typing import Literal

from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings without which nothing can be sent."""

    mode: Literal["full", "refusals"]
    control_center: str
    user_pool_id: str
    client_id: str
    tenant_a: str
    tenant_b: str


def require_settings(settings: Settings) -> Configured:
    """What probing needs of the settings.

    Raises:
        Obstructed: probes are off, or something is not set.
    """
    if settings.probe_mode == "off":
        raise Obstructed(ProbingCode.PROBES_OFF, "PHASE5_PROBE_MODE", expected="full", seen="off")
    users = settings.probe_users
    needed = {  # in the order of `Configured`
        "PHASE5_CONTROL_CENTER_URL": settings.control_center_url,
        "PHASE5_USER_POOL_ID": settings.user_pool_id,
        "PHASE5_USER_POOL_CLIENT_ID": settings.user_pool_client_id,
        "PHASE5_PROBE_USERS__A__TENANT_ID": users.a.tenant_id,
        "PHASE5_PROBE_USERS__B__TENANT_ID": users.b.tenant_id,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise Obstructed(ProbingCode.PROBE_SETTING_MISSING, ", ".join(missing), expected="set", seen="not set")
    return Configured(settings.probe_mode, *map(str, needed.values()))
