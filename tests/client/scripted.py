"""A server that answers from a script, for answers that a real one does not give."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import httpx

from cqox.client.address import Server
from cqox.client.connection import Connection

__all__ = ["URL", "Pieces", "Scripted", "answer", "event", "problem", "stream"]

URL = "http://server:8082"

type Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Scripted:
    """A transport whose steps are taken in turn, the last of them again and again.

    Attributes:
        requests: those that came, with their bodies read.
    """

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def connection(self, **server: object) -> Connection:
        return Connection(Server(url=URL, transport=self.transport, **server))  # type: ignore[arg-type]

    def asked(self) -> list[str]:
        """Return method and path of every request."""
        return [f"{request.method} {request.url.path}" for request in self.requests]


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in pieces, and may break."""

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def problem(
    status: int, kind: str, detail: str = "No.", *, headers: Mapping[str, str] | None = None, **members: object
) -> httpx.Response:
    body = {"type": kind, "title": kind, "status": status, "detail": detail, **members}
    fields = {"Content-Type": "application/problem+json", **(headers or {})}
    return httpx.Response(status, content=json.dumps(body).encode(), headers=fields)


def event(number: int, name: str, body: object) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(body)}\n\n".encode()


def stream(*pieces: bytes | Exception) -> Callable[[httpx.Request], httpx.Response]:
    """Return a step that answers with an event stream; each time with all its pieces."""
    return lambda request: httpx.Response(200, stream=Pieces(pieces), headers={"Content-Type": "text/event-stream"})
