"""The one way to call a blocking driver: in a worker thread, with a cancellation turned into the driver's own cancel.

The thread is never abandoned: a cancelled caller first has the driver end the call, then waits for the thread to come
back, so that no query and no connection runs on unowned.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import anyio.to_thread
from anyio import CancelScope, CapacityLimiter

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
        threads = CapacityLimiter(_UNBOUNDED)
        try:
            await anyio.to_thread.run_sync(_run_into, future, call, abandon_on_cancel=True, limiter=threads)
        except BaseException:
            # A future that can still be cancelled was not begun, and now never will be.
            if not future.cancel():
                with CancelScope(shield=True):
                    if not future.done():
                        await interrupt()
                    await anyio.to_thread.run_sync(future.exception, limiter=threads)
            raise
        return future.result()


def _run_into[T](future: Future[T], call: Callable[[], T]) -> None:
    # The outcome goes by the future, so that it is there for who waits after a cancellation, too.
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - handed on unchanged
        future.set_exception(error)
