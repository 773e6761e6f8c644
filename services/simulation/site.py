"""The services of one run: gateways, engines, and the stores that they share."""

import errno
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Literal, TypedDict

import trio

from cqox.analysis.bounds import Bounds
from cqox.analysis.parts import Parts
from cqox.analysis.pools import open_pool
from cqox.analysis.stores import RESULTS_FILE
from cqox.analysis.workers import WorkerPool
from cqox.chaos.simulation.disk import DiskEvent, DiskFault, SimulatedDisk
from cqox.chaos.simulation.process import SimulatedProcess, current_process
from cqox.chaos.simulation.world import World
from cqox.errors import StoreUnavailable, WorkersUnavailable
from cqox.fault_points import hooked
from cqox.storage import ResultDatabase, SqliteStore
from services.config.settings import Settings
from services.engine.app import create_app as create_engine
from services.gateway.app import create_app as create_gateway
from services.http.server.app import App
from services.http.server.connection_limits import ConnectionLimits
from services.simulation.recordings import Recordings
from services.simulation.serving import PORT, serve
from services.simulation.stores.database import open_database
from services.simulation.stores.servers import StoreServers
from services.simulation.workers import WorkerFaults, Workers

__all__ = ["ENGINES", "GATEWAYS", "Site"]

ENGINES = "engines"
"""Name that stands for all engines."""

GATEWAYS = "gateways"
"""Name that stands for all gateways."""

_ACKNOWLEDGED = frozenset(
    {
        "dataset.kept",
        "dataset.registered",
        "disk.synced",
        "job.ended",
        "job.recorded",
        "report.stored",
        "sqlite.committed",
    }
)
"""Fault points behind which something is stored, and nobody knows yet."""

_SERVER_EPOCH = 1_767_225_600.0
"""Unix time of the servers at the start of a run. Their clock is their own, not that of the process that calls."""

_HOP_KEY = "a-secret-that-gateways-and-engines-of-a-simulation-share"
_FAULTS_OF_STORES = ("full disk", "store errors", "stores and engines")
_AFTERMATH_SECONDS = 70.0
"""Most seconds until a connection learns that it is broken."""


class _Access(TypedDict, total=False):
    auth: Literal["open", "keys"]
    hop_key: str
    keys: Literal["none"]


