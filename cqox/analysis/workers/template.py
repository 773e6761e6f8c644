"""Template of worker processes: it imports the tasks once, and forks a worker for each request of the engine.

Started by `cqox.analysis.workers.forking` as `python -m cqox.analysis.workers.template SOCKET LIFELINE WORK`. A request
has the limits of the worker, and as descriptors its socket and its lifeline; the answer is a JSON object with the
process id of the worker, or with the threads or the error for which none was forked.

Invariants: it runs one thread, which it checks before each fork, since a fork copies the locks of the other threads and
not the threads; it never computes and never reads a file of a client. A worker is forked twice over, so that its parent
exits at once and the engine, which adopts orphans, is its parent as that of any other child.
"""

import errno
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn, cast

from cqox.analysis.workers.child import Work, freeze, lower_priority, serve
from cqox.analysis.workers.confinement import show
from cqox.analysis.workers.late_threads import LateThreads, other_threads
from cqox.analysis.workers.lifeline import arm
from cqox.analysis.workers.limits import ProcessLimits

__all__ = ["main"]

_LONGEST_BYTES = 4096
_PID_BYTES = 8


def main(arguments: list[str]) -> None:
    """Fork workers until the engine closes the socket or exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show("template")
    handle, lifeline = (int(argument) for argument in arguments[:2])
    try:
        arm(lifeline, os.getpgrp())
    except EOFError:
        return
    lower_priority()
    gc.disable()  # all that is loaded stays, and is shared as long as nothing writes to it
    late = LateThreads()
    late.install()
    work = cast("Work", importlib.import_module(arguments[2]))
    work.load()
    freeze()
    gc.disable()
    engine = socket.socket(fileno=handle)
    engine.send(_answer(threads=other_threads()))
    while request := _received(engine):
        limits, handles = request
        try:
            engine.send(_answered(engine, (lifeline, handles), limits, work, late))
        finally:
            for each in handles:
                os.close(each)


def _answered(
    engine: socket.socket, held: tuple[int, list[int]], limits: ProcessLimits, work: Work, late: LateThreads
) -> bytes:
    """Fork a worker, unless there are threads, and return the answer for the engine."""
    if others := other_threads():
        return _answer(threads=others)
    lifeline, handles = held
    reading_end, writing_end = os.pipe()
    try:
        parent = os.fork()
    except OSError as error:
        os.close(reading_end)
        os.close(writing_end)
        return _answer(number=error.errno or errno.EAGAIN)
    if parent == 0:
        _fork_again(writing_end, engine, (lifeline, reading_end), handles, limits, work, late)
    os.close(writing_end)
    try:
        pid = os.read(reading_end, _PID_BYTES)
    finally:
        os.close(reading_end)
        # From then on the worker is a child of the engine.
        os.waitpid(parent, 0)
    return _answer(pid=int.from_bytes(pid))


def _fork_again(
    writing_end: int, engine: socket.socket, unused: tuple[int, ...], handles: list[int], limits: ProcessLimits,
    work: Work, late: LateThreads,
) -> NoReturn:  # fmt: skip
    try:
        pid = os.fork()
        if pid:
            os.write(writing_end, pid.to_bytes(_PID_BYTES))
            os._exit(0)
        _become_worker(handles, (writing_end, engine.detach(), *unused), limits, work, late)
    except EOFError:
        # The engine has exited meanwhile.
        os._exit(1)
    except BaseException:  # noqa: BLE001 - the root of a process: it may not return into the loop of the template
        traceback.print_exc()
        os._exit(1)


def _become_worker(
    handles: list[int], unused: tuple[int, ...], limits: ProcessLimits, work: Work, late: LateThreads
) -> NoReturn:
    connection, lifeline = handles
    # Until it leads a group of its own, it ends with the group of the template, or by its own number.
    arm(lifeline, -os.getpid())
    os.setsid()
    arm(lifeline, os.getpid())
    for each in unused:
        os.close(each)
    show("start")
    _reseed()

    def loaded() -> Work:
        late.start()
        return work

    serve(socket.socket(fileno=connection), limits, loaded)
    # Without the exit of the interpreter, which would wait for threads that are in another process.
    os._exit(0)


def _reseed() -> None:
    """Give the process a random state of its own; the standard library reseeds itself at a fork, NumPy does not."""
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


def _received(engine: socket.socket) -> tuple[ProcessLimits, list[int]] | None:
    """Receive the limits of the next worker and its descriptors; nothing once the engine has closed the socket."""
    data, handles, _, _ = socket.recv_fds(engine, _LONGEST_BYTES, 2)
    return (ProcessLimits.from_argument(data.decode()), handles) if data else None


def _answer(*, pid: int = 0, threads: list[str] | None = None, number: int = 0) -> bytes:
    return json.dumps({"pid": pid, "threads": threads or [], "errno": number}).encode()


if __name__ == "__main__":
    main(sys.argv[1:])
