"""JSON responses in compact form."""

import json
from http import HTTPStatus

from quart import Response

from cqox.analysis.answer import Answer
from services.http.request.digests import CONTENT_DIGEST, digest_field
from services.http.request.request import current_request

__all__ = ["json_answer", "json_bytes", "no_content", "report_answer"]


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
    """Return a report with its `Content-Digest`."""
    answer = json_bytes(report.body)
    if current_request().method != "HEAD":
        # The digest covers the content that is sent (RFC 9530, appendix B.2), and a response to HEAD has none.
        answer.headers[CONTENT_DIGEST] = digest_field(report.sha256)
    return answer


def no_content() -> Response:
    """Return a 204 response without a body or content type."""
    answer = Response("", HTTPStatus.NO_CONTENT)
    del answer.headers["Content-Type"]
    return answer