class Site:
    """The services that run in a world.

    Args:
        world: the world.
        recordings: what workers answer.
        by_address: whether gateways know each engine by a URL of its own, rather than all by one name.
        on_servers: whether the stores are servers, rather than a file and the memory of each engine.
        with_keys: whether every request needs an API key.

    Attributes:
        world: the world.
        engines: names of the engine processes.
        gateways: names of the gateway processes.
        clients: names of the client processes.
        apps: the app of each service that runs.
        workers: the workers of each engine that runs.
        pools: the pool of the workers of each engine that runs.
        servers: the servers of the stores; None where there are none.
        disk: that of the data directory, which all engines share.
        limits: the connections of each service that runs.
        with_keys: whether every request needs an API key.
    """

    def __init__(
        self,
        world: World,
        recordings: Recordings,
        *,
        by_address: bool = False,
        on_servers: bool = False,
        with_keys: bool = False,
    ) -> None:
        self.world = world
        self.engines: tuple[str, ...] = ()
        self.gateways: tuple[str, ...] = ()
        self.clients: tuple[str, ...] = ()
        self.apps: dict[str, App] = {}
        self.workers: dict[str, Workers] = {}
        self.pools: dict[str, WorkerPool] = {}
        self.servers = StoreServers(world.draw, lambda: _SERVER_EPOCH + world.now) if on_servers else None
        self.limits: dict[str, ConnectionLimits] = {}
        self.with_keys = with_keys
        self._recordings = recordings
        self._by_address = by_address
        self._data = world.folder / "data"
        self._data.mkdir()
        self._draw = world.draw("store errors")
        self._errors: list[tuple[float, bool]] = []
        self._worker_faults: dict[str, WorkerFaults] = {}
        self._down: dict[str, trio.Event] = {}
        self._crashing: dict[str, float] = {}
        self._trouble: list[list[float]] = []
        self._broken: list[tuple[str, list[float]]] = []
        self.disk = SimulatedDisk(
            self._data,
            draw=world.draw("disk"),
            now=lambda: world.now,
            who=_who,
            opaque=("*.sqlite*", "*.sock"),
            journal=True,
            is_single_threaded=True,
            observe=self._log_disk,
        )

    @contextmanager
    def running(self, *, engines: int, gateways: int) -> Iterator[None]:
        """Start the services; what they share breaks only while the block runs."""
        with ExitStack() as stack:
            stack.enter_context(self.disk)
            stack.enter_context(hooked(self._at_fault_point))
            if self.servers is not None:
                stack.callback(self.servers.close)
            self.engines = tuple(f"engine-{number}" for number in range(engines))
            self.gateways = tuple(f"gateway-{number}" for number in range(gateways))
            self._name()
            for name in self.engines:
                self._worker_faults[name] = WorkerFaults()
                self._start(name, partial(self._engine, name))
            for name in self.gateways:
                self._start(name, self._gateway)
            yield

    def lose_power(self) -> None:
        """Let all engines and their volume lose power: what was not synced may be lost."""
        for name in self.engines:
            self.world.process(name).crash()
        self.disk.power_loss()

    def take_down(self, name: str) -> None:
        """Let the name of all engines not stand for this one any more, and start it no more once it has ended."""
        self._down.setdefault(name, trio.Event())
        self._name()

    def put_up(self, name: str) -> None:
        """Let the name of all engines stand for this one again, which is started again."""
        if name in self._down:
            self._down.pop(name).set()
        self._name()

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Let clients expect anything of their connections while the block runs, and a moment longer."""
        span = [self.world.now, float("inf")]
        self._trouble.append(span)
        try:
            yield
        finally:
            span[1] = self.world.now + _AFTERMATH_SECONDS

    @contextmanager
    def breaking(self, kind: str) -> Iterator[None]:
        """Remember that a fault of this kind is in force while the block runs."""
        span = [self.world.now, float("inf")]
        self._broken.append((kind, span))
        try:
            yield
        finally:
            span[1] = self.world.now

    def has_faults(self, since: float, *kinds: str, aftermath: float = 10.0) -> bool:
        """Return whether faults of these kinds, of any if none is named, were in force since this time.

        Args:
            since: in seconds from the start.
            kinds: names of kinds.
            aftermath: how long a fault has effects once it is over, in seconds.
        """
        return any((not kinds or kind in kinds) and end + aftermath >= since for kind, (_, end) in self._broken)

    def is_troubled(self, since: float) -> bool:
        """Return whether a client's connection may have been broken since this time."""
        return any(begin <= self.world.now and end >= since for begin, end in self._trouble)

    def faults_of_workers(self, engine: str) -> WorkerFaults:
        """Return what is wrong with the workers of an engine, to change it."""
        return self._worker_faults[engine]

    @contextmanager
    def crashing_at_acknowledgements(self, name: str, share: float) -> Iterator[None]:
        """Let a process crash where it has just stored what it is about to acknowledge, while the block runs."""
        self._crashing[name] = share
        try:
            yield
        finally:
            self._crashing.pop(name, None)

    def incarnation(self, name: str) -> str:
        """Return what the disk and the servers know a process by, which no later one of its name has."""
        return _incarnation(self.world.process(name))

    @contextmanager
    def store_errors(self, share: float, *, after: bool) -> Iterator[None]:
        """Let calls of the store fail while the block runs.

        Args:
            share: of the calls.
            after: whether some fail after they were carried out: only their acknowledgement is lost.
        """
        self._errors.append((share, after))
        try:
            yield
        finally:
            self._errors.remove((share, after))

    @contextmanager
    def full_disk(self, share: float) -> Iterator[None]:
        """Let a share of the operations that need room on the disk fail while the block runs."""
        with self.disk.failing(DiskFault(error=errno.ENOSPC, share=share)):
            yield

    def _name(self) -> None:
        self.world.network.name(ENGINES, [name for name in self.engines if name not in self._down])
        self.world.network.name(GATEWAYS, self.gateways)

    def _start(self, name: str, make: Callable[[], App]) -> None:
        async def run(process: SimulatedProcess) -> None:
            if name in self._down:
                await self._down[name].wait()
            app = make()
            self.apps[name] = app
            try:
                await serve(app, self.world, process, limits=self.limits)
            except Exception as error:
                # One that is killed may raise anything.
                if process.alive and not self._is_excused(error):
                    self.world.violated(f"{name} has ended by itself: {error!r}")
                raise
            finally:
                self.apps.pop(name, None)
                self.limits.pop(name, None)
                self.pools.pop(name, None)

        self.world.start(name, run).on_crash(self._crashed)

    def _is_excused(self, error: BaseException | None) -> bool:
        """Return whether an engine may end for this reason: it can open no store, or start no worker."""
        if isinstance(error, BaseExceptionGroup):
            return any(map(self._is_excused, error.exceptions))
        if isinstance(error, WorkersUnavailable):
            return self.has_faults(self.world.now, "no workers")
        if isinstance(error, StoreUnavailable | OSError):
            return self.has_faults(self.world.now, *_FAULTS_OF_STORES)
        return error is not None and self._is_excused(error.__cause__)

    def _crashed(self, process: SimulatedProcess) -> None:
        self.disk.kill(_incarnation(process))
        if self.servers is not None:
            self.servers.hang_up(_incarnation(process))
        if process.name in self.workers:
            self.workers.pop(process.name).kill_all()

    def _engine(self, name: str) -> App:
        draw = self.world.draw(f"workers of {name} {self.world.process(name).starts}")
        self.workers[name] = workers = Workers(self._recordings, draw, self._worker_faults[name])

        @asynccontextmanager
        async def opened(bounds: Bounds) -> AsyncIterator[WorkerPool]:
            async with open_pool(bounds, start=workers.start) as pool:
                self.pools[name] = pool
                yield pool

        settings = Settings(data_dir=self._data, allowed_hosts=f"{ENGINES},engine-*", **self._access())
        if self.servers is None:
            return create_engine(settings, parts=Parts(open_pool=opened))
        client = _incarnation(self.world.process(name))
        opening_store, opening_cache = self.servers.opening_store(client), self.servers.opening_cache(client)
        return create_engine(
            settings, parts=Parts(open_pool=opened, open_store=opening_store, open_cache=opening_cache)
        )

    def _gateway(self) -> App:
        hosts = self.engines if self._by_address else (ENGINES,)
        urls = ",".join(f"http://{host}:{PORT}" for host in hosts)
        data = self.world.folder / "gateway"
        return create_gateway(Settings(data_dir=data, engine_url=urls, allowed_hosts=GATEWAYS, **self._access()))

    def _access(self) -> _Access:
        return {"auth": "keys", "hop_key": _HOP_KEY, "keys": "none"} if self.with_keys else {"auth": "open"}

    @asynccontextmanager
    async def store(self) -> AsyncIterator[ResultDatabase]:
        """Open the store as an operator does, before the services start."""
        if self.servers is not None:
            async with open_database(self.servers.database, client="operator") as store:
                yield store
        else:
            async with SqliteStore.open(self._data / RESULTS_FILE) as file:
                yield file

    def _log_disk(self, event: DiskEvent) -> None:
        self.world.log.add("disk", event.operation, event.path)

    def _at_fault_point(self, name: str, *details: object) -> None:
        self.disk.at_fault_point(name, *details)
        process = current_process.get()
        share = 0.0 if process is None or name not in _ACKNOWLEDGED else self._crashing.get(process.name, 0.0)
        if process is not None and share and process.alive and self._draw.random() < share:
            self.world.log.add("crash at", name)
            process.crash()
        if name in ("sqlite.call", "sqlite.committed"):
            self._fail_store(late=name == "sqlite.committed")

    def _fail_store(self, *, late: bool) -> None:
        process = current_process.get()
        if process is not None and not process.alive:
            raise _sqlite_error(sqlite3.SQLITE_IOERR, "the process is dead")
        for share, after in self._errors:
            if (after or not late) and self._draw.random() < (share / 2 if after else share):
                self.world.log.add("store error", "after" if late else "before")
                raise _sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")


def _sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def _incarnation(process: SimulatedProcess) -> str:
    return f"{process.name}#{process.starts}"


def _who() -> str | None:
    process = current_process.get()
    return None if process is None else _incarnation(process)
