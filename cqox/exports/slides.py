"""A PowerPoint file: the answer, the assumptions, the figure of the design and the gates, a slide or more for each."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cqox.contract.messages import Message
from cqox.exports.document import Document, Entries, Entry, Facts, Folded, Section
from cqox.exports.slide_figure import slide_figure
from cqox.exports.slide_shapes import PAGE, Box, Cell, Deck, Line
from cqox.exports.slide_text import cut, fitting_size, height_of
from cqox.figures import render_png

__all__ = ["slide_deck"]

_PIXELS_TO_A_UNIT = 3.0
_TEXT, _SMALL = 14.0, 12.0
_HEADLINE_SIZES = (26.0, 22.0, 20.0, 18.0, 16.0, 14.0)
_LEDGER_WIDTHS = (1.5, 4.4, 6.23)
_GATE_WIDTHS = (1.5, 2.6, 8.03)
_ROW_MARGIN = 0.12


def slide_deck(document: Document, when: datetime | None) -> bytes:
    """Return the document as a .pptx file; what it has no room for is in the other formats.

    Args:
        document: the content.
        when: the time in its properties; the earliest one possible if None.
    """
    deck = Deck(language=document.language, title=document.title, footer=document.subtitle)
    _add_answer(deck, document)
    ledger = document.section("assumptions")
    if ledger is not None:
        _add_ledger(deck, document, ledger)
    pictures = document.pictures()
    if pictures:
        slide = deck.add_slide(pictures[0].title)
        figure = slide_figure(pictures[0], document.language)
        keys = [Line(text=key, size=_SMALL, grey=True) for key in figure.keys]
        taken = height_of([(key, _SMALL) for key in figure.keys], PAGE.width)
        deck.add_lines(slide, Box(left=PAGE.left, top=PAGE.top, width=PAGE.width, height=taken), keys)
        place = Box(left=PAGE.left, top=PAGE.top + taken, width=PAGE.width, height=PAGE.height - taken)
        drawn = render_png(figure.spec, _PIXELS_TO_A_UNIT)
        deck.add_picture(slide, place, drawn, title=pictures[0].title, alt=pictures[0].alt)
    gates = document.section("gates")
    if gates is not None:
        _add_gates(deck, document, gates)
    return deck.saved(when)


def _add_answer(deck: Deck, document: Document) -> None:
    """Add the slide of the answer: headline, verdict with its reasons, and the effect."""
    slide = deck.add_slide(document.title)
    size = fitting_size(document.headline, _HEADLINE_SIZES, PAGE.width, 1.35)
    headline = cut(document.headline, size, PAGE.width, 1.35)
    top = Box(left=PAGE.left, top=PAGE.top, width=PAGE.width, height=1.4)
    deck.add_lines(slide, top, [Line(text=headline, size=size)])
    inside = PAGE.width - 0.3
    verdict = [
        Line(text=document.verdict_line, size=20, bold=True, tone=document.tone),
        Line(text=cut(document.meaning, _TEXT, inside, 0.75), size=_TEXT),
    ]
    band = Box(left=PAGE.left, top=2.85, width=PAGE.width, height=1.45)
    deck.add_lines(slide, band, verdict, ground=document.tone)
    reasons, facts = (
        Box(left=PAGE.left, top=4.5, width=6.9, height=2.35),
        Box(left=7.9, top=4.5, width=4.83, height=2.35),
    )
    deck.add_lines(slide, reasons, list(_fitting(document, document.reasons, reasons)))
    effect = document.section("effect")
    rows = [row for block in (effect.blocks if effect else ()) if isinstance(block, Facts) for row in block.rows]
    lines = [
        line
        for name, value in rows
        for line in (Line(text=name, size=_SMALL, grey=True), Line(text=value, size=_TEXT, bold=True))
    ]
    while height_of([(line.text, line.size) for line in lines], facts.width) > facts.height:
        lines = lines[:-2]
    deck.add_lines(slide, facts, lines)


def _fitting(document: Document, texts: Sequence[str], box: Box) -> Iterator[Line]:
    """Yield as many paragraphs as fit into a box, and how many are left out."""
    left = box.height
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        room = left if last else left - 0.3
        shown = cut(text, _TEXT, box.width, room)
        taken = height_of([(shown, _TEXT)], box.width)
        if taken > room and number:
            more = Message("exports.slide-more", more=len(texts) - number).in_language(document.language)
            yield Line(text=more, size=_TEXT, grey=True)
            return
        yield Line(text=shown, size=_TEXT)
        left -= taken


def _add_ledger(deck: Deck, document: Document, section: Section) -> None:
    head = [
        Message("exports.column-status"), Message("exports.column-assumption"), Message("exports.column-evidence"),
    ]  # fmt: skip
    entries = [entry for block in section.blocks if isinstance(block, Entries) for entry in block.entries]
    rows = [_ledger_row(entry) for entry in entries]
    _add_tables(deck, document, section.heading, head, rows, _LEDGER_WIDTHS)


def _ledger_row(entry: Entry) -> tuple[Cell, ...]:
    tone = entry.tone
    backed = [Line(text=text, size=_SMALL, grey=True) for text in entry.details]
    to_do = [Line(text=entry.action, size=_SMALL)] if entry.action else []
    return (
        (Line(text=entry.badge, size=_TEXT, bold=True, tone=tone),),
        (Line(text=entry.name, size=_TEXT, bold=True), Line(text=entry.text, size=_SMALL)),
        (*backed, *to_do) or (Line(text="", size=_SMALL),),
    )


def _add_gates(deck: Deck, document: Document, section: Section) -> None:
    """Add the gates that fail or warn with what they say, the others by their names."""
    head = [Message("exports.column-status"), Message("exports.column-gate"), Message("exports.column-reason")]
    rows: list[tuple[Cell, ...]] = []
    for block in section.blocks:
        if isinstance(block, Folded):
            rows.append((_nothing(), _nothing(), (Line(text=block.summary, size=_SMALL, grey=True),)))
        elif isinstance(block, Entries):
            status = (Line(text=block.heading, size=_TEXT, bold=True, tone=block.tone),)
            if block.tone == "good":
                names = Message("exports.names", names=[entry.name for entry in block.entries])
                rows.append((status, _nothing(), (Line(text=names.in_language(document.language), size=_SMALL),)))
                continue
            rows += [
                (status, (Line(text=entry.name, size=_TEXT, bold=True),), (Line(text=entry.text, size=_SMALL),))
                for entry in block.entries
            ]
    _add_tables(deck, document, section.heading, head, rows, _GATE_WIDTHS)


def _nothing() -> Cell:
    return (Line(text="", size=_SMALL),)


def _add_tables(
    deck: Deck,
    document: Document,
    heading: str,
    head: Sequence[Message],
    rows: Sequence[tuple[Cell, ...]],
    widths: Sequence[float],
) -> None:
    """Add as many slides as the rows of a table need, each with the head."""
    first = tuple((Line(text=text.in_language(document.language), size=_SMALL, grey=True),) for text in head)
    pages = _pages([first, *(_bounded(row, widths) for row in rows)], widths)
    for number, page in enumerate(pages, 1):
        title = heading
        if len(pages) > 1:
            said = Message("exports.page-of-slides", heading=heading, number=number, numbers=len(pages))
            title = said.in_language(document.language)
        deck.add_table(deck.add_slide(title), PAGE, widths, page)


def _pages(rows: Sequence[tuple[Cell, ...]], widths: Sequence[float]) -> list[list[tuple[Cell, ...]]]:
    head, pages = rows[0], list[list[tuple[Cell, ...]]]()
    left = 0.0
    for row in rows[1:]:
        taken = _height(row, widths)
        if taken > left or not pages:
            pages.append([head])
            left = PAGE.height - _height(head, widths)
        pages[-1].append(row)
        left -= taken
    return pages


def _height(row: tuple[Cell, ...], widths: Sequence[float]) -> float:
    heights = [
        height_of([(line.text, line.size) for line in cell], width - 0.15)
        for cell, width in zip(row, widths, strict=True)
    ]
    return max(heights) + _ROW_MARGIN


def _bounded(row: tuple[Cell, ...], widths: Sequence[float]) -> tuple[Cell, ...]:
    """Return a row whose texts are cut to what a slide holds."""
    bounded = []
    for cell, width in zip(row, widths, strict=True):
        room = (PAGE.height - 0.6) / max(len(cell), 1)
        bounded.append(
            tuple(
                Line(
                    text=cut(line.text, line.size, width - 0.15, room),
                    size=line.size, bold=line.bold, tone=line.tone, grey=line.grey,
                )
                for line in cell
            )
        )  # fmt: skip
    return tuple(bounded)
