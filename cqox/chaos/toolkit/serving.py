"""A system that serves the requests of an experiment on a Unix socket until its starter goes away."""

import json
import os
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.experiments.ownership import start_of
from cqox.chaos.experiments.system import Opener, SystemUnusable
from cqox.chaos.toolkit.session import Session
from cqox.chaos.toolkit.state import State

__all__ = ["serve", "serve_until_left"]

_LINE_BYTES = 256


def serve_until_left(experiment: Experiment, open_system: Opener, file: Path, *, say: Callable[[str], None]) -> bool:
    """Run `serve` in an event loop of its own."""
    return trio.run(partial(serve, experiment, open_system, file, say=say))


async def serve(experiment: Experiment, open_system: Opener, file: Path, *, say: Callable[[str], None]) -> bool:
    """Start the system of an experiment, write where it is, and serve it until standard input ends.

    A cancellation takes every fault away and ends everything that was started; the file is removed.

    Args:
        experiment: the experiment.
        open_system: starts its system.
        file: the file to write.
        say: takes a line for each request and answer.

    Returns:
        False where the system cannot be had on this machine.
    """
    usable = True
    with tempfile.TemporaryDirectory(prefix="cqox-chaos-", ignore_cleanup_errors=True) as name:
        try:
            async with open_system(experiment, Path(name)) as system, trio.open_nursery() as nursery:
                nursery.start_soon(_until_left, nursery.cancel_scope)
                session = Session(experiment, system)
                await nursery.start(session.run)
                listener = await _listen(Path(name) / "requests.sock")
                answer = partial(_connected, session, say)
                nursery.start_soon(partial(trio.serve_listeners, answer, [listener]))
                state = State(
                    experiment=experiment.name,
                    pid=os.getpid(),
                    start=start_of(os.getpid()) or 0,
                    socket=str(Path(name) / "requests.sock"),
                )
                state.write(file)
                say(f"{experiment.name}: the system is ready")
        except* SystemUnusable as unusable:
            say(f"{experiment.name}: NOT RUN: {unusable.exceptions[0]}")
            usable = False
        finally:
            _forget(file)
    return usable


async def _until_left(scope: trio.CancelScope) -> None:
    """Cancel once standard input has ended, or by SIGTERM and SIGINT."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_of_input, scope)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()


async def _end_of_input(scope: trio.CancelScope) -> None:
    # A copy: closing it leaves standard input as it is.
    async with trio.lowlevel.FdStream(os.dup(0)) as stream:
        while await stream.receive_some(_LINE_BYTES):
            pass
    scope.cancel()


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


async def _listen(path: Path) -> trio.SocketListener:
    """Listen in a folder that this user alone may enter."""
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(path))
    socket.listen()
    return trio.SocketListener(socket)


async def _connected(session: Session, say: Callable[[str], None], stream: trio.SocketStream) -> None:
    """Answer the one request of a connection; a client that leaves early changes nothing of what it has asked for."""
    try:
        line = b""
        while not line.endswith(b"\n") and len(line) < _LINE_BYTES:
            piece = await stream.receive_some(_LINE_BYTES)
            if not piece:
                return
            line += piece
        request = line.decode(errors="replace").strip()
        answer = await session.answer(request)
        say(f"{request}: {'holds' if answer.holds else 'FAILS'}")
        await stream.send_all(json.dumps({"holds": answer.holds, "lines": answer.lines}).encode())
    except trio.BrokenResourceError:
        say("a client left before its answer")
    finally:
        await trio.aclose_forcefully(stream)
