"""What a drawing says, for tests that look at pictures."""

import xml.etree.ElementTree as ET

from phase5_ops.evidence.drawing import Drawing

SVG = "{http://www.w3.org/2000/svg}"


def texts_of(drawing: Drawing) -> set[str]:
    """The texts of a drawing, read from its document as a browser does."""
    return {"".join(each.itertext()) for each in ET.fromstring(drawing.image("one")).iter(f"{SVG}text")}
