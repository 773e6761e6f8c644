"""Registration of the handlers of a service under the paths of the operations."""

from collections.abc import Awaitable, Callable, Iterator, Mapping

from quart.typing import ResponseReturnValue

from services.http.contract.api import OPERATIONS, OWN_GROUPS, operation
from services.http.contract.operations import Operation
from services.http.security.audited import Action
from services.http.server.app import App, ProxyHandler

__all__ = ["Handler", "add_operation", "answer_directly", "register"]

type Handler = Callable[..., Awaitable[ResponseReturnValue]]
"""A coroutine function that takes the path parameters by name."""


def register(app: App, handlers: Mapping[str, Handler]) -> None:
    """Register the handler of each operation on the app.

    Args:
        app: the app.
        handlers: handlers by operation name, for every operation except those of `OWN_GROUPS`.

    Raises:
        ValueError: an operation has no handler, or a handler no operation.
    """
    wanted = {each.name for each in OPERATIONS if each.group not in OWN_GROUPS}
    if wanted != handlers.keys():
        raise ValueError(f"operations and handlers differ in {', '.join(sorted(wanted ^ handlers.keys()))}")
    for name, handler in handlers.items():
        add_operation(app, operation(name), handler)


def add_operation(app: App, what: Operation, handler: Handler) -> None:
    """Register the handler of one operation on the app."""
    action = Action(what.name, what.audited)
    for endpoint, path in _endpoints(what):
        rule = path.replace("{", "<").replace("}", ">")
        app.add_route(rule, endpoint, handler, methods=[what.method], needs=what.needs, action=action)


def answer_directly(app: App, what: Operation, handler: ProxyHandler) -> None:
    """Answer an operation that is registered by this handler, without Quart where nothing is unusual."""
    app.proxied.update((endpoint, handler) for endpoint, _ in _endpoints(what))


def _endpoints(what: Operation) -> Iterator[tuple[str, str]]:
    """Yield the endpoint and the path of an operation, and those of its aliases."""
    yield what.name, what.path
    for number, path in enumerate(what.aliases, 1):
        yield f"{what.name}-{number}", path
