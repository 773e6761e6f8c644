"""Budget for each of many keys, such as the bytes or seconds that a tenant may use in a period.

It is for what is known only once it has been used: a call may overspend, and the debt is paid first. `keyed_rate_limit`
counts calls.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import ceil, inf
from threading import Lock

from cqox.resilience.limits.keyed_rate_limit import Allowance
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.process_bound import ProcessBound
from cqox.resilience.runtime.ranges import Seconds, check_count, check_name, check_seconds
from cqox.resilience.runtime.token_bucket import TokenBucket

__all__ = ["KeyedBudget"]

_MOST_KEYS = 10_000


class KeyedBudget(ProcessBound):
    """A budget for each key: `amount` per `seconds`, refilled evenly, full at the start.

    Only the most recently used keys are kept; one that was forgotten starts with a full budget. Safe for threads.
    """

    __slots__ = ("_buckets", "_clock", "_lock", "_most_keys", "amount", "name", "seconds")

    def __init__(
        self,
        amount: int,
        seconds: Seconds,
        *,
        most_keys: int = _MOST_KEYS,
        name: str = "keyed budget",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a budget.

        Args:
            amount: what a key may use per period, at least 1.
            seconds: length of the period in seconds or as a `timedelta`, above 0.
            most_keys: keys that are kept, at least 1.
            name: its name in rejections.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.amount = check_count("amount", amount)
        self.seconds = check_seconds("seconds", seconds, zero=False)
        self._most_keys = check_count("most_keys", most_keys)
        self.name = check_name(name)
        self._clock = bind_clock(f"KeyedBudget {name!r}", clock)
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of keys that are kept."""
        return len(self._buckets)

    def check(self, key: Hashable, wanted: float = 0.0) -> Allowance:
        """Return whether a key may use `wanted` more; where it is unknown, whether anything is left.

        `retry_after` is infinite where `wanted` is above the whole budget.
        """
        now = self._clock.checked_now()
        with self._lock:
            bucket = self._bucket(key)
            left = bucket.level(now)
            return Allowance(
                admitted=left >= wanted if wanted > 0 else left > 0,
                remaining=max(0, int(left)),
                retry_after=inf if wanted > self.amount else bucket.seconds_until(now, max(wanted, 1.0)),
            )

    def spend(self, key: Hashable, used: float) -> None:
        """Take what a key has used, even where less was left."""
        now = self._clock.checked_now()
        with self._lock:
            bucket = self._bucket(key)
            # Up to the present, so that what was used does not refill from the past.
            bucket.take(now, 0.0)
            bucket.add(-used)

    def __repr__(self) -> str:
        return (
            f"<KeyedBudget {self.name}: {self.amount} of each key in {self.seconds:g} s, "
            f"{len(self)} of {self._most_keys} keys kept>"
        )

    def policy(self) -> str:
        """Return the budget and its window in whole seconds, in the form of the `RateLimit-Policy` field."""
        return f"q={self.amount};w={ceil(self.seconds)}"

    def _bucket(self, key: Hashable) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self.amount / self.seconds, float(self.amount))
            if len(self._buckets) > self._most_keys:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket
