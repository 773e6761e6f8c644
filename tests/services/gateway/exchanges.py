"""The exchange headers that an engine adds to its responses, for peers that simulate one."""

import re

from services.http.request.digests import content_digest
from services.http.request.propagation import Received

__all__ = ["answer_to", "exchange_in"]

_FINAL = re.compile(rb"HTTP/1.1 [2-9]")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_EXCHANGE = re.compile(rb"\r\nx-cqox-exchange: *([0-9a-f]{32})\r\n", re.IGNORECASE)


def exchange_in(request: bytes) -> bytes:
    """Return the gateway's exchange id; empty where it is absent."""
    found = _EXCHANGE.search(request)
    return found[1] if found else b""


def answer_to(request: bytes, answer: bytes) -> bytes:
    """Complete the final head of a response as an engine would for this request; leave any other bytes unchanged."""
    final = _FINAL.search(answer)
    end = -1 if final is None else answer.find(b"\r\n\r\n", final.start())
    if final is None or end < 0:
        return answer
    head, rest = answer[final.start() : end], answer[end + 4 :]
    announced = _LENGTH.search(head)
    body = rest[: int(announced[1])] if announced else rest
    sent = Received()
    sent.take(request.partition(b"\r\n\r\n")[2])
    added = b"\r\nx-cqox-exchange: " + exchange_in(request)
    # A peer that has not read the whole request says nothing of its body.
    asked = _LENGTH.search(request.partition(b"\r\n\r\n")[0])
    if asked and str(sent).startswith(f"{int(asked[1])}-"):
        added += b"\r\nx-cqox-received: " + str(sent).encode()
    if body and b"chunked" not in head:
        added += b"\r\ncontent-digest: " + content_digest(body).encode()
    return answer[: final.start()] + head + added + b"\r\n\r\n" + rest
