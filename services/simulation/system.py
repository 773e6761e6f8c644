"""The system that `python -m cqox.chaos simulate` runs by default: gateways, engines, and the clients that use them."""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import structlog
import trio

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World
from cqox.resilience import registry
from services.simulation.catalog import OWN_FILES
from services.simulation.checks import REST_SECONDS, check_every_gateway, check_promises, check_rest, watch_circuits
from services.simulation.faults import SPARSE_MINUTES, apply, draw_faults
from services.simulation.last_client import LastClient
from services.simulation.own_data import OwnData
from services.simulation.recordings import Recordings, digest_of_sources
from services.simulation.site import Site
from services.simulation.tenants import Tenant, admit_tenants
from services.simulation.workload import Client, Mix

__all__ = ["CqoxSystem", "system"]

_SPARSE_TIMES = 30
_ROOT = Path(__file__).parents[2]
_FILE = "worker-answers.json"
_SWITCH = "OTEL_SDK_DISABLED"
_LAST_CHECKS_SECONDS = 25.0


class CqoxSystem:
    """Gateways, engines and clients; see `cqox.chaos.simulation.system.System`.

    Attributes:
        name: on the command line and in the ledger.
        recordings: what workers answer; None before `prepare`.
    """

    name = "cqox"

    def __init__(self) -> None:
        self.recordings: Recordings | None = None

    def prepare(self, folder: Path) -> None:
        """Record what workers answer, or read it from the folder where the code is still the same.

        Raises:
            RuntimeError: the recording fails.
        """
        sources = digest_of_sources(_ROOT)
        self.recordings = Recordings.read(folder / _FILE, sources)
        if self.recordings is None:
            folder.mkdir(parents=True, exist_ok=True)
            # In a process of its own: numerics have threads, which a fork would not survive.
            command = [sys.executable, "-m", "services.simulation.record", str(folder / _FILE)]
            recorded = subprocess.run(command, capture_output=True, text=True, check=False)
            self.recordings = Recordings.read(folder / _FILE, sources) if recorded.returncode == 0 else None
            if self.recordings is None:
                raise RuntimeError(f"the answers of workers could not be recorded: {recorded.stderr[-2000:]}")

    def faults(self, draw: Random, minutes: float) -> Sequence[Fault]:
        """Return the faults of a run."""
        # Drawn first, so that the faults fit the site.
        engines, gateways, on_servers = _size(draw)
        return draw_faults(draw, minutes, engines=engines, gateways=gateways, on_servers=on_servers)

    async def run(self, world: World, faults: Sequence[Fault], minutes: float) -> None:
        """Run the system under these faults for this time, and report to the world what is violated."""
        assert self.recordings is not None
        # Of whatever else this process has had.
        unrelated = frozenset(registry.snapshot())
        engines, gateways, on_servers = _size(world.draw("faults"))
        draw = world.draw("site")
        by_address, with_keys = draw.random() < 0.5, draw.random() < 0.4
        site = Site(world, self.recordings, by_address=by_address, on_servers=on_servers, with_keys=with_keys)
        mix = Mix(gap=draw.choice([2.0, 4.0, 8.0]) * (_SPARSE_TIMES if minutes >= SPARSE_MINUTES else 1))
        tenants, load_ends_at = await admit_tenants(world, site), 60 * minutes - _LAST_CHECKS_SECONDS - REST_SECONDS
        with _without_telemetry(), _logged(world), site.running(engines=engines, gateways=gateways):
            clients = list[Client]()
            for number, name in zip(range(draw.randint(2, 4)), OWN_FILES, strict=False):
                tenant = next(
                    each for each in tenants if not each.expected.exclusive or name in each.expected.exclusive
                )
                others = tuple(each.expected for each in tenants if each is not tenant)
                one = Client(site, tenant, mix, world.draw(f"client {number}"), load_ends_at, OwnData(name), others)
                clients.append(one)
            site.clients = tuple(f"client-{number}" for number in range(len(clients)))
            running = [world.start(f"client-{n}", client.run, restart=False) for n, client in enumerate(clients)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch_circuits, world, unrelated)
                nursery.start_soon(apply, site, faults)
                await trio.sleep(load_ends_at - world.now)
                nursery.cancel_scope.cancel()
            for process in running:
                await process.ended.wait()
            await self._check(world, site, tenants, unrelated)
        expected = [each.expected for each in tenants]
        counts = sum((Counter(each.counts) for each in expected), Counter[str]())
        world.log.add("counts", *(f"{what}={count}" for what, count in sorted(counts.items())))

    async def _check(self, world: World, site: Site, tenants: Sequence[Tenant], unrelated: frozenset[str]) -> None:
        calm = Mix(leaves=0, slow=0)
        lasts = [LastClient(site, each, calm, world.draw(f"last client {each.name}")) for each in tenants]

        async def check(_: SimulatedProcess) -> None:
            for last in lasts:
                await check_promises(world, last)
                await check_every_gateway(world, site, last)

        process = world.start("last-client", check, restart=False)
        await trio.lowlevel.checkpoint()
        await process.ended.wait()
        await trio.sleep(REST_SECONDS)
        check_rest(world, site, unrelated)


def _size(draw: Random) -> tuple[int, int, bool]:
    """Return the number of engines and gateways, and whether the stores are servers."""
    return draw.choice([1, 1, 2, 2, 3, 5]), draw.choice([1, 1, 1, 2, 3]), draw.random() < 0.5


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Record no telemetry: its threads would not end with a simulated process."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before


class _Lines(logging.Handler):
    """Adds the log of the services to the last events of the world."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record, with the last line of its traceback."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" [{record.exc_info[1]!r}]"
        self._world.log.note(f"{record.name}: {text}")


class _logged:
    """Logs to the world while the block runs."""

    def __init__(self, world: World) -> None:
        self._handler = _Lines(world)

    def __enter__(self) -> None:
        root = logging.getLogger()
        root.handlers = [self._handler]
        structlog.configure(
            processors=[structlog.stdlib.render_to_log_kwargs],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )

    def __exit__(self, *_: object) -> None:
        # What the services say while they are ended concerns nobody, and must not go to the terminal.
        logging.getLogger().handlers = [logging.NullHandler()]


system: Callable[[], CqoxSystem] = CqoxSystem
"""Makes the system; the default of `python -m cqox.chaos simulate`."""
