"""Criticality of a call: under overload the least critical calls are shed first.

Shedding is implemented in `limits`, the header field in `propagation.http`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

from cqox.tasks import bind_to_group

__all__ = ["Criticality", "criticality", "current_criticality"]


class Criticality(IntEnum):
    """Criticality levels, ordered from the first to be shed to never shed."""

    SHEDDABLE = 0
    """Optional work that no user notices: prefetching, a batch that runs again tomorrow."""
    SHEDDABLE_PLUS = 1
    """A user notices, but can wait."""
    CRITICAL = 2
    """A user waits for it; the default."""
    CRITICAL_PLUS = 3
    """More important than other user-facing requests."""
    PROBE = 4
    """A health probe. Never shed; no client can claim it."""

    @property
    def label(self) -> str:
        """The level as in the header field, such as `sheddable-plus`."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> "Criticality | None":
        """Return the level with that label, in any case; None for `probe` and unknown labels."""
        level = _BY_LABEL.get(label.strip().lower().replace("_", "-"))
        return None if level is cls.PROBE else level


_BY_LABEL = {level.label: level for level in Criticality}

_current: ContextVar[Criticality] = bind_to_group(
    ContextVar("cqox_criticality", default=Criticality.CRITICAL), Criticality.CRITICAL
)


def current_criticality() -> Criticality:
    """Return the level in force here, `CRITICAL` by default."""
    return _current.get()


@contextmanager
def criticality(level: Criticality) -> Generator[None]:
    """Set `level` inside the block, in async and sync code, and in tasks of groups opened inside it.

    Raises:
        ValueError: `level` is not a `Criticality`.
    """
    token = _current.set(_checked(level))
    try:
        yield
    finally:
        _current.reset(token)


def _checked(level: object) -> Criticality:
    if not isinstance(level, Criticality):
        levels = ", ".join(known.name for known in Criticality)
        raise ValueError(f"level must be one of Criticality, {levels}, not {level!r}")
    return level
