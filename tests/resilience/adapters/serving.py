"""Apps of each framework behind a real Hypercorn in a thread, asked by raw bytes."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import hypercorn.asyncio
import hypercorn.trio
import trio
from hypercorn.config import Config

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen, DeadlineExceeded, Draining, RateLimited, Shed
from cqox.resilience import current_criticality, remaining
from cqox.resilience.runtime.call_context import attempt_served
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["ERRORS", "SECONDS", "Answer", "Events", "ask", "served"]

SECONDS = 30.0
"""Maximum time of a request of each app."""

ERRORS: dict[str, Callable[[], Exception]] = {
    "open": lambda: CircuitOpen("store", retry_after=2.1),
    "isolated": lambda: CircuitOpen("store"),
    "soon": lambda: BulkheadFull("store", retry_after=0.001),
    "draining": lambda: Draining("store", retry_after=5.0),
    "shed": lambda: Shed("store"),
    "limited": lambda: RateLimited("store", retry_after=7.0),
    "late": lambda: DeadlineExceeded(1.0),
    "slow": lambda: AttemptTimeout(1.0, policy="store"),
    "group": lambda: ExceptionGroup("a", [ExceptionGroup("b", [Shed("x", retry_after=9.5)]), RateLimited("y")]),
    "mixed": lambda: ExceptionGroup("a", [Shed("x"), ZeroDivisionError("mine")]),
    "lost": lambda: ConnectionResetError("the store went away"),
    "mine": lambda: ZeroDivisionError("mine"),
}


@dataclass
class Events:
    """Log of what the handlers of an app have seen."""

    seen: list[str] = field(default_factory=list)

    async def hang(self, name: str) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            self.seen.append(f"{name} cancelled")
            raise

    async def outlive(self) -> None:
        """Wait for longer than the client of a test does."""
        self.seen.append(f"background {remaining()}")
        await anyio.sleep(0.4)
        self.seen.append("background done")

    async def halves(self) -> AsyncIterator[bytes]:
        yield b"half"
        await self.hang("stream")

    async def refused_later(self) -> AsyncIterator[bytes]:
        yield b"half"
        raise CircuitOpen("store", retry_after=2.0)

    def in_force(self) -> dict[str, object]:
        return {
            "remaining": min(remaining(), 1e9),
            "attempt": attempt_served.get(),
            "criticality": current_criticality().label,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The raw bytes of one response."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def head(self) -> list[str]:
        return self.raw.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")

    def field(self, name: str) -> str | None:
        values = [line.partition(": ")[2] for line in self.head[1:] if line.startswith(f"{name}:")]
        assert len(values) <= 1, self.head
        return values[0] if values else None

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def complete(self) -> bool:
        if b"\r\n\r\n" not in self.raw:
            return False
        if self.field("transfer-encoding") == "chunked":
            return self.body.endswith(b"0\r\n\r\n")
        return len(self.body) == int(self.field("content-length") or -1)

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, path: str, *fields: str) -> Answer:
    """Make one request; read until its response is complete or the server closes the connection."""
    lines = [f"GET {path} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = Answer(raw=b"")
        try:
            while not answer.complete and (part := connection.recv(65536)):
                answer = Answer(raw=answer.raw + part)
        except ConnectionResetError:
            pass
    return answer


@contextmanager
def served(app: Any, backend: str) -> Iterator[int]:
    """Serve `app` in a thread; yield the port."""
    config = Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    config.graceful_timeout = 1.0
    ended = threading.Event()

    async def until_ended() -> None:
        while not ended.is_set():
            await anyio.sleep(0.01)

    def run() -> None:
        if backend == "asyncio":
            asyncio.run(hypercorn.asyncio.serve(app, config, shutdown_trigger=until_ended))
        else:
            trio.run(_serve_on_trio, app, config, until_ended)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: thread.is_alive() and _listens(port))
        yield port
    finally:
        ended.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


async def _serve_on_trio(app: Any, config: Config, until_ended: Callable[[], Awaitable[None]]) -> None:
    await hypercorn.trio.serve(app, config, shutdown_trigger=until_ended)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
