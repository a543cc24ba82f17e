"""The tags by which assets are selected in Dagster: their section, and the rows that they are the evidence of."""

from phase5_ops.checklist import ALL_CHECKS

SECTION_TAG, ROW_TAG = "phase5/section", "phase5/row"


def asset_tags(asset: str, section: str) -> dict[str, str]:
    """`phase5/section` and, of an asset that rows are judged from, `phase5/row` with the first, and `phase5/row-ID` of each.

    A tag has one value, and some assets are the evidence of several rows.
    """
    rows = [row.id for row in ALL_CHECKS if row.asset == asset]
    first = {ROW_TAG: rows[0]} if rows else {}
    return {SECTION_TAG: section, **first, **{f"{ROW_TAG}-{row}": "" for row in rows}}
