"""A Markdown file (CommonMark with the tables of GitHub): text alone, figures in words."""

import re
from collections.abc import Iterable, Iterator, Sequence

from cqox.exports.document import Block, Document, Entries, Entry, Facts, Folded, Paragraph, Picture, Table

__all__ = ["markdown"]

_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters with a meaning. An underscore inside a word has none."""

_AT_THE_START = re.compile(r"^([#+=-]|\d+(?=[.)](?:\s|$)))")


def markdown(document: Document) -> bytes:
    """Return the document as Markdown, UTF-8."""
    return ("\n\n".join(_parts(document)) + "\n").encode()


def _parts(document: Document) -> Iterator[str]:
    yield f"# {_text(document.title)}"
    yield _text(document.subtitle)
    if document.headline:
        yield f"**{_text(document.headline)}**"
    yield f"**{_text(document.verdict_line)}**"
    yield _text(document.meaning)
    yield from _list(document.reasons)
    yield from (f"> {_text(each)}" for each in document.remarks)
    for section in document.sections:
        yield f"## {_text(section.heading)}"
        for block in section.blocks:
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            yield _text(block.text)
        case Facts():
            yield "\n".join(f"- {_text(name)}: **{_text(value)}**" for name, value in block.rows)
        case Table():
            yield f"**{_text(block.caption)}**"
            yield _table(block)
        case Entries():
            if block.heading:
                yield f"### {_text(block.heading)}"
            yield "\n".join(_entry(entry) for entry in block.entries)
        case Folded():
            yield f"**{_text(block.summary)}**"
            yield from _list(block.lines)
        case Picture():
            yield f"### {_text(block.title)}"
            yield _text(block.alt)


def _list(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield "\n".join(f"- {_text(line)}" for line in lines)


def _table(table: Table) -> str:
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    head = _row(_text(column.heading) for column in table.columns)
    return "\n".join([head, _row(rule), *(_row(map(_text, row)) for row in table.rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entry(entry: Entry) -> str:
    badge = f" ({_text(entry.badge)})" if entry.badge else ""
    lines = [f"- **{_text(entry.name)}**{badge}: {_text(entry.text)}"]
    lines += [f"  - {_text(line)}" for line in (*entry.details, *((entry.action,) if entry.action else ()))]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Return a text of which no part is markup."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text.strip())
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _AT_THE_START.sub(r"\\\1" if not escaped[:1].isdigit() else r"\1\\", escaped)
