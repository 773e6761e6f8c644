"""A mixed workload on real services: TLS, PostgreSQL, Redis, a lost engine and a forced circuit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cqox.dashboards.history import EVERY_SECONDS
from tests.e2e.stack import Stack, build
from tests.e2e.tls_rotation import answers, client_at
from tests.servers.certificates import authority_in
from tests.servers.secured import SecuredPostgres, SecuredRedis
from tests.waiting import wait_until

__all__ = ["mixed_workload"]

_QUESTION = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]},
}
_TOKEN = "of the test"
_SAMPLED = 2.6 * EVERY_SECONDS
"""Seconds in which a process takes two samples, and a point comes after the second."""
_FEWEST_ROUNDS = 4
"""Rounds in which an estimator is counted before a sample and again after it, however slow the machine is."""


def _computes(client: httpx.Client) -> bool:
    return client.post("/api/analyze/comprehensive", json=_QUESTION).status_code == 200


def _ask_variously(client: httpx.Client, seconds: float) -> None:
    """Send requests of every kind for a while, and a few times where it is too short for that."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end or rounds < _FEWEST_ROUNDS:
        rounds += 1
        # A question of its own is computed, and one that was asked before comes from a cache.
        for options in ({"seed": time.monotonic_ns() % 2**31}, {}):
            client.post("/api/analyze/comprehensive", json={**_QUESTION, "options": options})
        client.post("/api/datasets", params={"name": "a.csv"}, content=b"a,b\n1,2\n3,4\n" * rounds)
        client.get("/api/analyses")
        client.get("/api/datasets/none")
        client.get("/api/analyses", headers={"X-Request-Timeout-Ms": "1"})
        time.sleep(0.3)


def _lose_the_engine(stack: Stack, client: httpx.Client) -> None:
    """Kill the engine while requests come, too few to open the circuit for a minute, and start it again."""
    stack.engine.kill()
    client.get("/api/analyses")
    # What a counter has at its first sample is no increase.
    time.sleep(EVERY_SECONDS)
    client.get("/api/analyses")
    stack.engine.start()


def _force_a_circuit(client: httpx.Client) -> None:
    """Open the circuit of event streams, ask for one, and close it again."""
    for action in ("isolate", "reset"):
        change = {"policy": "_call_engine_stream", "action": action}
        client.post(
            "/api/admin/policies", json=change, headers={"Authorization": f"Bearer {_TOKEN}"}
        ).raise_for_status()
        refused = client.get("/api/jobs/none/events")
        assert refused.status_code == (503 if action == "isolate" else 404), refused.text


@contextmanager
def mixed_workload(folder: Path, more: Callable[[httpx.Client], None] = lambda client: None) -> Iterator[httpx.Client]:
    """Run services until all of this has happened; give a client of the gateway, and end them on leaving.

    Args:
        folder: for their files.
        more: sends further requests before the last ones.
    """
    authority = authority_in(folder / "tls", "gateway", "engine", "client", "postgres", "redis")
    postgres = SecuredPostgres(authority.folder / "postgres")
    redis = SecuredRedis(authority.folder / "redis", authority.folder / "engine")
    stores = {"POSTGRES_URL": postgres.url, "REDIS_URL": redis.url}
    stack = build(
        folder,
        CQOX_TLS_DIR=str(folder / "tls" / "{service}"),
        CQOX_LOG_LEVEL="warning",
        CQOX_ADMIN_TOKEN=_TOKEN,
        **stores,
    )
    stack.engine.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/gateway"
    stack.gateway.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/client"
    stack.gateway.environment["ENGINE_URL"] = f"https://127.0.0.1:{stack.engine.port}"
    try:
        postgres.secure()
        redis.secure()
        stack.engine.start()
        stack.gateway.start()
        with client_at(stack, authority) as client:
            wait_until(lambda: answers(client, "/api/estimators"), failure=lambda: stack.gateway.log)
            wait_until(lambda: _computes(client), failure=lambda: stack.engine.log)
            _lose_the_engine(stack, client)
            wait_until(lambda: _computes(client), failure=lambda: stack.engine.log)
            more(client)
            _force_a_circuit(client)
            _ask_variously(client, _SAMPLED / 2)
            _force_a_circuit(client)
            _ask_variously(client, _SAMPLED / 2)
            yield client
    finally:
        for service in (stack.gateway, stack.engine):
            if hasattr(service, "process"):
                service.kill()
        postgres.close()
        redis.close()
