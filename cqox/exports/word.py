"""A Word document, for what others will edit."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

from docx import Document as new_document
from docx.document import Document as WordFile
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.oxml.parser import OxmlElement
from docx.shared import Cm, Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.table import Table as WordTable
from docx.table import _Cell, _Row
from docx.text.paragraph import Paragraph as WordParagraph

from cqox.contract.messages import width
from cqox.exports.archives import fixed_archive, in_archive
from cqox.exports.document import (
    Block,
    Document,
    Entries,
    Entry,
    Facts,
    Folded,
    Paragraph,
    Picture,
    Section,
    Table,
    Tone,
)  # fmt: skip
from cqox.exports.raster import png_size
from cqox.figures import render_png

__all__ = ["word_document"]

_PAGE = Cm(21.0), Cm(29.7)
_MARGIN = Cm(2.0)
_WIDEST, _HIGHEST = Cm(17.0), Cm(21.0)
"""Most room for a figure."""

_PIXELS_TO_A_UNIT = 2.0
_POINTS_TO_A_UNIT = 0.72
"""Figures are as large as their texts are legible: 11 units become 8 points."""

_CM_OF_MARGINS = 0.65
"""Margins of a cell, and room for a font that is wider, as another machine may have."""

_CM_OF_A_LETTER = 0.165
"""Width of a Latin letter of a table."""

_FONTS = {"en": "Calibri", "ja": "Yu Gothic"}
_EAST_ASIAN = "Yu Gothic"
_TONES: dict[Tone, RGBColor] = {
    "good": RGBColor(0x14, 0x6C, 0x43),
    "caution": RGBColor(0x8A, 0x4B, 0x00),
    "bad": RGBColor(0xA6, 0x1B, 0x1B),
    "plain": RGBColor(0x3E, 0x4C, 0x59),
}
_INK, _GREY = RGBColor(0x1F, 0x29, 0x33), RGBColor(0x55, 0x61, 0x6E)
_HEADINGS = {"Title": 22, "Heading 1": 15, "Heading 2": 12}


def word_document(document: Document, when: datetime | None) -> bytes:
    """Return the document as a .docx file.

    Args:
        document: the content.
        when: the time in its properties; the earliest one possible if None.
    """
    file = new_document()
    _set_up(file, document, when)
    file.add_paragraph(document.title, style="Title")
    _grey(file.add_paragraph(document.subtitle), 9)
    if document.headline:
        _sized(file.add_paragraph(document.headline), 14)
    verdict = file.add_paragraph()
    run = verdict.add_run(document.verdict_line)
    run.bold, run.font.size, run.font.color.rgb = True, Pt(13), _TONES[document.tone]
    file.add_paragraph(document.meaning)
    _add_items(file, document.reasons)
    for remark in document.remarks:
        file.add_paragraph(remark, style="Quote")
    for section in document.sections:
        _add_section(file, section)
    written = BytesIO()
    file.save(written)
    return fixed_archive(written.getvalue(), when)


def _set_up(file: WordFile, document: Document, when: datetime | None) -> None:
    page = file.sections[0]
    page.page_width, page.page_height = _PAGE
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = _MARGIN
    for name, size in {"Normal": 10, **_HEADINGS}.items():
        style = file.styles[name]
        assert isinstance(style, ParagraphStyle)
        style.font.size, style.font.color.rgb = Pt(size), _INK
        _set_fonts(style, _FONTS[document.language])
    # The template of the library underlines its title.
    title = file.styles["Title"].element.pPr
    for border in title.findall(qn("w:pBdr")):
        title.remove(border)
    moment = in_archive(when).replace(tzinfo=None)
    properties = file.core_properties
    properties.title, properties.author, properties.last_modified_by = document.title[:250], "CQOx", "CQOx"
    properties.comments, properties.language = "", document.language
    properties.created = properties.modified = properties.last_printed = moment


def _set_fonts(style: ParagraphStyle, latin: str) -> None:
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for attribute in list(fonts.attrib):
        del fonts.attrib[attribute]
    for script, name in (("ascii", latin), ("hAnsi", latin), ("cs", latin), ("eastAsia", _EAST_ASIAN)):
        fonts.set(qn(f"w:{script}"), name)


def _add_section(file: WordFile, section: Section) -> None:
    file.add_heading(section.heading, level=1)
    for block in section.blocks:
        _add_block(file, block)


def _add_block(file: WordFile, block: Block) -> None:
    match block:
        case Paragraph():
            file.add_paragraph(block.text)
        case Facts():
            _add_facts(file, block)
        case Table():
            _add_table(file, block)
        case Entries():
            if block.heading:
                run = file.add_heading(level=2).add_run(block.heading)
                run.font.color.rgb = _TONES[block.tone]
            for entry in block.entries:
                _add_entry(file, entry)
        case Folded():
            file.add_heading(block.summary, level=2)
            _add_items(file, block.lines, size=8.5)
        case Picture():
            _add_picture(file, block)


def _add_items(file: WordFile, lines: Sequence[str], *, size: float = 10) -> None:
    for line in lines:
        item = file.add_paragraph(line, style="List Bullet")
        item.paragraph_format.space_after = Pt(2)
        _sized(item, size)


def _add_facts(file: WordFile, facts: Facts) -> None:
    widths = [Cm(5.5), Cm(11.5)]
    table = _new_table(file, widths)
    for name, value in facts.rows:
        cells = table.add_row().cells
        cells[0].width, cells[1].width = widths
        _add_rule(table.rows[-1])
        _grey(_write(cells[0], name), 10)
        _write(cells[1], value)


def _add_table(file: WordFile, found: Table) -> None:
    caption = file.add_paragraph()
    caption.add_run(found.caption).bold = True
    caption.paragraph_format.keep_with_next = True
    widths = _widths(found)
    table = _new_table(file, widths)
    for number, texts in enumerate([tuple(column.heading for column in found.columns), *found.rows]):
        row = table.add_row()
        _add_rule(row)
        if number == 0:
            row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
        for cell, column, wide, text in zip(row.cells, found.columns, widths, texts, strict=True):
            cell.width = wide
            _aligned(_write(cell, text), numeric=column.numeric, head=number == 0)
    file.add_paragraph()


def _new_table(file: WordFile, widths: Sequence[Cm]) -> WordTable:
    """Add a table without rows; some programs read the widths of its grid, others those of its cells."""
    table: WordTable = file.add_table(rows=0, cols=len(widths))
    table.autofit = False
    for column, wide in zip(table.columns, widths, strict=True):
        column.width = wide
    return table


def _widths(found: Table) -> list[Cm]:
    """Return the widths of the columns: the wide ones share what the others leave."""
    needed = [
        max(width(text) for text in (column.heading, *(row[place] for row in found.rows)))
        for place, column in enumerate(found.columns)
    ]
    narrow = [
        0.0 if column.wide else min(_CM_OF_A_LETTER * letters + _CM_OF_MARGINS, 4.0)
        for column, letters in zip(found.columns, needed, strict=True)
    ]
    rest = max((_WIDEST.cm - sum(narrow)) / max(sum(column.wide for column in found.columns), 1), 2.5)
    return [Cm(rest if column.wide else size) for column, size in zip(found.columns, narrow, strict=True)]


def _add_rule(row: _Row) -> None:
    """Draw a line below a row."""
    for cell in row.cells:
        borders, bottom = OxmlElement("w:tcBorders"), OxmlElement("w:bottom")
        for name, value in (("val", "single"), ("sz", "4"), ("space", "0"), ("color", "CBD2D9")):
            bottom.set(qn(f"w:{name}"), value)
        borders.append(bottom)
        cell._tc.get_or_add_tcPr().append(borders)


def _write(cell: _Cell, text: str) -> WordParagraph:
    paragraph: WordParagraph = cell.paragraphs[0]
    paragraph.add_run(text)
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(3)
    return paragraph


def _aligned(paragraph: WordParagraph, *, numeric: bool, head: bool) -> None:
    _sized(paragraph, 8.5)
    if head:
        _grey(paragraph, 8.5)
    if numeric:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def _add_entry(file: WordFile, entry: Entry) -> None:
    head = file.add_paragraph()
    head.paragraph_format.space_after, head.paragraph_format.keep_with_next = Pt(0), True
    head.add_run(entry.name).bold = True
    if entry.badge:
        run = head.add_run(f"  {entry.badge}")
        run.font.size, run.font.color.rgb = Pt(9), _TONES[entry.tone]
    lines = [entry.text, *entry.details, *([entry.action] if entry.action else [])]
    for number, line in enumerate(lines):
        paragraph = file.add_paragraph(line)
        paragraph.paragraph_format.space_after = Pt(8 if number == len(lines) - 1 else 1)
        if 0 < number <= len(entry.details):
            _grey(paragraph, 9)


def _add_picture(file: WordFile, picture: Picture) -> None:
    drawn = render_png(picture.spec, _PIXELS_TO_A_UNIT)
    wide, high = (Pt(_POINTS_TO_A_UNIT * pixels / _PIXELS_TO_A_UNIT) for pixels in png_size(drawn))
    shape = file.add_picture(BytesIO(drawn), width=int(wide * min(1.0, _WIDEST / wide, _HIGHEST / high)))
    properties = shape._inline.docPr
    properties.set("title", picture.title)
    properties.set("descr", picture.alt)


def _sized(paragraph: WordParagraph, size: float) -> None:
    for run in paragraph.runs:
        run.font.size = Pt(size)


def _grey(paragraph: WordParagraph, size: float) -> None:
    for run in paragraph.runs:
        run.font.size, run.font.color.rgb = Pt(size), _GREY
