"""What real processes do when something is killed, goes away, or is asked to end."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Stack, build

LONG = json.loads((Path(__file__).parents[2] / "examples" / "long_request.json").read_text())


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def computing(pid: int) -> int:
    """The worker of this engine that computes, waited for; a busy machine leaves it little of a CPU."""
    end, busy = time.monotonic() + 20, 0
    while time.monotonic() < end:
        before = {child: cpu_ticks(child) for child in children(pid)}
        time.sleep(0.1)
        used = {child: cpu_ticks(child) - ticks for child, ticks in before.items()}
        found = max(used, key=used.__getitem__, default=0)
        if found and found == busy and used[found] >= 2:
            return found
        busy = found if found and used[found] >= 2 else 0
    raise AssertionError("no worker computes")


def wait_gone(pid: int, seconds: float) -> float:
    began = time.monotonic()
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]:
        assert time.monotonic() - began < seconds, f"{pid} is still there after {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
def running(own_stack: Stack) -> Stack:
    own_stack.engine.start()
    own_stack.gateway.start()
    own_stack.engine.wait_ready()
    own_stack.gateway.wait_ready()
    return own_stack


def in_background(stack: Stack, body: dict[str, object], answers: list[httpx.Response | Exception]) -> threading.Thread:
    def ask() -> None:
        try:
            answers.append(
                httpx.post(f"{stack.gateway.url}/api/analyze/comprehensive", json=body, timeout=90, trust_env=False)
            )
        except httpx.TransportError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_health_stays_fast_while_two_analyses_compute(running: Stack) -> None:
    answers: list[httpx.Response | Exception] = []
    threads = [
        in_background(running, {**LONG, "options": {**LONG["options"], "seed": seed}}, answers) for seed in (1, 2)
    ]
    computing(running.engine.process.pid)
    with running.client() as api:
        slowest = 0.0
        for _ in range(40):
            began = time.monotonic()
            assert api.get("/health/live").status_code == 200
            assert httpx.get(f"{running.engine.url}/health/live", trust_env=False).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    running.engine.kill()
    for thread in threads:
        thread.join()
    assert slowest < 2.0


def test_a_client_that_goes_away_frees_the_cpu(running: Stack) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{running.gateway.url}/api/analyze/comprehensive", json=LONG, timeout=1.5, trust_env=False)
    # The worker that computed is gone, and what is left idles.
    time.sleep(1.5)
    before = {child: cpu_ticks(child) for child in children(running.engine.process.pid)}
    time.sleep(1.0)
    assert all(cpu_ticks(child) - ticks < 20 for child, ticks in before.items())
    with running.client() as api:
        body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
        assert api.post("/api/analyze/comprehensive", json=body).status_code == 200


def test_a_client_gone_mid_analysis_kills_the_worker_within_a_tenth_of_a_second(running: Stack) -> None:
    host, port = "127.0.0.1", running.gateway.port
    content = json.dumps(LONG).encode()
    head = f"POST /api/analyze/comprehensive HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((host, port)) as connection:
        connection.sendall(head.encode() + content)
        worker = computing(running.engine.process.pid)
    assert wait_gone(worker, 2.0) < 0.1


def test_a_worker_that_is_killed_harms_nobody_else(running: Stack) -> None:
    answers: list[httpx.Response | Exception] = []
    thread = in_background(running, LONG, answers)
    os.kill(computing(running.engine.process.pid), signal.SIGKILL)
    with running.client() as api:
        body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
        assert api.post("/api/analyze/comprehensive", json=body).status_code == 200
    running.engine.kill()
    thread.join()


def test_workers_end_with_a_killed_engine(running: Stack) -> None:
    answers: list[httpx.Response | Exception] = []
    thread = in_background(running, LONG, answers)
    computing(running.engine.process.pid)
    workers = children(running.engine.process.pid)
    assert workers
    running.engine.kill()
    for worker in workers:
        wait_gone(worker, 2.0)
    thread.join()


def test_an_analysis_in_flight_is_finished_when_both_are_asked_to_end(running: Stack) -> None:
    answers: list[httpx.Response | Exception] = []
    body = {**LONG, "options": {**LONG["options"], "repetitions": max(1, LONG["options"]["repetitions"] // 10)}}
    thread = in_background(running, body, answers)
    computing(running.engine.process.pid)
    running.gateway.process.send_signal(signal.SIGTERM)
    assert running.gateway.process.wait(60) == 0
    thread.join()
    assert isinstance(answers[0], httpx.Response)
    assert answers[0].status_code == 200
    assert running.engine.stop() == 0
    log = running.gateway.log
    places = [
        log.index(f"[Gateway] {words}")
        for words in (
            "Received signal SIGTERM, initiating shutdown...",
            "Stopped accepting new requests",
            "Waiting for in-flight requests...",
            "Shutting down gracefully...",
        )
    ]
    assert places == sorted(places)


def test_results_outlive_a_killed_engine(running: Stack) -> None:
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
    with running.client() as api:
        first = api.post("/api/analyze/comprehensive", json=body).json()
    running.engine.kill()
    running.engine.start()
    running.engine.wait_ready()
    with running.client() as api:
        again = api.get(f"/api/analyses/{first['analysis_id']}").json()
    assert again["estimates"] == first["estimates"]


def test_a_worker_out_of_memory_is_a_413_that_names_the_setting_and_harms_nobody(tmp_path: Path) -> None:
    stack = build(tmp_path, CQOX_WORKER_MEMORY_BYTES=str(2**29))
    stack.engine.start()
    try:
        stack.engine.wait_ready()
        head = b"y,w," + b",".join(b"c%d" % number for number in range(60)) + b"\n"
        line = b"1.5,0," + b",".join(b"%d.125" % number for number in range(60)) + b"\n"
        url = f"{stack.engine.url}/api/datasets?name=wide.csv"
        answer = httpx.post(url, content=head + line * 700_000, trust_env=False, timeout=100)
        assert answer.status_code == 413, answer.text
        assert "CQOX_WORKER_MEMORY_BYTES" in answer.json()["detail"]
        body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
        answer = httpx.post(f"{stack.engine.url}/api/analyze/comprehensive", json=body, trust_env=False, timeout=60)
        assert answer.status_code == 200
    finally:
        stack.engine.kill()
