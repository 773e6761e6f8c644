"""The one way to call a blocking driver: in a worker thread, with a cancellation turned into the driver's own cancel.

The thread is never abandoned: a cancelled caller first has the driver end the call, then waits for the thread to come
back, so that no query and no connection runs on unowned.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio import CancelScope, CapacityLimiter, Event

from cqox.tasks import open_task_group

__all__ = ["interruptible"]

# A thread is taken only by who already holds a slot of the store's own limiter, so this one never makes anybody wait.
_UNBOUNDED = 1_000_000


async def interruptible[T](
    call: Callable[[], T], *, limiter: CapacityLimiter, interrupt: Callable[[], Awaitable[None]]
) -> T:
    """What `call` returns, run in a thread under a slot of the limiter.

    Args:
        call: the blocking call.
        limiter: as many slots as the store has connections.
        interrupt: makes a running `call` return or raise soon; awaited once, shielded, when the caller is cancelled.

    A cancellation while waiting for a slot leaves at once; later it interrupts the call and leaves when the thread is
    back.
    """
    async with limiter:
        future = Future[T]()

        async def interrupt_when_cancelled() -> None:
            try:
                await returned.wait()
            finally:
                if not returned.is_set():
                    with CancelScope(shield=True):
                        await interrupt()

        returned = Event()
        async with open_task_group() as group:
            group.start_soon(interrupt_when_cancelled, name="interrupt when cancelled")
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(_run_into, future, call, limiter=CapacityLimiter(_UNBOUNDED))
                returned.set()
        # An interrupted call has nothing to say: on asyncio, too, its caller leaves as cancelled.
        await anyio.lowlevel.checkpoint_if_cancelled()
        return future.result()


def _run_into[T](future: Future[T], call: Callable[[], T]) -> None:
    # The outcome goes around the task group, which would wrap the driver's exception in an ExceptionGroup.
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - handed on unchanged
        future.set_exception(error)
