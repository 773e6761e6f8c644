"""A PDF, set by Typst from a layout of ours; the report is its data, never a part of its code."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path

import typst

from cqox.assets import asset_folder
from cqox.exports.archives import in_archive
from cqox.exports.document import Block, Document, Entries, Facts, Folded, Paragraph, Picture, Table
from cqox.exports.inline_svg import inline_svg

__all__ = ["pdf_document"]

_LAYOUT = Path(__file__).with_name("report.typ")
_WIDEST, _HIGHEST = 481.0, 650.0
"""Most room for a figure, in points."""

_POINTS_TO_A_UNIT = 0.72
"""Figures are as large as their texts are legible: 11 units become 8 points."""

_KINDS: Mapping[type[Block], str] = {
    Paragraph: "paragraph",
    Facts: "facts",
    Table: "table",
    Entries: "entries",
    Folded: "folded",
    Picture: "picture",
}


def pdf_document(document: Document, when: datetime | None) -> bytes:
    """Return the document as a tagged PDF that holds its fonts.

    Args:
        document: the content.
        when: the time in its properties; None leaves it out.
    """
    content = asdict(document) | {
        "created": None if when is None else _parts(when),
        "sections": [
            {"heading": section.heading, "blocks": [_block(block) for block in section.blocks]}
            for section in document.sections
        ],
    }
    drawn = _compiler().compile(
        _LAYOUT.read_bytes(),
        format="pdf",
        sys_inputs={"document": json.dumps(content, ensure_ascii=False)},
        timestamp=in_archive(when),
    )
    assert isinstance(drawn, bytes)
    return drawn


@cache
def _compiler() -> typst.Compiler:
    """Return the compiler, which reads the fonts once in a process and has no packages to fetch."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[asset_folder("fonts")])
    return typst.Compiler(font_paths=fonts, root=_LAYOUT.parent)


def _parts(when: datetime) -> Mapping[str, int]:
    moment = in_archive(when)
    return {name: getattr(moment, name) for name in ("year", "month", "day", "hour", "minute", "second")}


def _block(block: Block) -> Mapping[str, object]:
    if isinstance(block, Picture):
        drawn = inline_svg(block.spec, block.name)
        wide, high = (_POINTS_TO_A_UNIT * size for size in (drawn.width, drawn.height))
        width = wide * min(1.0, _WIDEST / wide, _HIGHEST / high)
        return {"kind": "picture", "svg": drawn.markup, "width": width, "alt": f"{block.title}. {block.alt}"}
    return {"kind": _KINDS[type(block)], **asdict(block)}
