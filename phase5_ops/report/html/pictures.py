"""The pictures of evidence in the page: SVG with a title for who cannot see it. A picture that fails is said to fail."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from phase5_ops.evidence.picture import as_svg

if TYPE_CHECKING:
    from phase5_ops.evidence.preview import Preview
    from phase5_ops.evidence.table import GatheredTable

log = logging.getLogger(__name__)

_OPENING = re.compile(r"<svg\b")


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
        figure = preview.picture(table) if preview.picture else None
        if figure is None:
            return None
        title = f"Picture of {asset.replace('_', ' ')}: {figure.get_suptitle()}. The table below has its numbers."
        opening = f'<svg role="img" aria-label="{escape(title)}"'
        return Picture(Markup(_OPENING.sub(lambda _: opening, as_svg(figure, f"picture-{asset}"), count=1)))  # noqa: S704
    except Exception as error:  # a picture adds nothing to the verdict: the rest of the report stands without it
        log.exception("the picture of %s could not be drawn", asset)
        return Picture(Markup(), f"{type(error).__name__}: {error}")
