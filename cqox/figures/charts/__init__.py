"""Charts of the figures in Altair, which are compiled to the files of `cqox/figures/templates`.

Run `python -m cqox.figures.charts` after a change of a chart. Nothing that draws a figure imports this package: Altair
takes half a second to import, and as long again to compile the charts.
"""

from cqox.figures.charts.compiling import CHARTS, compiled, template_text, write_templates

__all__ = ["CHARTS", "compiled", "template_text", "write_templates"]
