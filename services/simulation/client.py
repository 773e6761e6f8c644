"""A client of HTTP/1.1 that can also behave badly: leave in the middle, read slowly, send again."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import h11
import trio

__all__ = ["Answer", "ConnectionLost", "exchange"]

_READ_BYTES = 2**16


class ConnectionLost(Exception):
    """There was no complete answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete response.

    Attributes:
        status: its status.
        headers: its header fields, names in lower case.
        body: its body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> object:
        """Return the parsed body.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.body)


async def exchange(
    host: str,
    port: int,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    pause: float = 0.0,
) -> Answer:
    """Send one request on a connection of its own and return the response.

    Args:
        host: name of the service.
        port: its port.
        method: of HTTP.
        target: path and query.
        headers: further header fields.
        body: the body; none is sent if empty.
        pause: seconds between two reads, for a slow reader.

    Raises:
        ConnectionLost: the service cannot be reached, or its answer ends early or is no HTTP.
    """
    connection = h11.Connection(h11.CLIENT)
    fields = {"Host": host, "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    sent = connection.send(h11.Request(method=method, target=target, headers=list(fields.items()))) or b""
    if body:
        sent += connection.send(h11.Data(data=body)) or b""
    sent += connection.send(h11.EndOfMessage()) or b""
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectionLost(str(error)) from error
    async with stream:
        # It may have answered before it read everything.
        with suppress(trio.BrokenResourceError):
            await stream.send_all(sent)
        return await _answer(connection, stream, pause)


async def _answer(connection: h11.Connection, stream: trio.SocketStream, pause: float) -> Answer:
    head: h11.Response | None = None
    body = bytearray()
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if pause:
                    await trio.sleep(pause)
                connection.receive_data(await stream.receive_some(_READ_BYTES))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                fields = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
                return Answer(status=head.status_code, headers=fields, body=bytes(body))
            elif not isinstance(event, h11.InformationalResponse):
                raise ConnectionLost("the connection ended without an answer")
    except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
        raise ConnectionLost(str(error)) from error
