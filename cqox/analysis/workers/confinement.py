"""Confinement of a worker process before it reads untrusted data.

Called in the process itself while it has one thread: threads inherit all of it. Restrictions that the kernel or the
container does not support are skipped; the engine's log lists those in force.
"""

import ctypes
import os
import resource
import struct

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.system_calls import ARCHITECTURES, seccomp_filter
from cqox.dumps import refuse_dumps

__all__ = ["confine", "limit_cpu", "limit_memory", "show"]

_PR_SET_NAME, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 15, 22, 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION = 0x20080522
# Kept of root's capabilities: access to files of other owners, which the data sets may be.
_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3
_FILES = 512
_INSTRUCTION_BYTES = 8


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def confine(limits: ProcessLimits) -> list[str]:
    """Drop privileges that computing does not need; return the names of the restrictions in force.

    They are `no-new-privileges`, `no-network`, `no-capabilities` and `no-dumps`. A worker without network can neither
    start processes nor access others.
    """
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_NOFILE, _FILES)
    if limits.file_bytes > 0:
        _bound(resource.RLIMIT_FSIZE, limits.file_bytes)
    library = ctypes.CDLL(None, use_errno=True)
    steps = {
        "no-capabilities": _drop_capabilities,
        "no-dumps": lambda _: refuse_dumps(),
        "no-new-privileges": _refuse_privileges,
        "no-network": _filter_system_calls,
    }
    return [name for name, step in steps.items() if step(library)]


def limit_cpu(limits: ProcessLimits) -> None:
    """Set the CPU limit to the time used so far plus the CPU time of one task."""
    if limits.cpu_seconds > 0:
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_seconds
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def limit_memory(limits: ProcessLimits) -> None:
    """Limit the memory that the process may use from now on."""
    # RLIMIT_DATA counts writable memory. RLIMIT_AS would also count reserved address space, of which the JavaScript
    # engine that renders figures reserves gigabytes.
    if limits.memory_bytes <= 0:
        return
    with open("/proc/self/status", encoding="ascii") as status:
        kibibytes = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    _bound(resource.RLIMIT_DATA, kibibytes * 1024 + limits.memory_bytes)


def show(state: str) -> None:
    """Set the process title, for `ps` and `top`: it shows which worker computes and which is starting."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, f"cqox:{state}".encode(errors="replace"), 0, 0, 0)


def _bound(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    bounded = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (bounded, bounded))


def _drop_capabilities(library: ctypes.CDLL) -> bool:
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if library.capget(header, held) != 0:
        return False
    effective, permitted, *_ = struct.unpack("=6I", held.raw)
    kept = struct.pack("=6I", effective & _CAPABILITIES, permitted & _CAPABILITIES, 0, 0, 0, 0)
    return bool(library.capset(header, kept) == 0)


def _refuse_privileges(library: ctypes.CDLL) -> bool:
    return bool(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _filter_system_calls(library: ctypes.CDLL) -> bool:
    machine = os.uname().machine
    # A 32-bit Python on a 64-bit kernel uses other system call numbers.
    if machine not in ARCHITECTURES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    code = seccomp_filter(machine, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _INSTRUCTION_BYTES, ctypes.addressof(buffer))
    return bool(library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
