from random import Random

import pytest

from cqox.analysis.heap import Heap
from cqox.chaos.simulation.world import InTheLoop
from cqox.threads import installed

pytestmark = pytest.mark.anyio


async def test_free_memory_is_given_back_when_the_process_has_grown_and_not_otherwise() -> None:
    resident, trimmed = [100 * 2**20], list[int]()
    heap = Heap(resident=lambda: resident[0], trim=trimmed.append)
    await heap.release()
    await heap.release()
    assert trimmed == [0]
    resident[0] += 4 * 2**20
    await heap.release()
    assert trimmed == [0]
    resident[0] += 5 * 2**20
    await heap.release()
    assert trimmed == [0, 0]


async def test_the_size_of_a_process_that_simulates_others_decides_nothing() -> None:
    trimmed = list[int]()
    with installed(InTheLoop(Random(1))):
        await Heap(resident=lambda: 2**40, trim=trimmed.append).release()
    assert trimmed == []


async def test_the_heap_of_this_process_can_be_given_back() -> None:
    await Heap().release()
