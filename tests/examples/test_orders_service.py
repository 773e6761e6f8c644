"""The service of orders under Hypercorn, with a PostgreSQL that is away, refuses, hangs up and comes back."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from tests.examples.processes import Program, running
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.xdist_group("servers")

_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Orders:
    """The service, which is started before its database."""

    def __init__(self, address: str, program: Program, postgres: Postgres) -> None:
        self._client = httpx.Client(base_url=address, timeout=PATIENCE_SECONDS)
        self.program = program
        self.postgres = postgres

    def put(self, order: UUID, **fields: str) -> httpx.Response:
        return self._client.put(f"/orders/{order}", json={"item": "book"}, headers=fields)

    def get(self, order: UUID) -> httpx.Response:
        return self._client.get(f"/orders/{order}")

    def listens(self) -> bool:
        assert self.program.process.poll() is None, self.program.log()
        try:
            return self._client.get("/openapi.json").is_success
        except httpx.ConnectError:
            return False

    def pieces(self) -> int:
        ((pieces,),) = self.postgres.execute("SELECT pieces FROM stock")
        assert isinstance(pieces, int)
        return pieces

    def waiting(self, besides: int = 0) -> int:
        """Wait for a connection that waits for a lock, and return the process of its backend."""
        found = wait_until(
            lambda: [pid for (pid,) in self.postgres.execute(_WAITING) if pid != besides], failure=self.program.log
        )
        assert isinstance(found[0], int)
        return found[0]

    @contextmanager
    def locked(self) -> Iterator[psycopg.Connection]:
        """Hold the row of the stock, changed, in a transaction."""
        with psycopg.connect(self.postgres.url) as connection:
            connection.execute("UPDATE stock SET pieces = pieces")
            yield connection

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    folder, port, postgres = tmp_path_factory.mktemp("orders"), free_port(), Postgres()
    env = {"ORDERS_DATABASE": postgres.url}
    arguments = ("-m", "hypercorn", "orders_service:app", "--bind", f"127.0.0.1:{port}")
    try:
        with running(folder, *arguments, env=env) as program:
            with closing(Orders(f"http://127.0.0.1:{port}", program, postgres)) as orders:
                wait_until(orders.listens, failure=program.log)
                assert orders.get(uuid4()).status_code == 503
                postgres.start()
                with running(folder, "orders_service.py", env=env) as tables:
                    assert tables.ended() == 0, tables.log()
                # The circuit is open for another second.
                wait_until(lambda: orders.get(uuid4()).status_code == 404, failure=program.log)
                yield orders
    finally:
        postgres.close()


@pytest.fixture
def in_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_an_order_whose_transaction_was_rolled_back_is_made_once(orders: Orders, in_thread: ThreadPoolExecutor) -> None:
    order, before = uuid4(), orders.pieces()
    with orders.locked() as other:
        answer: Future[httpx.Response] = in_thread.submit(orders.put, order)
        orders.waiting()
        other.commit()  # a serialization failure for the order
        assert answer.result(PATIENCE_SECONDS).status_code == 200, orders.program.log()
    assert orders.put(order).status_code == 200
    assert orders.get(order).json() == {"id": str(order), "item": "book"}
    assert orders.pieces() == before - 1


def test_an_order_whose_connection_was_lost_is_made_once(orders: Orders, in_thread: ThreadPoolExecutor) -> None:
    order, before = uuid4(), orders.pieces()
    with orders.locked() as other:
        answer: Future[httpx.Response] = in_thread.submit(orders.put, order)
        backend = orders.waiting()
        orders.postgres.execute("SELECT pg_terminate_backend(%s)", backend)
        orders.waiting(besides=backend)
        other.rollback()
        assert answer.result(PATIENCE_SECONDS).status_code == 200, orders.program.log()
    assert orders.pieces() == before - 1


def test_the_time_of_a_request_ends_its_statement(orders: Orders) -> None:
    order, before = uuid4(), orders.pieces()
    with orders.locked():
        assert orders.put(order, **{"X-Request-Timeout-Ms": "500"}).status_code == 504
        wait_until(lambda: orders.postgres.execute(_WAITING) == [])
    assert (orders.get(order).status_code, orders.pieces()) == (404, before)


def test_a_database_that_goes_away_is_503_until_it_is_back(orders: Orders) -> None:
    order, before = uuid4(), orders.pieces()
    orders.postgres.stop()
    answers = [orders.put(order) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {503}, orders.program.log()
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert answers[-1].headers["Content-Type"] == "application/problem+json"  # the circuit is open
    orders.postgres.start()
    wait_until(lambda: orders.put(order).status_code == 200, failure=orders.program.log)
    assert orders.pieces() == before - 1


def test_what_is_sold_out_is_no_failure_of_the_database(orders: Orders) -> None:
    orders.postgres.execute("UPDATE stock SET pieces = 0")
    assert {orders.put(uuid4()).status_code for _ in range(8)} == {409}
    assert orders.get(uuid4()).status_code == 404
