"""The pictures of evidence in the page: SVG with a title for who cannot see it. A picture that fails is said to fail."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from phase5_ops.evidence.preview import Preview
    from phase5_ops.evidence.table import GatheredTable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as HTML, or in words why it could not be drawn."""

    svg: Markup
    problem: str = ""


def pictures(tables: "Mapping[str, GatheredTable[Any, Any]]", previews: "Mapping[str, Preview]") -> Mapping[str, Picture]:
    """The picture of every table that has one, by asset."""
    drawn = {}
    for asset, table in tables.items():
        preview = previews.get(asset)
        if preview is not None and preview.picture is not None and (picture := _drawn(asset, table, preview)) is not None:
            drawn[asset] = picture
    return drawn


def _drawn(asset: str, table: "GatheredTable[Any, Any]", preview: "Preview") -> Picture | None:
    try:
        drawing = preview.picture(table) if preview.picture else None
        if drawing is None:
            return None
        said = f"Picture of {asset.replace('_', ' ')}: {drawing.title}. The table below has its numbers."
        return Picture(Markup(drawing.svg(f"picture-{asset}", said)))  # noqa: S704 - made by `Drawing`, which escapes
    except Exception as error:  # a picture adds nothing to the verdict: the rest of the report stands without it
        log.exception("the picture of %s could not be drawn", asset)
        return Picture(Markup(), f"{type(error).__name__}: {error}")
