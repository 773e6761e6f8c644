"""Litestar: responses to rejections and timeouts, and the deadline of each request."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from cqox.resilience.adapters.problem_response import HANDLED, answer_expired, problem_response
from cqox.resilience.propagation.asgi import DeadlineMiddleware
from cqox.resilience.runtime.criticality import Criticality

if TYPE_CHECKING:
    from litestar.config.app import AppConfig

__all__ = ["installer"]


def installer(
    *,
    max_seconds: float | Callable[[str], float],
    probe_paths: Sequence[str] = ("/health",),
    ceiling: Criticality = Criticality.CRITICAL,
) -> "Callable[[AppConfig], AppConfig]":
    """Return a hook that sets up an app: `Litestar(routes, on_app_init=[installer(max_seconds=30.0)])`.

    It adds the exception handlers and, as the outermost middleware, `DeadlineMiddleware`. Handlers of the app for the
    same classes win. An error after the response has started ends the connection, as any error does. WebSockets are
    closed as by any other error.

    Args:
        max_seconds: see `DeadlineMiddleware`, as for all that follow.
        probe_paths: see `DeadlineMiddleware`.
        ceiling: see `DeadlineMiddleware`.

    Raises:
        ValueError: `max_seconds` is not above 0.
    """
    DeadlineMiddleware(answer_expired, max_seconds=max_seconds)

    def install(config: "AppConfig") -> "AppConfig":
        from litestar.middleware import DefineMiddleware

        bound = DefineMiddleware(
            cast("Any", DeadlineMiddleware),
            max_seconds=max_seconds,
            probe_paths=probe_paths,
            ceiling=ceiling,
            expired=answer_expired,
        )
        config.middleware = [bound, *config.middleware]
        # The types of Litestar leave parameters open, which strict checkers report.
        handlers = cast("dict[Any, Any]", cast("Any", config).exception_handlers)
        config.exception_handlers = {**dict.fromkeys(HANDLED, _answer), **handlers}
        return config

    return install


def _answer(request: Any, error: Exception) -> Any:  # noqa: ANN401 - a request and a response of Litestar
    import litestar
    from litestar.exceptions import responses

    problem = problem_response(error)
    if problem is None:
        name = "create_debug_response" if request.app.debug else "create_exception_response"
        return getattr(responses, name)(request, error)
    headers = problem.headers
    media_type = headers.pop("content-type")
    return litestar.Response(problem.body, status_code=problem.status, media_type=media_type, headers=headers)
