from collections.abc import Awaitable, Callable

import pytest
import trio

from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate
from services.simulation.client import Answer, ConnectionLost, exchange

REPLY = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"made": true}'[:-1]


def asked(reply: bytes, ask: Callable[[], Awaitable[None]]) -> bytes:
    """Run a client against a server that sends this reply; return what the server received."""
    received = bytearray()

    async def serve(process: SimulatedProcess) -> None:
        listening = trio.socket.socket()
        await listening.bind(("", 80))
        listening.listen()

        async def answer(stream: trio.SocketStream) -> None:
            received.extend(await stream.receive_some())
            await stream.send_all(reply)
            await stream.aclose()

        await trio.serve_listeners(answer, [trio.SocketListener(listening)])

    async def main(world: World) -> None:
        world.start("server", serve)
        await trio.sleep(1)
        await ask()

    simulate(1, main)
    return bytes(received)


def test_a_request_is_sent_and_its_answer_parsed() -> None:
    answers = list[Answer]()

    async def ask() -> None:
        answers.append(await exchange("server", 80, "POST", "/x?y=1", headers={"X-A": "b"}, body=b"abc", pause=0.1))

    sent = asked(REPLY.replace(b'{"made": true', b'{"made":true}'), ask)
    assert sent.startswith(b"POST /x?y=1 HTTP/1.1\r\nHost: server\r\n")
    assert b"\r\nX-A: b\r\n" in sent
    assert sent.endswith(b"\r\n\r\nabc")
    assert answers[0].status == 201
    assert answers[0].headers["content-type"] == "application/json"
    assert answers[0].json() == {"made": True}


@pytest.mark.parametrize("reply", [b"", REPLY[:-5], b"nonsense\r\n\r\n"], ids=["none", "cut", "nonsense"])
def test_an_answer_that_is_not_whole_is_none(reply: bytes) -> None:
    async def ask() -> None:
        with pytest.raises(ConnectionLost):
            await exchange("server", 80, "GET", "/")

    asked(reply, ask)


def test_a_server_that_cannot_be_reached_gives_no_answer() -> None:
    async def ask() -> None:
        with pytest.raises(ConnectionLost, match="nobody"):
            await exchange("nobody", 80, "GET", "/")

    asked(b"", ask)
