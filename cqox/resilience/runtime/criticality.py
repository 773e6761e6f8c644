"""How much a call matters, so that the least critical goes first when there is too much to do.

What lives here: the levels, and the level in force. What does not: the shedding (`shed`, `bulkhead`) and the header
(`http`).
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

from cqox.tasks import bind_to_group

__all__ = ["Criticality", "criticality", "current_criticality"]


class Criticality(IntEnum):
    """Levels from what goes first to what never goes; their order is the order of their numbers."""

    SHEDDABLE = 0
    """Nobody notices if it is gone: prefetching, a batch that runs again tomorrow."""
    SHEDDABLE_PLUS = 1
    """Somebody notices, and can wait."""
    CRITICAL = 2
    """A person waits for it. What says nothing is this."""
    CRITICAL_PLUS = 3
    """More depends on it than on other requests."""
    PROBE = 4
    """Asks whether the process is alive. Never shed; no client can claim it."""

    @property
    def label(self) -> str:
        """The level as the header spells it, such as `sheddable-plus`."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> "Criticality | None":
        """The level of that spelling, in any case; None where there is none, and for `probe`."""
        level = _BY_LABEL.get(label.strip().lower().replace("_", "-"))
        return None if level is cls.PROBE else level


_BY_LABEL = {level.label: level for level in Criticality}

_current: ContextVar[Criticality] = bind_to_group(
    ContextVar("cqox_criticality", default=Criticality.CRITICAL), Criticality.CRITICAL
)


def current_criticality() -> Criticality:
    """The level in force here, `CRITICAL` where none was set."""
    return _current.get()


@contextmanager
def criticality(level: Criticality) -> Generator[None]:
    """Put `level` in force inside the block, in async and sync code alike, and for tasks of groups opened inside it.

    Raises:
        ValueError: `level` is none.
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
