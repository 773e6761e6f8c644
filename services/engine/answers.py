"""Answers in JSON, as compact as they come."""

import json

from quart import Response

from cqox.analysis.answer import Answer
from services.http.request.digests import CONTENT_DIGEST, digest_field
from services.http.request.request import current_request

__all__ = ["json_answer", "json_bytes", "no_content", "report_answer"]


def json_answer(value: object, status: int = 200) -> Response:
    """The value as a JSON answer.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body, status, content_type="application/json")


def json_bytes(body: bytes, status: int = 200) -> Response:
    """JSON that is there already."""
    return Response(body, status, content_type="application/json")


def report_answer(report: Answer) -> Response:
    """A report, with its digest."""
    answer = json_bytes(report.body)
    if current_request().method != "HEAD":
        # It is of the content that is sent (RFC 9530, appendix B.2), and to HEAD none is.
        answer.headers[CONTENT_DIGEST] = digest_field(report.sha256)
    return answer


def no_content() -> Response:
    """An answer without a body, and so without a type of one."""
    answer = Response("", 204)
    del answer.headers["Content-Type"]
    return answer
