"""Serving of an app in a simulated process, as `services.http.server.serving` does it with sockets and signals."""

from typing import cast

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World
from cqox.tasks import open_task_group
from services.http.server.app import App
from services.http.server.connection_limits import ConnectionLimits
from services.http.server.hypercorn_patches import connections_of
from services.http.server.serving import KEEP_ALIVE_SECONDS

__all__ = ["PORT", "AppFailed", "serve"]

PORT = 8000
"""Port of every service: each has a host of its own."""


class AppFailed(Exception):
    """A task of the app has failed, after which a real process ends."""


async def serve(app: App, world: World, process: SimulatedProcess, *, limits: dict[str, ConnectionLimits]) -> None:
    """Serve the app on the host of the process until it crashes.

    Args:
        app: the app.
        world: the world of the process.
        process: the process.
        limits: is given the connections of the process, by its name.

    Raises:
        AppFailed: a task of the app has failed.
    """
    structlog.contextvars.clear_contextvars()
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.include_server_header = False
    config.startup_timeout = config.shutdown_timeout = 60.0
    settings, context = app.settings, WorkerContext(None)
    most_per_client = 0 if app.clients_are_gateways else settings.connections_per_client
    limits[process.name] = places = ConnectionLimits(most=settings.max_connections, most_per_client=most_per_client)
    connection = connections_of(places)
    wrapped = ASGIWrapper(cast("ASGIFramework", app))
    lifespan = Lifespan(wrapped, config, {})
    listening = world.network.make_socket(process.name)
    listening.take_port(PORT)
    listening.listen()

    async def handle(stream: trio.SocketStream) -> None:
        await connection(wrapped, config, context, ConnectionState({}), stream)

    async with open_task_group("serving") as group:
        await group.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        group.start_soon(trio.serve_listeners, handle, [trio.SocketListener(listening)])
        await app.lifecycle.failed.wait()
        raise AppFailed(repr(app.lifecycle.failure)) from app.lifecycle.failure
