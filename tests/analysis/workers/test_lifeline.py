"""Worker processes of a parent that is killed: none may be left, whatever state they are in."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cqox.analysis.workers.lifeline import arm
from tests.waiting import wait_until

PARENT = """
import sys, anyio
from cqox.analysis.workers import WorkerPool

async def main():
    async with WorkerPool.open(work="tests.analysis.workers.chores", size=1, spares=0) as pool:
        await pool.run("burn", {"seconds": 60}, lambda step: print(step["pid"], flush=True))

anyio.run(main, backend=sys.argv[1])
"""
FORKED = """
import sys, anyio
from cqox.analysis.workers import WorkerPool
from cqox.analysis.workers.forking import Forking

async def main():
    work = "tests.analysis.workers.chores"
    async with Forking.open(work=work, threads=1) as forking:
        async with WorkerPool.open(work=work, size=1, spares=0, start=forking.start) as pool:
            await pool.ready()
            print(forking.template_pid, flush=True)
            await pool.run("burn", {"seconds": 60}, lambda step: print(step["pid"], flush=True))

anyio.run(main, backend=sys.argv[1])
"""
STARTING = """
import anyio
from cqox.analysis.workers import WorkerPool, process

def arm(reading_end, group, really=process.arm):
    really(reading_end, group)
    print(group, flush=True)

process.arm = arm

async def main():
    async with WorkerPool.open(work="tests.analysis.workers.chores", size=4, spares=0) as pool:
        print("begun", flush=True)
        await anyio.sleep_forever()

anyio.run(main, backend="trio")
"""


@contextmanager
def parent(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with closing(process.stdout):
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def stat(pid: int) -> list[str]:
    """The fields of a process behind its name; none once it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["Z", "0"]


def children(pid: int) -> list[int]:
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [each for each in found if int(stat(each)[1]) == pid]


def wait_until_all_are_gone(pids: list[int]) -> None:
    try:
        wait_until(lambda: all(stat(pid)[0] == "Z" for pid in pids))
    finally:
        for pid in pids:
            if stat(pid)[0] != "Z":
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("state", ["computing", "stopped"])
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_worker_ends_with_its_parent(backend: str, state: str) -> None:
    with parent(PARENT, backend) as process:
        pid = int(line(process))
        if state == "stopped":
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: stat(pid)[0] == "T")
    wait_until_all_are_gone([pid])


@pytest.mark.parametrize("state", ["computing", "stopped"])
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_forked_worker_and_its_template_end_with_their_parent(backend: str, state: str) -> None:
    with parent(FORKED, backend) as process:
        pids = [int(line(process)) for _ in range(2)]
        if state == "stopped":
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
                wait_until(lambda pid=pid: stat(pid)[0] == "T")
    wait_until_all_are_gone(pids)


def test_no_worker_is_left_of_a_parent_that_is_killed_while_it_starts_them() -> None:
    seen: list[int] = []
    for attempt in range(10):
        with parent(STARTING) as process:
            assert line(process) == "begun\n"
            found: list[int] = []
            while not found:
                found = children(process.pid)
            # Later with each attempt, from before the first instruction to after the last import.
            time.sleep(0.012 * attempt)
            found = children(process.pid)
        seen += found
    wait_until_all_are_gone(seen)


def test_no_worker_is_left_that_was_stopped_as_soon_as_its_lifeline_was_armed() -> None:
    seen: list[int] = []
    for _ in range(5):
        with parent(STARTING) as process:
            assert line(process) == "begun\n"
            seen.append(int(line(process)))
            os.kill(seen[-1], signal.SIGSTOP)
    wait_until_all_are_gone(seen)


def test_a_pipe_whose_other_end_is_closed_says_so_instead_of_being_armed() -> None:
    reading_end, writing_end = os.pipe()
    os.close(writing_end)
    try:
        with pytest.raises(EOFError):
            arm(reading_end, os.getpgrp())
    finally:
        os.close(reading_end)
