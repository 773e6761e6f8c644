import re
from xml.etree import ElementTree

import pytest

from cqox.exports.inline_svg import inline_svg
from tests.exports.reports import of_study
from tests.figures.test_typeface import spec_of


@pytest.fixture(scope="module")
def contour():
    _, specs = of_study("hold")
    return specs["sensitivity_contour"]


def test_identifiers_begin_with_the_name_of_the_figure_and_references_follow(contour):
    markup = inline_svg(contour, "one two").markup
    identifiers = set(re.findall(r' id="([^"]+)"', markup))
    assert identifiers
    assert identifiers == set(re.findall(r"url\(#([^)]+)\)", markup))
    assert all(identifier.startswith("one-two-") for identifier in identifiers)


def test_a_figure_is_the_same_whatever_was_drawn_before(contour):
    first = inline_svg(contour, "a")
    inline_svg(contour, "b")
    assert inline_svg(contour, "a") == first


def test_the_element_is_hidden_and_without_labels_fonts_and_links(contour):
    root = ElementTree.fromstring(inline_svg(contour, "a").markup)
    assert root.get("aria-hidden") == "true"
    assert root.get("focusable") == "false"
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith(("aria-", "on", "{"))} - {"aria-hidden"}
    assert "role" not in attributes


def test_markup_in_a_name_stays_text_and_its_letters_are_known():
    found = inline_svg(spec_of("<script>x</script>"), "a")
    assert "&lt;script&gt;" in found.markup
    assert "<script" not in found.markup
    assert set("<script>x/") <= found.regular
    assert (found.width, found.height) == (410, 70)
