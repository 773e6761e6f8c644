"""Counts of calls that outlive the part which counted them, so that a counter never falls when a key is forgotten."""

from collections.abc import Mapping
from typing import Protocol

__all__ = ["AdmissionTally", "BudgetTally", "Tallied", "Tally"]


class Tally(Protocol):
    """Calls by outcome since the start."""

    def counts(self) -> Mapping[str, int]:
        """Return the number of calls by outcome."""
        ...


class Tallied(Protocol):
    """A part or a budget."""

    def tally(self) -> Tally | None:
        """Return what counts its calls, None where nothing does."""
        ...


class AdmissionTally:
    """Calls that asked a limit for admission; the limit guards it by its lock.

    Attributes:
        admitted: admitted calls.
        rejected: rejected calls.
        abandoned: calls that left while they waited.
    """

    __slots__ = ("abandoned", "admitted", "rejected")

    def __init__(self, *, admitted: int = 0, rejected: int = 0, abandoned: int = 0) -> None:
        self.admitted = admitted
        self.rejected = rejected
        self.abandoned = abandoned

    def counts(self) -> Mapping[str, int]:
        """See `Tally.counts`."""
        return {"admitted": self.admitted, "rejected": self.rejected, "abandoned": self.abandoned}


class BudgetTally:
    """Retries that a budget was asked for; the budget guards it by its lock.

    Attributes:
        granted: retries granted.
        refused: retries refused.
    """

    __slots__ = ("granted", "refused")

    def __init__(self, *, granted: int = 0, refused: int = 0) -> None:
        self.granted = granted
        self.refused = refused

    def counts(self) -> Mapping[str, int]:
        """See `Tally.counts`."""
        return {"granted": self.granted, "refused": self.refused}
