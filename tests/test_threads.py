import threading
from collections.abc import Callable

import pytest
import trio
from anyio import CapacityLimiter

from cqox import threads
from cqox.storage.blocking import Threads
from cqox.threads import run_in_thread


class InTheLoop:
    def __init__(self) -> None:
        self.calls = 0

    async def run_sync[T](self, call: Callable[[], T]) -> T:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        return call()


@pytest.mark.trio
async def test_a_call_runs_in_a_thread() -> None:
    assert await run_in_thread(threading.get_ident) != threading.get_ident()
    assert threads.replacement() is None


@pytest.mark.trio
async def test_a_replacement_runs_the_calls_within_their_limit() -> None:
    handover, limiter = InTheLoop(), CapacityLimiter(1)
    with threads.installed(handover):
        assert threads.replacement() is handover
        assert await run_in_thread(threading.get_ident) == threading.get_ident()
        assert await run_in_thread(int, "7", limiter=limiter) == 7
        assert limiter.borrowed_tokens == 0
    assert handover.calls == 2
    assert await run_in_thread(threading.get_ident) != threading.get_ident()


@pytest.mark.trio
async def test_a_replacement_runs_the_calls_of_a_store_within_its_places() -> None:
    store, handover = Threads("of a store", 1), InTheLoop()

    async def interrupt() -> None:
        raise AssertionError("nothing to interrupt")

    with threads.installed(handover):
        assert await store.run(threading.get_ident, interrupt=interrupt) == threading.get_ident()
        assert store.unfinished == 0
    store.close()
