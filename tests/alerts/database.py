"""Gateway, engine and PostgreSQL with links between them, and causes that last: slow, lost and refused calls."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import httpx
import psycopg

from tests.alerts.monitoring import Monitoring, monitoring
from tests.alerts.system import in_thread, traffic
from tests.e2e.engines import analyze, asking
from tests.e2e.stack import Service
from tests.servers import Postgres, Proxy, running
from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["Database", "database"]

_READERS = 20
_LATE_SECONDS = 0.2
_CONNECTIONS = 8
_REQUESTS_FOR_EACH_UPLOAD = 10
_UPLOAD = b"first,second\n1,2\n"
_LEAST_PER_SECOND = 10.0
_AUDIT_READERS = 6
_FILLING_SECONDS = 600.0
_PAUSE_SECONDS = 0.5


class Database:
    """Services under watch; each method but `start` and `close` is a cause that ends with its context.

    Attributes:
        watched: what watches them.
    """

    watched: Monitoring

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self._postgres = postgres
        self._to_postgres = Proxy(postgres.port)
        url = postgres.fresh(self._to_postgres.port)
        self._schema = unquote(url).rpartition("=")[2]
        shared = {"CQOX_DATA_DIR": str(folder / "data"), "CQOX_AUDIT": "on"}
        port = free_port()
        variables = {**shared, "POSTGRES_URL": url, "CQOX_ENGINE_PORT": str(port)}
        self.engine = Service("engine", port, variables, folder / "engine.log")
        self._to_engine = Proxy(port)
        port = free_port()
        variables = {
            **shared,
            "CQOX_GATEWAY_PORT": str(port),
            "ENGINE_URL": f"http://127.0.0.1:{self._to_engine.port}",
        }
        self.gateway = Service("gateway", port, variables, folder / "gateway.log")
        self._callers = ExitStack()
        self._loses = threading.Event()

    def start(self) -> None:
        for each in (self.engine, self.gateway):
            each.start()
        for each in (self.engine, self.gateway):
            each.wait_ready()

    def close(self) -> None:
        self._callers.close()
        for each in (self.gateway, self.engine):
            if hasattr(each, "process"):
                each.kill()
        self._to_engine.close()
        self._to_postgres.close()

    @contextmanager
    def slow_database(self) -> Iterator[None]:
        """The network between engine and PostgreSQL delays every answer by a fifth of a second, and 20 readers ask."""
        with _readers(self.engine, "/api/analyses", _READERS):
            # A connection takes many answers to be opened: the pool is to be slow, not empty.
            self._to_postgres.late_seconds = _LATE_SECONDS / 5
            wait_until(lambda: self._connections() == _CONNECTIONS)
            self._to_postgres.late_seconds = _LATE_SECONDS
            yield
            self._to_postgres.late_seconds = 0.0

    def _connections(self) -> object:
        rows = self._postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cqox'")
        return rows[0][0]

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """PostgreSQL refuses writes, as a standby does, while analyses come in."""
        with traffic(self.gateway, per_second=2):
            self._configure("ALTER SYSTEM SET default_transaction_read_only = on")
            yield
            self._configure("ALTER SYSTEM RESET default_transaction_read_only")

    def _configure(self, statement: str) -> None:
        self._postgres.execute(statement)
        self._postgres.execute("SELECT pg_reload_conf()")

    @contextmanager
    def locked_audit(self) -> Iterator[float]:
        """The table of the audit log stays locked, and people read until no more entries can wait for it."""
        with psycopg.connect(self._postgres.url) as connection:
            connection.execute(f"LOCK TABLE {self._schema}.audit IN ACCESS EXCLUSIVE MODE")
            with _readers(self.engine, "/api/datasets/test", _AUDIT_READERS):
                end = time.monotonic() + _FILLING_SECONDS
                while not self._audit_lost():
                    assert time.monotonic() < end, "all entries of the audit log can wait"
                    time.sleep(_PAUSE_SECONDS)
                yield time.monotonic()
            connection.rollback()

    def _audit_lost(self) -> float:
        text = httpx.get(f"{self.engine.url}/metrics", timeout=30, trust_env=False).text
        found = re.search(r"^cqox_audit_lost_total (\S+)$", text, re.MULTILINE)
        assert found, "the engine does not show what it loses"
        return float(found[1])

    @contextmanager
    def lossy_link(self) -> Iterator[None]:
        """The network between gateway and engine loses the answer to every second upload: to one request in twenty."""
        self._callers.close()
        done = threading.Event()
        self._loses.set()
        # They go on after the repair: it is the share of requests that fail which has to fall.
        self._callers.enter_context(in_thread(lambda: self._call_on(done), done))
        yield
        self._loses.clear()

    def _call_on(self, done: threading.Event) -> None:
        every, due = 1 / max(_LEAST_PER_SECOND, self.watched.factor * 2 / 3), time.monotonic()
        with httpx.Client(base_url=self.gateway.url, timeout=30, trust_env=False) as client:
            for number in count():
                due += every
                if done.wait(max(0.0, due - time.monotonic())):
                    return
                with suppress(httpx.TransportError):
                    if number % _REQUESTS_FOR_EACH_UPLOAD:
                        client.get("/api/analyses")
                        continue
                    uploads = number // _REQUESTS_FOR_EACH_UPLOAD
                    # The circuit of uploads opens after five failures in a row.
                    if self._loses.is_set() and uploads % 2:
                        self._to_engine.lose_answer_to(_UPLOAD)
                    client.post("/api/datasets", params={"name": "a.csv"}, content=_UPLOAD + b"3,4\n" * (uploads % 50))


@contextmanager
def database(folder: Path, *, factor: float) -> Iterator[Database]:
    """Run it, watched at this scale of time."""
    with ExitStack() as stack:
        made = Database(folder, stack.enter_context(running(Postgres())))
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
def _readers(service: Service, path: str, number: int) -> Iterator[None]:
    """Let so many clients ask for a path, each again as soon as it has its answer."""
    done = threading.Event()

    def read_on() -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            while not done.is_set():
                with suppress(httpx.TransportError):
                    client.get(path)

    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(in_thread(read_on, done))
        yield
        # All of them at once, not one after the other.
        done.set()
