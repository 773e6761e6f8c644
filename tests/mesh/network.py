"""A network of pods: a namespace for each, and one more whose routes connect them. Nothing else can be reached.

Addresses are from the block for benchmarks (RFC 2544). A name stands for addresses in the hosts file of each pod.
"""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.mesh.sidecar import MARK
from tests.servers.namespaces import NetworkNamespace

__all__ = ["Network", "Pod", "open_network"]

_GATE = "169.254.1.1"
_TABLE = "100"


class Pod(NetworkNamespace):
    """A network namespace with one address.

    Args:
        name: its name.
        address: its address.
        folder: where its hosts file is.

    Attributes:
        around: a command before which this goes runs in the pod.
    """

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self._hosts = folder / f"{name}.hosts"
        self._hosts.write_text("127.0.0.1 localhost\n")
        super().__init__(hosts=str(self._hosts))
        self.around += ["setpriv", "--pdeathsig", "KILL"]

    def run(self, *command: str) -> None:
        """Run a command of `ip` and the like in the namespace."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-n", *command], capture_output=True, text=True)
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr}"

    def intercept(self, port: int) -> None:
        """Bring to the sidecar what the pod sends to a port of others, unless it comes from the sidecar."""
        # By that rule the others are here, and what they answer to the sidecar would be taken for forged.
        self.run("sh", "-c", "cd /proc/sys/net/ipv4/conf && echo 1 >eth0/accept_local && echo 0 >all/rp_filter")
        self.run("ip", "rule", "add", "pref", "110", "ipproto", "tcp", "dport", str(port), "lookup", _TABLE)

    def know(self, names: Mapping[str, Iterable[str]]) -> None:
        """Let names stand for addresses; the file stays the one that is mounted."""
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        with self._hosts.open("r+b") as file:
            content = "".join(["127.0.0.1 localhost\n", *lines]).encode()
            # In one write, so that no reader meets half a file; what is longer is cut afterwards.
            file.write(content)
            file.truncate()

    def thread(self, work: Callable[[], None]) -> threading.Thread:
        """Start a thread in the pod."""

        def run() -> None:
            self.enter()
            work()

        started = threading.Thread(target=run, daemon=True)
        started.start()
        return started

    def connect(self, address: str, port: int, seconds: float = 10.0) -> socket.socket:
        """Return a connection of the pod."""
        with self.inside():
            return socket.create_connection((address, port), timeout=seconds)


class Network:
    """Pods and the routes between them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._router = Pod("router", _GATE, folder)
        self._router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.pods: list[Pod] = []

    def pod(self, name: str) -> Pod:
        """Return a new pod, with an address that none had before."""
        self._count += 1
        pod = Pod(name, f"198.18.0.{self._count + 10}", self._folder)
        self.pods.append(pod)
        device = f"pod{self._count}"
        self._router.run("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", str(pod.pid))
        self._router.run("ip", "addr", "add", f"{_GATE}/32", "dev", device)
        self._router.run("ip", "link", "set", device, "up")
        self._router.run("ip", "route", "add", f"{pod.address}/32", "dev", device)
        pod.run("ip", "addr", "add", f"{pod.address}/32", "dev", "eth0")
        pod.run("ip", "link", "set", "eth0", "up")
        pod.run("ip", "route", "add", "default", "via", _GATE, "dev", "eth0", "onlink")
        pod.run("ip", "rule", "add", "pref", "100", "fwmark", str(MARK), "lookup", "main")
        own = ["src", pod.address, "table", _TABLE]
        pod.run("ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo", *own)
        return pod

    def lose(self, pod: Pod) -> None:
        """Drop every packet to a pod from now on, as where its node is gone."""
        self._router.run("ip", "route", "replace", "blackhole", f"{pod.address}/32")

    def find(self, pod: Pod) -> None:
        """Carry packets to a pod again."""
        device = f"pod{self.pods.index(pod) + 1}"
        self._router.run("ip", "route", "del", "blackhole", f"{pod.address}/32")
        self._router.run("ip", "route", "add", f"{pod.address}/32", "dev", device)

    def close(self) -> None:
        """End everything."""
        for pod in self.pods:
            pod.close()
        self._router.close()


@contextmanager
def open_network(folder: Path) -> Iterator[Network]:
    """Open a network that ends on leaving, or with this process."""
    made = Network(folder)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.close()
