"""Pictures of specifications, drawn without a browser, a network or a font of the machine."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import vl_convert

from cqox.estimators import Json

__all__ = ["render_png", "render_svg"]

_FONTS = Path(__file__).with_name("fonts")
_VERSION = "6.4"
_NOWHERE: list[str] = []
"""Addresses from which a specification may read data: none."""


def render_svg(spec: Mapping[str, Json]) -> bytes:
    """The figure as SVG, UTF-8."""
    _register_fonts()
    svg: str = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=_VERSION, allowed_base_urls=_NOWHERE)
    return svg.encode()


def render_png(spec: Mapping[str, Json], scale: float = 2.0) -> bytes:
    """The figure as PNG.

    Args:
        spec: the Vega-Lite specification.
        scale: pixels for each unit of length; 2 is sharp on most screens.
    """
    _register_fonts()
    png: bytes = vl_convert.vegalite_to_png(
        json.dumps(spec), vl_version=_VERSION, scale=scale, allowed_base_urls=_NOWHERE
    )
    return png


@cache
def _register_fonts() -> None:
    """Once in a process: the renderer keeps what it is told."""
    vl_convert.register_font_directory(str(_FONTS))
