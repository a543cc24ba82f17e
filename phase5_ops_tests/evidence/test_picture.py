"""Pictures for the page: the same every time, with text as text, and no name from outside becomes a formula or markup."""

import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from phase5_ops.evidence.picture import as_svg, label, name_lines


def drawn(name: str, of: str = "one") -> str:
    figure = Figure(figsize=(4, 2))
    axes = figure.add_axes((0.3, 0.1, 0.6, 0.8))
    axes.barh([0], [1], hatch="//")
    name_lines(axes, [label(name)])
    return as_svg(figure, of)


def test_it_is_the_same_every_time_and_text_stays_text():
    assert drawn("acme") == drawn("acme")
    assert ">acme</text>" in drawn("acme")


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "$x^2$ and $y", "x" * 300, "a\nb\x1b[31m", "$\\frac{1$", "]]>"])
def test_a_hostile_name_is_drawn_as_a_short_text(hostile: str):
    root = ET.fromstring(drawn(hostile))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert label(hostile).replace(r"\$", "$") in texts
    assert len(label(hostile).replace(r"\$", "$")) <= 28
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_pictures_of_one_page_share_no_id():
    found = [
        {each.get("id") for each in ET.fromstring(drawn("acme", of)).iter() if each.get("id") is not None}
        for of in ("one", "two")
    ]
    assert found[0]
    assert not found[0] & found[1]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend_too():
    figure = Figure(figsize=(4, 2))
    axes = figure.add_subplot()
    axes.bar([0], [1], label=label("_hidden"))
    axes.legend()
    assert "_hidden</text>" in as_svg(figure, "one")
