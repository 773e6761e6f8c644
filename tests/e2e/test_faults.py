"""Answers while something breaks: nothing lost, nothing wrong, in bounded time."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.e2e.peers import Behaviour, answers, answers_half, never_answers, peer, slow_way_to
from tests.e2e.stack import Service, Stack, build, running_stack
from tests.e2e.test_processes import all_computing, computing, in_background, is_gone
from tests.servers.ports import free_port
from tests.waiting import wait_until

ANALYZE = "/api/analyze/comprehensive"


def asking(seed: int, repetitions: int = 1) -> dict[str, object]:
    """An analysis that no other seed shares; 1,000 repetitions compute for about half a second."""
    return {
        "dataset_id": "test",
        "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]},
        "options": {"seed": seed, "repetitions": repetitions, "estimators": ["dml_irm_ate"], "primary": "dml_irm_ate"},
    }


LONG = 3_000
HEALTH_SECONDS = 5.0
# To make one takes each client longer than what it asks takes the service.
CERTIFICATES = ssl.create_default_context()


def ask(url: str, seed: int, repetitions: int = 1, timeout: float = 150, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    body = asking(seed, repetitions)
    return httpx.post(url + ANALYZE, json=body, headers=fields, timeout=timeout, trust_env=False, verify=CERTIFICATES)


def all_at_once(count: int, call: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(call, range(count)))


def can_be_read_back(url: str, answer: httpx.Response) -> bool:
    report = answer.json()
    again = httpx.get(f"{url}/api/analyses/{report['analysis_id']}", timeout=30, trust_env=False).json()
    return report["provenance"]["stored"] and again["estimates"] == report["estimates"]


def count_stored(url: str) -> int:
    return len(httpx.get(f"{url}/api/analyses?limit=200", timeout=30, trust_env=False).json()["analyses"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """For tests that leave both services as they found them; each takes seeds of its own."""
    # However slow the machine is, a request with a place in the queue also has the time to compute.
    with running_stack(tmp_path_factory.mktemp("faults"), CQOX_ANALYSIS_SECONDS="1200") as made:
        yield made


@pytest.fixture
def running(own_stack: Stack) -> Stack:
    return started(own_stack)


def started(stack: Stack) -> Stack:
    stack.engine.start()
    stack.gateway.start()
    stack.engine.wait_ready()
    stack.gateway.wait_ready()
    return stack


def test_an_engine_that_is_killed_and_comes_back_costs_the_client_only_time(running: Stack) -> None:
    got: list[httpx.Response | Exception] = []
    asked = in_background(running, asking(1, LONG), got)
    computing(running.engine.process.pid)
    running.engine.kill()
    running.engine.start()
    asked.join()
    assert isinstance(got[0], httpx.Response)
    assert got[0].status_code == 200
    assert can_be_read_back(running.gateway.url, got[0])
    assert count_stored(running.gateway.url) == 1


def test_an_engine_that_is_stopped_fails_its_attempts_and_is_used_again_once_it_goes_on(running: Stack) -> None:
    got: list[httpx.Response | Exception] = []
    asked = in_background(running, asking(1, LONG), got)
    computing(running.engine.process.pid)
    running.engine.process.send_signal(signal.SIGSTOP)
    try:
        assert httpx.get(f"{running.gateway.url}/health/live", trust_env=False).status_code == 200
        short = ask(running.gateway.url, 2, X_Request_Timeout_Ms="1500")
        assert short.status_code == 504
        wait_until(lambda: "stopped responding" in running.gateway.log)
    finally:
        running.engine.process.send_signal(signal.SIGCONT)
    asked.join()
    assert isinstance(got[0], httpx.Response)
    assert got[0].status_code == 200
    assert can_be_read_back(running.gateway.url, got[0])


def test_a_worker_that_is_killed_while_it_computes_costs_the_client_only_time(shared: Stack) -> None:
    got: list[httpx.Response | Exception] = []
    before = len(shared.gateway.log)
    asked = in_background(shared, asking(300, LONG), got)
    os.kill(computing(shared.engine.process.pid), signal.SIGKILL)
    asked.join()
    assert isinstance(got[0], httpx.Response)
    assert got[0].status_code == 200
    assert "[Retry]" not in shared.gateway.log[before:]
    assert can_be_read_back(shared.gateway.url, got[0])


def test_a_request_that_kills_its_worker_twice_is_refused_from_then_on(shared: Stack) -> None:
    got: list[httpx.Response | Exception] = []
    asked = in_background(shared, asking(310, LONG), got)
    for _ in range(2):
        worker = computing(shared.engine.process.pid)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda worker=worker: is_gone(worker))
    asked.join()
    assert isinstance(got[0], httpx.Response)
    assert (got[0].status_code, got[0].json()["type"]) == (422, "unusable-data")
    # Without another try: a computation that is begun would be another worker lost or answered.
    assert ask(shared.gateway.url, 310, LONG).status_code == 422
    assert ask(shared.gateway.url, 311).status_code == 200


def test_two_hundred_at_once_are_answered_or_refused_early_and_harm_nothing(shared: Stack) -> None:
    url = shared.gateway.url
    done = threading.Event()

    def watch_health() -> list[int]:
        statuses = []
        with shared.client(HEALTH_SECONDS) as client:
            while not done.wait(0.1):
                statuses.append(client.get("/health/live").status_code)
        return statuses

    before = count_stored(url)
    with ThreadPoolExecutor(1) as watching:
        health = watching.submit(watch_health)
        try:
            # Every request comes twice: one computation and one stored result for both.
            got = all_at_once(200, lambda number: ask(url, 400 + number // 2, 20))
        finally:
            done.set()
        assert set(health.result()) == {200}
    good = [answer for answer in got if answer.status_code == 200]
    refused = [answer for answer in got if answer.status_code == 429]
    assert len(good) + len(refused) == 200
    assert len(good) >= 66
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert count_stored(url) - before == len({answer.json()["analysis_id"] for answer in good})
    assert all(can_be_read_back(url, answer) for answer in good[::10])
    assert "opened" not in shared.gateway.log


def test_fifty_requests_in_flight_finish_after_the_signal(own_stack: Stack) -> None:
    # What is shown is that they finish, not how fast this machine computes them.
    own_stack.gateway.environment["CQOX_DRAIN_SECONDS"] = "120"
    running = started(own_stack)
    url, threads = running.gateway.url, ThreadPoolExecutor(50)

    def in_flight() -> int:
        return int(httpx.get(f"{url}/api/health", trust_env=False).json()["in_flight"])

    # The two that compute are held, so that nobody is answered before all have come.
    asked = [threads.submit(ask, url, seed, LONG) for seed in range(2)]
    held = all_computing(running.engine.process.pid, 2)
    for worker in held:
        os.kill(worker, signal.SIGSTOP)
    asked += [threads.submit(ask, url, seed) for seed in range(2, 50)]
    wait_until(lambda: in_flight() == 50)
    running.gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Waiting for in-flight requests" in running.gateway.log)
    for worker in held:
        os.kill(worker, signal.SIGCONT)
    assert running.gateway.process.wait(140) == 0
    got = [each.result() for each in asked]
    threads.shutdown()
    assert [answer.status_code for answer in got] == [200] * 50
    assert all(can_be_read_back(running.engine.url, answer) for answer in got[::10])


def test_clients_with_too_little_patience_open_no_circuit(shared: Stack) -> None:
    for number in range(7):
        answer = ask(shared.gateway.url, 340 + number, 50_000, X_Request_Timeout_Ms="600")
        assert (answer.status_code, answer.json()["type"]) == (504, "deadline-exceeded")
    assert ask(shared.gateway.url, 347).status_code == 200
    assert "opened" not in shared.gateway.log


def test_a_client_that_goes_away_in_mid_upload_leaves_nothing_behind(shared: Stack) -> None:
    with socket.create_connection(("127.0.0.1", shared.gateway.port)) as connection:
        head = "POST /api/datasets?name=a.csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
        connection.sendall(head.encode() + b"y,w\n" + b"1.5,0\n" * 300_000)
        wait_until(lambda: temp_files(shared))
    wait_until(lambda: not temp_files(shared))
    assert ask(shared.gateway.url, 320).status_code == 200
    assert "opened" not in shared.gateway.log


def temp_files(stack: Stack) -> list[Path]:
    return [path for path in (stack.engine.log_path.parent / "data" / "uploads").rglob("*") if path.is_file()]


def test_a_client_that_half_closes_is_answered_or_cut_and_holds_nothing(shared: Stack) -> None:
    content = json.dumps(asking(330, 1000)).encode()
    head = f"POST {ANALYZE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.gateway.port), timeout=30) as connection:
        connection.sendall(head.encode() + content)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while data := connection.recv(65536):
            got += data
    # Interim responses come first: only sending distinguishes this client from one that has left.
    assert got == b"" or b"HTTP/1.1 200" in got
    for url in (shared.gateway.url, shared.engine.url):
        wait_until(lambda url=url: httpx.get(f"{url}/api/health", trust_env=False).json()["in_flight"] == 0)
    assert ask(shared.gateway.url, 331).status_code == 200


def libfaketime() -> str:
    """The library for programs with threads, as the command that comes with it would load it."""
    if shutil.which("faketime") is None:
        pytest.skip("there is no faketime on the PATH: the clock of a process cannot be set back")
    command = ["faketime", "-m", "now", "printenv", "LD_PRELOAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_clock_that_is_set_back_changes_no_deadline_and_no_circuit(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": libfaketime(), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1"}
    stack = build(tmp_path, **faked, NO_FAKE_STAT="1", FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
    try:
        stack.engine.start()
        stack.gateway.start()
        stack.engine.wait_ready()
        stack.gateway.wait_ready()
        first = ask(stack.gateway.url, 1)
        clock.write_text("-3600")
        # It is looked at once a second.
        time.sleep(1.5)
        again = ask(stack.gateway.url, 1)
        assert (first.status_code, again.status_code) == (200, 200)
        assert again.json()["estimates"] == first.json()["estimates"]
        began = time.monotonic()
        # A deadline on the clock that was set back would be an hour later, and no request has more than two minutes.
        late = ask(stack.gateway.url, 2, 50_000, timeout=60, X_Request_Timeout_Ms="1500")
        assert (late.status_code, time.monotonic() - began > 1.4) == (504, True)
        assert ask(stack.gateway.url, 3).status_code == 200
        stamps = re.findall(r'"timestamp": "([^"]+)"', stack.gateway.log)
        assert stamps != sorted(stamps), "the clock was not set back"
        assert stack.gateway.stop() == 0
    finally:
        stack.gateway.kill()
        stack.engine.kill()


class Fleet:
    """Two good engines on one data directory, and gateways in front of them and of a bad one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        first = build(folder, CQOX_CONCURRENT_ANALYSES="1")
        port = free_port()
        second = replace(
            first.engine,
            port=port,
            environment={**first.engine.environment, "CQOX_ENGINE_PORT": str(port)},
            log_path=folder / "engine2.log",
        )
        self.engines = [first.engine, second]
        self._gateway = first.gateway

    def start(self) -> None:
        for engine in self.engines:
            engine.start()
            engine.wait_ready()

    def gateway(self, bad: str) -> Service:
        port = free_port()
        urls = ",".join([bad, *(engine.url for engine in self.engines)])
        variables = {**self._gateway.environment, "CQOX_GATEWAY_PORT": str(port), "ENGINE_URL": urls}
        made = replace(self._gateway, port=port, environment=variables, log_path=self.folder / f"gateway-{port}.log")
        made.start()
        made.wait_ready()
        return made


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    made.start()
    try:
        yield made
    finally:
        for engine in made.engines:
            engine.kill()


