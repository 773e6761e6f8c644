"""CPU time and memory of this process and of those that it started; nothing but the standard library is imported."""

import resource
from pathlib import Path

__all__ = ["cpu_seconds", "peak_mib"]

_TICKS = 100


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the living ones that it started, in seconds."""
    own = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    return own + sum(sum(map(int, _stat(child)[11:13])) / _TICKS for child in _children("self"))


def peak_mib() -> float:
    """Return the sum of the peaks of memory of this process and of the living ones that it started."""
    return sum(_high_water_kib(process) for process in ("self", *_children("self"))) / 1024


def _high_water_kib(process: str) -> int:
    # Not ru_maxrss: that begins with what the process held that started this one.
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def _stat(process: str) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _children(process: str) -> list[str]:
    """Return all processes that this one started and that are alive, those of its children too."""
    found: list[str] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [child, *_children(child)]
    return found
