"""Drawings: the same every time, text stays text, no name from outside becomes markup, each shape where it was put."""

import xml.etree.ElementTree as ET

import pytest

from phase5_ops.evidence.drawing import _HATCHINGS, _OUTLINES, Drawing, Fill, width_of
from phase5_ops.evidence.panel import label
from phase5_ops_tests.evidence.drawings import SVG, texts_of


def drawing(name: str) -> Drawing:
    made = Drawing("What this is", 300, 100)
    made.rectangles([(10, 40, 60, 50)], Fill("#3b82c4", "//"))
    made.text(8, 45, label(name), anchor="end")
    return made


def drawn(name: str, of: str = "one") -> str:
    return drawing(name).svg(of)


def test_it_is_the_same_every_time_and_text_stays_text():
    assert drawn("acme") == drawn("acme")
    assert ">acme</text>" in drawn("acme")


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "$x^2$ and $y", "x" * 300, "a\nb\x1b[31m", "&amp;\"'", "]]>"])
def test_a_hostile_name_is_drawn_as_a_short_text(hostile: str):
    root = ET.fromstring(drawn(hostile))
    assert texts_of(drawing(hostile)) == {"What this is", label(hostile)}
    assert len(label(hostile)) <= 28
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {"svg", "defs", "pattern", "path", "g", "text"}


def test_pictures_of_one_page_share_no_id_and_each_finds_its_own():
    for of in ("one", "two"):
        root = ET.fromstring(drawn("url(#three-0)", of))
        assert [each.get("id") for each in root.iter(f"{SVG}pattern")] == [f"{of}-0"]
        assert [fill for each in root.iter(f"{SVG}path") if "url" in (fill := each.get("fill", ""))] == [f"url(#{of}-0)"]
        assert "url(#three-0)" in {each.text for each in root.iter(f"{SVG}text")}


def test_shapes_stand_where_they_were_put():
    made = Drawing("shapes", 100, 100)
    made.rectangles([(1, 2, 3.125, 4)], Fill("#ffffff"))
    made.lines([(0, 0, 5, 5), (1, 1, 2, 2)], "#000000", dashes="2 1", opacity=0.5)
    made.shape([(0, 0), (1, 0), (1, 1)], Fill("#000000"))
    made.marks([(50, 60)], "circle", "#000000", 8)
    paths = ET.fromstring(made.svg("one")).findall(f"{SVG}g/{SVG}path")
    assert [path.get("d") for path in paths[:3]] == ["M1 2H3.12V4H1z", "M0 0L5 5M1 1L2 2", "M0 0L1 0L1 1z"]
    assert (paths[1].get("stroke-dasharray"), paths[1].get("stroke-opacity")) == ("2 1", "0.50")
    assert paths[3].get("transform") == "translate(50 60)scale(8)"


def test_nothing_to_draw_draws_nothing():
    made = Drawing("empty", 10, 10)
    made.rectangles([], Fill("#000000", "xx"))
    made.shape([], Fill("#000000"))
    made.lines([], "#000000")
    made.marks([], "bar", "#000000", 3)
    assert made.svg("one") == Drawing("empty", 10, 10).svg("one")


def test_every_hatching_and_form_can_be_drawn():
    made = Drawing("all", 100, 100)
    for hatching in _HATCHINGS:
        made.rectangles([(0, 0, 9, 9)], Fill("#3b82c4", hatching))
        made.rectangles([(0, 0, 9, 9)], Fill("#f2f6f2", hatching))  # a light colour takes dark lines
    for form in _OUTLINES:
        made.marks([(5, 5)], form, "#3b82c4", 8)
    patterns = ET.fromstring(made.svg("one")).findall(f"{SVG}defs/{SVG}pattern/{SVG}path")
    assert [pattern.get("stroke") for pattern in patterns] == ["#ffffff", "#5a5a5a"] * len(_HATCHINGS)


def test_the_document_for_dagster_is_black_on_white_and_the_element_takes_the_colour_of_the_page():
    document, element = ET.fromstring(drawing("acme").image("one")), ET.fromstring(drawn("acme"))
    assert (document.get("width"), document.get("color")) == ("400", "black")
    assert document.find(f"{SVG}path").get("fill") == "white"  # type: ignore[union-attr]
    assert (element.get("width"), element.get("color")) == (None, None)
    assert element.find(f"{SVG}g").get("fill") == "currentColor"  # type: ignore[union-attr]


def test_wide_letters_take_more_room():
    assert width_of("報告", 10) == pytest.approx(20)
    assert width_of("ab", 10) < width_of("報告", 10)
