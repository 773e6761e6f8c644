"""Health endpoints: liveness, readiness and unavailable dependencies.

The same checks run every few seconds by themselves, so that the metric `cqox.degraded` says what health says, whether
or not somebody asks for it.

An unavailable dependency makes a service `degraded`, never unready: taking every caller of one failed dependency out of
rotation would turn a partial failure into a total one. A response takes at most half a second, even where a dependency
hangs and a call to it takes longer to time out.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import trio
from pydantic import BaseModel
from quart_trio.wrappers import TrioResponse

from cqox import telemetry
from cqox.contract import Health
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry import metric_definitions, metrics
from services.http.contract.health_models import Liveness, code_version
from services.http.server.lifecycle import Stage

if TYPE_CHECKING:
    from services.http.server.app import App

__all__ = ["Check", "add_health"]

type Check = Callable[[], Awaitable[object]]
"""Return if the dependency answers; raise an exception with the reason if it does not."""

_PATIENCE_SECONDS = 0.5
_CHECK_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 5.0


def add_health(app: "App", checks: Mapping[str, Check]) -> None:
    """Add the health paths to the app.

    Args:
        app: the app.
        checks: a check by the name of each dependency; it runs in the app's task group, one at a time. Those of
            the app's own certificates and of its vault are added.
    """
    if app.tls is not None:
        checks = {**checks, "certificates": app.check_certificates}
    if app.vault is not None:
        checks = {**checks, "vault": app.vault.check}
    probes = [_Probe(name, check) for name, check in checks.items()]

    async def live() -> TrioResponse:
        return _json(Liveness(), HTTPStatus.OK)

    async def health() -> TrioResponse:
        return _json(await _health(app, probes), HTTPStatus.OK)

    @app.resource
    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        end = metrics.watch(
            metric_definitions.DEGRADED,
            lambda: [(float(probe.problem != ""), {"part": probe.name}) for probe in probes],
        )
        try:
            async with open_task_group("health", detached=True) as group:
                group.start_soon(_look, probes, group, name="look after the health")
                yield
                group.cancel_scope.cancel()
        finally:
            end()

    async def ready() -> TrioResponse:
        status = HTTPStatus.OK if app.lifecycle.stage is Stage.READY else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(await _health(app, probes), status)

    for path, handler in (("/health/live", live), ("/api/health", health), ("/health/ready", ready)):
        app.add_route(path, path.strip("/").replace("/", "-"), handler, needs=None, options=True)


class _Probe:
    """The check of one dependency; concurrent requests share one run of it."""

    def __init__(self, name: str, check: Check) -> None:
        self.name = name
        self._check = check
        self._answered: trio.Event | None = None
        self.problem = ""

    def begin(self, group: TaskGroup) -> trio.Event:
        """Start the check unless it runs already; return an event that is set at its end."""
        if self._answered is None:
            self._answered = trio.Event()
            group.start_soon(self._ask, self._answered, name=f"ask {self.name}")
        return self._answered

    async def _ask(self, answered: trio.Event) -> None:
        try:
            with trio.fail_after(_CHECK_SECONDS):
                await self._check()
            self.problem = ""
        except trio.TooSlowError:
            self.problem = f"no answer within {_CHECK_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 - any failure of a dependency is reported
            self.problem = str(error) or type(error).__name__
        finally:
            self._answered = None
            answered.set()


async def _look(probes: Sequence[_Probe], group: TaskGroup) -> None:
    while True:
        with telemetry.untraced("look after the health once"):
            await _ask_all(probes, group)
        await trio.sleep(_LOOK_EVERY_SECONDS)


async def _ask_all(probes: Sequence[_Probe], group: TaskGroup) -> None:
    """Ask all dependencies together; those that have not answered in time have a problem until they do."""
    begun = [(probe, probe.begin(group)) for probe in probes]
    with trio.move_on_after(_PATIENCE_SECONDS):
        for _, answered in begun:
            await answered.wait()
    for probe, answered in begun:
        if not answered.is_set():
            probe.problem = f"no answer within {_PATIENCE_SECONDS:g} s"


async def _health(app: "App", probes: Sequence[_Probe]) -> Health:
    await _ask_all(probes, app.tasks)
    degraded = {probe.name: probe.problem for probe in probes if probe.problem}
    stage = app.lifecycle.stage
    status: Literal["ok", "degraded", "starting", "draining"] = "degraded" if degraded else "ok"
    if stage is not Stage.READY:
        status = "starting" if stage is Stage.STARTING else "draining"
    return Health(
        status=status,
        service=app.title.lower(),
        version=code_version(),
        degraded=dict(sorted(degraded.items())),
        in_flight=len(app.in_flight) - 1,
        uptime_seconds=round(app.lifecycle.uptime, 3),
    )


def _json(answer: BaseModel, status: HTTPStatus) -> TrioResponse:
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return TrioResponse(answer.model_dump_json(), status, headers, content_type="application/json")
