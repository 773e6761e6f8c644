"""Checks of the machine: processors, memory, disks, clock."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from cqox.cli.doctor.check import Found, Status
from cqox.cli.environment import bounds_of, data_dir_of
from cqox.contract.messages import Message
from cqox.storage import LEAST_FREE_BYTES

__all__ = ["check_clock", "check_disk", "check_memory", "check_processors"]

_GIB = 2**30
_LITTLE_MEMORY_BYTES = 1 * _GIB
_LITTLE_DISK_BYTES = 2 * _GIB
_AHEAD_SECONDS = 120.0
_EARLIEST_YEAR = 2026
"""The year of this version."""

_CGROUP = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")


def check_processors(cgroup: Path = _CGROUP) -> Iterator[Found]:
    """Report how many processors an analysis may use."""
    usable, quota = os.process_cpu_count() or 1, _processor_quota(cgroup)
    data = {"usable": usable, "quota": quota}
    if quota is not None and quota < usable:
        text = Message("doctor.processors-of-quota", usable=usable, quota=quota)
        yield Found(status="warn", text=text, remedy=Message("doctor.limit-threads"), data=data)
    else:
        yield Found(status="ok", text=Message("doctor.processors", usable=usable), data=data)


def check_memory(environ: Mapping[str, str], memory: Path = _MEMORY, cgroup: Path = _CGROUP) -> Iterator[Found]:
    """Report the memory that is free, and whether it holds what a worker may use."""
    total, free = _memory(memory, cgroup)
    allowed = bounds_of(environ).worker_memory_bytes
    data = {"total_bytes": total, "free_bytes": free, "worker_memory_bytes": allowed}
    text = Message("doctor.memory", free=free / _GIB, total=total / _GIB)
    if free < _LITTLE_MEMORY_BYTES:
        yield Found(status="warn", text=text, remedy=Message("doctor.free-memory"), data=data)
    elif allowed > total:
        remedy = Message("doctor.lower-worker-memory", allowed=allowed / _GIB)
        yield Found(status="warn", text=text, remedy=remedy, data=data)
    else:
        yield Found(status="ok", text=text, data=data)


def check_disk(environ: Mapping[str, str]) -> Iterator[Found]:
    """Report the space of the data directory and of the temporary folder, and whether they can be written."""
    data_dir = data_dir_of(environ)
    yield _of_folder(data_dir, Message("doctor.data-directory"), "CQOX_DATA_DIR")
    yield _of_folder(Path(tempfile.gettempdir()), Message("doctor.temporary-folder"), "TMPDIR")


def check_clock(environ: Mapping[str, str]) -> Iterator[Found]:
    """Report the time of day, and whether stored results are of the future."""
    now = time.time()
    said = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    results = data_dir_of(environ) / "results.sqlite"
    newest = results.stat().st_mtime if results.is_file() else 0.0
    data = {"utc": said}
    if time.gmtime(now).tm_year < _EARLIEST_YEAR or newest > now + _AHEAD_SECONDS:
        yield Found(
            status="warn", text=Message("doctor.clock-behind", time=said), remedy=Message("doctor.set-clock"), data=data
        )
    else:
        yield Found(status="ok", text=Message("doctor.clock", time=said), data=data)


def _of_folder(folder: Path, what: Message, variable: str) -> Found:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    text = Message("doctor.folder", what=what, folder=str(folder), free=free / _GIB)
    data: dict[str, JsonValue] = {"folder": str(folder), "exists": folder.is_dir(), "free_bytes": free}
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        text = Message("doctor.folder-not-writable", what=what, folder=str(there))
        return Found(status="fail", text=text, remedy=Message("doctor.another-folder", variable=variable), data=data)
    if free < _LITTLE_DISK_BYTES:
        status: Status = "fail" if free < LEAST_FREE_BYTES else "warn"
        return Found(status=status, text=text, remedy=Message("doctor.free-disk", variable=variable), data=data)
    return Found(status="ok", text=text, data=data)


def _memory(memory: Path, cgroup: Path) -> tuple[int, int]:
    """Return total and free memory in bytes, within the limit of the control group."""
    try:
        lines = dict(line.split(":", 1) for line in memory.read_text(encoding="ascii").splitlines() if ":" in line)
        total, free = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        free = total
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is not None:
        total, free = min(total, limit), min(free, max(limit - (used or 0), 0))
    return total, free


def _processor_quota(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
