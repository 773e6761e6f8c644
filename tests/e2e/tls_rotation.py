"""Requests through gateway and engine with mutual TLS while certificates and their authority are replaced.

`make tls-rotation` runs it at full size; a test runs a small one. Each client opens a connection of its own every few
requests, with the certificate and the authorities of that moment.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cqox.certificates.authority import Authority, Step
from tests.e2e.stack import Stack, build
from tests.servers.certificates import authority_in, client_of
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["Outcome", "main", "rotate_under_load", "secured_stack"]

_CLIENTS = 8
_REQUESTS_OF_A_CONNECTION = 10


@dataclass
class Outcome:
    """The answers of a run.

    Attributes:
        answers: number of responses by their status, and of exceptions by their text.
        rotations: number of times that every part got a new certificate, those by a new authority included.
        steps: of the replacement of the authority.
        connections: opened by the clients.
    """

    answers: Counter[str] = field(default_factory=Counter)
    rotations: int = 0
    steps: list[Step] = field(default_factory=list)
    connections: int = 0

    @property
    def failed(self) -> int:
        """Number of requests without the response 200."""
        return self.answers.total() - self.answers["200"]


@contextmanager
def secured_stack(folder: Path) -> Iterator[tuple[Stack, Authority]]:
    """Run both services, ready, with certificates; the gateway demands that of `client`, the engine the gateway's."""
    authority = authority_in(folder / "tls", "gateway", "engine", "client")
    stack = build(folder, CQOX_TLS_DIR=str(folder / "tls" / "{service}"), CQOX_LOG_LEVEL="warning")
    stack.engine.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/gateway"
    stack.gateway.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/client"
    stack.gateway.environment["ENGINE_URL"] = f"https://127.0.0.1:{stack.engine.port}"
    try:
        stack.engine.start()
        stack.gateway.start()
        with client_at(stack, authority) as client:
            for path in ("/health/ready", "/api/estimators"):
                wait_until(lambda path=path: answers(client, path), failure=lambda: stack.gateway.log)
        yield stack, authority
    finally:
        stack.gateway.kill()
        stack.engine.kill()


def client_at(stack: Stack, authority: Authority) -> httpx.Client:
    """A client with the certificate of this moment."""
    return httpx.Client(
        base_url=f"https://127.0.0.1:{stack.gateway.port}",
        verify=client_of(authority, "client"),
        timeout=60,
        trust_env=False,
    )


def answers(client: httpx.Client, path: str) -> bool:
    """Return whether a service answers."""
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def rotate_under_load(stack: Stack, authority: Authority, *, requests: int, rotations: int) -> Outcome:
    """Send requests from several threads; meanwhile renew every certificate so often, then replace the authority."""
    outcome, lock, left = Outcome(), threading.Lock(), iter(range(requests))
    changes = 0
    seen: dict[int, int] = {}

    def load() -> None:
        while True:
            with lock:
                seen[threading.get_ident()] = changes
            with client_at(stack, authority) as client:
                with lock:
                    outcome.connections += 1
                for _ in range(_REQUESTS_OF_A_CONNECTION):
                    with lock:
                        number = next(left, None)
                    if number is None:
                        return
                    said = ask(client, number)
                    with lock:
                        outcome.answers[said] += 1

    threads = [threading.Thread(target=load, daemon=True) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()

    def is_due(number: int) -> bool:
        """Spread over the run, and once every client has loaded what the change before has written."""
        if outcome.answers.total() < requests * (number + 1) // (rotations + len(Step) + 1):
            return False
        return all(seen.get(thread.ident or 0, -1) == changes or not thread.is_alive() for thread in threads)

    for number in range(rotations + len(Step)):
        wait_until(lambda number=number: is_due(number))
        if number < rotations:
            for part in authority.parts:
                authority.renew(part)
            outcome.rotations += 1
        else:
            outcome.steps.append(authority.replace())
        with lock:
            changes += 1
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return outcome


def ask(client: httpx.Client, number: int) -> str:
    """Send a request that reads, or one with a body, and return its status or exception."""
    try:
        if number % 4:
            return str(client.get("/api/datasets").status_code)
        return str(client.post("/api/roles/infer", json={"dataset_id": "test"}).status_code)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"


def main() -> int:
    """Run at full size and print what came of it; return 1 where a request failed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rotations", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, secured_stack(Path(folder)) as (stack, authority):
        began = time.monotonic()
        outcome = rotate_under_load(stack, authority, requests=given.requests, rotations=given.rotations)
        seconds = time.monotonic() - began
        log = stack.gateway.log + stack.engine.log
    print(
        f"{outcome.answers.total():,} requests in {seconds:.0f} s over {outcome.connections:,} connections of clients"
    )
    print(f"{outcome.rotations} rotations of every certificate; authority: {', '.join(outcome.steps)}")
    print(f"failed: {outcome.failed} {dict(outcome.answers)}")
    if outcome.failed:
        print(log[-5000:])
    return int(outcome.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
