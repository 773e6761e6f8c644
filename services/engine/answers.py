"""Answers in JSON, as compact as they come."""

import json

from quart import Response

__all__ = ["json_answer", "json_bytes", "no_content"]


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


def no_content() -> Response:
    """An answer without a body, and so without a type of one."""
    answer = Response("", 204)
    del answer.headers["Content-Type"]
    return answer
