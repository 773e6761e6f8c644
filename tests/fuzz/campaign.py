"""Send exchanges to a running service, many at once, and judge every answer."""

import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from tests.fuzz.exchanges import Exchange, exchange

__all__ = ["Findings", "run"]

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)
_READ_BYTES = 2**16
_MOST_BYTES = 2**20
_EXCHANGE_SECONDS = 20.0


@dataclass(slots=True)
class Findings:
    """Findings of a campaign.

    Attributes:
        statuses: how often the first answer of a connection had which status; 0 where there was none.
        wrong: what must not be, with the number of its exchange.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


async def run(addresses: Sequence[tuple[str, int]], *, seed: str, numbers: Sequence[int], at_once: int) -> Findings:
    """Hold the exchanges of these numbers, each with one of the addresses.

    Args:
        addresses: host and port of each service.
        seed: of the exchanges.
        numbers: which exchanges.
        at_once: how many connections are open at the same time.
    """
    findings = Findings()
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            address = addresses[number % len(addresses)]
            with trio.move_on_after(_EXCHANGE_SECONDS) as scope:
                _judge(findings, number, await _hold(address, exchange(seed, number)))
            if scope.cancelled_caught:
                findings.wrong.append(f"exchange {number}: not over after {_EXCHANGE_SECONDS:g} s")

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(work)
    return findings


async def _hold(address: tuple[str, int], what: Exchange) -> bytes:
    try:
        stream = await trio.open_tcp_stream(*address)
    except OSError as error:
        return f"no connection: {error}".encode()
    answer = b""
    async with stream:
        try:
            for piece, pause in zip(what.pieces, what.pauses, strict=True):
                await trio.sleep(pause)
                await stream.send_all(piece)
            match what.ending:
                case "close":
                    return b""
                case "reset":
                    _reset(stream)
                    return b""
                case "half-close":
                    await stream.send_eof()
                case _:
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The service may have refused it before it was sent whole.
            pass
        with trio.move_on_after(what.read_seconds):
            try:
                while len(answer) < _MOST_BYTES:
                    data = await stream.receive_some(_READ_BYTES)
                    if not data:
                        break
                    answer += data
                    if not what.patient and _is_whole(answer):
                        break
                    if what.ending == "reset while reading":
                        _reset(stream)
                        break
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
    return answer


def _is_whole(answer: bytes) -> bool:
    head, ended, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(ended) and length is not None and len(body) >= int(length[1])


def _reset(stream: trio.SocketStream) -> None:
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _judge(findings: Findings, number: int, answer: bytes) -> None:
    if not answer:
        findings.statuses[0] += 1
        return
    found = _STATUS.match(answer)
    if found is None:
        findings.wrong.append(f"exchange {number}: no HTTP in {answer[:80]!r}")
        return
    status = int(found[1])
    findings.statuses[status] += 1
    head, _, body = answer.partition(b"\r\n\r\n")
    if status == 500:
        findings.wrong.append(f"exchange {number}: 500: {body[:200]!r}")
    if status >= 400 and b"application/problem+json" not in head:
        findings.wrong.append(f"exchange {number}: {status} is no problem: {head[:200]!r}")
    length = _LENGTH.search(head)
    # An answer to HEAD has no body: the next answer follows its head.
    if status >= 400 and length and 0 < int(length[1]) <= len(body) and not body.startswith(b"HTTP/1.1 "):
        try:
            said = json.loads(body[: int(length[1])])["status"]
        except (ValueError, KeyError, TypeError):
            said = None
        if said != status:
            findings.wrong.append(f"exchange {number}: {status} has the body {body[:200]!r}")
