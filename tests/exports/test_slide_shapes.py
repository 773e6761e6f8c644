from io import BytesIO

from PIL import Image
from pptx import Presentation
from pptx.util import Inches, Pt

from cqox.exports.slide_shapes import PAGE, Box, Deck, Line


def deck() -> Deck:
    return Deck(language="en", title="T" * 400, footer="foot")


def shapes(found: Deck):
    return list(Presentation(BytesIO(found.saved(None))).slides[0].shapes)


def test_a_slide_has_a_title_that_fits_its_footer_and_its_number():
    found = deck()
    found.add_slide("A title " * 20)
    title, footer = shapes(found)
    assert title.is_placeholder
    assert title.text_frame.paragraphs[0].runs[0].font.size < Pt(28)
    assert footer.text_frame.text == "foot    1"


def test_lines_have_their_size_weight_and_colour():
    found = deck()
    slide = found.add_slide("t")
    lines = [Line(text="a", size=14, bold=True, tone="bad"), Line(text="b", size=12, grey=True)]
    found.add_lines(slide, Box(left=1, top=2, width=3, height=1), lines, ground="bad")
    box = shapes(found)[-1]
    first, second = (paragraph.runs[0].font for paragraph in box.text_frame.paragraphs)
    assert (first.size, first.bold, str(first.color.rgb)) == (Pt(14), True, "A61B1B")
    assert (second.size, second.bold, str(second.color.rgb)) == (Pt(12), False, "55616E")
    assert str(box.fill.fore_color.rgb) == "FBE6E6"
    assert (box.left, box.top) == (Inches(1), Inches(2))


def test_a_table_has_a_head_and_the_widths_that_were_given():
    found = deck()
    slide = found.add_slide("t")
    rows = [[(Line(text=text, size=12),) for text in row] for row in (("h", "k"), ("a", "b"))]
    found.add_table(slide, PAGE, [2.0, 3.0], rows)
    table = shapes(found)[-1].table
    assert table.first_row
    assert [column.width for column in table.columns] == [Inches(2), Inches(3)]
    assert [[cell.text_frame.text for cell in row.cells] for row in table.rows] == [["h", "k"], ["a", "b"]]


def test_a_picture_fills_its_box_in_one_direction_and_has_words():
    written = BytesIO()
    Image.new("RGB", (400, 100)).save(written, "png")
    found = deck()
    found.add_picture(found.add_slide("t"), PAGE, written.getvalue(), title="<t>", alt='"alt"')
    picture = shapes(found)[-1]
    assert picture.width == Inches(PAGE.width)
    assert abs(picture.height - picture.width / 4) <= 2
    assert picture._element._nvXxPr.cNvPr.get("descr") == '"alt"'
