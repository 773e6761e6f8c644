import base64
import re
from xml.etree import ElementTree

import pytest

from cqox.figures import font_faces, letters_of, render_png, render_svg
from tests.figures.drawn import DESIGNS, of_design
from tests.figures.test_typeface import spec_of

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("design", DESIGNS)
def test_every_figure_can_be_drawn(design, capfd):
    for figure in of_design(design).figures.values():
        assert render_png(figure.spec, 1.0).startswith(PNG)
        ElementTree.fromstring(render_svg(figure.spec))
    assert capfd.readouterr().err == ""


def test_different_japanese_words_of_one_length_are_different_pictures():
    """Without their glyphs they would be the same: as many empty boxes, as for unassigned letters."""
    pictures = {render_png(spec_of(word)) for word in ("売上", "費用", "年齢", "髙﨑")}
    missing = {render_png(spec_of(word)) for word in ("\u0378\u0379", "\u0380\u0381")}
    assert len(pictures) == 4
    assert len(missing) == 1
    assert not pictures & missing


def test_an_svg_carries_the_letters_that_it_uses_and_its_words():
    figure = of_design("cross-section").figures["forest"]
    svg = render_svg(figure.spec).decode()
    assert "広告配信" in svg
    fonts = [base64.b64decode(font) for font in re.findall(r"base64,([^)]+)\)", svg)]
    assert len(fonts) == 2
    assert all(font.startswith(b"\0\1\0\0") for font in fonts)
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == figure.alt
    assert root.get("role") == "img"
    assert len(svg) < 120_000


def test_markup_in_a_name_stays_text():
    spec = {**spec_of("<b>&\"'"), "description": "<script>\"'&"}
    root = ElementTree.fromstring(render_svg(spec))
    assert root.get("aria-label") == "<script>\"'&"
    assert "<b>&\"'" in "".join(root.itertext())


@pytest.mark.parametrize(
    "character", ["\x00", "\x08", "\x0c", "\x1b", "\x7f", "\x9b", "\u202e", "\u2067", "\ufffe", "\uffff", "\udcff"]
)
def test_a_character_that_cannot_be_drawn_is_replaced(character):
    """The renderer ends the process on those that XML cannot hold."""
    spec = {**spec_of(f"A{character}B"), "description": f"A{character}B"}
    root = ElementTree.fromstring(render_svg(spec))
    assert root.get("aria-label") == "A\N{REPLACEMENT CHARACTER}B"
    assert "A\N{REPLACEMENT CHARACTER}B" in [element.text for element in root.iter() if element.text]
    assert render_png(spec, 1.0).startswith(PNG)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/data.json", "file:///etc/passwd", "/etc/passwd", "data.json"])
def test_nothing_is_fetched_and_no_file_is_read(url):
    spec = {**spec_of("x"), "data": {"url": url}}
    with pytest.raises((PermissionError, ValueError), match=r"ACCESS_DENIED|about:invalid"):
        render_svg(spec)


def test_a_larger_scale_gives_more_pixels():
    one, two = (render_png(spec_of("売上"), scale) for scale in (1.0, 2.0))
    size = [int.from_bytes(picture[16:20]) for picture in (one, two)]
    assert size[1] == 2 * size[0]


def test_letters_are_known_by_weight_and_embedded_once_for_several_figures():
    svg = render_svg(of_design("cross-section").figures["forest"].spec, with_fonts=False).decode()
    assert "@font-face" not in svg
    regular, bold = letters_of(svg)
    assert set("Augmented weighting") <= regular
    assert set("Effect of 広告配信") <= bold
    rules = font_faces(regular, bold)
    assert rules.count("@font-face") == 2
    assert "font-weight:400" in rules
    assert "font-weight:700" in rules
    assert font_faces("", "a").count("@font-face") == 1
    assert font_faces("", "") == ""
