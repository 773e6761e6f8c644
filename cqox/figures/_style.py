"""How every figure looks: typeface, colours and the frame of a Vega-Lite specification.

The colours are Okabe and Ito's, which people with any colour vision can tell apart; figures also differ by shape and
place, so that they survive black and white.
"""

from cqox.estimators import Json

__all__ = ["BLUE", "CONFIG", "FONT", "GREY", "INK", "ORANGE", "PALE", "PALETTE", "RULE"]

FONT = "BIZ UDPGothic, sans-serif"

INK = "#1f2933"
GREY = "#6b7785"
RULE = "#c3cad3"
PALE = "#eef1f5"
BLUE = "#0072b2"
ORANGE = "#d55e00"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

CONFIG: dict[str, Json] = {
    "font": FONT,
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
        "subtitlePadding": 5,
        "subtitleLineHeight": 16,
        "offset": 14,
    },
    "axis": {
        "labelColor": GREY,
        "labelFontSize": 11,
        "labelLimit": 240,
        "titleColor": INK,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titlePadding": 8,
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
