"""Gateway, engine, PostgreSQL and Redis as processes, and real causes of alerts in them."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import httpx
import psycopg

from tests.alerts.monitoring import Monitoring, monitoring
from tests.e2e.engines import LONG, analyze, asking
from tests.e2e.stack import Service
from tests.servers import Postgres, Proxy, Redis, running
from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["System", "system"]

_ASYNC = {"Prefer": "respond-async"}


class System:
    """Services under watch; each method but `start` is a cause that ends with its context.

    Attributes:
        watched: what watches it.
    """

    watched: Monitoring

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis) -> None:
        self.postgres = postgres
        self.redis = redis
        self._url = postgres.fresh()
        self._schema = unquote(self._url).rpartition("=")[2]
        shared = {"CQOX_DATA_DIR": str(folder / "data")}
        port, gateway_port = free_port(), free_port()
        stores = {"POSTGRES_URL": self._url, "REDIS_URL": redis.url}
        self.engine = Service(
            "engine", port, {**shared, **stores, "CQOX_ENGINE_PORT": str(port)}, folder / "engine.log"
        )
        self._link = Proxy(port)
        self.gateway = Service(
            "gateway",
            gateway_port,
            {
                **shared,
                "CQOX_GATEWAY_PORT": str(gateway_port),
                "ENGINE_URL": f"http://127.0.0.1:{self._link.port}",
            },
            folder / "gateway.log",
        )

    def start(self) -> None:
        self.engine.start()
        self.gateway.start()
        self.engine.wait_ready()
        self.gateway.wait_ready()

    def close(self) -> None:
        for each in (self.gateway, self.engine):
            if hasattr(each, "process"):
                each.kill()
        self._link.close()

    @contextmanager
    def vanished(self) -> Iterator[None]:
        """The engine is killed, and its name with it."""
        self.engine.kill()
        self.watched.scrape("cqox-engine", [])
        yield
        self.engine.start()
        self.engine.wait_ready()
        self.watched.scrape("cqox-engine", [f"127.0.0.1:{self.engine.port}"])

    @contextmanager
    def dead(self) -> Iterator[None]:
        """The engine is killed, and nothing listens at its address."""
        self.engine.kill()
        yield
        self.engine.start()
        self.engine.wait_ready()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A table of PostgreSQL is locked while analyses come in."""
        with (
            psycopg.connect(self.postgres.url) as connection,
            traffic(self.gateway, per_second=3),
        ):
            connection.execute(f"LOCK TABLE {self._schema}.reports IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    @contextmanager
    def hung_database(self) -> Iterator[None]:
        """PostgreSQL stands still and nobody asks for anything."""
        with self.postgres.frozen():
            yield

    @contextmanager
    def jammed(self) -> Iterator[None]:
        """The workers that hold all places hang."""
        url = f"{self.engine.url}/api/analyze/comprehensive"
        locations = []
        for seed in range(4):
            body = LONG | {"options": LONG["options"] | {"seed": time.monotonic_ns() % 2**31 + seed}}
            answer = httpx.post(url, json=body, headers=_ASYNC, timeout=30, trust_env=False)
            assert answer.status_code == 202, answer.text
            locations.append(answer.headers["Location"])
        held = wait_until(lambda: len(found := workers(self.engine, "cqox:analyze")) == 2 and found)
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in held:
                os.kill(pid, signal.SIGCONT)
            for path in locations:
                httpx.delete(f"{self.engine.url}{path}", timeout=30, trust_env=False)

    @contextmanager
    def slow_link(self) -> Iterator[None]:
        """The network between gateway and engine delays every answer by four seconds."""
        with traffic(self.gateway, per_second=8, path="/api/datasets"):
            self._link.late_seconds = 4.0
            yield
            self._link.late_seconds = 0.0

    @contextmanager
    def without_cache(self) -> Iterator[None]:
        """Redis is stopped."""
        self.redis.stop()
        yield
        self.redis.start()

    @contextmanager
    def dying_workers(self) -> Iterator[None]:
        """Worker processes are killed again and again."""
        done = threading.Event()

        def kill() -> None:
            while not done.is_set():
                for pid in workers(self.engine, "cqox:idle"):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                done.wait(20 / self.watched.factor)

        with in_thread(kill, done):
            yield

    @contextmanager
    def starved(self) -> Iterator[None]:
        """The gateway gets the processor for half of the time only."""
        done = threading.Event()

        def toggle() -> None:
            while not done.is_set():
                os.kill(self.gateway.process.pid, signal.SIGSTOP)
                time.sleep(0.6)
                os.kill(self.gateway.process.pid, signal.SIGCONT)
                time.sleep(0.6)

        with in_thread(toggle, done):
            yield

    @contextmanager
    def impatient_client(self) -> Iterator[None]:
        """One client asks twice a second and leaves no time for an answer."""
        with traffic(self.gateway, per_second=2, X_Request_Timeout_Ms="0"):
            yield

    @contextmanager
    def hasty_client(self) -> Iterator[None]:
        """One client asks each second for an analysis that takes long, and leaves two seconds for it."""
        with traffic(self.gateway, per_second=1, body=LONG, X_Request_Timeout_Ms="2000"):
            yield

    @contextmanager
    def wrong_requests(self) -> Iterator[None]:
        """One client asks for what there is not, ten times a second."""
        with traffic(self.gateway, per_second=10, path="/api/datasets/none"):
            yield


@contextmanager
def system(folder: Path, *, factor: float) -> Iterator[System]:
    """Run all of it, watched at this scale of time."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running(Postgres()))
        redis = stack.enter_context(running(Redis()))
        made = System(folder, postgres, redis)
        stack.callback(made.close)
        made.start()
        analyze(made.gateway, asking(1)).raise_for_status()
        targets = {
            "cqox-gateway": [f"127.0.0.1:{made.gateway.port}"],
            "cqox-engine": [f"127.0.0.1:{made.engine.port}"],
        }
        made.watched = stack.enter_context(monitoring(folder / "monitoring", targets, factor=factor))
        yield made


@contextmanager
def traffic(
    service: Service, *, per_second: float, path: str = "", body: dict[str, object] | None = None, **headers: str
) -> Iterator[None]:
    """Ask a service so often, without waiting for answers: analyses with seeds of their own, or a path."""
    done = threading.Event()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    template = body or asking(0)

    def ask(number: int) -> None:
        options = dict(template["options"]) | {"seed": number}  # type: ignore[call-overload]
        with suppress(httpx.TransportError):
            if path:
                httpx.get(f"{service.url}{path}", headers=fields, timeout=60, trust_env=False)
            else:
                analyze(service, template | {"options": options}, **fields)

    def ask_on() -> None:
        number = time.monotonic_ns() % 2**31
        while not done.wait(1 / per_second):
            number += 1
            threading.Thread(target=ask, args=(number,), daemon=True).start()

    with in_thread(ask_on, done):
        yield


@contextmanager
def in_thread(work: object, done: threading.Event) -> Iterator[None]:
    """Run a function that looks at an event, until the end."""
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def workers(engine: Service, name: str) -> Sequence[int]:
    """Return the worker processes of an engine with a name."""
    found = []
    for path in Path(f"/proc/{engine.process.pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                with suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == name:
                        found.append(int(child))
    return found
