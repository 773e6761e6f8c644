"""Figures of an analysis as Vega-Lite specifications, and their SVG and PNG renderings."""

from cqox.figures.drawing import draw, warm
from cqox.figures.figure import Figure, Spec
from cqox.figures.render import font_faces, letters_of, render_png, render_svg

__all__ = ["Figure", "Spec", "draw", "font_faces", "letters_of", "render_png", "render_svg", "warm"]
