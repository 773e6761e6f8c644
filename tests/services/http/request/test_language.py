import pytest
from werkzeug.datastructures import Headers

from services.http.request.language import unknown_language
from services.http.request.request import IncomingRequest


def asked(query: bytes = b"", accept: str = "", path: str = "/api/analyses") -> IncomingRequest:
    headers = Headers({"Accept-Language": accept} if accept else {})
    scope = {"type": "http", "headers": [], "query_string": query}
    return IncomingRequest("GET", "http", path, query, headers, "", "1.1", scope, send_push_promise=None)


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [
        (b"", "", "en"),
        (b"", "ja-JP,ja;q=0.9", "ja"),
        (b"lang=en", "ja", "en"),
        (b"limit=5&lang=ja", "", "ja"),
        (b"lang=fr", "ja", "ja"),
    ],
)
def test_the_parameter_has_precedence_over_the_header(query: bytes, accept: str, language: str) -> None:
    assert asked(query, accept).language == language


def test_a_language_without_a_catalog_is_refused_with_those_that_have_one() -> None:
    error = unknown_language(asked(b"lang=xx"))
    assert error is not None
    assert (error.field, error.choices) == ("lang", ("en", "ja"))
    assert "not 'xx'" in error.detail


@pytest.mark.parametrize("request_", [asked(), asked(b"lang=ja"), asked(b"lang=xx", path="/docs"), asked(b"limit=5")])
def test_other_requests_pass(request_: IncomingRequest) -> None:
    assert unknown_language(request_) is None
