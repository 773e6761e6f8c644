"""`cqox mcp`: the server on standard input and output of this process."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import anyio
from anyio import to_thread

from cqox.api.session import Session
from cqox.cli.environment import bounds_of
from cqox.cli.mcp.roots import Roots
from cqox.cli.output import INTERRUPTED, print_error
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError, InvalidRequest
from cqox.tasks import open_task_group

__all__ = ["Lines", "serve"]

_BLOCK_BYTES = 1 << 16


def serve(folders: Sequence[Path], *, language: Language) -> int:
    """Serve until standard input ends.

    Args:
        folders: the allowed folders; the current one if empty.
        language: language of the sentences where a call names none.

    Returns:
        The exit status: 0 once the client has gone, 2 for a wrong folder or setting or a missing package, 130 after
        SIGINT or SIGTERM.
    """
    try:
        roots = Roots(folders or [Path.cwd()])
        with Session(bounds_of(os.environ)) as session:
            return anyio.run(_serve, roots, session, language, backend="trio")
    except CqoxError as error:
        return print_error(error, language)


async def _serve(roots: Roots, session: Session, language: Language) -> int:
    try:
        from mcp.server.stdio import stdio_server
    except ModuleNotFoundError as error:
        raise InvalidRequest(Message("mcp.not-installed", package=error.name)) from error
    from cqox.cli.mcp.server import make_server
    from cqox.cli.mcp.tools import Workplace

    server = make_server(Workplace(roots=roots, session=session, language=language))
    status = INTERRUPTED
    async with open_task_group("mcp") as group:
        group.start_soon(_cancel_at_signal, group.cancel_scope)
        lines = cast("anyio.AsyncFile[str]", Lines(sys.stdin.fileno()))
        async with stdio_server(stdin=lines) as (received, sent):
            await server.run(received, sent, server.create_initialization_options())
            status = 0
        group.cancel_scope.cancel()
    return status


async def _cancel_at_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


class Lines:
    """Lines of a file descriptor, whose wait for the next one can be interrupted.

    The thread of an interrupted wait holds no lock, which the interpreter would wait for at its end.

    Args:
        descriptor: of a pipe, a terminal or a file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = bytearray()
        self._searched = 0

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        while (end := self._rest.find(b"\n", self._searched)) < 0:
            self._searched = len(self._rest)
            block = await to_thread.run_sync(os.read, self._descriptor, _BLOCK_BYTES, abandon_on_cancel=True)
            if not block:
                raise StopAsyncIteration
            self._rest += block
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        self._searched = 0
        return line.decode(errors="replace")
