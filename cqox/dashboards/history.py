"""Recent samples of one process in bounded memory: every ten seconds for an hour, every two minutes for a day.

Every series of a tier shares its times, so that a value costs eight bytes. A value that is missing is NaN.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

__all__ = ["EVERY_SECONDS", "Column", "History", "Sample"]

EVERY_SECONDS = 10.0
"""Seconds between two samples."""

_TIERS = ((EVERY_SECONDS, 390), (120.0, 720))
_MOST_SERIES = 5_000

type Labels = tuple[tuple[str, str], ...]
"""Labels with their values, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series.

    Attributes:
        name: as at `/metrics`.
        labels: with their values.
        value: the value.
    """

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one series at the times of its tier; NaN where it had none.

    Attributes:
        labels: of the series.
        values: as many as there are times.
    """

    labels: Mapping[str, str]
    values: Sequence[float]


class _Tier:
    """A ring of times, and one ring of values for each series."""

    def __init__(self, every: float, size: int) -> None:
        self.every = every
        self.size = size
        self.count = 0
        self._times = array("d", [math.nan]) * size
        self._rings: dict[str, dict[Labels, array[float]]] = {}
        self._seen: dict[tuple[str, Labels], int] = {}

    @property
    def series(self) -> int:
        return len(self._seen)

    @property
    def newest(self) -> float:
        return self._times[(self.count - 1) % self.size] if self.count else -math.inf

    @property
    def oldest(self) -> float:
        return self._times[max(0, self.count - self.size) % self.size] if self.count else math.inf

    def add(self, at: float, samples: Sequence[Sample], most_series: int) -> int:
        place, lost = self.count % self.size, 0
        self._times[place] = at
        for rings in self._rings.values():
            for ring in rings.values():
                ring[place] = math.nan
        for sample in samples:
            labels = tuple(sorted(sample.labels.items()))
            rings = self._rings.setdefault(sample.name, {})
            if labels not in rings:
                if self.series >= most_series:
                    lost += 1
                    continue
                rings[labels] = array("d", [math.nan]) * self.size
            rings[labels][place] = sample.value
            self._seen[sample.name, labels] = self.count
        self.count += 1
        for name, labels in [key for key, seen in self._seen.items() if self.count - seen > self.size]:
            del self._seen[name, labels], self._rings[name][labels]
        return lost

    def order(self, start: float, end: float) -> list[int]:
        """Return the places of the times from start to end, the oldest first."""
        first = max(0, self.count - self.size)
        places = [number % self.size for number in range(first, self.count)]
        return [place for place in places if start <= self._times[place] <= end]

    def read(self, name: str, places: Sequence[int]) -> tuple[list[float], list[Column]]:
        times = [self._times[place] for place in places]
        rings = self._rings.get(name, {})
        return times, [Column(dict(labels), [ring[place] for place in places]) for labels, ring in rings.items()]


class History:
    """Samples of one process; may be used by several threads.

    Args:
        tiers: seconds between the samples of a tier and how many it keeps, the finest first.
        most_series: most series of a tier; the samples of others are counted in `lost` and not kept.

    Attributes:
        lost: samples that had no room.
    """

    def __init__(self, *, tiers: Iterable[tuple[float, int]] = _TIERS, most_series: int = _MOST_SERIES) -> None:
        self._tiers = [_Tier(every, size) for every, size in tiers]
        self._most_series = most_series
        self._lock = Lock()
        self.lost = 0

    def add(self, at: float, samples: Iterable[Sample]) -> None:
        """Add the samples of one moment.

        Args:
            at: seconds since the epoch; a time that is not after the last one, as of a clock that was set back,
                is ignored.
            samples: those that there are.
        """
        given = list(samples)
        with self._lock:
            for tier in self._tiers:
                # A coarse tier takes the first sample of its interval, however the wake-ups vary.
                if at > tier.newest and at >= tier.newest + tier.every - self._tiers[0].every / 2:
                    self.lost += tier.add(at, given, self._most_series)

    def every(self, start: float) -> float:
        """Return the seconds between the samples that `read` returns from a time on."""
        with self._lock:
            return self._tier(start).every

    def read(self, name: str, start: float, end: float) -> tuple[list[float], list[Column]]:
        """Return the times from start to end, and the series of a name at these times.

        Args:
            name: as at `/metrics`.
            start: seconds since the epoch; the finest tier that has it answers, or the one with the oldest samples.
            end: seconds since the epoch.
        """
        with self._lock:
            tier = self._tier(start)
            return tier.read(name, tier.order(start, end))

    def _tier(self, start: float) -> _Tier:
        oldest = min(tier.oldest for tier in self._tiers)
        return next((tier for tier in self._tiers if tier.oldest <= max(start, oldest)), self._tiers[-1])
