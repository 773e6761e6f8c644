"""CQOx as an experiment's system: gateway and engines as commands, with the real servers of the tests around them.

It is here and not in `cqox.chaos`, which knows no server, because it starts the servers that the tests have.
"""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from cqox.certificates import Credentials
from cqox.certificates.authority import Authority
from cqox.chaos.experiments.experiment import Experiment, Fault
from cqox.chaos.experiments.ownership import Processes, children_of, start_of
from cqox.chaos.experiments.system import Health, SystemUnusable
from cqox.chaos.proxy import FaultProxy
from tests.chaos.dependencies import linked, start_dependencies
from tests.chaos.faults import FAULTS
from tests.chaos.packets import PacketLink, open_packet_link
from tests.e2e.stack import Service
from tests.servers.durable_object_store import DurableObjectStore
from tests.servers.identity_provider import IdentityProvider
from tests.servers.openbao import OpenBao
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.small_disk import SmallDisk

__all__ = ["CqoxSystem", "open_system"]

_READY_SECONDS = 90.0
_LINK_PORTS = {"postgres": "postgres", "redis": "redis", "openbao": "openbao"}


@dataclass(eq=False)
class CqoxSystem:
    """A running system; see `cqox.chaos.experiments.system.System`.

    Attributes:
        experiment: what it was started for.
        folder: its files.
        data: the data directory as the services see it.
        owned: every process that was started.
        gateways: the gateways.
        engines: the engines.
        proxies: one for each link that the experiment breaks, before the first engine for `gateway->engine`.
    """

    experiment: Experiment
    folder: Path
    owned: Processes
    threads: ThreadPoolExecutor
    client: httpx.AsyncClient = field(init=False)
    notes: list[str] = field(default_factory=list)
    gateways: list[Service] = field(default_factory=list)
    engines: list[Service] = field(default_factory=list)
    proxies: dict[str, list[FaultProxy]] = field(default_factory=dict)
    packets: PacketLink | None = None
    postgres: Postgres | None = None
    redis: Redis | None = None
    openbao: OpenBao | None = None
    objects: DurableObjectStore | None = None
    provider: IdentityProvider | None = None
    authority: Authority | None = None
    disk: SmallDisk | None = None
    key: str = ""
    _probes: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "disk" / "data" if self.disk is not None else self.folder / "data"

    def needs(self, part: str) -> bool:
        return part in self.experiment.needs.parts

    async def call[T](self, function: Callable[[], T]) -> T:
        """Call what blocks, always on the same thread: a server ends with the thread that has started it."""
        return await trio.to_thread.run_sync(lambda: self.threads.submit(function).result(), abandon_on_cancel=False)

    def services(self, component: str) -> list[Service]:
        return {"gateway": self.gateways, "engine": self.engines}.get(component, [])

    async def start(self, service: Service) -> None:
        """Start a service; it is not ready yet."""
        await self.call(service.start)
        self.owned.add(service.process.pid)

    def roots(self, component: str) -> list[int]:
        """The ids of the processes of a component."""
        if component == "worker":
            return [child for engine in self.engines for child in children_of(engine.process.pid)]
        if services := self.services(component):
            return [each.process.pid for each in services]
        server = {
            "postgres": self.postgres,
            "redis": self.redis,
            "openbao": self.openbao,
            "object-store": self.objects,
            "identity-provider": self.provider,
        }.get(component)
        return [] if server is None or server._process is None else [server._process.pid]

    def processes(self, component: str) -> Mapping[str, str]:
        return {
            f"{component}-{number}": f"{pid}:{start_of(pid)}" for number, pid in enumerate(self.roots(component), 1)
        }

    def log(self, component: str) -> str:
        return "".join(each.log for each in self.services(component) if each.log_path.exists())

    async def health(self, component: str) -> Sequence[Health]:
        found: list[Health] = []
        async with trio.open_nursery() as nursery:
            for number, service in enumerate(self.services(component), 1):
                nursery.start_soon(self._ask, f"{component}-{number}", service, found)
        return sorted(found, key=lambda each: each.name)

    async def _ask(self, name: str, service: Service, found: list[Health]) -> None:
        # Over a new connection where a kept one belongs to a process that is gone.
        client = self._probes.get(name)
        if client is None:
            client = self._probes[name] = self._client(self.url(service), part="gateway", seconds=2.0)
        try:
            answer = await client.get("/health/ready")
            found.append(Health(name=name, status=answer.status_code, degraded=answer.json().get("degraded", {})))
        except (httpx.HTTPError, ValueError):
            found.append(Health(name=name, status=0))

    def url(self, service: Service) -> str:
        scheme = "http" if self.authority is None else "https"
        host = service.environment.get("CQOX_HOST", "127.0.0.1")
        return f"{scheme}://{host}:{service.port}"

    def _client(self, url: str, *, part: str, seconds: float) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = False
        if self.authority is not None:
            verify = Credentials(self.authority.folder / part).current().client
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx.Limits(max_connections=500, keepalive_expiry=5)
        made = httpx.AsyncClient(
            base_url=url, verify=verify, headers=headers, timeout=seconds, trust_env=False, limits=limits
        )
        self._clients.append(made)
        return made

    async def renew_client(self, part: str = "client") -> None:
        """Replace the client by one with the present key and certificate."""
        address = self.url(self.gateways[0])
        if proxies := self.proxies.get("client->gateway"):
            address = address.rpartition(":")[0] + f":{proxies[0].port}"
        self.client = self._client(address, part=part, seconds=60.0)

    async def until_well(self, patience: float) -> None:
        """Wait until every service is well.

        Raises:
            RuntimeError: one has ended, or is not well in time.
        """
        found: list[Health] = []
        with trio.move_on_after(patience):
            while all(each.process.poll() is None for each in (*self.engines, *self.gateways)):
                found = [*await self.health("engine"), *await self.health("gateway")]
                if all(each.is_well for each in found):
                    return
                await trio.sleep(0.1)
        logs = "\n".join(each.log[-1000:] for each in (*self.engines, *self.gateways))
        raise RuntimeError(f"the services did not become well: {found}\n{logs}")

    @asynccontextmanager
    async def broken(self, fault: Fault) -> AsyncIterator[None]:
        async with FAULTS[fault.kind](self, fault):
            yield

    async def command(self, *arguments: str) -> str:
        """Run `cqox` with the settings of the first engine, and return what it prints."""
        program = Path(sys.executable).with_name("cqox")

        def run() -> str:
            done = subprocess.run(
                [program, *arguments],
                env={**os.environ, **self.engines[0].environment},
                capture_output=True,
                text=True,
                timeout=60,
            )
            if done.returncode:
                raise RuntimeError(f"cqox {' '.join(arguments)}: {done.stderr}")
            return done.stdout.strip()

        return await self.call(run)


