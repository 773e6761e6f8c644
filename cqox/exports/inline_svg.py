"""Figures inside an HTML page: SVG elements without identifiers that clash, without labels and without fonts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from pydantic import JsonValue

from cqox.figures import letters_of, render_svg

__all__ = ["InlineSvg", "inline_svg"]

_NAMESPACE = "http://www.w3.org/2000/svg"
_SVG = f"{{{_NAMESPACE}}}"
_KEPT = {
    "circle", "clipPath", "defs", "ellipse", "g", "line", "linearGradient", "path", "polygon", "polyline",
    "radialGradient", "rect", "stop", "svg", "text", "tspan",
}  # fmt: skip
"""Elements that draw. Nothing in a page is to run or to be fetched."""

_REFERENCE = re.compile(r"url\(#([^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineSvg:
    """A rendered figure.

    Attributes:
        markup: an `svg` element that is hidden from assistive technology; its place in the page has the label.
        width, height: its size in pixels.
        regular, bold: letters that it writes in each weight.
    """

    markup: str
    width: float
    height: float
    regular: frozenset[str]
    bold: frozenset[str]


def inline_svg(spec: Mapping[str, JsonValue], name: str) -> InlineSvg:
    """Render a figure for a page.

    Args:
        spec: the Vega-Lite specification.
        name: of the figure, unique in the page; it begins every identifier.
    """
    text = render_svg(spec, with_fonts=False).decode()
    root = ElementTree.fromstring(text)
    width, height = (float(root.get(side, "0")) for side in ("width", "height"))
    _clean(root, _Names(re.sub(r"[^A-Za-z0-9_-]", "-", name)))
    root.set("xmlns", _NAMESPACE)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    regular, bold = letters_of(text)
    return InlineSvg(
        markup=ElementTree.tostring(root, encoding="unicode"),
        width=width,
        height=height,
        regular=frozenset(regular),
        bold=frozenset(bold),
    )


class _Names(dict[str, str]):
    """Identifiers of a page by those of the renderer, which counts on from figure to figure."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, name: str) -> str:
        return self.setdefault(name, f"{self._prefix}-{len(self)}")


def _clean(element: ElementTree.Element, names: _Names) -> None:
    """Take away the prefixes of names, what does not draw, and the attributes that label, in place."""
    element.tag = element.tag.removeprefix(_SVG)
    for name, value in list(element.attrib.items()):
        if name in ("role", "class", "version") or name.startswith(("aria-", "on", "{")):
            del element.attrib[name]
        elif name == "id":
            element.set("id", names[value])
        elif "url(#" in value:
            element.set(name, _REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value))
    for child in list(element):
        if isinstance(child.tag, str) and child.tag.removeprefix(_SVG) in _KEPT:
            _clean(child, names)
        else:
            element.remove(child)
