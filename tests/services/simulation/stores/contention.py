"""Three engines on one simulated database and one simulated cache, under every fault, and what they were promised."""

from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

import trio

from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate
from cqox.errors import StoreUnavailable
from cqox.security.audit import verified_chain
from cqox.storage import DEFAULT_TENANT, ResultCache, ResultStore
from cqox.storage.postgres import PostgresStore
from services.simulation.stores.cache import open_cache
from services.simulation.stores.database import open_database
from services.simulation.stores.server import CallFault, Conditions
from services.simulation.stores.servers import StoreServers
from tests.services.simulation.stores.breaking import SERVER_FAULTS, break_server
from tests.storage.records import a_job, a_report, an_event

__all__ = ["contend"]

ENGINES = ("engine-1", "engine-2", "engine-3")
RATES = (
    (CallFault.DIES_BEFORE, 0.02),
    (CallFault.DIES_MIDWAY, 0.02),
    (CallFault.DIES_AFTER, 0.02),
    (CallFault.UNDONE, 0.02),
    (CallFault.DISK, 0.02),
)
LEASE_SECONDS = 30.0


@dataclass(slots=True)
class Promised:
    """Acknowledged operations; they survive the engines."""

    reports: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    held_until: float = 0.0
    holder: str = ""
    numbers: int = 0


