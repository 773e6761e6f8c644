"""Which body each idempotency key came with first, so that one that comes with another body is noticed.

A key does not make a request repeatable: analyses and uploads are that by their content, and a job has an id made of
its key and body (`job_id`). What is remembered here only tells a client of its mistake. It is bounded in number and in
time, and shared with the other engines as far as they share a cache.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from cqox.analysis.key import digest
from cqox.errors import InvalidRequest, KeyReused
from cqox.storage import ResultCache

__all__ = ["Keys", "job_id"]

_MOST_CHARACTERS = 255
_DAY_SECONDS = 86_400.0


class Keys:
    """The keys that clients have sent.

    Args:
        cache: where engines meet: the turn of a key is held by a body.
        remembered: how many keys this engine keeps in mind; those used longest ago are forgotten first.
        seconds: how long after its last use a key is kept in mind.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        cache: ResultCache,
        *,
        remembered: int = 10_000,
        seconds: float = _DAY_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if remembered < 1:
            raise ValueError(f"remembered must be at least 1, not {remembered}")
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0, not {seconds}")
        self._cache = cache
        self._remembered = remembered
        self._seconds = seconds
        self._now = now
        # The key used last is on the right.
        self._bodies: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._bodies)

    async def bind(self, key: str, body: str) -> None:
        """Say that the key came with this body.

        Args:
            key: as the client sent it.
            body: a digest of what the client sent with it.

        Raises:
            InvalidRequest: it is no key.
            KeyReused: it came with another body before.
        """
        if not key or len(key) > _MOST_CHARACTERS or not (key.isascii() and key.isprintable()):
            raise InvalidRequest(
                f"An Idempotency-Key has 1 to {_MOST_CHARACTERS} printable ASCII characters.", field="Idempotency-Key"
            )
        await self._forget_some()
        name = f"key-{digest(key.encode())}"
        known = self._bodies.get(name)
        if known is not None and known[0] != body:
            raise KeyReused(key)
        self._bodies[name] = (body, self._now() + self._seconds)
        self._bodies.move_to_end(name)
        if not await self._cache.claim(name, token=body, seconds=self._seconds):
            # Another call with this key may have been told the same meanwhile.
            self._bodies.pop(name, None)
            raise KeyReused(key)

    async def _forget_some(self) -> None:
        now = self._now()
        while self._bodies:
            name, (body, until) = next(iter(self._bodies.items()))
            if until > now and len(self._bodies) < self._remembered:
                return
            del self._bodies[name]
            await self._cache.release(name, token=body)


def job_id(key: str, body: str) -> str:
    """The id of the job that a request with this key and body is, on every engine and whenever it is sent."""
    return digest(f"{key}\n{body}".encode())
