"""Idempotency keys and the request body that each was first used with, to detect reuse with another body.

A key does not make a request idempotent: analyses and uploads are idempotent by content, and a job id is derived from
the key and the body (`job_id`). The remembered keys only detect client mistakes. They are bounded in number and in
time, and shared by engines that share a cache.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from cqox import clock
from cqox.analysis.key import digest
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, KeyReused
from cqox.storage import DEFAULT_TENANT, ResultCache

__all__ = ["IdempotencyKeys", "job_id"]

_MOST_CHARACTERS = 255
_DAY_SECONDS = 86_400.0
_PREFIX = "key-"


class IdempotencyKeys:
    """The idempotency keys in use.

    Args:
        cache: shared by the engines: the lease of a key is held by the digest of a body.
        remembered: maximum number of keys in this engine; the least recently used are evicted.
        seconds: how long a key is remembered after its last use.
        now: monotonic clock, in seconds.
    """

    def __init__(
        self,
        cache: ResultCache,
        *,
        remembered: int = 10_000,
        seconds: float = _DAY_SECONDS,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        if remembered < 1:
            raise ValueError(f"remembered must be at least 1, not {remembered}")
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0, not {seconds}")
        self._cache = cache
        self._remembered = remembered
        self._seconds = seconds
        self._now = now
        self._datasets: dict[str, str] = {}
        # Most recently used last.
        self._bodies: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._bodies)

    def attach(self, key: str, dataset_id: str) -> None:
        """Say which data set a key that is in use belongs to, so that it is forgotten with it."""
        name = _name(key)
        if name in self._bodies:
            self._datasets[name] = dataset_id

    async def forget_of(self, dataset_id: str) -> Sequence[str]:
        """Forget the keys of a data set, here and in the shared cache; return their digests."""
        gone = [name for name, whose in self._datasets.items() if whose == dataset_id]
        for name in gone:
            del self._datasets[name]
            known = self._bodies.pop(name, None)
            if known is not None:
                await self._cache.release(name, token=known[0])
        return [name.removeprefix(_PREFIX) for name in gone]

    async def bind(self, key: str, body: str) -> None:
        """Bind the key to this body.

        Args:
            key: the key as sent by the client.
            body: digest of the request with that key.

        Raises:
            InvalidRequest: the key is malformed.
            KeyReused: the key was used with another body.
        """
        if not key or len(key) > _MOST_CHARACTERS or not (key.isascii() and key.isprintable()):
            raise InvalidRequest(Message("analysis.idempotency-key", most=_MOST_CHARACTERS), field="Idempotency-Key")
        await self._forget_some()
        name = _name(key)
        known = self._bodies.get(name)
        if known is not None and known[0] != body:
            raise _reused(key)
        self._bodies[name] = (body, self._now() + self._seconds)
        self._bodies.move_to_end(name)
        if not await self._cache.claim(name, token=body, seconds=self._seconds):
            # A concurrent call may have bound this key meanwhile.
            self._bodies.pop(name, None)
            raise _reused(key)

    async def _forget_some(self) -> None:
        now = self._now()
        while self._bodies:
            name, (body, until) = next(iter(self._bodies.items()))
            if until > now and len(self._bodies) < self._remembered:
                return
            del self._bodies[name]
            self._datasets.pop(name, None)
            await self._cache.release(name, token=body)


def _name(key: str) -> str:
    return _PREFIX + digest(key.encode())


def job_id(key: str, body: str, tenant_id: str) -> str:
    """Return the id of the job of a tenant for this key and body, the same on every engine at any time."""
    # Neither part contains a line break. Without the tenant the ids are those of earlier releases.
    whose = "" if tenant_id == DEFAULT_TENANT else f"{tenant_id}\n"
    return digest(f"{whose}{key}\n{body}".encode())


def _reused(key: str) -> KeyReused:
    return KeyReused(Message("request.key-reused", key=key[:100]), field="Idempotency-Key")
