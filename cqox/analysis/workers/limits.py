"""How much one worker process may use."""

from dataclasses import dataclass
from typing import Self

__all__ = ["ProcessLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Bounds that the kernel holds a worker process to; 0 means that there is none.

    Attributes:
        memory_bytes: what it may use beyond its own code.
        cpu_seconds: CPU time of one task. A backstop for an engine that cannot end a task itself.
        file_bytes: the largest file that it may write.
    """

    memory_bytes: int = 0
    cpu_seconds: int = 0
    file_bytes: int = 0

    def to_argument(self) -> str:
        """Return the limits as one word of a command line."""
        return f"{self.memory_bytes},{self.cpu_seconds},{self.file_bytes}"

    @classmethod
    def from_argument(cls, word: str) -> Self:
        """Return the limits that `to_argument` wrote."""
        memory_bytes, cpu_seconds, file_bytes = (int(number) for number in word.split(","))
        return cls(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, file_bytes=file_bytes)
