"""A gateway whose traces go to a collector, two engines with few places, and real causes of alerts in them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.alerts.monitoring import Monitoring, monitoring
from tests.alerts.system import traffic
from tests.e2e.engines import LONG
from tests.e2e.stack import Service
from tests.servers.ports import free_port
from tests.telemetry.receiver import Receiver

__all__ = ["Pair", "pair"]

_PLACES, _QUEUED = 1, 12
_REPETITIONS = 2_000


class Pair:
    """Services under watch; each method but `start` and `close` is a cause that ends with its context.

    Attributes:
        watched: what watches them.
    """

    watched: Monitoring

    def __init__(self, folder: Path, collector: Receiver) -> None:
        self._collector = collector
        shared = {"CQOX_DATA_DIR": str(folder / "data")}
        few = {"CQOX_CONCURRENT_ANALYSES": str(_PLACES), "CQOX_QUEUED_ANALYSES": str(_QUEUED)}
        self.engines = []
        for name in ("first", "second"):
            port = free_port()
            variables = {**shared, **few, "CQOX_ENGINE_PORT": str(port)}
            self.engines.append(Service("engine", port, variables, folder / f"engine-{name}.log"))
        port = free_port()
        variables = {
            **shared,
            "CQOX_GATEWAY_PORT": str(port),
            "ENGINE_URL": ",".join(each.url for each in self.engines),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.http_url}/v1/traces",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        self.gateway = Service("gateway", port, variables, folder / "gateway.log")

    def start(self) -> None:
        for each in (*self.engines, self.gateway):
            each.start()
        for each in (*self.engines, self.gateway):
            each.wait_ready()

    def close(self) -> None:
        for each in (self.gateway, *self.engines):
            if hasattr(each, "process"):
                each.kill()

    @contextmanager
    def one_killed(self) -> Iterator[None]:
        """One of two engines is killed."""
        self.engines[1].kill()
        yield
        self.engines[1].start()
        self.engines[1].wait_ready()

    @contextmanager
    def refusing_collector(self) -> Iterator[None]:
        """The collector of traces refuses what it gets."""
        with traffic(self.gateway, per_second=5, path="/api/datasets"):
            self._collector.refuse = True
            yield
            self._collector.refuse = False

    @contextmanager
    def overloaded(self) -> Iterator[None]:
        """More long analyses come than two engines compute."""
        body = LONG | {"options": LONG["options"] | {"repetitions": _REPETITIONS}}
        with traffic(self.gateway, per_second=2, body=body):
            yield


@contextmanager
def pair(folder: Path, *, factor: float) -> Iterator[Pair]:
    """Run it, watched at this scale of time."""
    with ExitStack() as stack:
        made = Pair(folder, stack.enter_context(Receiver()))
        stack.callback(made.close)
        made.start()
        targets = {
            "cqox-gateway": [f"127.0.0.1:{made.gateway.port}"],
            "cqox-engine": [f"127.0.0.1:{each.port}" for each in made.engines],
        }
        made.watched = stack.enter_context(
            monitoring(folder / "monitoring", targets, factor=factor, expected={"cqox-engine": 2})
        )
        yield made
