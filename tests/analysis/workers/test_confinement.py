"""Permissions that real worker processes still have."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest

from cqox.analysis.workers import ProcessLimits, WorkerPool
from cqox.analysis.workers.forking import Forking
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


@pytest.fixture(params=["started", "forked"])
async def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    held = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        forks = request.param == "forked"
        with anyio.fail_after(PATIENCE_SECONDS):
            async with Forking.open(work=CHORES, threads=1) if forks else nullcontext() as forking:
                start = None if forking is None else forking.start
                async with WorkerPool.open(work=CHORES, size=1, spares=0, start=start) as opened:
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
