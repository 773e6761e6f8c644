"""JSON responses in compact form."""

import json
from http import HTTPStatus

from quart import Response

from cqox.analysis.answer import Answer
from cqox.contract import EXPORT_TYPES
from services.http.request.digests import CONTENT_DIGEST, digest_field
from services.http.request.origin import SAFE_METHODS
from services.http.request.request import current_request
from services.http.response.translation import add_language

__all__ = ["document_answer", "figure_answer", "json_answer", "json_bytes", "no_content", "report_answer"]

_SHOWN_OF_ID = 8
_SHOWN_OF_DIGEST = 32
_FIGURE_TYPES = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a value as a JSON response.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body, status, content_type="application/json")


def json_bytes(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return encoded JSON as a response."""
    return Response(body, status, content_type="application/json")


def report_answer(report: Answer) -> Response:
    """Return a report with its `Content-Digest`, and of one that is read, its `ETag`."""
    answer, request = json_bytes(report.body), current_request()
    if request.method in SAFE_METHODS:
        # Weak: the trace id in the provenance is that of the request.
        state = "" if report.stored else "-computed"
        answer.headers["ETag"] = f'W/"{report.digest[:_SHOWN_OF_DIGEST]}-{request.language}{state}"'
    if request.method != "HEAD":
        # The digest covers the content that is sent (RFC 9530, appendix B.2), and a response to HEAD has none.
        answer.headers[CONTENT_DIGEST] = digest_field(report.sha256)
    return answer


def no_content() -> Response:
    """Return a 204 response without a body or content type."""
    answer = Response("", HTTPStatus.NO_CONTENT)
    del answer.headers["Content-Type"]
    return answer


def figure_answer(content: bytes, suffix: str) -> Response:
    """Return a figure in the language of the request."""
    answer = Response(content, HTTPStatus.OK, content_type=_FIGURE_TYPES[suffix])
    add_language(current_request(), answer)
    return answer


def document_answer(content: bytes, analysis_id: str, suffix: str) -> Response:
    """Return a report as a document in the language of the request."""
    answer = Response(content, HTTPStatus.OK, content_type=EXPORT_TYPES[suffix])
    add_language(current_request(), answer)
    # A page of HTML is a file to keep, and must not run as one of this origin.
    name = f"cqox-{analysis_id[:_SHOWN_OF_ID]}.{suffix}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
