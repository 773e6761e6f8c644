"""A gateway with TLS, two engines on one small disk and PostgreSQL, under watch, and faults in them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.alerts.monitoring import RUNBOOK, Monitoring, monitoring
from tests.e2e.stack import Service
from tests.game_day.clients import Clients
from tests.servers import Postgres, running
from tests.servers.certificates import authority_in, client_of
from tests.servers.ports import free_port
from tests.servers.small_disk import SmallDisk
from tests.waiting import wait_until

__all__ = ["Site", "site"]

_MIB = 2**20
_DISK_BYTES = 128 * _MIB
_RESERVE_BYTES = 4 * _MIB
_DAY = 86400.0
_LIFE_DAYS = 10.0


class Site:
    """The services; each method but `start` and `close` is a fault that ends with its context.

    Attributes:
        url: address of the gateway.
        clients: who sends requests.
        watched: Prometheus, Alertmanager and the receiver.
        left_seconds: how long the last certificate that ends is still valid when it comes.
    """

    watched: Monitoring

    def __init__(self, folder: Path, postgres: Postgres, prometheus_port: int, *, left_seconds: float) -> None:
        self.left_seconds = left_seconds
        self.postgres = postgres
        self._disk = SmallDisk(folder / "disk", _DISK_BYTES)
        self._authority = authority_in(folder / "certificates", "gateway", "client")
        shared = {
            "CQOX_DATA_DIR": str(folder / "disk" / "data"),
            "CQOX_DISK_RESERVE_BYTES": str(_RESERVE_BYTES),
            "POSTGRES_URL": postgres.fresh(),
        }
        self.engines = []
        for name in ("first", "second"):
            port = free_port()
            variables = {**shared, "CQOX_ENGINE_PORT": str(port)}
            self.engines.append(
                Service("engine", port, variables, folder / f"engine-{name}.log", around=self._disk.around)
            )
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(folder / "gateway"),
            "CQOX_GATEWAY_PORT": str(port),
            "CQOX_TLS_DIR": str(folder / "certificates" / "gateway"),
            "CQOX_PROMETHEUS_URL": f"http://127.0.0.1:{prometheus_port}",
            "CQOX_RUNBOOK_URL": RUNBOOK,
            "ENGINE_URL": ",".join(each.url for each in self.engines),
        }
        self.gateway = Service("gateway", port, variables, folder / "gateway.log")
        self.url = f"https://127.0.0.1:{port}"
        self.clients = Clients(self.url, client_of(self._authority, "client"))

    def start(self) -> None:
        for each in (*self.engines, self.gateway):
            each.start()
        for each in self.engines:
            each.wait_ready()
        wait_until(self._is_alive, failure=lambda: self.gateway.log)

    def close(self) -> None:
        for each in (self.gateway, *self.engines):
            if hasattr(each, "process"):
                each.kill()
        self._disk.close()

    def _is_alive(self) -> bool:
        assert self.gateway.process.poll() is None, self.gateway.log
        try:
            return httpx.get(f"{self.url}/health/ready", verify=False, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def engine_killed(self) -> Iterator[None]:
        """Kill one of the two engines."""
        with self._killed(1):
            yield

    @contextmanager
    def engines_killed(self) -> Iterator[None]:
        """Kill both engines."""
        with self._killed(2):
            yield

    @contextmanager
    def _killed(self, how_many: int) -> Iterator[None]:
        killed = self.engines[:how_many]
        for each in killed:
            each.kill()
        yield
        for each in killed:
            each.start()

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """Let others fill the disk of the engines."""
        self._disk.fill()
        yield
        self._disk.clear()

    @contextmanager
    def database_hung(self) -> Iterator[None]:
        """Stop PostgreSQL where it stands, with all its backends."""
        with self.postgres.frozen():
            yield

    @contextmanager
    def certificate_expired(self) -> Iterator[None]:
        """Let the certificate of the gateway end, after nine tenths of its life and more without a renewal."""
        end = datetime.now(UTC) + timedelta(seconds=self.left_seconds)
        self._authority.issue("gateway", days=_LIFE_DAYS, begin=end - timedelta(days=_LIFE_DAYS))
        yield
        self._authority.issue("gateway", days=1.0)

    def wait_for_the_end_of_the_certificate(self, since: float) -> None:
        """Wait until the certificate that came at a time of the monotonic clock has ended, and clients notice."""
        time.sleep(max(0.0, since + self.left_seconds + 2 - time.monotonic()))


@contextmanager
def site(folder: Path, *, factor: float) -> Iterator[Site]:
    """Run all of it under requests, watched at this scale of time."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running(Postgres()))
        port = free_port()
        made = Site(folder, postgres, port, left_seconds=max(90 / factor, 10.0))
        stack.callback(made.close)
        made.start()
        targets = {
            "cqox-gateway": [f"127.0.0.1:{made.gateway.port}"],
            "cqox-engine": [f"127.0.0.1:{each.port}" for each in made.engines],
        }
        made.watched = stack.enter_context(
            monitoring(
                folder / "monitoring",
                targets,
                factor=factor,
                encrypted=("cqox-gateway",),
                expected={"cqox-engine": 2},
                port=port,
            )
        )
        stack.enter_context(made.clients.asking())
        yield made
