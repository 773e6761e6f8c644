"""Quart and Quart-Trio: responses to rejections and timeouts, and the deadline of each request.

Quart is never imported here: the code that hands in an app has imported it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from cqox.resilience.adapters.problem_response import HANDLED, answer_expired, problem_response
from cqox.resilience.propagation.asgi import DeadlineMiddleware
from cqox.resilience.runtime.criticality import Criticality

__all__ = ["QuartApp", "install"]


class QuartApp(Protocol):
    """The part of `quart.Quart` that is used."""

    @property
    def asgi_app(self) -> Any:  # noqa: ANN401 - a method of the app, which takes its replacement all the same
        """The ASGI app inside of all middleware."""

    def register_error_handler(self, code_or_exception: type[Exception], f: Callable[..., Any], /) -> None:
        """Register the handler of a class of exceptions."""
        ...


def install(
    app: QuartApp,
    *,
    max_seconds: float | Callable[[str], float],
    probe_paths: Sequence[str] = ("/health",),
    ceiling: Criticality = Criticality.CRITICAL,
) -> None:
    """Register the error handlers of an app of Quart or Quart-Trio, and wrap it in `DeadlineMiddleware`.

    An error after the response has started ends the connection, as any error does. Errors of WebSockets pass unchanged.

    Args:
        app: the application.
        max_seconds: see `DeadlineMiddleware`, as for all that follow.
        probe_paths: see `DeadlineMiddleware`.
        ceiling: see `DeadlineMiddleware`.

    Raises:
        ValueError: `max_seconds` is not above 0.
    """
    middleware = DeadlineMiddleware(
        app.asgi_app, max_seconds=max_seconds, probe_paths=probe_paths, ceiling=ceiling, expired=answer_expired
    )
    # As Quart's documentation does it; its own type is that of a method.
    cast("Any", app).asgi_app = middleware
    for kind in HANDLED:
        app.register_error_handler(kind, _answer)


async def _answer(error: Exception) -> tuple[bytes, int, dict[str, str]]:
    problem = problem_response(error)
    # Quart calls the handlers for WebSockets too.
    if problem is None or sys.modules["quart"].has_websocket_context():
        raise error
    return problem.body, problem.status, problem.headers
