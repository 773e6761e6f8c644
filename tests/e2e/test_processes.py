"""Real processes while something is killed, goes away, or is asked to end."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, build
from tests.waiting import wait_until

LONG = json.loads((Path(__file__).parents[2] / "examples" / "long_request.json").read_text())


def children(pid: int) -> dict[int, str]:
    """The processes that this one started and that have not ended, with their names."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, fields = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent = fields.split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(entry.name)] = name
    return found


def cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def all_computing(pid: int, count: int) -> list[int]:
    """The workers of this engine that run an analysis, waited for; their names say what they do."""

    def found() -> list[int]:
        return [child for child, name in children(pid).items() if name == "cqox:analyze"]

    return wait_until(lambda: len(workers := found()) == count and workers, failure=found)


def computing(pid: int) -> int:
    """The one worker of this engine that runs an analysis, waited for."""
    return all_computing(pid, 1)[0]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_client_that_comes_while_a_fresh_engine_starts_gets_its_answer_and_no_unknown_data_set(
    own_stack: Stack,
) -> None:
    own_stack.engine.start()
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
    while True:
        try:
            answer = httpx.post(
                f"{own_stack.engine.url}/api/analyze/comprehensive", json=body, timeout=60, trust_env=False
            )
            break
        except httpx.ConnectError:
            time.sleep(0.01)
    assert answer.status_code == 200, answer.text


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


def test_health_does_not_wait_for_two_analyses_that_compute(running: Stack) -> None:
    answers: list[httpx.Response | Exception] = []
    threads = [
        in_background(running, {**LONG, "options": {**LONG["options"], "seed": seed}}, answers) for seed in (1, 2)
    ]
    all_computing(running.engine.process.pid, 2)
    with running.client() as api:
        for _ in range(40):
            assert api.get("/health/live").status_code == 200
            assert httpx.get(f"{running.engine.url}/health/live", trust_env=False).status_code == 200
    assert answers == []
    running.engine.kill()
    for thread in threads:
        thread.join()


def wait_free(engine: int, worker: int) -> float:
    """Wait until a worker no longer computes, whether it ended or waits for the next task; how long that took."""
    began = time.monotonic()
    wait_until(lambda: children(engine).get(worker) != "cqox:analyze")
    return time.monotonic() - began


def test_a_client_gone_mid_analysis_frees_the_worker_within_a_tenth_of_a_second(running: Stack) -> None:
    host, port = "127.0.0.1", running.gateway.port
    content = json.dumps(LONG).encode()
    head = f"POST /api/analyze/comprehensive HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\n\r\n"
    taken = []
    # The machine may be busy elsewhere at one attempt, but hardly at all of them.
    while len(taken) < 10 and min(taken, default=1.0) > 0.1:
        with socket.create_connection((host, port)) as connection:
            connection.sendall(head.encode() + content)
            worker = computing(running.engine.process.pid)
        taken.append(wait_free(running.engine.process.pid, worker))
    assert min(taken) < 0.1
    assert "cqox:analyze" not in children(running.engine.process.pid).values()
    with running.client() as api:
        body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
        assert api.post("/api/analyze/comprehensive", json=body).status_code == 200


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
        wait_until(lambda worker=worker: is_gone(worker))
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


@pytest.mark.parametrize("name", ["gateway", "engine"])
def test_an_idle_kept_connection_holds_no_drain(running: Stack, name: str) -> None:
    service = running.gateway if name == "gateway" else running.engine
    taken: list[float] = []
    # The machine may be busy elsewhere at one attempt, but hardly at all of them.
    while len(taken) < 10 and min(taken, default=1.0) > 0.5:
        if taken:
            service.start()
            service.wait_ready()
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as idle:
            assert idle.get("/api/estimators").status_code == 200
            began = time.monotonic()
            assert service.stop() == 0
            taken.append(time.monotonic() - began)
    assert min(taken) <= 0.5


def test_a_drain_costs_no_cpu(running: Stack) -> None:
    gateway = running.gateway.process
    before = cpu_ticks(gateway.pid) / os.sysconf("SC_CLK_TCK")
    gateway.send_signal(signal.SIGTERM)
    _, status, used = os.wait4(gateway.pid, 0)
    gateway.returncode = os.waitstatus_to_exitcode(status)
    assert gateway.returncode == 0
    # Half a second where the interpreter looks through all its objects once more at the end.
    assert used.ru_utime + used.ru_stime - before < 0.12


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
    # The allocator of polars keeps what it has freed, so that reading this file certainly exceeds the limit.
    allocator = {"_RJEM_MALLOC_CONF": "retain:true,oversize_threshold:0,dirty_decay_ms:-1"}
    stack = build(tmp_path, CQOX_WORKER_MEMORY_BYTES=str(2**29), **allocator)
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
