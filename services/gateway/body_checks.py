"""Integrity checks of a response body while it is received: checksum, per-event checksums, or `Content-Digest`."""

import hashlib
from collections.abc import Iterable
from typing import Protocol

from cqox.contract.messages import Message
from services.http.request.digests import CONTENT_DIGEST, sha256_of
from services.http.response.checksums import CHECKSUM, EACH_EVENT, BodyChecksum, CheckedEvents, EventMismatch

__all__ = ["BodyCheck", "BodyMismatch", "check_for"]

_CONTENT_DIGEST = CONTENT_DIGEST.lower().encode()
_CHECKSUM = CHECKSUM.lower().encode()


class BodyMismatch(Exception):
    """The body differs from the one that the engine sent for this request.

    Attributes:
        why: how that shows, as a clause.
    """

    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


class BodyCheck(Protocol):
    """An incremental check of a body. Both methods raise `BodyMismatch`."""

    def take(self, data: bytes) -> bytes:
        """Check the next chunk; return the bytes received so far that are verified and may be forwarded."""

    def finish(self) -> None:
        """Check the complete body."""


def check_for(headers: Iterable[tuple[bytes, bytes]], exchange: str) -> BodyCheck | None:
    """Return the check that the response headers announce, None where they announce none.

    Args:
        headers: names in lower case with their values.
        exchange: the request's exchange id.
    """
    digests, checksum = list[bytes](), ""
    for name, value in headers:
        if name == _CHECKSUM:
            checksum = value.decode("latin1")
        elif name == _CONTENT_DIGEST:
            digests.append(value)
    if checksum == EACH_EVENT:
        return _EventsCheck(exchange)
    digest = b", ".join(digests).decode("latin1")
    if BodyChecksum.is_one(checksum):
        # The checksum covers the digest field, so the digest need not be computed again here.
        return _ChecksumCheck(checksum, BodyChecksum(exchange, digest))
    announced = sha256_of(digest) if digest else None
    return None if announced is None else _DigestCheck(announced)


class _ChecksumCheck:
    def __init__(self, announced: str, received: BodyChecksum) -> None:
        self._announced = announced
        self._received = received

    def take(self, data: bytes) -> bytes:
        self._received.take(data)
        return data

    def finish(self) -> None:
        if str(self._received) != self._announced:
            raise BodyMismatch(Message("problems.answer-unlike-checksum"))


class _DigestCheck:
    def __init__(self, announced: bytes) -> None:
        self._announced = announced
        self._received = hashlib.sha256()

    def take(self, data: bytes) -> bytes:
        self._received.update(data)
        return data

    def finish(self) -> None:
        if self._received.digest() != self._announced:
            raise BodyMismatch(Message("problems.answer-unlike-digest"))


class _EventsCheck:
    def __init__(self, exchange: str) -> None:
        self._events = CheckedEvents(exchange)

    def take(self, data: bytes) -> bytes:
        try:
            return self._events.take(data)
        except EventMismatch as error:
            raise BodyMismatch(error.why) from None

    def finish(self) -> None:
        try:
            self._events.finish()
        except EventMismatch as error:
            raise BodyMismatch(error.why) from None
