"""What people look at first in `role_access`: access beyond the tenant, then what could not be read. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.isolation.roles.evidence import Roles

if TYPE_CHECKING:
    from pandas import DataFrame

_WORST = ("violation", "unknown", "unused", "excepted")


def _worst_first(frame: "DataFrame") -> "DataFrame":
    return by(frame, *(frame["result"].eq(result) for result in _WORST))


def _figures(roles: Roles) -> Mapping[str, float]:
    frame = roles.frame
    results = frame["result"].value_counts()
    return figures(
        accesses_beyond_tenant=results.get("violation", 0),
        roles_beyond_tenant=frame.loc[frame["result"].eq("violation"), "role"].nunique(),
        policies_not_read=results.get("unknown", 0),
        accesses_excepted=results.get("excepted", 0),
        exceptions_without_use=results.get("unused", 0),
        accesses_bound=results.get("bound", 0),
        roles=frame["role"].nunique(),
    )


PREVIEW = Preview(("result", "role", "table", "actions", "policy", "reason", "justification"), _worst_first, _figures)
