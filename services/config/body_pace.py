"""Minimum transfer rate of request bodies."""

from dataclasses import dataclass

__all__ = ["BodyPace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPace:
    """Bounds on the transfer rate and duration of a request body.

    Attributes:
        bytes_per_second: the lowest average rate over any window; 0 bounds only the pauses.
        window_seconds: length of the window, and so the longest pause; the first window is exempt.
        most_seconds: the longest time for a complete body.
    """

    bytes_per_second: int = 1024
    window_seconds: float = 15.0
    most_seconds: float = 3600.0

    @property
    def window_bytes(self) -> float:
        """The fewest bytes that must arrive within a window."""
        return max(1.0, self.bytes_per_second * self.window_seconds)
