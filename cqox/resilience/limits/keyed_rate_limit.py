"""Rate limit for each of many keys, such as the callers of a service.

It belongs to the side that answers: a call is admitted or not, and never waits. `rate_limit` is for a caller.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil
from threading import Lock

from cqox.resilience.limits.gcra import Gcra
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.process_bound import ProcessBound
from cqox.resilience.runtime.ranges import Seconds, check_count, check_name, check_seconds
from cqox.resilience.runtime.token_bucket import check_rate

__all__ = ["Allowance", "KeyedRateLimit"]

_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The answer of a limit to one call.

    Attributes:
        admitted: whether the call is admitted.
        remaining: calls of the key that would be admitted now, after this one.
        retry_after: seconds until a call of the key is admitted, 0.0 where one is now.
    """

    admitted: bool
    remaining: int
    retry_after: float


class KeyedRateLimit(ProcessBound):
    """A rate limit for each key: `calls` per `seconds`, evenly spaced, with a burst of `burst`, full at the start.

    Only the most recently used keys are kept; one that was forgotten starts with a full burst. Safe for threads.
    """

    __slots__ = ("_burst", "_calls", "_clock", "_limits", "_lock", "_most_keys", "_rate", "_seconds", "name")

    def __init__(
        self,
        calls: int,
        seconds: Seconds = 1.0,
        *,
        burst: int | None = None,
        most_keys: int = _MOST_KEYS,
        name: str = "keyed rate limit",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a limit.

        Args:
            calls: calls of one key per period, at least 1.
            seconds: length of the period in seconds or as a `timedelta`, above 0.
            burst: calls of one key admitted at once after an idle time, at least 1; `calls` by default.
            most_keys: keys that are kept, at least 1.
            name: its name in rejections.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._calls = check_count("calls", calls)
        self._seconds = check_seconds("seconds", seconds, zero=False)
        self._rate = check_rate("calls", self._calls) / self._seconds
        self._burst = check_rate("burst", check_count("burst", calls if burst is None else burst))
        self._most_keys = check_count("most_keys", most_keys)
        self.name = check_name(name)
        self._clock = bind_clock(f"KeyedRateLimit {name!r}", clock)
        self._limits: OrderedDict[Hashable, Gcra] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of keys that are kept."""
        return len(self._limits)

    @property
    def calls(self) -> int:
        """Calls of one key per period."""
        return self._calls

    @property
    def seconds(self) -> float:
        """Length of the period in seconds."""
        return self._seconds

    def take(self, key: Hashable) -> Allowance:
        """Take a turn of a key if one is available now."""
        now = self._clock.checked_now()
        with self._lock:
            limit = self._limits.get(key)
            if limit is None:
                limit = self._limits[key] = Gcra(self._rate, self._burst)
                if len(self._limits) > self._most_keys:
                    self._limits.popitem(last=False)
            else:
                self._limits.move_to_end(key)
            admitted = limit.take(now)
            return Allowance(
                admitted=admitted,
                remaining=max(0, int(limit.level(now))),
                retry_after=max(0.0, limit.seconds_until(now)),
            )

    def __repr__(self) -> str:
        return (
            f"<KeyedRateLimit {self.name}: {self._calls} calls of each key in {self._seconds:g} s, "
            f"{self._burst:g} at once, {len(self)} of {self._most_keys} keys kept>"
        )

    def policy(self) -> str:
        """Return the limit as a quota and a window in whole seconds, in the form of the `RateLimit-Policy` field."""
        return f"q={self._calls};w={ceil(self._seconds)}"
