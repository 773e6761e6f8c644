"""Deadlines at a time of the clock."""

import asyncio
import math
import re
from collections.abc import Callable

import anyio
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience import deadline, remaining
from cqox.resilience.testing import FakeClock, VirtualTimeLoop

pytestmark = pytest.mark.anyio


async def test_a_deadline_may_be_a_time_of_the_event_loop() -> None:
    at = anyio.current_time() + 4.0
    with deadline(at=at) as set_at:
        assert set_at.seconds == pytest.approx(4.0)
        await anyio.sleep(1.0)
        assert remaining() == pytest.approx(3.0)
    with pytest.raises(DeadlineExceeded), deadline(at=at):
        await anyio.sleep_forever()
    assert anyio.current_time() == pytest.approx(at)
    # A time in the past leaves none.
    with deadline(at=at - 9.0) as past:
        assert (past.seconds, remaining()) == (0.0, 0.0)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
async def test_the_time_of_asyncio_timeout_becomes_a_deadline() -> None:
    async def hang() -> None:
        async with asyncio.timeout(3.0) as timeout:
            with deadline(at=timeout.when()):
                assert remaining() == pytest.approx(3.0)
                await asyncio.sleep(60.0)

    with pytest.raises(TimeoutError):
        await hang()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    async with asyncio.timeout(None) as timeout:
        with deadline(at=timeout.when()):
            await asyncio.sleep(0)
            assert remaining() == math.inf


def test_a_time_is_by_the_clock_in_synchronous_code() -> None:
    clock = FakeClock()
    at = clock.now() + 4.0
    decorated: Callable[[], float] = deadline(at=at, clock=clock)(remaining)
    with deadline(at=at, clock=clock):
        assert remaining() == pytest.approx(4.0)
    clock.advance(3.0)
    assert decorated() == pytest.approx(1.0)


def test_a_deadline_is_one_of_both() -> None:
    with pytest.raises(TypeError, match="seconds or at"):
        deadline(1.0, at=5.0)  # type: ignore[call-overload]
    for nothing in ({}, {"at": math.nan}):
        with pytest.raises(ValueError, match="seconds must be"):
            deadline(**nothing)


@pytest.mark.parametrize("at", ["5", True, [5.0]])
def test_a_time_that_is_no_number_is_refused_with_its_value(at: object) -> None:
    with pytest.raises(ValueError, match=f"at must be a time as a number, or None, not {re.escape(repr(at))}"):
        deadline(at=at)  # type: ignore[call-overload]
