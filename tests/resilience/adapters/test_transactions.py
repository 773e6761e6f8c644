"""Transactions of every driver on a real PostgreSQL: which are repeated, and what they leave."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from cqox.errors import BulkheadFull, DeadlineExceeded
from cqox.resilience import Bulkhead, CircuitBreaker, Hedge, Policy, Retry, Timeout, deadline
from cqox.resilience.adapters.transactions import Transactions, retry_transactions, statement_timeout_ms
from cqox.resilience.testing import FakeClock
from tests.resilience.adapters.databases import DRIVERS, SYNC_DRIVERS, Driver
from tests.resilience.adapters.real_time import anyio_backend  # noqa: F401 - the fixture of this module
from tests.servers.postgres import Postgres
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]

ADD = "UPDATE counters SET value = value + 1 WHERE name = '{}'"
END_BACKEND = "SELECT pg_terminate_backend(pg_backend_pid())"
SERIALIZABLE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"


@pytest.fixture(params=DRIVERS)
async def driver(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Driver]:
    async with DRIVERS[request.param](postgres.url) as driver:
        yield driver


@pytest.fixture(params=SYNC_DRIVERS)
def sync_driver(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Driver]:
    with SYNC_DRIVERS[request.param](postgres.url) as driver:
        yield driver


def retrying(**options: Any) -> Policy:
    return Policy("transactions of a test", retry_transactions(4, 0.001, **options))


def counter(postgres: Postgres, name: str = "a") -> object:
    return postgres.execute("SELECT value FROM counters WHERE name = %s", name)[0][0]


async def test_a_result_is_returned_and_committed(driver: Driver, postgres: Postgres) -> None:
    async def add(connection: object, name: str, *, answer: str) -> str:
        await driver.value(connection, ADD.format(name))
        return answer

    assert await driver.transactions(retrying()).run(add, "a", answer="done") == "done"
    assert counter(postgres) == 1


async def test_an_error_of_the_function_rolls_back_and_reaches_the_caller(driver: Driver, postgres: Postgres) -> None:
    mine = ZeroDivisionError("mine")
    calls = 0

    async def fail(connection: object) -> None:
        nonlocal calls
        calls += 1
        await driver.value(connection, ADD.format("a"))
        raise mine

    with pytest.raises(ZeroDivisionError) as caught:
        await driver.transactions(retrying()).run(fail)
    assert caught.value is mine
    assert (calls, counter(postgres)) == (1, 0)


async def test_a_serialization_failure_repeats_the_whole_function(driver: Driver, postgres: Postgres) -> None:
    seen: list[object] = []

    async def add(connection: object) -> None:
        await driver.value(connection, SERIALIZABLE)
        seen.append(await driver.value(connection, "SELECT value FROM counters WHERE name = 'a'"))
        if len(seen) == 1:
            postgres.execute(ADD.format("a"))
        await driver.value(connection, ADD.format("a"))

    await driver.transactions(retrying()).run(add)
    assert seen == [0, 1]
    assert counter(postgres) == 2


@pytest.mark.parametrize("name", DRIVERS)
async def test_of_two_in_a_deadlock_one_is_repeated_and_both_commit(name: str, postgres: Postgres) -> None:
    attempts = 0
    both_hold_one = [anyio.Event(), anyio.Event()]

    async def one(driver: Driver, number: int) -> None:
        async def add(connection: object) -> None:
            nonlocal attempts
            attempts += 1
            await driver.value(connection, ADD.format("ab"[number]))
            both_hold_one[number].set()
            await both_hold_one[1 - number].wait()
            await driver.value(connection, ADD.format("ba"[number]))

        await driver.transactions(Policy("deadlock", retry_transactions(10, 0.01))).run(add)

    async with DRIVERS[name](postgres.url) as first, DRIVERS[name](postgres.url) as second:
        async with anyio.create_task_group() as group:
            group.start_soon(one, first, 0)
            group.start_soon(one, second, 1)
    # The victim may be back before the other has woken up, and lock its row again.
    assert 3 <= attempts < 20
    assert (counter(postgres, "a"), counter(postgres, "b")) == (2, 2)


@pytest.mark.parametrize("repeats", [False, True])
async def test_a_backend_that_is_killed_is_repeated_only_where_that_was_asked_for(
    driver: Driver, postgres: Postgres, repeats: bool
) -> None:
    calls = 0

    async def add(connection: object) -> None:
        nonlocal calls
        calls += 1
        await driver.value(connection, ADD.format("a"))
        if calls == 1:
            await driver.value(connection, END_BACKEND)

    run = driver.transactions(retrying(lost_connections=repeats)).run
    if repeats:
        await run(add)
    else:
        with pytest.raises(Exception, match=r"terminat|closed"):
            await run(add)
        assert (calls, counter(postgres)) == (1, 0)
        # The dead connection is not handed out again.
        await run(add)
    assert (calls, counter(postgres)) == (2, 1)


async def test_a_commit_whose_outcome_is_unknown_is_never_repeated(driver: Driver, postgres: Postgres) -> None:
    calls = 0

    async def insert(connection: object) -> None:
        nonlocal calls
        calls += 1
        await driver.value(connection, "INSERT INTO fatal VALUES (1)")

    with pytest.raises(Exception, match=r"terminat|closed"):
        await driver.transactions(retrying(lost_connections=True)).run(insert)
    assert calls == 1


async def test_a_pooled_connection_that_has_died_costs_no_call(driver: Driver, postgres: Postgres) -> None:
    calls = 0

    async def add(connection: object) -> object:
        nonlocal calls
        calls += 1
        await driver.value(connection, ADD.format("a"))
        return await driver.value(connection, "SELECT pg_backend_pid()")

    run = driver.transactions(retrying()).run
    first = await run(add)
    postgres.execute("SELECT pg_terminate_backend(%s)", first)
    await until(lambda: not postgres.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", first))
    assert await run(add) != first
    assert (calls, counter(postgres)) == (2, 2)


async def test_the_time_left_is_the_statement_timeout_of_the_transaction(driver: Driver) -> None:
    async def show(connection: object) -> str:
        return str(await driver.value(connection, "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"))

    run = driver.transactions(retrying()).run
    with deadline(20.0):
        assert 5_000 < int(await run(show)) <= 20_000
    # It ends with the transaction.
    assert await run(show) == "0"


async def test_a_deadline_ends_the_statement_on_the_server_too(driver: Driver, postgres: Postgres) -> None:
    async def sleep(connection: object) -> None:
        await driver.value(connection, ADD.format("a"))
        await driver.value(connection, "SELECT pg_sleep(3600)")

    async def show(connection: object) -> object:
        return await driver.value(connection, "SELECT 1")

    run = driver.transactions(retrying()).run
    # Either the scope or the server's own timeout is first.
    with pytest.raises(Exception, match=r"deadline|time|cancel"):
        with deadline(0.3):
            await run(sleep)
    await until(lambda: not postgres.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(36%'")[1:])
    assert await run(show) == 1
    assert counter(postgres) == 0


async def test_a_cancellation_rolls_back_and_gives_the_connection_back(driver: Driver, postgres: Postgres) -> None:
    entered = anyio.Event()

    async def hang(connection: object) -> None:
        await driver.value(connection, ADD.format("a"))
        entered.set()
        await anyio.sleep_forever()

    async def add(connection: object) -> None:
        await driver.value(connection, ADD.format("b"))

    run = driver.transactions(retrying()).run
    async with anyio.create_task_group() as group:
        group.start_soon(run, hang)
        await entered.wait()
        group.cancel_scope.cancel()
    # The pool has one connection, and the row must not be locked.
    await run(add)
    assert (counter(postgres, "a"), counter(postgres, "b")) == (0, 1)


async def test_a_policy_of_acquiring_refuses_before_the_function_runs(driver: Driver) -> None:
    calls = 0

    async def hold(connection: object) -> None:
        nonlocal calls
        calls += 1
        await anyio.sleep_forever()

    bulkhead = Bulkhead(1)
    acquire = Policy("acquire", bulkhead)
    # The slot is held while a connection is acquired alone, so that one is held by hand.
    async with anyio.create_task_group() as group:
        group.start_soon(acquire.call, anyio.sleep_forever)
        await until(lambda: bulkhead.snapshot().running == 1)
        with pytest.raises(BulkheadFull):
            await driver.transactions(retrying(), acquire=acquire).run(hold)
        group.cancel_scope.cancel()
    assert calls == 0


@pytest.mark.parametrize("name", ["SQLAlchemy on asyncpg", "SQLAlchemy on psycopg", "asyncpg"])
async def test_a_server_that_is_down_is_asked_again_and_its_circuit_opens(name: str) -> None:
    calls = 0

    async def never(connection: object) -> None:
        nonlocal calls
        calls += 1

    breaker = CircuitBreaker("server", failure_threshold=4)
    async with DRIVERS[name]("postgresql://cqox@127.0.0.1:1/postgres") as driver:
        with pytest.raises(OSError if name != "SQLAlchemy on psycopg" else Exception):
            await driver.transactions(retrying(), acquire=Policy("acquire", breaker)).run(never)
    assert (calls, breaker.snapshot().failure) == (0, 4)


def test_synchronous_transactions_are_repeated_alike(sync_driver: Driver, postgres: Postgres) -> None:
    seen: list[object] = []

    def add(connection: object, name: str) -> str:
        sync_driver.value(connection, SERIALIZABLE)
        seen.append(sync_driver.value(connection, "SELECT value FROM counters WHERE name = 'a'"))
        if len(seen) == 1:
            postgres.execute(ADD.format("a"))
        sync_driver.value(connection, ADD.format(name))
        return "done"

    assert sync_driver.transactions(retrying()).run(add, "a") == "done"
    assert (seen, counter(postgres)) == ([0, 1], 2)


@pytest.mark.parametrize("repeats", [False, True])
def test_a_killed_backend_of_synchronous_code_is_repeated_where_that_was_asked_for(
    sync_driver: Driver, postgres: Postgres, repeats: bool
) -> None:
    calls = 0

    def add(connection: object) -> None:
        nonlocal calls
        calls += 1
        sync_driver.value(connection, ADD.format("a"))
        if calls == 1:
            sync_driver.value(connection, END_BACKEND)

    run = sync_driver.transactions(retrying(lost_connections=repeats)).run
    if not repeats:
        with pytest.raises(Exception, match="terminat"):
            run(add)
        assert (calls, counter(postgres)) == (1, 0)
    run(add)
    assert calls == 2
    assert counter(postgres) == 1


def test_a_synchronous_commit_of_unknown_outcome_is_never_repeated(sync_driver: Driver) -> None:
    calls = 0

    def insert(connection: object) -> None:
        nonlocal calls
        calls += 1
        sync_driver.value(connection, "INSERT INTO fatal VALUES (1)")

    with pytest.raises(Exception, match="terminat"):
        sync_driver.transactions(retrying(lost_connections=True)).run(insert)
    assert calls == 1


def test_a_synchronous_statement_ends_at_the_deadline(sync_driver: Driver, postgres: Postgres) -> None:
    def sleep(connection: object) -> None:
        sync_driver.value(connection, ADD.format("a"))
        sync_driver.value(connection, "SELECT pg_sleep(3600)")

    policy = Policy("short", CircuitBreaker("short", 1), retry_transactions(3, 0.001))
    with pytest.raises(DeadlineExceeded) as caught, deadline(0.3):
        sync_driver.transactions(policy).run(sleep)
    assert "statement timeout" in str(caught.value.__cause__)
    assert policy.is_settled()  # the caller had less time than an answer may take
    assert counter(postgres) == 0


def test_a_statement_timeout_of_the_function_itself_is_its_own_error(sync_driver: Driver, postgres: Postgres) -> None:
    def sleep(connection: object) -> None:
        sync_driver.value(connection, "SELECT set_config('statement_timeout', '20', true)")
        sync_driver.value(connection, "SELECT pg_sleep(3600)")

    policy = Policy("own", CircuitBreaker("own", 1))
    with pytest.raises(Exception, match="statement timeout"):
        sync_driver.transactions(policy).run(sleep)
    assert not policy.is_settled()


def test_an_error_of_a_synchronous_function_reaches_the_caller(sync_driver: Driver, postgres: Postgres) -> None:
    mine = ZeroDivisionError("mine")

    def fail(connection: object) -> None:
        sync_driver.value(connection, ADD.format("a"))
        raise mine

    with pytest.raises(ZeroDivisionError) as caught:
        sync_driver.transactions(retrying()).run(fail)
    assert caught.value is mine
    assert counter(postgres) == 0


@pytest.mark.parametrize(
    ("policy", "acquire", "match"),
    [
        (Policy("a", Retry(3, idempotent=True)), None, "use retry_transactions"),
        (Policy("b", Hedge(1.0)), None, "hedge"),
        (Policy("c", Timeout(1.0)), Policy("d", Hedge(1.0)), "hedge"),
    ],
)
def test_policies_that_could_commit_twice_are_refused(policy: Policy, acquire: Policy | None, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Transactions(anyio.create_task_group, policy, acquire=acquire)


def test_the_statement_timeout_is_whole_milliseconds_and_never_none_at_all() -> None:
    clock = FakeClock()
    assert statement_timeout_ms() is None
    with deadline(2.0005, clock=clock):
        assert statement_timeout_ms() == 2001  # so that the deadline has passed when the statement ends
        clock.advance(2.0003)
        assert statement_timeout_ms() == 1  # 0 would be no limit
        clock.advance(1.0)
        with pytest.raises(DeadlineExceeded) as caught:
            statement_timeout_ms()
        assert caught.value.before_call
