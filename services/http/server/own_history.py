"""The memory of a service of its own metrics, which dashboards read where there is no Prometheus."""

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio
from anyio import CapacityLimiter

from cqox import clock
from cqox.dashboards.answering import metric_queries
from cqox.dashboards.history import EVERY_SECONDS, History, Sample
from cqox.dashboards.interpreter import names_of
from cqox.dashboards.operations import OPERATIONS
from cqox.dashboards.operations.own_series import UP
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from services.http.server.app import App

__all__ = ["own_labels", "remember_samples"]

_NAMES = frozenset(name for panel in OPERATIONS.panels for query in metric_queries(panel) for name in names_of(query))
"""Samples that a panel asks for; others are not kept."""

type Samples = Callable[[], list[tuple[str, dict[str, str], float]]]


def own_labels(app: "App") -> Mapping[str, str]:
    """Return the labels that Prometheus would give to the samples of a service: its job and its instance."""
    service = app.title.lower()
    port = app.settings.gateway_port if service == "gateway" else app.settings.engine_port
    return {"job": f"cqox-{service}", "instance": f"{socket.gethostname()}:{port}"}


async def remember_samples(
    history: History, samples: Samples, labels: Mapping[str, str], *, every: float = EVERY_SECONDS
) -> None:
    """Add the samples of this process to its history every few seconds, until cancelled.

    Args:
        history: takes the samples.
        samples: reads the metrics; called on a thread.
        labels: of every sample.
        every: seconds.
    """
    limiter = CapacityLimiter(1)
    while True:
        began = trio.current_time()
        await run_in_thread(_remember, history, samples, labels, limiter=limiter)
        await trio.sleep_until(began + every)


def _remember(history: History, samples: Samples, labels: Mapping[str, str]) -> None:
    # Nothing else says that a process was there before its first request.
    found = [Sample(UP.prometheus_name, labels, 1.0)]
    found += [Sample(name, {**own, **labels}, value) for name, own, value in samples() if name in _NAMES]
    history.add(clock.wall_time(), found)