class Contention:
    def __init__(self, world: World) -> None:
        self.world = world
        self.promised = Promised()
        self.servers = StoreServers(world.draw, self.unix_time, persistent_cache=world.seed % 2 == 0)
        for server in self.servers.by_name.values():
            server.conditions = Conditions(least_seconds=0.001, most_seconds=0.05, rates=RATES)

    def unix_time(self) -> float:
        return 1_800_000_000.0 + self.world.now

    async def engine(self, process: SimulatedProcess) -> None:
        draw = self.world.draw(f"{process.name} {process.starts}")
        async with (
            open_database(self.servers.database, client=process.name, seconds=5.0) as database,
            open_cache(self.servers.cache, client=process.name) as cache,
            trio.open_nursery() as nursery,
        ):
            store, mine = database.within(DEFAULT_TENANT), cache.within(DEFAULT_TENANT)
            for task in range(3):
                nursery.start_soon(self.work, process.name, Random(draw.random() + task), store, mine)

    async def work(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> None:
        asks = (
            self.save,
            self.save,
            self.save,
            self.load,
            self.load,
            self.delete,
            self.append,
            self.job,
            self.lease,
            self.cached,
        )
        while True:
            await trio.sleep(draw.uniform(0.0, 1.0))
            ask = draw.choice(asks)
            began = self.world.now
            try:
                # A client that leaves.
                with trio.move_on_after(draw.choice((0.05, 1.0, 60.0))):
                    found = await ask(name, draw, store, cache)
                    self.world.log.add(ask.__name__, name, found)
            except StoreUnavailable as error:
                self.world.log.add(ask.__name__, name, str(error))
            # A call has 5 s, and its end 1 s more; a job is two calls and a pause.
            if self.world.now - began > (18.0 if ask == self.job else 8.0):
                self.world.violated(f"{ask.__name__} took {self.world.now - began:.1f} s")

    def number(self) -> int:
        self.promised.numbers += 1
        return self.promised.numbers

    async def save(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        number = self.number()
        if not await store.save(a_report(number)):
            self.world.violated(f"report {number} was stored by another call")
        self.promised.reports.append(number)
        return number

    async def load(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        if not self.promised.reports:
            return None
        number = draw.choice(self.promised.reports)
        found = await store.load(a_report(number).analysis_id)
        if number in self.promised.reports and found != a_report(number):
            self.world.violated(f"report {number} was acknowledged and is lost")
        return number

    async def delete(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        if not self.promised.reports:
            return None
        number = draw.choice(self.promised.reports)
        # From here on it may be gone.
        self.promised.reports.remove(number)
        identity = a_report(number).analysis_id
        if list(await store.delete_reports([identity])) != [identity]:
            self.world.violated(f"report {number} was not there to delete")
        self.promised.deleted.append(number)
        return number

    async def append(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        numbers = [self.number() for _ in range(draw.randint(1, 3))]
        if await store.append_audit([an_event(number) for number in numbers]) != len(numbers):
            self.world.violated(f"events {numbers} were appended by another call")
        self.promised.events += numbers
        return numbers

    async def job(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        job = a_job(f"{self.number()}")
        await store.put_job(job, owner=name, seconds=60)
        await trio.sleep(draw.uniform(0.0, 5.0))
        await store.put_job(replace(job, status="succeeded", finished_at="2026-01-02"), owner=name, seconds=60)
        self.promised.ended.append(job.job_id)
        return job.job_id

    async def lease(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        token, began = f"{name} {self.number()}", self.world.now
        got = await store.claim_turn("k", token=token, seconds=LEASE_SECONDS)
        if got:
            # The lease began at some time since the call did, and the other one ended no earlier than it says.
            if self.world.now < self.promised.held_until:
                self.world.violated(f"{token} has the lease of {self.promised.holder}")
            self.promised.held_until, self.promised.holder = began + LEASE_SECONDS, token
        return got

    async def cached(self, name: str, draw: Random, store: ResultStore, cache: ResultCache) -> object:
        report = a_report(draw.randrange(5))
        await cache.put(report)
        found = await cache.get(report.analysis_id)
        if found not in (None, report):
            self.world.violated("the cache returned another report")
        return found is not None

    async def break_things(self, draw: Random) -> None:
        kinds = {kind: weight for kind, (weight, _) in SERVER_FAULTS.items()} | {"crash": 1.0}
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(draw.expovariate(1 / 5))
                kind = draw.choices(list(kinds), weights=list(kinds.values()))[0]
                name, target = draw.choice(("database", "cache")), draw.choice(ENGINES)
                seconds, severity = draw.uniform(0.1, 15.0), draw.random()
                self.world.log.add("break", name, kind, seconds)
                if kind == "crash":
                    self.world.process(target).crash()
                    continue
                broken = partial(break_server, seconds=seconds, severity=severity, clients=ENGINES)
                nursery.start_soon(broken, self.servers.by_name[name], kind)

    async def check(self, store: PostgresStore) -> None:
        """Check at the end, on a server that is well, that every promise is kept."""
        mine, promised = store.within(DEFAULT_TENANT), self.promised
        for number in promised.reports:
            if await mine.load(a_report(number).analysis_id) != a_report(number):
                self.world.violated(f"report {number} was acknowledged and is lost")
        there = await mine.stored([a_report(number).analysis_id for number in promised.deleted])
        if there:
            self.world.violated(f"reports were deleted and are there: {sorted(there)}")
        for name in promised.ended:
            job = await mine.job(name)
            if job is None or job.status != "succeeded":
                self.world.violated(f"job {name} had ended, and is {job}")
        entries = list(await mine.audit_after(0, limit=100_000))
        verified_chain(DEFAULT_TENANT, entries)
        lost = {an_event(number).event_id for number in promised.events} - {entry.event_id for entry in entries}
        if lost:
            self.world.violated(f"events were acknowledged and are lost: {sorted(lost)}")


async def _main(minutes: float, world: World) -> None:
    contention = Contention(world)
    servers = contention.servers
    for name in ENGINES:
        world.start(name, contention.engine).on_crash(lambda gone: servers.hang_up(gone.name))
    with trio.move_on_after(60 * minutes):
        await contention.break_things(world.draw("faults"))
    for name in ENGINES:
        world.process(name).crash()
    for server in servers.by_name.values():
        server.conditions = Conditions()
    async with open_database(servers.database, client="auditor") as store:
        await contention.check(store)
    promised = contention.promised
    world.log.add("end", len(promised.reports), len(promised.deleted), len(promised.events), len(promised.ended))
    servers.close()


def contend(seed: int, *, minutes: float = 1.0) -> World:
    """Run the engines with a seed, and return their world."""
    return simulate(seed, partial(_main, minutes))
