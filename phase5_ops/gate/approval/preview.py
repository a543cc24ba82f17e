"""What people look at first in `sign_offs`: who has not signed. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.gate.approval.judge import SignOffs

if TYPE_CHECKING:
    from pandas import DataFrame


def _unsigned_first(frame: "DataFrame") -> "DataFrame":
    return by(frame, ~frame["done"])


def _figures(sign_offs: SignOffs) -> Mapping[str, float]:
    done = sign_offs.frame["done"]
    return figures(roles_missing=int((~done).sum()), roles_signed=int(done.sum()))


PREVIEW = Preview(("row", "role", "done", "by", "date", "seen", "release"), _unsigned_first, _figures)
