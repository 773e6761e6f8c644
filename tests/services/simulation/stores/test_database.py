"""Faults of the simulated database as its clients meet them, in virtual time."""

import logging
from contextlib import suppress
from dataclasses import replace
from random import Random

import anyio
import anyio.lowlevel
import psycopg
import pytest
import trio
import trio.testing

from cqox.errors import CircuitOpen, StorageFull, StoreUnavailable
from cqox.resilience.runtime.randomness import shared_rng
from cqox.storage.postgres import PostgresStore
from services.simulation.stores.database import DatabasePool, open_database
from services.simulation.stores.database_server import DatabaseServer
from services.simulation.stores.server import CallFault, Conditions
from tests.services.simulation.stores.conftest import Opening, unix_time
from tests.storage.bound import in_default
from tests.storage.records import a_job, a_report

pytestmark = pytest.mark.anyio

ONE, TWO = a_report(1), a_report(2)
LOST = [CallFault.DIES_AFTER] * 3
"""As many as a call has attempts."""


async def test_a_commit_whose_acknowledgement_is_lost_stands(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.ping()
        server.inject(*LOST)
        with pytest.raises(StoreUnavailable, match="closed the connection"):
            await store.save(ONE)
        assert await store.load(ONE.analysis_id) == ONE


async def test_a_retry_after_a_lost_acknowledgement_recognises_its_own_insert(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine() as store:
        await store.ping()
        server.inject(CallFault.DIES_AFTER)
        assert await store.save(ONE) is True
        server.inject(CallFault.DIES_AFTER)
        assert list(await store.delete_reports([ONE.analysis_id])) == [ONE.analysis_id]


async def test_a_connection_that_ends_before_the_server_receives_anything_leaves_nothing(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine() as store:
        await store.ping()
        server.inject(*[CallFault.DIES_BEFORE] * 3)
        with pytest.raises(StoreUnavailable):
            await store.save(ONE)
        assert await store.load(ONE.analysis_id) is None
        assert await store.save(ONE) is True


async def test_a_transaction_that_ends_midway_is_undone(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.save(ONE)
        link = server.connect("another")
        assert link is not None

        def delete(connection: psycopg.Connection) -> None:
            with connection.transaction():
                connection.execute("DELETE FROM reports")

        # BEGIN and DELETE, and no COMMIT.
        with pytest.raises(psycopg.OperationalError):
            server.perform(link, delete, statements=2)
        assert not link.is_open
        assert await store.load(ONE.analysis_id) == ONE


async def test_a_connection_that_ends_between_statements_leaves_the_first_ones(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine() as store:
        await store.ping()
        link = server.connect("another")
        assert link is not None

        def put(connection: psycopg.Connection) -> None:
            for name in ("a", "b"):
                connection.execute(
                    "INSERT INTO tenants (tenant_id, name, created_at) VALUES (%s, %s, %s)", (name, name, "")
                )

        with pytest.raises(psycopg.OperationalError):
            server.perform(link, put, statements=1)
        assert [each.tenant_id for each in await store.tenants()] == ["a", "default"]


async def test_a_conflict_is_undone_and_retried(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.ping()
        server.inject(CallFault.UNDONE)
        assert await store.save(ONE) is True


async def test_calls_on_a_frozen_server_end_by_their_deadline_and_open_the_circuit(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine() as store:
        await store.ping()
        server.freeze()
        began = trio.current_time()
        with pytest.raises(StoreUnavailable):
            await store.load(ONE.analysis_id)
        assert 10.0 <= trio.current_time() - began <= 11.5
        for _ in range(4):
            began = trio.current_time()
            with pytest.raises(StoreUnavailable):
                await store.load(ONE.analysis_id)
            assert trio.current_time() - began <= 1.5
        began = trio.current_time()
        with pytest.raises(StoreUnavailable) as refused:
            await store.load(ONE.analysis_id)
        assert isinstance(refused.value.__cause__, CircuitOpen)
        assert trio.current_time() == began
        server.thaw()
        await trio.sleep(6)
        assert await store.save(ONE) is True


async def test_one_missed_probe_shortens_no_call(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.save(ONE)
        server.freeze()
        with pytest.raises(StoreUnavailable, match="after 1 s"):
            await store.ping()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.load, ONE.analysis_id)
            # An answer after three seconds, as from a server that gets no CPU for them.
            await trio.sleep(3)
            server.thaw()
        await store.ping()


async def test_a_frozen_server_is_known_to_be_silent_after_two_probes(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.save(ONE)
        server.freeze()
        frozen_at = trio.current_time()

        async def probe() -> None:
            # As health and leases do: every five seconds.
            while True:
                with suppress(StoreUnavailable):
                    await store.ping()
                await trio.sleep(5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe)
            for most in (10.0, 1.5, 1.5):
                began = trio.current_time()
                with pytest.raises(StoreUnavailable):
                    await store.load(ONE.analysis_id)
                assert trio.current_time() - began <= most
            nursery.cancel_scope.cancel()
        assert trio.current_time() - frozen_at <= 13.0
        server.thaw()


async def test_what_a_frozen_server_has_received_happens_once_it_resumes(engine: Opening) -> None:
    happened = set[bool]()
    for seed in range(20):
        server = DatabaseServer(rng=Random(seed), now=unix_time)
        async with in_default(open_database, server, client="engine", seconds=1.0) as store:
            await store.ping()
            server.freeze()
            with pytest.raises(StoreUnavailable):
                await store.save(ONE)
            server.thaw()
            found = await store.load(ONE.analysis_id)
            assert found in (None, ONE)
            happened.add(found is not None)
        server.close()
    assert happened == {False, True}


async def test_a_cancelled_call_has_happened_or_not_and_leaves_a_usable_pool(engine: Opening) -> None:
    happened = set[bool]()
    for seed in range(40):
        server = DatabaseServer(rng=Random(seed), now=unix_time)
        async with in_default(open_database, server, client="engine", size=1) as store:
            await store.ping()
            server.conditions = Conditions(least_seconds=0.1, most_seconds=0.2)
            with anyio.move_on_after(0.3 * (seed % 10) / 10):
                await store.save(ONE)
            found = await store.load(ONE.analysis_id)
            assert found in (None, ONE)
            happened.add(found is not None)
            assert store.pool_use().used == 0
            assert server.connections <= 1
        assert server.connections == 0
        server.close()
    assert happened == {False, True}


async def test_a_call_that_is_cancelled_after_its_effect_loses_its_connection_and_not_its_effect(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine(size=1) as store:
        await store.ping()
        server.conditions = Conditions(least_seconds=1.0, most_seconds=1.0)
        with anyio.move_on_after(1.5):
            await store.save(ONE)
        assert server.connections == 0
        assert await store.load(ONE.analysis_id) == ONE


@pytest.mark.parametrize("freeze", [False, True])
async def test_what_a_killed_engine_had_sent_may_be_carried_out_and_nobody_waits(freeze: bool) -> None:
    happened = set[bool]()
    for seed in range(20):
        server = DatabaseServer(rng=Random(seed), now=unix_time)
        async with in_default(open_database, server, client="dead") as dead, anyio.create_task_group() as group:
            await dead.ping()
            if freeze:
                server.freeze()
            group.start_soon(dead.save, ONE)
            await anyio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            ended = trio.current_time()
            server.hang_up("dead")
            group.cancel_scope.cancel()
        assert trio.current_time() == ended
        with pytest.raises(StoreUnavailable):
            await dead.save(TWO)
        server.thaw()
        async with in_default(open_database, server, client="other") as other:
            happened.add(await other.load(ONE.analysis_id) is not None)
            assert await other.load(TWO.analysis_id) is None
        server.close()
    assert happened == {False, True}


async def test_a_stopped_server_refuses_and_keeps_what_was_committed(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.save(ONE)
        server.stop()
        began = trio.current_time()
        with pytest.raises(StoreUnavailable, match="refused"):
            await store.load(ONE.analysis_id)
        assert trio.current_time() - began < 5.0
        server.start()
        await trio.sleep(6)
        assert await store.load(ONE.analysis_id) == ONE


async def test_an_engine_opens_its_store_while_the_server_is_stopped(server: DatabaseServer, engine: Opening) -> None:
    server.stop()
    async with engine() as store:
        with pytest.raises(StoreUnavailable):
            await store.ping()
        server.start()
        await store.save(ONE)


async def test_a_connection_that_ended_while_it_was_idle_is_replaced_without_an_error(
    server: DatabaseServer, engine: Opening
) -> None:
    async with engine() as store:
        await store.save(ONE)
        server.drop_connections()
        assert server.connections == 0
        # One attempt only.
        await store.ping()


async def test_an_engine_that_is_cut_off_waits_alone(server: DatabaseServer, engine: Opening) -> None:
    async with engine(seconds=2.0) as store, in_default(open_database, server, client="other") as other:
        await store.save(ONE)
        server.cut_off("engine")
        with pytest.raises(StoreUnavailable):
            await store.save(TWO)
        assert await other.load(ONE.analysis_id) == ONE
        assert await other.load(TWO.analysis_id) is None
        server.reconnect("engine")
        assert await store.save(TWO) is True


async def test_a_full_disk_is_reported_permits_reads_and_deletions(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.save(ONE)
        server.conditions = replace(server.conditions, disk_full=True)
        for _ in range(8):
            with pytest.raises(StorageFull):
                await store.save(TWO)
        assert await store.load(ONE.analysis_id) == ONE
        assert list(await store.delete_reports([ONE.analysis_id])) == [ONE.analysis_id]
        server.conditions = replace(server.conditions, disk_full=False)
        assert await store.save(TWO) is True


async def test_an_error_of_the_disk_fails_the_write_and_not_the_next(server: DatabaseServer, engine: Opening) -> None:
    async with engine() as store:
        await store.ping()
        server.inject(CallFault.DISK)
        with pytest.raises(StoreUnavailable, match="Input/output error"):
            await store.save(ONE)
        assert await store.save(ONE) is True


async def test_leases_are_on_the_clock_of_the_server(engine: Opening) -> None:
    clock = [1000.0]
    server = DatabaseServer(rng=Random(1), now=lambda: clock[0])
    async with in_default(open_database, server, client="a") as one, in_default(open_database, server, client="b") as b:
        assert await one.claim_turn("k", token="one", seconds=60)
        await one.put_job(a_job("j"), owner="one", seconds=60)
        await trio.sleep(1000)
        assert not await b.claim_turn("k", token="two", seconds=60)
        assert (await b.job("j")).status == "running"  # type: ignore[union-attr]
        clock[0] += 61
        assert await b.claim_turn("k", token="two", seconds=60)
        assert (await b.job("j")).status == "interrupted"  # type: ignore[union-attr]
    server.close()


async def test_calls_beyond_the_size_of_the_pool_wait_in_their_order(server: DatabaseServer) -> None:
    pool, order = DatabasePool(server, "engine", size=1), list[int]()
    server.conditions = Conditions(least_seconds=1.0, most_seconds=1.0)

    async def call(number: int) -> None:
        await trio.sleep(number / 100)
        await pool.run(lambda _: order.append(number), scope="")

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(call, number)
        await trio.sleep(1.5)
        assert pool.exhausted
        assert (pool.use().used, pool.use().waiting, server.connections) == (1, 4, 1)
    assert order == [0, 1, 2, 3, 4]
    pool.close()
    assert server.connections == 0


async def _history(seed: int) -> list[object]:
    """Return what happens in one run with every fault."""
    shared_rng.seed(seed)
    rates = tuple((fault, 0.1) for fault in CallFault)
    server = DatabaseServer(rng=Random(seed), now=unix_time, conditions=Conditions(rates=rates))
    seen = list[object]()
    async with in_default(open_database, server, client="engine", seconds=2.0) as store:
        for number in range(60):
            if number % 20 == 10:
                server.freeze()
            if number % 20 == 12:
                server.thaw()
            try:
                with anyio.move_on_after(0.001 * (number % 7) or 5.0):
                    seen.append(await _turn(store, number))
            except StoreUnavailable as error:
                seen.append(str(error))
            seen.append(trio.current_time())
    server.close()
    return seen


async def _turn(store: PostgresStore, number: int) -> object:
    if number % 3 == 0:
        return await store.save(a_report(number % 5))
    if number % 3 == 1:
        return await store.delete_reports([a_report(number % 4).analysis_id])
    return await store.stored([a_report(each).analysis_id for each in range(5)])


def test_the_same_seed_gives_the_same_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    runs = [trio.run(_history, seed, clock=trio.testing.MockClock(autojump_threshold=0)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert any(isinstance(each, str) for each in runs[0])
