"""Markdown of a code host as Markdown of the site: tabs, diagrams, links, nested lists. Pure text."""

import re
from collections.abc import Callable, Iterator

__all__ = [
    "rewrite_links",
    "with_breakable_code",
    "with_indented_lists",
    "with_tabs",
    "with_text_diagrams",
    "without_comments",
]

_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_TABS = re.compile(r"^<!-- tabs -->\n(.*?)^<!-- end -->\n", re.MULTILINE | re.DOTALL)
_VOICE = re.compile(r"^\*\*([^*\n]+)\*\*\n", re.MULTILINE)
_DIAGRAM = re.compile(r"^```mermaid\nflowchart TB\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NODE = re.compile(r'^ +L(\d+)\["(.*)"\]$', re.MULTILINE)
_ARROW = re.compile(r"^ +L(\d+) --> L(\d+)$", re.MULTILINE)
_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_BREAK = re.compile(r"(?<=[/_.,])(?=\w)")
_SIGN = re.compile(r"[^\w/.,=-]|_")
_ITEM = re.compile(r"^ *([-*]|\d+\.) ")


def with_tabs(text: str) -> str:
    """Return a page whose blocks between `<!-- tabs -->` and `<!-- end -->` are tabs, one for each line in bold.

    Raises:
        ValueError: a block does not begin with a line in bold, or has one voice only.
    """

    def tabs(block: re.Match[str]) -> str:
        before, *voices = _VOICE.split(block[1])
        if before.strip() or len(voices) < 4:
            raise ValueError(f"tabs need at least two headings in bold: {block[0][:60]!r}")
        return "".join(
            f'=== "{label}"\n\n{_indented(content.strip("\n"))}\n\n'
            for label, content in zip(voices[::2], voices[1::2], strict=True)
        )

    return _TABS.sub(tabs, text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def with_text_diagrams(text: str) -> str:
    """Return a page whose chains of layers are text, for a browser would have to fetch Mermaid from elsewhere.

    Raises:
        ValueError: a diagram is no chain.
    """

    def layers(block: re.Match[str]) -> str:
        nodes = [label.replace("<br/>", " ") for _, label in _NODE.findall(block[1])]
        arrows = [(int(upper), int(lower)) for upper, lower in _ARROW.findall(block[1])]
        if arrows != [(place, place + 1) for place in range(len(nodes) - 1)] or not nodes:
            raise ValueError(f"a diagram is no chain of layers: {block[0][:80]!r}")
        return "```text\n" + "\n  ↓\n".join(nodes) + "\n```"

    return _DIAGRAM.sub(layers, text)


def without_comments(text: str) -> str:
    """Return a page without comments, outside code."""
    return _outside_code(text, lambda part: _COMMENT.sub("", part))


def rewrite_links(text: str, new_target: Callable[[str], str | None]) -> str:
    """Return a page with other targets of its links, outside code; a link whose new target is None becomes its text.

    Args:
        text: the page.
        new_target: target as written to the new one; not asked about addresses of other sites.
    """

    def link(found: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", found[3]):
            return found[0]
        target = new_target(found[3])
        return found[2] if target is None else f"{found[1]}[{found[2]}]({target})"

    return _outside_code(text, lambda part: _LINK.sub(link, part))


def with_breakable_code(text: str) -> str:
    """Return a page whose code in cells of tables may break at spaces and after `/`, `_`, `.` and `,` alone."""

    def breakable(code: re.Match[str]) -> str:
        words = code[1].replace("\\|", "|").split(" ")
        return f"<code>{' '.join('<wbr>'.join(map(_unbroken, _BREAK.split(word))) for word in words)}</code>"

    return _outside_code(text, lambda part: _ROW.sub(lambda row: _CODE.sub(breakable, row[0]), part))


def _unbroken(part: str) -> str:
    """Return a part of a word as HTML in which Markdown finds no sign; one with hyphens does not break at them."""
    text = _SIGN.sub(lambda sign: f"&#{ord(sign[0])};", part)
    return f"<span>{text}</span>" if "-" in part else text


def with_indented_lists(text: str) -> str:
    """Return a page whose lists have an empty line before them and whose nested items are indented by four spaces.

    CommonMark, which code hosts show, needs neither; Python-Markdown needs both.
    """
    return _outside_code(text, lambda part: "\n".join(_list_lines(part.split("\n"))))


def _list_lines(lines: list[str]) -> Iterator[str]:
    before, inside = "", False
    for line in lines:
        item = _ITEM.match(line) is not None
        if item and not inside and before.strip():
            yield ""
        inside = item or (inside and (line.startswith(" ") or not line.strip()))
        if inside and line.startswith(" "):
            depth = (len(line) - len(line.lstrip())) // 2
            yield " " * 4 * max(1, depth if item else 1) + line.lstrip()
        else:
            yield line
        before = line


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _FENCED.split(text)
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))
