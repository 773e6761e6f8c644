import pytest

from cqox.analysis.heap import Heap

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


async def test_the_heap_of_this_process_can_be_given_back() -> None:
    await Heap().release()
