"""Telemetry of a service over its lifetime, with periodic measurements."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from typing import TYPE_CHECKING

import trio

from cqox.certificates import Loaded
from cqox.tasks import open_task_group
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metrics import Labels
from cqox.telemetry.setup import Telemetry, start
from cqox.threads import run_in_thread
from services.config.settings import Settings
from services.http.observability.tracing import link_traces
from services.http.server.own_history import own_labels, remember_samples
from services.http.server.tls import ServerTls

if TYPE_CHECKING:
    from services.http.server.app import App

__all__ = ["begin_telemetry", "telemetry_of"]

_LAG_EVERY_SECONDS = 0.5


def begin_telemetry(title: str, settings: Settings) -> Telemetry:
    """Start the telemetry of a service as configured by its settings and the environment."""
    link_traces(settings.trace_url)
    return start(title.lower(), version=version("cqox"), task_ratio=settings.trace_tasks)


@asynccontextmanager
async def telemetry_of(app: "App") -> AsyncIterator[Telemetry]:
    """Run telemetry while the app serves; start and stop it here unless the server of the app does."""
    owned = app.telemetry is None
    begun = app.telemetry = app.telemetry or begin_telemetry(app.title, app.settings)
    ends = [metrics.watch(metric_definitions.HTTP_SERVER_ACTIVE, lambda: [(len(app.in_flight), {})])]
    if app.tls is not None:
        for series, moment in (
            (metric_definitions.CERTIFICATE_BEGIN, attrgetter("not_before")),
            (metric_definitions.CERTIFICATE_END, attrgetter("not_after")),
        ):
            ends.append(metrics.watch(series, partial(_certificate, app.tls, moment)))
    try:
        async with open_task_group("telemetry", detached=True) as group:
            if not begun.settings.disabled:
                group.start_soon(_measure_lag, name="event loop lag")
                group.start_soon(remember_samples, app.history, begun.samples, own_labels(app), name="own history")
            yield begun
            group.cancel_scope.cancel()
    finally:
        if owned:
            with trio.CancelScope(shield=True):
                await run_in_thread(begun.stop)
            app.telemetry = None
        for end in ends:
            end()


def _certificate(tls: ServerTls, moment: Callable[[Loaded], float]) -> list[tuple[float, Labels]]:
    return [(moment(tls.credentials.current()), {"certificate": "service"})]


async def _measure_lag() -> None:
    while True:
        due = time.perf_counter() + _LAG_EVERY_SECONDS
        await trio.sleep(_LAG_EVERY_SECONDS)
        metrics.record(metric_definitions.LOOP_LAG, max(0.0, time.perf_counter() - due))
