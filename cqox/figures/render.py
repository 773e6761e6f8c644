"""Rendering of specifications to SVG and PNG without a browser, network access or system fonts."""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType

from cqox.assets import asset_folder
from cqox.estimators import Json
from cqox.figures._typeface import Typeface
from cqox.figures.style import FAMILY

__all__ = ["font_faces", "letters_of", "render_png", "render_svg"]

_VERSION = "6.4"

_UNDRAWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Controls, which XML cannot hold, so that the renderer would abort the process, and turns of direction."""

_PERHAPS = re.compile(r"\\[bf]|\\u(?:00(?:[0189]|7f)|20[26]|d[89a-f]|fff)", re.IGNORECASE)
"""Escapes in the JSON of a specification that holds one of them, and a few harmless ones."""

_LOST = "\N{REPLACEMENT CHARACTER}"

_TEXT = re.compile(r"<text([^>]*)>(.*?)</text>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def render_svg(spec: Mapping[str, Json], *, with_fonts: bool = True) -> bytes:
    """Render the figure as UTF-8 SVG with embedded glyphs, so that it looks the same in every viewer.

    Args:
        spec: the Vega-Lite specification.
        with_fonts: whether to embed the glyphs. A document of several figures embeds them once, by `font_faces`.
    """
    vl_convert = _renderer()
    svg: str = vl_convert.vegalite_to_svg(_drawable(spec), vl_version=_VERSION)
    said = spec.get("description")
    label = f' role="img" aria-label="{html.escape(_UNDRAWABLE.sub(_LOST, said))}"' if isinstance(said, str) else ""
    start = svg.index(">")
    return f"{svg[:start]}{label}>{_faces(svg) if with_fonts else ''}{svg[start + 1 :]}".encode()


def render_png(spec: Mapping[str, Json], scale: float = 2.0) -> bytes:
    """Render the figure as PNG.

    Args:
        spec: the Vega-Lite specification.
        scale: pixels per unit of length; 2 is sharp on most screens.
    """
    vl_convert = _renderer()
    png: bytes = vl_convert.vegalite_to_png(_drawable(spec), vl_version=_VERSION, scale=scale)
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


def _drawable(spec: Mapping[str, Json]) -> str:
    """Return the specification as JSON, with a replacement character for each one that cannot be drawn."""
    text = json.dumps(spec)
    return json.dumps(_replaced(spec)) if _PERHAPS.search(text) else text


def _replaced(value: object) -> object:
    if isinstance(value, str):
        return _UNDRAWABLE.sub(_LOST, value)
    if isinstance(value, Mapping):
        return {_UNDRAWABLE.sub(_LOST, name): _replaced(each) for name, each in value.items()}
    return [_replaced(each) for each in value] if isinstance(value, list | tuple) else value


def _faces(svg: str) -> str:
    rules = font_faces(*letters_of(svg))
    return f"<defs><style>{rules}</style></defs>" if rules else ""


@cache
def _typeface(weight: str) -> Typeface:
    return Typeface(asset_folder("fonts") / f"CQOxGothic-{weight}.ttf")


@cache
def _renderer() -> ModuleType:
    """Load the renderer, deny it every address and register the fonts, once per process: its settings are global."""
    # Loaded at the first figure: a process that draws none starts sooner.
    import vl_convert

    renderer: ModuleType = vl_convert
    renderer.configure(base_url=False, allowed_base_urls=[])
    renderer.register_font_directory(str(asset_folder("fonts")))
    return renderer
