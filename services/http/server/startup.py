"""Start of a service: settings, then listening sockets, and only then the imports that take long."""

import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NoReturn

from cqox.dumps import refuse_dumps
from services.config.configuration import (
    HelpRequested,
    SettingsError,
    adopt_telemetry_secrets,
    load,
    load_command_line,
)
from services.config.vault import VaultAway
from services.http.server.exposure import check_exposure
from services.http.server.sockets import AddressUnusable, listen

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

    from services.config.settings import Settings
    from services.http.server.app import App

__all__ = ["asgi_app", "become_private", "run_service"]

_PRIVATE_UMASK = 0o077
"""Files that a service and its workers create are accessible only to its user."""

_USAGE = 2


def become_private() -> None:
    """Restrict created files to this user, and prevent other processes of the user from reading this one's memory."""
    os.umask(_PRIVATE_UMASK)
    # The environment holds passwords, and workers that parse untrusted files run as the same user.
    refuse_dumps()


def run_service(
    service: Literal["gateway", "engine"], arguments: Sequence[str], load: "Callable[[], Callable[[Settings], App]]"
) -> int:
    """Run a service from start to the end of its drain.

    Args:
        service: the service.
        arguments: the command line without the program.
        load: imports the app's module and returns the app factory; the factory raises `SettingsError` for a setting
            that only the service can validate.

    Returns:
        The exit status: 0 after a clean drain, 1 where requests were cancelled or the service could not start, 2 for an
        invalid command line or environment.
    """
    become_private()
    try:
        loaded = load_command_line(service, arguments, os.environ)
        adopt_telemetry_secrets(os.environ)
    except HelpRequested as text:
        sys.stdout.write(f"{text}\n")
        return 0
    except SettingsError as error:
        return _fail(service, error)
    settings = loaded.settings
    port = settings.gateway_port if service == "gateway" else settings.engine_port
    # No request is in flight until the event loop runs and handles these signals itself. A supervisor may send one as
    # soon as the port is open.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_early)
    try:
        # From here on clients wait in the kernel's accept queue instead of being refused.
        sockets = listen(settings.host, port)
    except AddressUnusable as error:
        hint = f"Choose another with --{service}-port or CQOX_{service.upper()}_PORT." if error.in_use else ""
        sys.stderr.write(f"{service}: {error} {hint}".rstrip() + "\n")
        return 1
    try:
        check_exposure(settings, sockets)
    except SettingsError as error:
        return _fail(service, error)
    from services.http.observability.logs import set_up_logging
    from services.http.server.serving import serve

    set_up_logging(level=settings.log_level, format=settings.log_format, service=service)
    try:
        app = load()(settings)
    except SettingsError as error:
        return _fail(service, error)
    status = serve(
        app,
        sockets=sockets,
        drain_seconds=settings.drain_seconds,
        drain_delay=settings.drain_delay,
        notes=loaded.notes,
    )
    # Skip the garbage collection at interpreter exit, which takes half a second.
    gc.freeze()
    return status


def _fail(service: str, error: SettingsError) -> int:
    sys.stderr.write(f"{service}: {error}\n")
    return 1 if isinstance(error, VaultAway) else _USAGE


def _end_early(number: int, frame: object) -> NoReturn:
    # No exception: whatever is being imported or collected at that moment may swallow it.
    os._exit(0)


def asgi_app(
    service: Literal["gateway", "engine"], create: "Callable[[Settings], App]"
) -> "Callable[[Scope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]":
    """Return the service as an ASGI app for another server, such as the `hypercorn` command with one Trio worker.

    It is created at the first call from the environment alone, so that importing its module has no side effects.
    """

    @cache
    def made() -> "App":
        import trio

        from services.config.table import table
        from services.http.observability.logs import set_up_logging
        from services.http.server.connection_limits import ConnectionLimits
        from services.http.server.hypercorn_patches import serve_connections

        if not trio.lowlevel.in_trio_run():
            raise SettingsError(
                f"the {service} runs on Trio, and its server does not: start hypercorn with -c deploy/hypercorn.toml "
                f"or --worker-class trio, or run python -m services.{service}"
            )
        become_private()
        loaded = load(os.environ, secrets={one.name for one in table() if service in one.services}, service=service)
        adopt_telemetry_secrets(os.environ)
        settings = loaded.settings
        set_up_logging(level=settings.log_level, format=settings.log_format, service=service)
        served = create(settings)
        most, most_per_client = settings.max_connections, settings.connections_per_client if service == "gateway" else 0
        serve_connections(ConnectionLimits(most=most, most_per_client=most_per_client), served.tls)
        return served

    async def app(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        try:
            served = made()
        except SettingsError as error:
            if scope["type"] != "lifespan":
                raise
            # After any other failure the server would run without the app.
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await served(scope, receive, send)

    return app
