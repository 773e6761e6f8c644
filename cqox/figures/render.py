"""Rendering of specifications to SVG and PNG without a browser, network access or system fonts."""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache

import vl_convert

from cqox.assets import asset_folder
from cqox.estimators import Json
from cqox.figures._typeface import Typeface
from cqox.figures.style import FAMILY

__all__ = ["font_faces", "letters_of", "render_png", "render_svg"]

_VERSION = "6.4"
_NOWHERE: list[str] = []
"""URLs that a specification may load data from: none."""

_TEXT = re.compile(r"<text([^>]*)>(.*?)</text>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def render_svg(spec: Mapping[str, Json], *, with_fonts: bool = True) -> bytes:
    """Render the figure as UTF-8 SVG with embedded glyphs, so that it looks the same in every viewer.

    Args:
        spec: the Vega-Lite specification.
        with_fonts: whether to embed the glyphs. A document of several figures embeds them once, by `font_faces`.
    """
    _register_fonts()
    svg: str = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=_VERSION, allowed_base_urls=_NOWHERE)
    said = spec.get("description")
    label = f' role="img" aria-label="{html.escape(said)}"' if isinstance(said, str) else ""
    start = svg.index(">")
    return f"{svg[:start]}{label}>{_faces(svg) if with_fonts else ''}{svg[start + 1 :]}".encode()


def render_png(spec: Mapping[str, Json], scale: float = 2.0) -> bytes:
    """Render the figure as PNG.

    Args:
        spec: the Vega-Lite specification.
        scale: pixels per unit of length; 2 is sharp on most screens.
    """
    _register_fonts()
    png: bytes = vl_convert.vegalite_to_png(
        json.dumps(spec), vl_version=_VERSION, scale=scale, allowed_base_urls=_NOWHERE
    )
    return png


def font_faces(regular: Iterable[str], bold: Iterable[str]) -> str:
    """Return the rules of a style sheet that embed the glyphs of these letters in each weight.

    Letters that the typeface lacks are left out.
    """
    rules = ""
    for weight, value, wanted in (("Regular", 400, regular), ("Bold", 700, bold)):
        letters = sorted({each for each in wanted if each.isprintable()})
        if letters:
            font = base64.b64encode(_typeface(weight).subset(letters)).decode()
            rules += (
                f'@font-face{{font-family:"{FAMILY}";font-weight:{value};'
                f"src:url(data:font/ttf;base64,{font}) format('truetype')}}"
            )
    return rules


def letters_of(svg: str) -> tuple[set[str], set[str]]:
    """Return the letters that a rendered figure writes in the regular and in the bold weight."""
    regular, bold = set[str](), set[str]()
    for attributes, content in _TEXT.findall(svg):
        used = bold if 'font-weight="bold"' in attributes else regular
        used |= set(html.unescape(_TAG.sub("", content)))
    return regular, bold


def _faces(svg: str) -> str:
    rules = font_faces(*letters_of(svg))
    return f"<defs><style>{rules}</style></defs>" if rules else ""


@cache
def _typeface(weight: str) -> Typeface:
    return Typeface(asset_folder("fonts") / f"CQOxGothic-{weight}.ttf")


@cache
def _register_fonts() -> None:
    """Register the fonts once per process; the renderer's font registry is global."""
    vl_convert.register_font_directory(str(asset_folder("fonts")))
