"""The faults of a run: a list that the seed draws before it begins, so that single ones can be left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that breaks at one time, and is well again later.

    Attributes:
        number: its place in the list of the seed; it stays when others are left out.
        kind: what breaks.
        at: when, in seconds from the start.
        seconds: for how long; 0 for what happens once.
        target: the process, link or store; empty where the kind has one alone.
        parameters: how badly.
    """

    number: int
    kind: str
    at: float
    seconds: float = 0.0
    target: str = ""
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def until(self) -> float:
        """The time from which it is well again, in seconds from the start."""
        return self.at + self.seconds

    def __str__(self) -> str:
        whose = f" of {self.target}" if self.target else ""
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        how = [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.parameters.items()
        ]
        return " ".join([f"fault {self.number}: {self.kind}{whose} at {self.at:.1f} s{lasting}", *how])
