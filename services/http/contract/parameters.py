"""Parameters and responses that several operations have."""

from cqox.contract import EXPORT_TYPES
from services.http.contract.operations import Answer, Parameter

__all__ = ["ANALYSIS", "DOCUMENT", "FIGURE", "FIGURE_NAME", "FIGURE_SUFFIX", "KEY", "PAGES", "SUFFIX"]

ANALYSIS = Parameter(name="analysis_id", where="path", meaning="The id in the report.")
PAGES = (
    Parameter(name="limit", where="query", kind="integer", meaning="The most items, 1 to 200; 50 if absent."),
    Parameter(name="before", where="query", meaning="The `next` of the previous page."),
)
KEY = Parameter(
    name="Idempotency-Key",
    where="header",
    meaning="Identifies this request: with the same body it is the same request, with another body it is rejected.",
)
FIGURE_NAME = Parameter(name="name", where="path", meaning="A name from `figures` of the report.")
FIGURE_SUFFIX = Parameter(name="suffix", where="path", choices=("svg", "png", "json"), meaning="`json` is Vega-Lite.")
FIGURE = Answer(meaning="The figure.", media=("image/svg+xml", "image/png", "application/json"))
SUFFIX = Parameter(name="suffix", where="path", choices=tuple(EXPORT_TYPES), meaning="The format.")
DOCUMENT = Answer(meaning="The document.", media=tuple(each.partition(";")[0] for each in EXPORT_TYPES.values()))
