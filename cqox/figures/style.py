"""Style of every figure: typeface, colours and the Vega-Lite configuration.

The palette is Okabe and Ito's, which is safe for colour-blind readers; marks also differ by shape and position, so that
figures remain legible in black and white.
"""

from cqox.estimators import Json

__all__ = ["BLUE", "CONFIG", "FAMILY", "GREY", "INK", "ORANGE", "PALE", "PALETTE", "RULE", "SILVER"]

FAMILY = "CQOx Gothic"
"""Typeface shipped with this package."""

INK = "#1f2933"
GREY = "#616e7c"
SILVER = "#9aa5b1"
RULE = "#cbd2d9"
PALE = "#edf0f4"
BLUE = "#0072b2"
ORANGE = "#d55e00"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

CONFIG: dict[str, Json] = {
    "font": f"{FAMILY}, Hiragino Sans, Yu Gothic, Noto Sans JP, sans-serif",
    "background": "white",
    "padding": 16,
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "color": INK,
        "fontSize": 15,
        "fontWeight": "bold",
        "subtitleColor": GREY,
        "subtitleFontSize": 11.5,
        "subtitlePadding": 6,
        "subtitleLineHeight": 16,
        "offset": 16,
        "limit": 900,
    },
    "axis": {
        "labelColor": GREY,
        "labelFontSize": 11,
        "labelLimit": 240,
        "titleColor": INK,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "titleLimit": 480,
        "domainColor": RULE,
        "tickColor": RULE,
        "tickSize": 4,
        "gridColor": PALE,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 11,
        "titleColor": GREY,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "symbolSize": 70,
    },
    "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold", "titleColor": GREY},
    "text": {"color": INK, "fontSize": 11},
}
"""The `config` of every specification."""
