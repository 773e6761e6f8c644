"""An engine on a small disk and a gateway with a certificate, and real causes of alerts in them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from cqox.certificates.authority import Authority
from tests.alerts.monitoring import Monitoring, monitoring
from tests.alerts.stand_in import StandIn
from tests.e2e.stack import Service
from tests.servers.certificates import authority_in, expired
from tests.servers.ports import free_port
from tests.servers.small_disk import SmallDisk
from tests.waiting import wait_until

__all__ = ["Certified", "OnSmallDisk", "certified", "on_small_disk"]

_MIB = 2**20
_DISK_BYTES = 64 * _MIB
_RESERVE_BYTES = 2 * _MIB
_LIFE_DAYS = 0.4


class OnSmallDisk:
    """An engine whose data directory is on a disk of 64 MiB; each method is a cause that ends with its context.

    Attributes:
        watched: what watches it.
    """

    watched: Monitoring

    def __init__(self, folder: Path) -> None:
        self.disk = SmallDisk(folder / "disk", _DISK_BYTES)
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(folder / "disk/data"),
            "CQOX_ENGINE_PORT": str(port),
            "CQOX_DISK_RESERVE_BYTES": str(_RESERVE_BYTES),
        }
        self.engine = Service("engine", port, variables, folder / "engine.log", around=self.disk.around)

    def start(self) -> None:
        self.engine.start()
        self.engine.wait_ready()

    def close(self) -> None:
        if hasattr(self.engine, "process"):
            self.engine.kill()
        self.disk.close()

    @contextmanager
    def nearly_full(self) -> Iterator[None]:
        """Others take all but 4 of 64 MiB of the disk."""
        self.disk.fill(leaving_bytes=4 * _MIB)
        yield
        self.disk.clear()

    @contextmanager
    def full(self) -> Iterator[None]:
        """Others fill the disk."""
        self.disk.fill()
        yield
        self.disk.clear()


@contextmanager
def on_small_disk(folder: Path, *, factor: float) -> Iterator[OnSmallDisk]:
    """Run it, watched at this scale of time."""
    with ExitStack() as stack:
        made = OnSmallDisk(folder)
        stack.callback(made.close)
        made.start()
        # Without a gateway there would be another alert.
        gateway = stack.enter_context(StandIn())
        targets = {"cqox-engine": [f"127.0.0.1:{made.engine.port}"], "cqox-gateway": [gateway.address]}
        made.watched = stack.enter_context(monitoring(folder / "monitoring", targets, factor=factor))
        yield made


class Certified:
    """A gateway that speaks TLS; each method is a cause that ends with its context.

    Attributes:
        watched: what watches it.
    """

    watched: Monitoring

    def __init__(self, folder: Path) -> None:
        self.authority: Authority = authority_in(folder / "certificates", "gateway")
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(folder / "data"),
            "CQOX_GATEWAY_PORT": str(port),
            "CQOX_TLS_DIR": str(folder / "certificates" / "gateway"),
            "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
        }
        self.gateway = Service("gateway", port, variables, folder / "gateway.log")

    def start(self) -> None:
        self.gateway.start()
        wait_until(self._is_alive, failure=lambda: self.gateway.log)

    def close(self) -> None:
        if hasattr(self.gateway, "process"):
            self.gateway.kill()

    def _is_alive(self) -> bool:
        assert self.gateway.process.poll() is None, self.gateway.log
        url = f"https://127.0.0.1:{self.gateway.port}/health/live"
        try:
            return httpx.get(url, verify=False, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def ageing(self) -> Iterator[None]:
        """The certificate in use has a quarter of its life left."""
        with self._left(0.25):
            yield

    @contextmanager
    def dying(self) -> Iterator[None]:
        """The certificate in use has a tenth of its life left, as a Prometheus sees that has just been started."""
        with self._left(0.1):
            yield

    @contextmanager
    def _left(self, share: float) -> Iterator[None]:
        begin = datetime.now(UTC) - timedelta(days=(1 - share) * _LIFE_DAYS)
        self.authority.issue("gateway", days=_LIFE_DAYS, begin=begin)
        yield
        self.authority.issue("gateway", days=1.0)

    @contextmanager
    def not_replaced(self) -> Iterator[None]:
        """The next certificate has expired already."""
        expired(self.authority, "gateway")
        yield
        self.authority.issue("gateway", days=1.0)


@contextmanager
def certified(folder: Path, *, factor: float) -> Iterator[Certified]:
    """Run it, watched at this scale of time."""
    with ExitStack() as stack:
        made = Certified(folder)
        stack.callback(made.close)
        made.start()
        engine = stack.enter_context(StandIn())
        targets = {"cqox-gateway": [f"127.0.0.1:{made.gateway.port}"], "cqox-engine": [engine.address]}
        made.watched = stack.enter_context(
            monitoring(folder / "monitoring", targets, factor=factor, encrypted=("cqox-gateway",))
        )
        yield made
