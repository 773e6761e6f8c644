"""Parameters that several operations have."""

from services.http.contract.operations import Parameter

__all__ = ["ANALYSIS", "PAGES"]

ANALYSIS = Parameter(name="analysis_id", where="path", meaning="The id in the report.")
PAGES = (
    Parameter(name="limit", where="query", kind="integer", meaning="The most items, 1 to 200; 50 if absent."),
    Parameter(name="before", where="query", meaning="The `next` of the previous page."),
)
