"""Resource limits of one worker process."""

from dataclasses import dataclass
from typing import Self

__all__ = ["ProcessLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits of a worker process, of the kernel and of the engine; 0 for none.

    Attributes:
        memory_bytes: memory in addition to its own code.
        cpu_seconds: CPU time of one task. A backstop for an engine that cannot end a task itself.
        file_bytes: maximum size of a file that it writes.
        still_seconds: time after which the engine ends a process whose task does nothing, see
            `cqox.analysis.workers.stillness`.
    """

    memory_bytes: int = 0
    cpu_seconds: int = 0
    file_bytes: int = 0
    still_seconds: int = 60

    def to_argument(self) -> str:
        """Serialise the limits as one command-line argument."""
        return f"{self.memory_bytes},{self.cpu_seconds},{self.file_bytes},{self.still_seconds}"

    @classmethod
    def from_argument(cls, word: str) -> Self:
        """Parse the limits from an argument of `to_argument`."""
        memory_bytes, cpu_seconds, file_bytes, still_seconds = (int(number) for number in word.split(","))
        return cls(
            memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, file_bytes=file_bytes, still_seconds=still_seconds
        )
