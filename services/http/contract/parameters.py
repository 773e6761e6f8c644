"""Parameters and responses that several operations have."""

from http import HTTPStatus

from cqox.contract import EXPORT_TYPES
from services.http.contract.operations import Answer, Parameter

__all__ = [
    "ANALYSIS",
    "DOCUMENT",
    "FIGURE",
    "FIGURE_NAME",
    "FIGURE_SUFFIX",
    "IF_NONE_MATCH",
    "KEY",
    "PAGES",
    "SUFFIX",
    "UNMODIFIED",
]

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
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    where="header",
    meaning="`ETag` of what the client has; the gateway answers 304 if it is that.",
)
UNMODIFIED = Answer(status=HTTPStatus.NOT_MODIFIED, meaning="The client has it, as `If-None-Match` says.")
