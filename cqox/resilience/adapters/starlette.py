"""Starlette and FastAPI: responses to rejections and timeouts, and the deadline of each request."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from cqox.resilience.adapters.problem_response import HANDLED, answer_expired, problem_response
from cqox.resilience.propagation.asgi import DeadlineMiddleware
from cqox.resilience.runtime.criticality import Criticality

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

__all__ = ["install"]


def install(
    app: "Starlette",
    *,
    max_seconds: float | Callable[[str], float],
    probe_paths: Sequence[str] = ("/health",),
    ceiling: Criticality = Criticality.CRITICAL,
) -> None:
    """Register the exception handlers and the `DeadlineMiddleware` of an app of Starlette or FastAPI.

    Call it before the app starts, and before `add_middleware` for what shall wrap the 504 of the middleware. An error
    after the response has started ends the connection, as any error does. Errors of WebSockets pass unchanged.

    Args:
        app: the application.
        max_seconds: see `DeadlineMiddleware`, as for all that follow.
        probe_paths: see `DeadlineMiddleware`.
        ceiling: see `DeadlineMiddleware`.

    Raises:
        ValueError: `max_seconds` is not above 0.
        RuntimeError: the app has started.
    """
    # A middleware of Starlette is constructed at the start of the app, which is late for an error.
    DeadlineMiddleware(answer_expired, max_seconds=max_seconds)
    app.add_middleware(
        cast("Any", DeadlineMiddleware),
        max_seconds=max_seconds,
        probe_paths=probe_paths,
        ceiling=ceiling,
        expired=answer_expired,
    )
    for kind in HANDLED:
        app.add_exception_handler(kind, cast("Any", _answer))


async def _answer(connection: "HTTPConnection", error: Exception) -> "Response":
    from starlette.responses import Response

    problem = problem_response(error)
    if problem is None or connection.scope["type"] != "http":
        raise error
    return Response(problem.body, problem.status, problem.headers)
