import struct

import pytest

from cqox.analysis.workers.system_calls import ARCHITECTURES, seccomp_filter


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_jump_of_the_filter_ends_within_it(machine: str) -> None:
    code = seccomp_filter(machine, 1234)
    instructions = list(struct.iter_unpack("=HBBI", code))
    for at, (operation, true, false, _) in enumerate(instructions):
        assert operation != 6 or (true, false) == (0, 0)
        assert at + 1 + max(true, false) < len(instructions) or operation == 6
    assert instructions[-1][0] == 6


def _outcome(code: bytes, machine: str, call: int, argument: int = 0) -> int:
    """Interpret the filter: return the verdict of the kernel on a system call."""
    seen = {0: call, 4: ARCHITECTURES[machine], 16: argument}
    instructions, at, value = list(struct.iter_unpack("=HBBI", code)), 0, 0
    while True:
        operation, true, false, operand = instructions[at]
        at += 1
        match operation:
            case 0x20:
                value = seen[operand]
            case 0x06:
                return int(operand)
            case 0x15:
                at += true if value == operand else false
            case 0x35:
                at += true if value >= operand else false
            case 0x45:
                at += true if value & operand else false


@pytest.mark.parametrize(
    ("machine", "socket", "kill", "clone", "prlimit", "read"),
    [("x86_64", 41, 62, 56, 302, 0), ("aarch64", 198, 129, 220, 261, 63)],
)
def test_the_filter_decides_as_meant_on_either_machine(
    machine: str, socket: int, kill: int, clone: int, prlimit: int, read: int
) -> None:
    code = seccomp_filter(machine, 1234)
    allowed, refused, absent = 0x7FFF0000, 0x00050001, 0x00050026
    decided = {
        (read, 0): allowed,
        (socket, 2): refused,
        (kill, 1234): allowed,
        (kill, 1): refused,
        (clone, 0x3D0F00): allowed,
        (clone, 0x1200011): refused,
        (prlimit, 0): allowed,
        (prlimit, 1234): allowed,
        (prlimit, 1): refused,
        (435, 0): absent,
        (425, 0): absent,
        (0x40000000 + 41, 2): refused,
    }
    assert {case: _outcome(code, machine, *case) for case in decided} == decided
    other = "aarch64" if machine == "x86_64" else "x86_64"
    assert _outcome(code, other, read) == refused
