"""Share links: read access to one report by a token, without a login, where the operator allows it.

A token is 256 random bits. The store holds its SHA-256, so that neither a copy of the store nor the time of a lookup
reveals it. Every token that opens nothing is answered in the same way, whatever the reason is.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cqox import clock, randomness
from cqox.analysis.history import no_analysis
from cqox.analysis.results import Results
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotAllowed, NotFound, StoreUnavailable
from cqox.storage import ResultStore, Share

__all__ = ["MOST_SHARES", "TOKEN_PREFIX", "NewShare", "Shares", "no_shared_report", "token_digest"]

TOKEN_PREFIX = "cqox_share_"
"""Beginning of every token, by which people and scanners of secrets recognise one."""

MOST_SHARES = 100
"""Largest number of links to one report."""

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShare:
    """A link that was just created.

    Attributes:
        share: the link as stored.
        token: its secret, which is known to nobody from then on but to its holders.
    """

    share: Share
    token: str


class Shares:
    """The share links of all reports.

    Args:
        store: reports and their links.
        results: reports in store and caches.
        most_days: days after which every link expires; 0 where the operator allows no links.
        now: the wall clock.
    """

    def __init__(
        self,
        *,
        store: ResultStore,
        results: Results,
        most_days: float,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._store = store
        self._results = results
        self._now = now
        self.most_days = most_days

    async def create(self, key: str, *, days: float | None = None, share_id: str | None = None) -> NewShare:
        """Create a link to a report.

        Args:
            key: id of the report.
            days: days after which it expires; as many as allowed if None.
            share_id: id of the link; one that exists gets a new token and no longer opens by its old one.

        Raises:
            NotAllowed: the operator allows no links.
            InvalidRequest: it would live longer than allowed, or the report has too many links.
            NotFound: there is no such report.
            StoreUnavailable: the store cannot be reached, or has not accepted the report yet.
        """
        if not self.most_days:
            raise NotAllowed(Message("analysis.no-share-links"))
        if days is not None and days > self.most_days:
            raise InvalidRequest(Message("analysis.share-too-long", given=days, most=self.most_days), field="days")
        if len(await self.of(key)) >= MOST_SHARES:
            raise InvalidRequest(Message("analysis.too-many-shares", most=MOST_SHARES), field="analysis_id")
        token, now = TOKEN_PREFIX + randomness.token_urlsafe(_TOKEN_BYTES), self._now()
        share = Share(
            share_id=share_id or randomness.token_hex(8),
            analysis_id=key,
            digest=token_digest(token),
            created_at=_stamp(now),
            expires_at=_stamp(now + timedelta(days=days or self.most_days)),
        )
        if not await self._store.put_share(share):
            if await self._results.is_held(key):
                raise StoreUnavailable(Message("analysis.report-not-stored"))
            raise no_analysis(key)
        return NewShare(share=share, token=token)

    async def of(self, key: str) -> Sequence[Share]:
        """Return the links to a report that have not expired, newest first.

        Raises:
            NotFound: there is no such report.
        """
        found = [self._bounded(share) for share in await self._store.shares(key)]
        if not found and not await self._results.is_held(key):
            raise no_analysis(key)
        return [share for share in found if self._is_valid(share)]

    async def revoke(self, key: str, share_id: str) -> None:
        """End a link.

        Raises:
            NotFound: the report has no such link.
        """
        if not await self._store.delete_share(key, share_id):
            raise NotFound(Message("analysis.no-share", share=share_id[:100]), field="share_id")

    async def opened(self, token: str) -> str:
        """Return the id of the report that a token gives access to.

        Raises:
            NotFound: it gives access to none: it is unknown or expired, its link was withdrawn, its report deleted, or
                the operator allows no links any more.
        """
        digest = token_digest(token)
        # Also where no links are allowed, so that the time of an answer does not reveal the reason.
        found = await self._store.share_of(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            raise no_shared_report()
        if not self._is_valid(self._bounded(found)) or not await self._results.is_held(found.analysis_id):
            raise no_shared_report()
        return found.analysis_id

    def _is_valid(self, share: Share) -> bool:
        return bool(self.most_days) and share.expires_at > _stamp(self._now())

    def _bounded(self, share: Share) -> Share:
        """Return the link with the expiry that the operator's present bound gives it."""
        last = _stamp(datetime.fromisoformat(share.created_at) + timedelta(days=self.most_days))
        return replace(share, expires_at=min(share.expires_at, last))


def no_shared_report() -> NotFound:
    """Return the one error for every token that opens nothing."""
    return NotFound(Message("analysis.no-shared-report"), field="Share-Token")


def token_digest(token: str) -> str:
    """Return the digest by which the store knows a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
