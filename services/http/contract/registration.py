"""Registration of the handlers of a service under the paths of the operations."""

from collections.abc import Awaitable, Callable, Mapping

from quart.typing import ResponseReturnValue

from services.http.contract.api import OPERATIONS, OWN_GROUPS, operation
from services.http.contract.operations import Operation
from services.http.security.audited import Action
from services.http.server.app import App

__all__ = ["Handler", "add_operation", "register"]

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
    for number, path in enumerate((what.path, *what.aliases)):
        endpoint = f"{what.name}-{number}" if number else what.name
        rule = path.replace("{", "<").replace("}", ">")
        app.add_route(rule, endpoint, handler, methods=[what.method], needs=what.needs, action=action)
