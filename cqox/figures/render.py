"""Rendering of specifications to SVG and PNG without a browser, network access or system fonts."""

import base64
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import vl_convert

from cqox.estimators import Json
from cqox.figures._style import FAMILY
from cqox.figures._typeface import Typeface

__all__ = ["render_png", "render_svg"]

_FONTS = Path(__file__).with_name("fonts")
_VERSION = "6.4"
_NOWHERE: list[str] = []
"""URLs that a specification may load data from: none."""

_TEXT = re.compile(r"<text([^>]*)>(.*?)</text>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def render_svg(spec: Mapping[str, Json]) -> bytes:
    """Render the figure as UTF-8 SVG with embedded glyphs, so that it looks the same in every viewer."""
    _register_fonts()
    svg: str = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=_VERSION, allowed_base_urls=_NOWHERE)
    said = spec.get("description")
    label = f' role="img" aria-label="{html.escape(said)}"' if isinstance(said, str) else ""
    start = svg.index(">")
    return f"{svg[:start]}{label}>{_faces(svg)}{svg[start + 1 :]}".encode()


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


def _faces(svg: str) -> str:
    """Return a style sheet that embeds the glyphs of each font weight."""
    used: dict[str, set[str]] = {"Regular": set(), "Bold": set()}
    for attributes, content in _TEXT.findall(svg):
        weight = "Bold" if 'font-weight="bold"' in attributes else "Regular"
        used[weight] |= set(html.unescape(_TAG.sub("", content)))
    rules = ""
    for weight, value in (("Regular", 400), ("Bold", 700)):
        letters = sorted(each for each in used[weight] if each.isprintable())
        if letters:
            font = base64.b64encode(_typeface(weight).subset(letters)).decode()
            rules += (
                f'@font-face{{font-family:"{FAMILY}";font-weight:{value};'
                f"src:url(data:font/ttf;base64,{font}) format('truetype')}}"
            )
    return f"<defs><style>{rules}</style></defs>" if rules else ""


@cache
def _typeface(weight: str) -> Typeface:
    return Typeface(_FONTS / f"CQOxGothic-{weight}.ttf")


@cache
def _register_fonts() -> None:
    """Register the fonts once per process; the renderer's font registry is global."""
    vl_convert.register_font_directory(str(_FONTS))
