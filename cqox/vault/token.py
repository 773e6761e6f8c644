"""The token of a login, and when to renew or replace it. Pure: the time is an argument.

A lease that a token has brought ends with the token at the latest, so that it knows the token's number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Self

__all__ = ["RENEW_SHARE", "Token", "pause"]

RENEW_SHARE = 2 / 3
"""Share of its life after which a token, a lease or a certificate is renewed."""

_SHORTENED_SHARE = 0.5
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of the vault.

    Attributes:
        value: sent with each request; secret.
        number: counts the logins of this process.
        seconds: its life from the login, which each renewal should bring again.
        ends: end of its life, in seconds of a monotonic clock; infinite for one without an end.
        renew_at: when it should be renewed.
        is_renewable: whether the vault renews it; otherwise another login follows.
        index: place of the login in the log of a cluster, without which a server does not know the token yet.
    """

    value: str = field(repr=False)
    number: int
    seconds: float
    ends: float
    renew_at: float
    is_renewable: bool
    index: str = ""

    @classmethod
    def of_login(cls, auth: Mapping[str, Any], *, number: int, now: float, index: str = "") -> Self:
        """Return the token that a login has brought.

        Args:
            auth: the member `auth` of the answer.
            number: counts the logins.
            now: before the request was sent, on a monotonic clock.
            index: see `index`.

        Raises:
            ValueError: the answer holds no token.
        """
        value, seconds = auth.get("client_token"), auth.get("lease_duration")
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
            raise ValueError("the answer to the login holds no token")
        life = float(seconds) or inf
        return cls(
            value=value,
            number=number,
            seconds=life,
            ends=now + life,
            renew_at=now + RENEW_SHARE * life,
            is_renewable=auth.get("renewable") is True,
            index=index,
        )

    def renewed(self, auth: Mapping[str, Any], *, now: float) -> Self:
        """Return the token after a renewal. Where the vault hardly prolongs it, another login is due at once.

        What the token has brought ends with it, and can then be replaced before that.
        """
        seconds = auth.get("lease_duration")
        life = float(seconds) if isinstance(seconds, int | float) else 0.0
        is_whole = life >= _SHORTENED_SHARE * self.seconds
        return replace(
            self,
            ends=now + life,
            renew_at=now + RENEW_SHARE * life if is_whole else now,
            is_renewable=auth.get("renewable") is True and is_whole,
        )

    def later(self, *, now: float) -> Self:
        """Return the token where a renewal has failed: the next one is tried in a while, not with each request."""
        return replace(self, renew_at=now + pause(self.ends - now))


def pause(left: float) -> float:
    """Return the seconds until another attempt of a renewal that has failed, by those that are left of a life."""
    return min(_MOST_PAUSE, max(_LEAST_PAUSE, left / 4))
