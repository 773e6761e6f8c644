"""Every panel of operations has data after a mixed workload on real services with all of their parts."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cqox.dashboards import Panel
from cqox.dashboards.history import EVERY_SECONDS
from cqox.dashboards.operations import OPERATIONS
from tests.e2e.stack import Stack, build
from tests.e2e.tls_rotation import answers, client_at
from tests.servers.certificates import authority_in
from tests.servers.secured import SecuredPostgres, SecuredRedis
from tests.waiting import wait_until

QUESTION = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]},
}
TOKEN = "of the test"
SAMPLED = 2.6 * EVERY_SECONDS
"""Seconds in which a process takes two samples, and a point comes after the second."""


def computes(client: httpx.Client) -> bool:
    return client.post("/api/analyze/comprehensive", json=QUESTION).status_code == 200


def ask_variously(client: httpx.Client, seconds: float) -> None:
    """Send requests of every kind for a while."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        rounds += 1
        # A question of its own is computed, and one that was asked before comes from a cache.
        for options in ({"seed": time.monotonic_ns() % 2**31}, {}):
            client.post("/api/analyze/comprehensive", json={**QUESTION, "options": options})
        client.post("/api/datasets", params={"name": "a.csv"}, content=b"a,b\n1,2\n3,4\n" * rounds)
        client.get("/api/analyses")
        client.get("/api/datasets/none")
        client.get("/api/analyses", headers={"X-Request-Timeout-Ms": "1"})
        time.sleep(0.3)


def lose_the_engine(stack: Stack, client: httpx.Client) -> None:
    """Kill the engine while requests come, too few to open the circuit for a minute, and start it again."""
    stack.engine.kill()
    client.get("/api/analyses")
    # What a counter has at its first sample is no increase.
    time.sleep(EVERY_SECONDS)
    client.get("/api/analyses")
    stack.engine.start()


def force_a_circuit(client: httpx.Client) -> None:
    """Open the circuit of event streams, ask for one, and close it again."""
    for action in ("isolate", "reset"):
        change = {"policy": "_call_engine_stream", "action": action}
        client.post("/api/admin/policies", json=change, headers={"Authorization": f"Bearer {TOKEN}"}).raise_for_status()
        refused = client.get("/api/jobs/none/events")
        assert refused.status_code == (503 if action == "isolate" else 404), refused.text


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, object]]]:
    """Content of each panel once all of this has happened, by its id."""
    folder: Path = tmp_path_factory.mktemp("dashboard")
    authority = authority_in(folder / "tls", "gateway", "engine", "client", "postgres", "redis")
    postgres = SecuredPostgres(authority.folder / "postgres")
    redis = SecuredRedis(authority.folder / "redis", authority.folder / "engine")
    stores = {"POSTGRES_URL": postgres.url, "REDIS_URL": redis.url}
    stack = build(
        folder,
        CQOX_TLS_DIR=str(folder / "tls" / "{service}"),
        CQOX_LOG_LEVEL="warning",
        CQOX_ADMIN_TOKEN=TOKEN,
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
            wait_until(lambda: computes(client), failure=lambda: stack.engine.log)
            lose_the_engine(stack, client)
            wait_until(lambda: computes(client), failure=lambda: stack.engine.log)
            force_a_circuit(client)
            ask_variously(client, SAMPLED / 2)
            force_a_circuit(client)
            ask_variously(client, SAMPLED / 2)
            now = time.time()
            span = {"from": now - 600, "to": now, "step": 5}
            paths = {panel.id: f"/api/dashboards/operations/panels/{panel.id}" for panel in OPERATIONS.panels}
            yield {name: client.get(path, params=span).raise_for_status().json() for name, path in paths.items()}
    finally:
        for service in (stack.gateway, stack.engine):
            if hasattr(service, "process"):
                service.kill()
        postgres.close()
        redis.close()


def points(data: dict[str, object]) -> list[float]:
    series = data["series"]
    assert isinstance(series, list)
    return [value for line in series for _, value in line["points"]]


@pytest.mark.parametrize("panel", OPERATIONS.panels, ids=lambda panel: panel.id)
def test_a_panel_has_data_of_its_unit(panels: dict[str, dict[str, object]], panel: Panel) -> None:
    data = panels[panel.id]
    assert data["reason"] is None
    assert data["notes"] == []
    values = points(data)
    assert values
    assert all(math.isfinite(value) and value >= 0 for value in values)
    if panel.unit == "ratio" and panel.id != "budget-used":
        assert max(values) <= 1.5, "a share, not a percentage"
    if panel.unit == "seconds" and panel.id != "certificates":
        assert max(values) < 120, "seconds, not milliseconds"


def test_what_has_happened_can_be_seen(panels: dict[str, dict[str, object]]) -> None:
    """The engine was lost: its circuit opened, calls were retried and given up, and requests failed."""
    for name in ("circuits", "circuit-changes", "retries", "retry-share", "refusals", "attempts-failing", "failing"):
        assert max(points(panels[name])) > 0, name


def test_panels_differ_from_one_another(panels: dict[str, dict[str, object]]) -> None:
    moving = [sorted(points(data)) for data in panels.values() if len(set(points(data))) > 2]
    assert len({str(values) for values in moving}) == len(moving)
    assert len(moving) > len(panels) / 3
