"""The system that `python -m cqox.chaos simulate` runs by default: gateways, engines, and the clients that use them."""

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import structlog
import trio

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.world import World
from cqox.resilience import registry
from services.simulation.expectations import Expectations
from services.simulation.faults import apply, draw_faults
from services.simulation.recordings import Recordings, digest_of_sources
from services.simulation.site import Site
from services.simulation.workload import Client, Mix

__all__ = ["CqoxSystem", "system"]

_ROOT = Path(__file__).parents[2]
_FILE = "worker-answers.json"
_LAST_CHECKS_SECONDS = 25.0
_REST_SECONDS = 40.0
_ATTEMPTS = 6


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
        os.environ["OTEL_SDK_DISABLED"] = "true"
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
        """Run the system under these faults for this time, and tell the world what is violated."""
        assert self.recordings is not None
        engines, gateways, on_servers = _size(world.draw("faults"))
        draw = world.draw("site")
        site = Site(world, self.recordings, by_address=draw.random() < 0.5, on_servers=on_servers)
        expected = Expectations(world)
        mix = Mix(gap=draw.choice([2.0, 4.0, 8.0]))
        end = 60 * minutes
        with _logged(world), site.running(engines=engines, gateways=gateways):
            clients = [
                Client(site, expected, mix, world.draw(f"client {number}"), end - _LAST_CHECKS_SECONDS - _REST_SECONDS)
                for number in range(draw.randint(2, 4))
            ]
            site.clients = tuple(f"client-{number}" for number in range(len(clients)))
            running = [world.start(f"client-{n}", client.run, restart=False) for n, client in enumerate(clients)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(apply, site, faults)
                await trio.sleep(end - _LAST_CHECKS_SECONDS - _REST_SECONDS - world.now)
            for process in running:
                await process.ended.wait()
            last = Client(site, expected, Mix(leaves=0, slow=0), world.draw("last client"), float("inf"))
            checks = world.start("last-client", lambda _: _check_promises(world, expected, last), restart=False)
            await trio.lowlevel.checkpoint()
            await checks.ended.wait()
            await trio.sleep(_REST_SECONDS)
            _check_rest(world, site)
        world.log.add("counts", *(f"{what}={count}" for what, count in sorted(expected.counts.items())))


def _size(draw: Random) -> tuple[int, int, bool]:
    """Return the number of engines and gateways, and whether the stores are servers."""
    return draw.choice([1, 1, 2, 2, 3, 5]), draw.choice([1, 1, 1, 2, 3]), draw.random() < 0.5


async def _check_promises(world: World, expected: Expectations, client: Client) -> None:
    """Read everything that was acknowledged; by now all is well, so that every answer must come."""
    for analysis_id in list(expected.reports):
        if not await client.read_report(analysis_id):
            world.violated(f"the report {analysis_id}, which was acknowledged as stored, cannot be read")
    for name, dataset_id in list(expected.datasets.items()):
        answer = await client.ask("read_dataset", "GET", f"/api/datasets/{dataset_id}", most=30.0)
        if answer is None:
            world.violated(f"the data set {dataset_id} ({name}), which was acknowledged, cannot be read")
    for job_id, promise in list(expected.jobs.items()):
        state = None
        for _ in range(_ATTEMPTS):
            state = await client.look_at(job_id)
            if state is None or expected.is_final(state):
                break
            # It may have been accepted a moment ago.
            await trio.sleep(5)
        if state is None and not promise.cancelled:
            world.violated(f"the job {job_id}, acknowledged at {promise.at:.1f} s, cannot be read")
        elif state is not None and not expected.is_final(state):
            world.violated(f"the job {job_id}, acknowledged at {promise.at:.1f} s, is still {state}")


def _check_rest(world: World, site: Site) -> None:
    """Check that nothing is in flight where nobody asks anything."""
    gc.collect()
    for name in (*site.engines, *site.gateways):
        app = site.apps.get(name)
        if app is None:
            world.violated(f"{name} does not run at the end")
        elif len(app.in_flight):
            world.violated(f"{name} has {len(app.in_flight)} requests in flight at the end")
    for name, pool in sorted(site.pools.items()):
        if pool.busy:
            tasks = ", ".join(worker.task for worker in site.workers[name].alive if worker.task)
            world.violated(f"{name} has {pool.busy} busy workers at the end: {tasks}")
        if not pool.idle:
            world.violated(f"{name} has no idle worker at the end")
    for key, snapshot in sorted(registry.snapshot().items()):
        for what, value in _numbers(snapshot):
            if what.rpartition(".")[2] in ("running", "queued", "in_flight", "probing", "waiting") and value:
                world.violated(f"the policy {key} has {what} {value} at the end")


def _numbers(snapshot: object, path: str = "") -> list[tuple[str, float]]:
    if isinstance(snapshot, Mapping):
        return [found for name, value in snapshot.items() for found in _numbers(value, f"{path}.{name}")]
    if isinstance(snapshot, list | tuple):
        return [found for number, value in enumerate(snapshot) for found in _numbers(value, f"{path}.{number}")]
    return [(path, snapshot)] if isinstance(snapshot, int | float) and not isinstance(snapshot, bool) else []


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
