"""Retries without their pauses, for tests."""

import threading

import anyio
import pytest

from cqox.resilience import Policy, Retry, RetryScheduled, deadline
from cqox.resilience.testing import FakeClock, Script, capture_events, instant
from tests.resilience.conftest import Down
from tests.resilience.retrying import asking, plain


def test_pauses_take_no_time_and_attempts_stay(run) -> None:
    async def main() -> None:
        began = anyio.current_time()
        policy = Policy("engine", Retry(3, 60.0, idempotent=True))
        with instant(), deadline(30.0):
            assert await policy.call(Script(Down("1"), Down("2"), "up").call) == "up"
            with pytest.raises(Down):
                await policy.call(Script(Down()).call)
        assert anyio.current_time() == began

    run(main)


def test_plain_code_and_a_server_that_asks_to_wait_are_instant_too() -> None:
    retry, clock = plain()
    with instant(), capture_events(RetryScheduled) as events:
        assert retry(Script(asking(retry_after="9"), "up").__call__)() == "up"
    assert clock.sleeps == [0.0]
    assert [event.delay for event in events] == [0.0]


def test_blocks_nest_and_pauses_return_after_the_last() -> None:
    retry, clock = plain()
    call = retry(Script(*[Down(), "up"] * 3).__call__)
    with instant():
        with instant():
            call()
        call()
    call()
    assert clock.sleeps == [0.0, 0.0, 1.0]


def test_an_exception_ends_the_block_as_well() -> None:
    with pytest.raises(Down), instant():
        raise Down
    retry, clock = plain()
    assert retry(Script(Down(), "up").__call__)() == "up"
    assert clock.sleeps == [1.0]


def test_it_holds_in_threads_that_are_already_running() -> None:
    clock = FakeClock()
    call = Retry(2, 60.0, clock=clock)(Script(Down(), "up").__call__)
    go, results = threading.Event(), list[object]()

    def work() -> None:
        go.wait()
        results.append(call())

    thread = threading.Thread(target=work)
    thread.start()
    with instant():
        go.set()
        thread.join()
    assert (results, clock.sleeps) == (["up"], [0.0])
