"""The verifications of the owner's document, word for word but for the port; the third is in the tests of tracing."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, build
from tests.e2e.test_processes import computing
from tests.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"

BREAKER = """curl -X POST http://localhost:8082/api/analyze/comprehensive \
-H "Content-Type: application/json" \
-d '{"dataset_id":"test","mapping":{"y":"y","treatment":"w","unit_id":"id"}}'"""

FROM_FILE = """curl -X POST http://localhost:8082/api/analyze/comprehensive \
-H "Content-Type: application/json" -d @{file}"""

RETRYING = r"\[Retry\] Attempt {number}/3 failed: [^\n]*[^.]\. Retrying in \d+\.\d\ds\.\.\."


@dataclass(frozen=True, slots=True)
class Answer:
    """The response that curl received."""

    status: int
    seconds: float
    headers: str
    body: str


def run(command: str, stack: Stack) -> Answer:
    """The command as it is written, against the gateway of this stack."""
    written = command.replace("localhost:8082", f"localhost:{stack.gateway.port}")
    format = r"\n%{http_code} %{time_total}"
    done = subprocess.run(
        [*shlex.split(written), "-s", "-i", "-w", format], cwd=EXAMPLES, capture_output=True, text=True, check=True
    )
    answer, _, written_out = done.stdout.rpartition("\n")
    headers, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    status, seconds = written_out.split()
    return Answer(int(status), float(seconds), headers.lower(), body)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    # Both are longer than the defaults because a busy machine takes longer over the long request.
    made = build(tmp_path, CQOX_DRAIN_SECONDS="300", CQOX_ANALYSIS_SECONDS="300", CQOX_ADMIN_TOKEN="steer")
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.kill()
        made.engine.kill()


def drained(log: str, title: str) -> bool:
    places = [
        log.index(f"[{title}] {words}")
        for words in (
            "Received signal SIGTERM, initiating shutdown...",
            "Stopped accepting new requests",
            "Waiting for in-flight requests...",
            "Shutting down gracefully...",
        )
    ]
    return places == sorted(places)


def test_the_breaker_opens_at_the_fifth_failed_request_and_closes_by_itself(stack: Stack) -> None:
    assert run(BREAKER, stack).status == 200
    assert stack.engine.stop() == 0
    for _ in range(5):
        answer = run(BREAKER, stack)
        assert answer.status == 503
        assert "retry-after: " in answer.headers
        assert 1.5 <= answer.seconds < 60
    sixth = run(BREAKER, stack)
    assert sixth.status == 503
    # The shortest pauses before two retries take longer.
    assert sixth.seconds < 1.5
    assert "Circuit breaker OPEN for _call_engine_analyze" in sixth.body
    assert int(re.findall(r"retry-after: (\d+)", sixth.headers)[0]) > 50
    log = stack.gateway.log
    for number in (1, 2):
        assert len(re.findall(RETRYING.format(number=number), log)) == 5

    # A minute is long for a test.
    change = {"policy": "_call_engine_analyze breaker", "settings": {"recovery_timeout": 1.0}}
    token = {"Authorization": "Bearer steer"}
    url = f"{stack.gateway.url}/api/admin/policies"
    httpx.post(url, json=change, headers=token, trust_env=False).raise_for_status()
    stack.engine.start()
    stack.engine.wait_ready()
    wait_until(lambda: run(BREAKER, stack).status == 200)


def test_a_request_sent_while_the_engine_restarts_succeeds_within_its_attempts(stack: Stack) -> None:
    answers: list[Answer] = []
    # On a busy machine an engine may start more slowly than three attempts take, but hardly three times.
    while len(answers) < 3 and 200 not in [answer.status for answer in answers]:
        stack.engine.stop()
        asking = threading.Thread(target=lambda: answers.append(run(FROM_FILE.format(file="request.json"), stack)))
        asking.start()
        wait_until(lambda: len(re.findall(RETRYING.format(number=1), stack.gateway.log)) > len(answers))
        stack.engine.start()
        asking.join(100)
        stack.engine.wait_ready()
    assert answers[-1].status == 200, answers[-1].body


@pytest.mark.parametrize("name", ["request.json", "mini_retail_request.json"])
def test_the_requests_that_ship_with_the_project_work_as_they_are(stack: Stack, name: str) -> None:
    answer = run(FROM_FILE.format(file=name), stack)
    assert answer.status == 200, answer.body
    assert any(estimate["status"] == "ok" for estimate in json.loads(answer.body)["estimates"])


@pytest.mark.timeout(360)
def test_a_long_request_in_flight_completes_after_sigterm_and_the_log_says_so_in_order(stack: Stack) -> None:
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(run(FROM_FILE.format(file="long_request.json"), stack)))
    asking.start()
    worker = computing(stack.engine.process.pid)
    # On a busy machine it would hardly progress: raise its priority where that is permitted, also among sessions.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, worker, -15)
        Path(f"/proc/{worker}/autogroup").write_text("-15")
    assert answers == []
    for service in (stack.gateway, stack.engine):
        service.process.send_signal(signal.SIGTERM)
    assert stack.gateway.process.wait(330) == 0
    asking.join(10)
    assert stack.engine.process.wait(10) == 0
    assert answers[0].status == 200, answers[0].body
    for service, title in ((stack.gateway, "Gateway"), (stack.engine, "Engine")):
        assert drained(service.log, title)
        waiting, answered, down = (
            service.log.index(words)
            for words in ("Waiting for in-flight", "POST /api/analyze/comprehensive 200", "Shutting down gracefully")
        )
        assert waiting < answered < down
