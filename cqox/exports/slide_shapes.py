"""Slides of a PowerPoint file with titles, texts, tables and pictures in our fonts and colours. Sizes are in inches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.text import MSO_ANCHOR
from pptx.oxml.ns import qn
from pptx.oxml.xmlchemy import OxmlElement
from pptx.slide import Slide
from pptx.text.text import TextFrame
from pptx.util import Emu, Inches, Pt

from cqox.contract.messages import Language
from cqox.exports.archives import fixed_archive, in_archive
from cqox.exports.document import Tone
from cqox.exports.raster import png_size
from cqox.exports.slide_text import BETWEEN, fitting_size

__all__ = ["PAGE", "Box", "Cell", "Deck", "Line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A place on a slide, in inches."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A paragraph; its size is in points."""

    text: str
    size: float
    bold: bool = False
    tone: Tone | None = None
    grey: bool = False


type Cell = tuple[Line, ...]

PAGE = Box(left=0.6, top=1.35, width=12.13, height=5.45)
"""Room for the content of a slide, between its title and its footer."""

_WIDTH, _HEIGHT = 13.333, 7.5
_TITLE = Box(left=0.6, top=0.35, width=12.13, height=0.9)
_FOOTER = Box(left=0.6, top=6.98, width=12.13, height=0.3)
_TITLE_SIZES = (28.0, 24.0, 20.0, 16.0, 13.0)
_TITLE_ONLY = 5
"""Place of the layout with a title alone in the template of the library."""

_PLAIN_TABLE = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"
"""Style of tables without fill and grid."""

_LATIN = {"en": "Calibri", "ja": "Yu Gothic"}
_EAST_ASIAN = "Yu Gothic"
_LANGUAGES = {"en": "en-US", "ja": "ja-JP"}
_INK, _GREY, _RULE = "1F2933", "55616E", "CBD2D9"
_TONES: dict[Tone, tuple[str, str]] = {
    "good": ("146C43", "E2F3EA"),
    "caution": ("8A4B00", "FDF0DC"),
    "bad": ("A61B1B", "FBE6E6"),
    "plain": ("3E4C59", "E9EDF1"),
}
"""Colour of the text and of the ground."""


class Deck:
    """A PowerPoint file of 16 to 9.

    Args:
        language: of its texts.
        title: in its properties.
        footer: a line below every slide.
    """

    def __init__(self, *, language: Language, title: str, footer: str) -> None:
        self._language: Language = language
        self._footer = footer
        self._file = Presentation()
        self._file.slide_width, self._file.slide_height = Inches(_WIDTH), Inches(_HEIGHT)
        properties = self._file.core_properties
        properties.title, properties.author, properties.last_modified_by = title[:250], "CQOx", "CQOx"
        properties.language = language

    def add_slide(self, title: str) -> Slide:
        """Add a slide with a title, the footer and its number."""
        slide: Slide = self._file.slides.add_slide(self._file.slide_layouts[_TITLE_ONLY])
        shape = slide.shapes.title
        assert shape is not None
        shape.left, shape.top, shape.width, shape.height = map(Inches, _sides(_TITLE))
        size = fitting_size(title, _TITLE_SIZES, _TITLE.width, _TITLE.height)
        self._write(shape.text_frame, [Line(text=title, size=size, bold=True)], anchor=MSO_ANCHOR.MIDDLE)
        number = len(self._file.slides)
        self.add_lines(slide, _FOOTER, [Line(text=f"{self._footer}    {number}", size=10, grey=True)])
        return slide

    def add_lines(self, slide: Slide, box: Box, lines: Sequence[Line], *, ground: Tone | None = None) -> None:
        """Write paragraphs into a box, on the ground of a tone if there is one."""
        shape = slide.shapes.add_textbox(*map(Inches, _sides(box)))
        if ground is not None:
            shape.fill.solid()
            shape.fill.fore_color.rgb = RGBColor.from_string(_TONES[ground][1])
        self._write(shape.text_frame, lines, margin=0.0 if ground is None else 0.15)

    def add_table(self, slide: Slide, box: Box, widths: Sequence[float], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table whose first row is its head; rows are as high as their texts."""
        frame = slide.shapes.add_table(len(rows), len(widths), *map(Inches, _sides(box)))
        table = frame.table
        style = table._tbl.find(f"{qn('a:tblPr')}/{qn('a:tableStyleId')}")
        style.text = _PLAIN_TABLE
        table.horz_banding = False
        for number, width in enumerate(widths):
            table.columns[number].width = Inches(width)
        for number, cells in enumerate(rows):
            row = table.rows[number]
            row.height = Inches(0.1)
            for place, lines in zip(row.cells, cells, strict=True):
                place.margin_left, place.margin_right = Inches(0), Inches(0.15)
                place.margin_top = place.margin_bottom = Inches(0.05)
                self._write(place.text_frame, lines)
                _underline(place._tc.get_or_add_tcPr())

    def add_picture(self, slide: Slide, box: Box, drawn: bytes, *, title: str, alt: str) -> None:
        """Place a PNG in a box, as large as it fits, with a text for those who do not see it."""
        wide, high = png_size(drawn)
        scale = min(box.width / wide, box.height / high)
        left, top = box.left + (box.width - wide * scale) / 2, box.top + (box.height - high * scale) / 2
        picture = slide.shapes.add_picture(BytesIO(drawn), Inches(left), Inches(top), width=Inches(wide * scale))
        properties = picture._element._nvXxPr.cNvPr
        properties.set("descr", alt)
        properties.set("title", title)

    def saved(self, when: datetime | None) -> bytes:
        """Return the file, with a time in its properties; the earliest one possible if None."""
        moment = in_archive(when).replace(tzinfo=None)
        properties = self._file.core_properties
        properties.created = properties.modified = properties.last_printed = moment
        written = BytesIO()
        self._file.save(written)
        return fixed_archive(written.getvalue(), when)

    def _write(
        self, frame: TextFrame, lines: Sequence[Line], *, margin: float = 0.0, anchor: MSO_ANCHOR = MSO_ANCHOR.TOP
    ) -> None:
        frame.word_wrap = True
        frame.vertical_anchor = anchor
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = Inches(margin)
        for number, line in enumerate(lines):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            # Titles and shapes of the template are centred.
            paragraph._p.get_or_add_pPr().set("algn", "l")
            paragraph.space_after = Pt(BETWEEN)
            run = paragraph.add_run()
            run.text = line.text
            run.font.size, run.font.bold, run.font.name = Pt(line.size), line.bold, _LATIN[self._language]
            colour = _TONES[line.tone][0] if line.tone is not None else _GREY if line.grey else _INK
            run.font.color.rgb = RGBColor.from_string(colour)
            properties = run._r.get_or_add_rPr()
            properties.set("lang", _LANGUAGES[self._language])
            properties.set("altLang", "en-US")
            east_asian = OxmlElement("a:ea")
            east_asian.set("typeface", _EAST_ASIAN)
            properties.insert_element_before(east_asian, "a:cs", "a:sym", "a:hlinkClick")


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def _underline(properties: object) -> None:
    """Draw a line below a cell of a table."""
    line = OxmlElement("a:lnB")
    line.set("w", str(Emu(Pt(0.75))))
    fill, colour = OxmlElement("a:solidFill"), OxmlElement("a:srgbClr")
    colour.set("val", _RULE)
    fill.append(colour)
    line.append(fill)
    properties.append(line)  # type: ignore[attr-defined]
