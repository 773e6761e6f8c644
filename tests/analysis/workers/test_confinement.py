"""Permissions that real worker processes still have."""

import logging
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from cqox.analysis.workers import ProcessLimits, WorkerPool
from cqox.analysis.workers.environment import worker_environment
from cqox.analysis.workers.system_calls import ARCHITECTURES, seccomp_filter
from cqox.errors import LimitExceeded
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio
CHORES = "tests.analysis.workers.chores"
SECRETS = {
    "POSTGRES_URL": "postgresql://cqox:planted@db/x",
    "REDIS_URL": "redis://:planted@cache:6379/0",
    "CQOX_ADMIN_TOKEN": "planted",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "PGPASSFILE": "/planted",
    "HTTPS_PROXY": "http://user:planted@proxy",
    "SOME_NAME": "planted",
}


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    held = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            async with WorkerPool.open(work=CHORES, size=1, spares=0) as opened:
                yield opened
    finally:
        os.close(held)


async def test_a_worker_has_no_secret_in_its_environment_and_no_file_of_the_engine(pool: WorkerPool) -> None:
    looked = (await pool.run("look", {})).body
    environment, files = looked["environment"], looked["files"]
    assert isinstance(environment, dict)
    assert isinstance(files, list)
    assert "planted" not in str(environment)
    assert {"PATH", "PYTHONPATH"} & os.environ.keys() <= environment.keys()
    assert environment["OMP_NUM_THREADS"] == "1"
    # Its input, output and error; the pipe that ends it with its parent; the socket to its parent.
    assert len(files) <= 5, files
    assert __file__ not in files


@pytest.mark.parametrize(
    "what",
    [
        "internet", "internet-6", "unix", "netlink", "signal", "signal-group", "pidfd", "limits", "fork", "spawn",
        "exec", "environ", "memory", "unshare",
    ],
)  # fmt: skip
async def test_a_worker_reaches_neither_the_network_nor_another_process(what: str, pool: WorkerPool) -> None:
    assert (await pool.run("try", {"what": what})).body["error"] == "PermissionError"
    assert (await pool.run("echo", {"number": 1})).body["number"] == 1


async def test_the_log_says_once_what_is_in_force(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cqox.analysis.workers"), anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work=CHORES, size=2, spares=0) as pool:
            while pool.idle < 2:
                await anyio.sleep(0.01)
    assert [message for message in caplog.messages if "confined" in message] == [
        "Worker processes are confined: no-capabilities, no-dumps, no-new-privileges, no-network."
    ]


async def test_where_there_is_no_filter_the_log_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    # Read by every Python at its start: this one finds itself on a machine of another kind.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nreal = os.uname()\nos.uname = lambda: type(real)((*real[:4], 'riscv64'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    with anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work=CHORES, size=1, spares=0) as pool:
            assert (await pool.run("echo", {"number": 1})).body["number"] == 1
    assert "not isolated from the network" in caplog.text


async def test_a_task_that_uses_all_its_cpu_time_is_ended_by_the_kernel_and_another_is_not() -> None:
    with anyio.fail_after(120):
        async with WorkerPool.open(work=CHORES, size=1, spares=0, limits=ProcessLimits(cpu_seconds=1)) as pool:
            pids = {(await pool.run("burn", {"seconds": 0.7})).body["pid"] for _ in range(4)}
            assert len(pids) == 1
            with pytest.raises(LimitExceeded, match="exceeded the CPU time limit"):
                await pool.run("burn", {"seconds": 60})


async def test_a_file_beyond_the_bound_is_refused_and_the_process_lives(tmp_path: Path) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work=CHORES, size=1, spares=0, limits=ProcessLimits(file_bytes=2**20)) as pool:
            await pool.run("write", {"path": str(tmp_path / "small"), "bytes": 2**20})
            with pytest.raises(LimitExceeded, match="exceeded the size limit"):
                await pool.run("write", {"path": str(tmp_path / "large"), "bytes": 2**20 + 1})
            assert pool.restarts == 0


def test_the_environment_keeps_what_numerics_and_the_interpreter_need() -> None:
    kept = {"PATH": "/bin", "PYTHONPATH": "/code", "OPENBLAS_CORETYPE": "Haswell", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    made = worker_environment({**kept, **SECRETS, "OMP_NUM_THREADS": "8", "OTEL_EXPORTER": "x"}, threads=3)
    fixed = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "3", "PYTHONUNBUFFERED": "1"}
    assert made == {**kept, **fixed}


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
