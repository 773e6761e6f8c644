"""How slowly a client may send the body of a request."""

from dataclasses import dataclass

__all__ = ["BodyPace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPace:
    """The bounds on how slowly a body may come.

    Attributes:
        bytes_per_second: the least on average over any window; 0 bounds the pauses alone.
        window_seconds: the window, and so the longest pause; the first one is free.
        most_seconds: how long a whole body may take.
    """

    bytes_per_second: int = 1024
    window_seconds: float = 15.0
    most_seconds: float = 3600.0

    @property
    def window_bytes(self) -> float:
        """The least that must come within a window."""
        return max(1.0, self.bytes_per_second * self.window_seconds)
