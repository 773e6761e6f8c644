"""Two real processes that share a circuit over a real Redis, on asyncio and on Trio."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.servers.redis import Redis

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys, time
from contextlib import suppress

import anyio
import redis
import redis.asyncio

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitOpened, CircuitState
from cqox.resilience.adapters.redis_circuit import RedisCircuitBreaker, ThreadedRedis

backend, port, trips = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "trips"


async def main():
    if backend == "asyncio":
        client = redis.asyncio.Redis(port=port)
    else:
        client = ThreadedRedis(redis.Redis(port=port, socket_timeout=30))
    breaker = RedisCircuitBreaker(
        "engine", client, 2, 0.3, refresh=0.05, redis_timeout=30.0, probe_timeout=60.0
    )
    probes, opened, recovered = [], anyio.Event(), anyio.Event()
    breaker.subscribe(lambda event: opened.set() if isinstance(event, CircuitOpened) else None)

    async def recover():
        await anyio.to_thread.run_sync(sys.stdin.readline)
        recovered.set()

    @breaker
    async def call(fail):
        if fail:
            raise ConnectionError
        if breaker.state is CircuitState.HALF_OPEN:
            began = time.monotonic()
            await anyio.sleep(0.2)
            probes.append((began, time.monotonic()))
            if not recovered.is_set():
                raise ConnectionError

    async with breaker.shared(), anyio.create_task_group() as group:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        if trips:
            for _ in range(2):
                with suppress(ConnectionError):
                    await call(True)
        group.start_soon(recover)
        with anyio.fail_after(100):
            await opened.wait()
            print("opened", flush=True)
            while not recovered.is_set() or breaker.state is not CircuitState.CLOSED:
                with suppress(CircuitOpen, ConnectionError):
                    await call(False)
                await anyio.sleep(0.001)
        snapshot = breaker.snapshot()
        print(json.dumps([probes, snapshot.sharing, snapshot.generation]), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
    if backend == "asyncio":
        await client.aclose()


anyio.run(main, backend=backend)
"""


@pytest.mark.parametrize("backends", [("asyncio", "trio"), ("trio", "trio")], ids="-".join)
def test_two_processes_open_probe_one_at_a_time_and_close_together(server: Redis, backends: tuple[str, str]) -> None:
    with server.client() as client:
        client.flushall()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, backend, str(server.port), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for backend, role in zip(backends, ("trips", "follows"), strict=True)
    ]
    try:
        for process in processes:
            assert line(process) == "ready"
        for process in processes:
            send(process)
        for process in processes:
            assert line(process) == "opened"
        for process in processes:  # the dependency has recovered
            send(process)
        results = [json.loads(line(process)) for process in processes]
        for process in processes:
            send(process)
            assert process.wait(60) == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    probes = sorted(probe for found, _, _ in results for probe in found)
    assert len(probes) >= 1
    assert all(before[1] <= after[0] for before, after in pairwise(probes))
    assert [sharing for _, sharing, _ in results] == ["shared", "shared"]
    assert results[0][2] == results[1][2] > 0


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def send(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


FORKED = """
import os, threading

import anyio

from cqox.resilience.adapters.redis_circuit import RedisCircuitBreaker
from tests.resilience.adapters.redis_model import RedisModel

breaker = RedisCircuitBreaker("engine", RedisModel(), failure_threshold=1, recovery_timeout=0.01)


async def answer(error=None):
    if error is not None:
        raise error
    return "answer"


async def child():
    print(breaker.sharing)
    try:
        await breaker(answer)(OSError())
    except OSError:
        pass
    await anyio.sleep(0.02)
    print(await breaker(answer)())  # a probe that asks nobody
    async with breaker.shared():
        print(breaker.sharing)


def run_child():
    # The event loop of the parent is running in this thread, as far as asyncio knows.
    thread = threading.Thread(target=anyio.run, args=(child,))
    thread.start()
    thread.join()


async def main():
    async with breaker.shared():
        pid = os.fork()
        if not pid:
            run_child()
            os._exit(0)
        os.waitpid(pid, 0)
        print(breaker.sharing)


anyio.run(main)
"""


def test_a_forked_process_has_a_local_circuit_which_it_may_share_itself() -> None:
    command = [sys.executable, "-u", "-W", "ignore", "-c", FORKED]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    assert finished.stdout.split() == ["local", "answer", "shared", "shared"]
