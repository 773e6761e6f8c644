"""Compile every chart to its template: `python -m cqox.figures.charts`."""

from cqox.figures.charts.compiling import write_templates

if __name__ == "__main__":
    write_templates()