BAD: dict[str, Behaviour | None] = {
    "refuses": None,
    "never answers": never_answers,
    "answers half": answers_half,
    "answers 500": answers(500),
    "answers 503": answers(503),
}


@pytest.mark.parametrize("how", [*BAD, "is slow"])
def test_one_bad_engine_of_three_costs_no_client_an_error(fleet: Fleet, how: str) -> None:
    behaviour = slow_way_to(fleet.engines[0].port, 0.3) if how == "is slow" else BAD[how]
    with peer(behaviour) as bad:
        gateway = fleet.gateway(bad)
        try:
            first = len(BAD) * 1000 + [*BAD, "is slow"].index(how) * 100
            got = all_at_once(12, lambda number: ask(gateway.url, first + number))
            got += [ask(gateway.url, first + 20 + number) for number in range(6)]
            assert [answer.status_code for answer in got] == [200] * 18
            assert all(can_be_read_back(gateway.url, answer) for answer in got[::6])
            listing = httpx.get(f"{gateway.url}/api/datasets", timeout=60, trust_env=False)
            assert listing.status_code == 200
            assert "circuit _call" not in gateway.log
        finally:
            gateway.kill()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_an_engine_of_three_that_is_lost_while_it_computes_costs_no_client_an_error(
    fleet: Fleet, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    third = replace(
        fleet.engines[0],
        port=port,
        environment={**fleet.engines[0].environment, "CQOX_ENGINE_PORT": str(port)},
        log_path=tmp_path / "engine3.log",
    )
    third.start()
    third.wait_ready()
    gateway = fleet.gateway(third.url)
    try:
        first = 10_000 + 100 * number
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(ask, gateway.url, first + seed, 2000) for seed in range(3)]
            computing(third.process.pid)
            third.process.send_signal(number)
            got = [each.result() for each in asked]
        assert [answer.status_code for answer in got] == [200] * 3
        assert all(can_be_read_back(gateway.url, answer) for answer in got)
    finally:
        gateway.kill()
        third.process.send_signal(signal.SIGCONT)
        third.kill()
