"""A bounded memory of the principals of API keys, and a smaller one of refusals."""

from collections import OrderedDict
from dataclasses import dataclass

from cqox.security.principal import Principal

__all__ = ["REFUSAL_SECONDS", "VERDICT_SECONDS", "Refusal", "Verdict", "Verdicts"]

VERDICT_SECONDS = 60.0
"""Lifetime of a principal without another question, in seconds; a revoked key ends within that time."""

REFUSAL_SECONDS = 10.0
"""Lifetime of a refusal, in seconds."""

_MOST_KEYS = 10_000
_MOST_REFUSALS = 4_096


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key that opens nothing."""

    reason: str


type Verdict = Principal | Refusal
"""The holder of a key, or the reason why it is refused."""


class Verdicts:
    """Verdicts by the digest of a key; the least recently used ones are forgotten first."""

    def __init__(self, *, most_keys: int = _MOST_KEYS, most_refusals: int = _MOST_REFUSALS) -> None:
        self._most = {Principal: most_keys, Refusal: most_refusals}
        self._held: dict[type, OrderedDict[bytes, tuple[Verdict, float]]] = {
            Principal: OrderedDict(),
            Refusal: OrderedDict(),
        }
        self._digests: OrderedDict[str, bytes] = OrderedDict()

    def recall(self, digest: bytes, *, now: float) -> Verdict | None:
        """Return the verdict on a key; None where there is none any more.

        Args:
            digest: SHA-256 of the key.
            now: in seconds, of the clock that `remember` was given.
        """
        for held in self._held.values():
            found = held.get(digest)
            if found is not None and now < found[1]:
                held.move_to_end(digest)
                return found[0]
        return None

    def remember(self, key_id: str, digest: bytes, verdict: Verdict, *, now: float, seconds: float) -> None:
        """Keep a verdict for some seconds in place of an earlier one on the same key."""
        for held in self._held.values():
            held.pop(digest, None)
        kept = self._held[type(verdict)]
        kept[digest] = verdict, now + seconds
        if len(kept) > self._most[type(verdict)]:
            kept.popitem(last=False)
        if isinstance(verdict, Principal):
            self._digests[key_id] = digest
            self._digests.move_to_end(key_id)
            if len(self._digests) > self._most[Principal]:
                self._digests.popitem(last=False)
        elif self._digests.get(key_id) == digest:
            del self._digests[key_id]

    def was_valid(self, key_id: str, digest: bytes) -> bool:
        """Return whether this key was valid when it was last asked about; of the keys that were used most recently."""
        return self._digests.get(key_id) == digest

    def forget(self, key_id: str) -> None:
        """Forget the verdict on a key, so that the next request with it asks again."""
        digest = self._digests.pop(key_id, None)
        if digest is not None:
            self._held[Principal].pop(digest, None)
