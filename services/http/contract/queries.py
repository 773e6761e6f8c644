"""Parsing of the query of a request against the parameters of its operation."""

from collections.abc import Mapping

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from services.http.contract.api import operation
from services.http.contract.operations import Operation
from services.http.request.language import LANGUAGE_PARAMETER
from services.http.request.request import current_request

__all__ = ["query_of"]


def query_of(what: str | Operation) -> Mapping[str, str]:
    """Return the query of the current request.

    Args:
        what: the operation, or its name.

    Raises:
        InvalidRequest: it has a parameter that the operation does not have. If it were ignored, a misspelt filter
            would list everything, and a misspelt `erase` would erase nothing.
    """
    query = current_request().args
    asked = operation(what) if isinstance(what, str) else what
    known = [each.name for each in asked.parameters if each.where == "query"]
    for given in query:
        if given not in (*known, LANGUAGE_PARAMETER):
            cure = None if known else Message("request.path-takes-no-query")
            raise unknown_word(Message("request.word-query-parameter"), given, known, field=shortened(given), cure=cure)
    return query
