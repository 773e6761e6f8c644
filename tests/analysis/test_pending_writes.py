import anyio
import pytest
from trio.testing import MockClock

from cqox.analysis.pending_writes import write_pending

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})]),
]


class Store:
    """A store that accepts what is pending at its n-th attempt."""

    def __init__(self, pending: int, accepts_at: float) -> None:
        self.pending = pending
        self.attempts = 0
        self._accepts_at = accepts_at

    async def write(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.attempts += 1
        if self.attempts >= self._accepts_at:
            self.pending = 0

    def is_pending(self) -> bool:
        return self.pending > 0


async def test_writes_are_attempted_until_nothing_is_pending(anyio_backend: object) -> None:
    store = Store(3, accepts_at=4)
    await write_pending(store.write, store.is_pending, seconds=3.0)
    assert (store.pending, store.attempts) == (0, 4)


async def test_there_is_one_attempt_where_nothing_is_pending(anyio_backend: object) -> None:
    store = Store(0, accepts_at=1)
    await write_pending(store.write, store.is_pending, seconds=3.0)
    assert store.attempts == 1


async def test_attempts_end_with_the_time(anyio_backend: object) -> None:
    store = Store(1, accepts_at=float("inf"))
    began = anyio.current_time()
    await write_pending(store.write, store.is_pending, seconds=3.0)
    assert store.pending == 1
    assert anyio.current_time() - began == 3.0
