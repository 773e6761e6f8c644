"""Seccomp filter that rejects the system calls which reading files and computing never need.

It needs no privilege but `no_new_privs`, and is allowed by Docker's default profile, under which a process cannot
create a network namespace. Rejected calls fail with EPERM, or with ENOSYS if the C library then falls back to an older
call; the process continues.
"""

import struct

__all__ = ["ARCHITECTURES", "seccomp_filter"]

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Supported machines, with the kernel's AUDIT_ARCH number for each."""

_ORDER = ("x86_64", "aarch64")
# System call numbers on x86_64 and on aarch64; None if the call does not exist.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Network, and every service behind a Unix socket.
    "socket": (41, 198),
    # Other processes: memory, descriptors, limits, signals.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "process_madvise": (440, 440),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    # Other programs.
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    # Namespaces and mounts.
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432),
    "open_by_handle_at": (304, 265),
    # Kernel interfaces with a large attack surface that are not needed.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
}  # fmt: skip
# io_uring creates sockets without the call above. A filter cannot read the flags of clone3; libc falls back to clone.
_ABSENT: dict[str, tuple[int, int]] = {"io_uring_setup": (425, 425), "clone3": (435, 435)}
# Allowed if the first argument is the process itself: abort() sends a signal that way.
_OWN_ONLY: dict[str, tuple[int, int]] = {"kill": (62, 129), "tgkill": (234, 131)}
_CLONE = (56, 220)
_PRLIMIT = (302, 261)
_CLONE_THREAD = 0x10000
_FIRST_X32_CALL = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in `struct seccomp_data`; low word on both machines


def seccomp_filter(machine: str, pid: int) -> bytes:
    """Return the filter as BPF instructions.

    Args:
        machine: a key of `ARCHITECTURES`, as `os.uname` calls it.
        pid: the process that may send itself signals.
    """
    column = _ORDER.index(machine)
    code = [
        *_instructions((_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, ARCHITECTURES[machine])),
        _refuse(_EPERM),
        *_instructions((_LOAD, 0, 0, _CALL), (_AT_LEAST, 0, 1, _FIRST_X32_CALL)),
        _refuse(_EPERM),
    ]
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            code += [*_instructions((_EQUAL, 0, 1, number)), _refuse(_EPERM)]
    for absent in _ABSENT.values():
        code += [*_instructions((_EQUAL, 0, 1, absent[column])), _refuse(_ENOSYS)]
    for own in _OWN_ONLY.values():
        code += _unless(own[column], (_EQUAL, 1, 0, pid))
    # Threads only, no processes.
    code += _unless(_CLONE[column], (_ANY_BIT, 1, 0, _CLONE_THREAD))
    code += [
        *_instructions(
            (_EQUAL, 0, 4, _PRLIMIT[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, pid)
        ),
        _refuse(_EPERM),
    ]
    return b"".join([*code, *_instructions((_RETURN, 0, 0, _ALLOW))])


def _unless(call: int, test: tuple[int, int, int, int]) -> list[bytes]:
    """Reject a call unless its first argument passes the test."""
    return [
        *_instructions((_EQUAL, 0, 4, call), (_LOAD, 0, 0, _FIRST_ARGUMENT), test),
        _refuse(_EPERM),
        *_instructions((_RETURN, 0, 0, _ALLOW)),
    ]


def _refuse(error: int) -> bytes:
    return struct.pack("=HBBI", _RETURN, 0, 0, _ERRNO | error)


def _instructions(*each: tuple[int, int, int, int]) -> list[bytes]:
    return [struct.pack("=HBBI", *one) for one in each]