@asynccontextmanager
async def open_system(experiment: Experiment, folder: Path) -> AsyncIterator[CqoxSystem]:
    """Start what an experiment needs, ready; everything is ended on leaving."""
    if experiment.needs.gateways > 1:
        raise SystemUnusable("this system has one gateway: a balancer before several is not part of it")
    if "clock" in experiment.needs.parts and shutil.which("faketime") is None:
        raise SystemUnusable("there is no faketime: tests/servers/faketime.sh installs it")
    async with AsyncExitStack() as stack:
        threads = ThreadPoolExecutor(max_workers=1)
        stack.callback(threads.shutdown)
        system = CqoxSystem(experiment, folder, Processes(), threads)
        stack.push_async_callback(_end, system)
        shared = await start_dependencies(system, stack)
        await _services(system, stack, shared)
        await system.renew_client()
        yield system


async def _end(system: CqoxSystem) -> None:
    """End every process, however far the start came."""

    def end() -> None:
        for service in (*system.gateways, *system.engines):
            if hasattr(service, "process"):
                service.kill()
        for server in (
            system.postgres,
            system.redis,
            system.openbao,
            system.objects,
            system.provider,
            system.disk,
        ):
            if server is not None:
                server.close()

    with trio.CancelScope(shield=True):
        for client in system._clients:
            await client.aclose()
        await system.call(end)


def _around(system: CqoxSystem, service: str) -> list[str]:
    """The command before that of a service."""
    around = list(system.disk.around) if system.disk is not None and service == "engine" else []
    if shutil.which("setpriv"):
        # It ends with this run, also where that is killed.
        around += ["setpriv", "--pdeathsig", "KILL"]
    return around


async def _services(system: CqoxSystem, stack: AsyncExitStack, shared: Mapping[str, str]) -> None:
    secured = system.authority is not None
    urls = []
    for number in range(1, system.experiment.needs.engines + 1):
        port, name = free_port(), f"engine-{number}"
        own = {
            **shared,
            # Engines on an object store share no directory.
            **({"CQOX_DATA_DIR": str(system.data / name)} if system.needs("object-store") else {}),
            "CQOX_ENGINE_PORT": str(port),
            "CQOX_ADMIN_SOCKET": str(system.folder / f"{name}.sock"),
        }
        if secured:
            own["CQOX_TLS_PEERS"] = "spiffe://cqox/gateway"
        around = _around(system, "engine")
        host = "127.0.0.1"
        if system.needs("packets") and number == 1:
            link = await stack.enter_async_context(open_packet_link(seed=number))
            system.packets = link
            host = own["CQOX_HOST"] = link.inner
            # Only this machine is on the other side of the link.
            own["CQOX_AUTH"] = "open"
            around = [*link.around, *around]
            system.notes.append("Engine 1 runs in a network namespace; its packets pass a router of this run.")
        engine = Service("engine", port, own, system.folder / f"{name}.log", around=around)
        system.engines.append(engine)
        await system.start(engine)
        broken = [fault for fault in system.experiment.faults if fault.target.name == "gateway->engine"]
        proxied = not system.needs("packets") and (number == 1 or any(fault.target.mode == "all" for fault in broken))
        link_port = await linked(system, stack, "gateway->engine", port) if proxied else port
        urls.append(f"{'https' if secured else 'http'}://{host}:{link_port}")
    port = free_port()
    own = {
        **shared,
        "CQOX_GATEWAY_PORT": str(port),
        "CQOX_ADMIN_SOCKET": str(system.folder / "gateway-1.sock"),
        "ENGINE_URL": ",".join(urls),
    }
    if secured:
        own["CQOX_TLS_PEERS"] = "spiffe://cqox/client,spiffe://cqox/gateway"
    gateway = Service("gateway", port, own, system.folder / "gateway-1.log", around=_around(system, "gateway"))
    system.gateways.append(gateway)
    await system.start(gateway)
    await linked(system, stack, "client->gateway", port)
    if system.needs("keys"):
        system.key = await system.command("keys", "create", "--role", "steward")
    await system.until_well(_READY_SECONDS)
    await _policies(system)


async def _policies(system: CqoxSystem) -> None:
    """Change policies of the gateway by its admin socket, as `cqox admin set` does."""
    for policy, changes in system.experiment.needs.policies.items():
        transport = httpx.AsyncHTTPTransport(uds=system.gateways[0].environment["CQOX_ADMIN_SOCKET"])
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/api/admin/policies", json={"policy": policy, "settings": dict(changes)})
            assert answer.status_code == httpx.codes.OK, answer.text
