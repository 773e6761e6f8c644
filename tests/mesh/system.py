"""Releases of the chart as processes: gateways, engines and a client, each in a pod with an Envoy.

Settings, routes, identities, ejection and time-outs are those that the chart renders for the values. What a cluster
would do is done here: names and addresses are written to files, and a pod is ended in the order of Kubernetes. Engines
of a release share a data folder, with SQLite where the chart has PostgreSQL.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cqox.certificates.authority import Authority
from deploy.mesh import Inbound, Objects, Outbound, Sidecar
from tests.deploy.chart.rendering import LEAST, environment, merged, pods, render
from tests.e2e.stack import Service
from tests.mesh.counting import Counting
from tests.mesh.envoy import Envoy
from tests.mesh.network import Network, Pod, open_network
from tests.waiting import wait_until

__all__ = ["CLIENT", "VALUES", "Mesh", "Release", "Workload", "open_mesh"]

CLIENT = "spiffe://cluster.local/ns/ingress/sa/edge"
VALUES = merged(LEAST, {"mesh": "istio", "meshed": {"clients": [{"namespace": "ingress", "serviceAccount": "edge"}]}})
"""Values of a release with Istio; the client of the tests is the one that they admit."""

_PORTS = {"gateway": 8082, "engine": 8080}
_COUNTED_PORT = 18080
_OF_A_CLUSTER = ("_FILE", "POSTGRES_URL", "REDIS_URL", "OTEL_")


@dataclass(eq=False)
class Release:
    """One release of the chart.

    Attributes:
        name: its name.
        values: its values.
        data: the data folder of its engines.
        address: of the Service of its gateways.
    """

    name: str
    values: Mapping[str, object]
    data: Path
    address: str
    documents: list[dict] = field(init=False)
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        self.upgrade(self.values)

    def upgrade(self, values: Mapping[str, object]) -> None:
        """Render it with other values; nothing is replaced yet."""
        self.values = values
        self.documents = render(values, name=self.name)
        self.objects = Objects(self.documents)


@dataclass(eq=False)
class Workload:
    """A pod with its sidecar and, but for the client, a service.

    Attributes:
        component: `gateway`, `engine` or `client`.
        counting: what stands before the service and counts what reaches it.
    """

    release: Release
    component: str
    pod: Pod
    envoy: Envoy
    service: Service | None = None
    counting: Counting | None = None
    is_listed: bool = False


class Mesh:
    """All releases, their pods and the client."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        self.network = network
        self.authority = Authority.create(folder / "tls")
        self.releases: list[Release] = []
        self.workloads: list[Workload] = []
        self._numbers = itertools.count(1)
        self._clients: list[httpx.Client] = []

    def release(self, name: str = "cqox", values: Mapping[str, object] = VALUES, *, data: str | None = None) -> Release:
        """Add a release; it has no pods yet."""
        address = f"198.19.0.{len(self.releases) + 10}"
        made = Release(name, values, self.folder / (data or name), address)
        self.releases.append(made)
        return made

    def client(self) -> Workload:
        """Start the client of the first release."""
        main = self.releases[0]
        made = self._workload(main, "client", CLIENT, [Outbound(objects=main.objects, component="gateway")])
        made.pod.intercept(_PORTS["gateway"])
        made.envoy.start(self.addresses())
        return made

    def start(self, release: Release, component: str, *, counted: bool = False, **settings: str) -> Workload:
        """Start a pod of a component, which is not listed until it is ready."""
        engines = [Outbound(objects=release.objects, component="engine")] if component == "gateway" else []
        port = _COUNTED_PORT if counted else _PORTS[component]
        made = self._workload(release, component, release.objects.identity(component), engines)
        if engines:
            made.pod.intercept(_PORTS["engine"])
            made.pod.know(self._names())
        made.envoy.start(self.addresses())
        chart = environment(pods(release.documents)[component])
        given = {name: value for name, value in chart.items() if not any(part in name for part in _OF_A_CLUSTER)}
        own = {
            "CQOX_HOST": "127.0.0.1",
            "CQOX_DATA_DIR": str(release.data),
            "CQOX_ADMIN_SOCKET": str(self.folder / f"{made.pod.name}.sock"),
            f"CQOX_{component.upper()}_PORT": str(port),
            "CQOX_LOG_LEVEL": "warning",
        }
        log = self.folder / f"{made.pod.name}.log"
        made.service = Service(component, port, {**given, **own, **settings}, log, around=made.pod.around)
        made.service.start()
        if counted:
            made.counting = Counting(made.pod, _PORTS[component], _COUNTED_PORT)
        return made

    def ready(self, *workloads: Workload) -> None:
        """Wait until these are ready, and list them."""
        for each in workloads:
            wait_until(lambda each=each: self._is_ready(each), failure=lambda each=each: each.service.log)  # type: ignore[misc]
            each.is_listed = True
        self.publish()

    def publish(self) -> None:
        """Write routes, names and addresses as they are now."""
        addresses = self.addresses()
        for each in self.workloads:
            each.envoy.write(addresses)
            if each.component == "gateway":
                each.pod.know(self._names())

    def upgrade(self, release: Release, values: Mapping[str, object]) -> None:
        """Reload a release with other values of the mesh: no process is replaced."""
        before = release.objects
        release.upgrade(values)
        for each in self.workloads:
            sidecar = each.envoy.sidecar
            each.envoy.sidecar = Sidecar(
                folder=sidecar.folder,
                name=sidecar.name,
                address=sidecar.address,
                certificates=sidecar.certificates,
                releases=[one.objects for one in self.releases],
                inbound=sidecar.inbound,
                outbound=[
                    Outbound(objects=release.objects if one.objects is before else one.objects, component=one.component)
                    for one in sidecar.outbound
                ],
            )
        self.publish()

    def end(self, workload: Workload, *, pre_stop: float) -> int:
        """End a pod as Kubernetes does, and return the exit status of its service."""
        workload.is_listed = False
        self.publish()
        time.sleep(pre_stop)
        assert workload.service is not None
        status = workload.service.stop() if workload.service.process.poll() is None else workload.service.process.wait()
        self.remove(workload)
        return status

    def command(self, workload: Workload, *arguments: str) -> str:
        """Run `cqox` with the settings of a pod, and return what it prints."""
        assert workload.service is not None
        done = subprocess.run(
            [Path(sys.executable).with_name("cqox"), *arguments],
            env={**os.environ, **workload.service.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def remove(self, workload: Workload) -> None:
        """End a pod at once."""
        self.workloads.remove(workload)
        if workload.counting is not None:
            workload.counting.close()
        if workload.service is not None:
            workload.service.kill()
        workload.envoy.stop()
        workload.pod.close()

    def addresses(self) -> dict[str, list[str]]:
        """Return the addresses of the pods that are listed, by the name of their Service."""
        found: dict[str, list[str]] = {}
        for each in self.workloads:
            if each.component != "client" and each.is_listed:
                found.setdefault(each.release.objects.host(each.component), []).append(each.pod.address)
        return found

    def http(self, workload: Workload, release: Release | None = None, *, seconds: float = 60.0) -> httpx.Client:
        """Return a client whose connections are those of a pod; use it inside of that pod alone."""
        release = release or self.releases[0]
        made = httpx.Client(
            base_url=f"http://{release.address}:8082",
            headers={"Host": f"{release.objects.host('gateway')}:8082"},
            timeout=seconds,
            trust_env=False,
        )
        self._clients.append(made)
        return made

    def close(self) -> None:
        """End everything."""
        for client in self._clients:
            client.close()
        for each in list(self.workloads):
            self.remove(each)

    def _workload(self, release: Release, component: str, identity: str, outbound: list[Outbound]) -> Workload:
        name = f"{release.name}-{component}-{next(self._numbers)}"
        pod = self.network.pod(name)
        self.authority.issue(name, days=1, identity=identity)
        inbound = None
        if component != "client":
            inbound = Inbound(objects=release.objects, component=component, service_port=_PORTS[component])
        sidecar = Sidecar(
            folder=self.folder / "sidecars" / name,
            name=name,
            address=pod.address,
            certificates=self.authority.folder / name / "current",
            releases=[one.objects for one in self.releases],
            inbound=inbound,
            outbound=outbound,
        )
        made = Workload(release, component, pod, Envoy(sidecar, pod))
        self.workloads.append(made)
        return made

    def _names(self) -> dict[str, list[str]]:
        addresses = self.addresses()
        return {
            release.objects.host("engine").partition(".")[0]: addresses.get(release.objects.host("engine"), [])
            for release in self.releases
        }

    def _is_ready(self, workload: Workload) -> bool:
        service = workload.service
        assert service is not None
        assert service.process.poll() is None, f"{workload.pod.name} ended:\n{service.log}"
        try:
            with workload.pod.inside():
                answer = httpx.get(f"http://127.0.0.1:{service.port}/health/ready", trust_env=False, timeout=5)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK


@contextmanager
def open_mesh(folder: Path) -> Iterator[Mesh]:
    """Open a mesh without pods; everything is ended on leaving."""
    with open_network(folder) as network:
        made = Mesh(folder, network)
        try:
            yield made
        finally:
            made.close()
