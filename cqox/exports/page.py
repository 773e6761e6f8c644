"""One HTML file: no script, no request, figures inside it, for screens of both colour schemes and for print."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from cqox.exports.document import Block, Document, Entries, Entry, Facts, Folded, Paragraph, Picture, Section, Table
from cqox.exports.inline_svg import InlineSvg, inline_svg
from cqox.figures import font_faces
from cqox.figures.style import BLUE, GREY, INK, ORANGE, PALE, RULE, SILVER

__all__ = ["html_page"]

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; font-src data:"
"""Content security policy of the page itself: nothing in it runs, and it fetches nothing."""

_IN_THE_DARK = {
    INK: "#e6eaef",
    GREY: "#a7b3c0",
    SILVER: "#7b8794",
    RULE: "#4a5561",
    PALE: "#2a323b",
    BLUE: "#4aa8e0",
    ORANGE: "#ff8a3d",
    "white": "#161b22",
}
"""Colours of figures on a dark page."""


def html_page(document: Document) -> bytes:
    """Return the document as one HTML file, UTF-8."""
    drawn = {picture.name: inline_svg(picture.spec, picture.name) for picture in document.pictures()}
    body = "".join(["<main>", _head(document), *(_section(section, drawn) for section in document.sections), "</main>"])
    style = f"{_STYLE.read_text(encoding='utf-8')}{_dark()}{_fonts(body, drawn)}"
    return (
        f'<!DOCTYPE html>\n<html lang="{document.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>\n{style}\n</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    ).encode()


def _fonts(body: str, drawn: dict[str, InlineSvg]) -> str:
    """Return the rules that embed every letter of the page, so that it looks the same without the fonts of a system."""
    letters = {letter for letter in body if letter > " "} | {" "}
    regular = letters.union(*(each.regular for each in drawn.values()))
    bold = letters.union(*(each.bold for each in drawn.values()))
    return font_faces(regular, bold)


def _dark() -> str:
    rules = "".join(
        f'.plot [{paint}="{light}"]{{{paint}:{dark}}}'
        for light, dark in _IN_THE_DARK.items()
        for paint in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme: dark){{{rules}}}\n"


def _head(document: Document) -> str:
    headline = f'<p class="headline">{escape(document.headline)}</p>' if document.headline else ""
    remarks = "".join(f"<p>{escape(each)}</p>" for each in document.remarks)
    remarks = f'<div class="remarks">{remarks}</div>' if remarks else ""
    return (
        f'<header><h1>{escape(document.title)}</h1><p class="meta">{escape(document.subtitle)}</p>{headline}'
        f'<div class="verdict {document.tone}"><p>{escape(document.verdict_line)}</p><p>{escape(document.meaning)}</p>'
        f"{_items(document.reasons)}</div>{remarks}</header>\n"
    )


def _section(section: Section, drawn: dict[str, InlineSvg]) -> str:
    blocks = "".join(_block(block, drawn) for block in section.blocks)
    return f'<section class="{section.name}"><h2>{escape(section.heading)}</h2>{blocks}</section>\n'


def _block(block: Block, drawn: dict[str, InlineSvg]) -> str:
    match block:
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Facts():
            return (
                f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in block.rows)}</dl>"
            )
        case Table():
            return _table(block)
        case Entries():
            heading = f'<h3 class="group {block.tone}">{escape(block.heading)}</h3>' if block.heading else ""
            return f'{heading}<ul class="entries">{"".join(map(_entry, block.entries))}</ul>'
        case Folded():
            return f"<details><summary>{escape(block.summary)}</summary>{_items(block.lines)}</details>"
        case Picture():
            return _figure(block, drawn[block.name])


def _items(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _table(table: Table) -> str:
    kinds = [
        ' class="number"' if column.numeric else ' class="wide"' if column.wide else "" for column in table.columns
    ]
    head = _cells("th", [f' scope="col"{kind}' for kind in kinds], [column.heading for column in table.columns])
    rows = "".join(f"<tr>{_cells('td', kinds, row)}</tr>" for row in table.rows)
    inside = f"<caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{inside}</table></div>'


def _cells(tag: str, attributes: Iterable[str], texts: Iterable[str]) -> str:
    return "".join(
        f"<{tag}{attribute}>{escape(text)}</{tag}>" for attribute, text in zip(attributes, texts, strict=True)
    )


def _entry(entry: Entry) -> str:
    badge = f'<span class="badge {entry.tone}">{escape(entry.badge)}</span>' if entry.badge else ""
    details = "".join(f'<p class="detail">{escape(detail)}</p>' for detail in entry.details)
    action = f'<p class="action">{escape(entry.action)}</p>' if entry.action else ""
    said = f'<p><span class="name">{escape(entry.name)}</span>{badge}</p><p>{escape(entry.text)}</p>'
    return f"<li>{said}{details}{action}</li>"


def _figure(picture: Picture, drawn: InlineSvg) -> str:
    label = escape(f"{picture.title}. {picture.alt}")
    return f'<figure><div class="plot" role="img" tabindex="0" aria-label="{label}">{drawn.markup}</div></figure>'
