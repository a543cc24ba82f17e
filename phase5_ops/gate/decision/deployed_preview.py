"""What people look at first in `deployed_identity`: what changed while the run went on. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.gate.decision.deployed_rules import END, START, DeployedIdentity

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _changed(frame: "DataFrame") -> "Series[bool]":
    """The row has no equal at the other moment; a table of one moment says nothing of changes."""
    if frame["moment"].nunique() < len((START, END)):
        return frame["moment"].isna()
    return ~frame.duplicated(["kind", "name", "version", "code"], keep=False)


def _worst_first(frame: "DataFrame") -> "DataFrame":
    return by(frame.sort_values(["kind", "name", "moment"]), _changed(frame))


def _figures(deployed: DeployedIdentity) -> Mapping[str, float]:
    frame = deployed.frame
    return figures(
        changed_during_run=frame.loc[_changed(frame), "name"].nunique(),
        functions=frame.loc[frame["kind"].eq("function"), "name"].nunique(),
    )


PREVIEW = Preview(("kind", "name", "version", "code", "moment"), _worst_first, _figures)
