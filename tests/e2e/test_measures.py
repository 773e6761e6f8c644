"""Every series of the table, at `/metrics` of both services, after a workload with all the trouble there can be."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import SERIES, Series
from tests.servers import Postgres, Redis
from tests.servers.ports import free_port
from tests.telemetry.conftest import ANALYSIS, Services
from tests.waiting import PATIENCE_SECONDS, wait_until

MOST_CONNECTIONS = 32
ROUTE = "/api/analyze/comprehensive"
MOST_LINES_AT_REST = 600
MOST_LINES_AFTER_WORK = 800
BOUNDED = (*(each for each in SERIES if each.kind == "counter"), metric_definitions.STEP_DURATION)

type Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture
def services(tmp_path: Path, redis: Redis, postgres: Postgres) -> Iterator[Services]:
    """Both services on real stores; their collector is away, so that spans are lost."""
    made = Services(
        tmp_path,
        {
            "REDIS_URL": redis.url,
            "POSTGRES_URL": postgres.fresh(),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/traces",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "CQOX_MAX_CONNECTIONS": str(MOST_CONNECTIONS),
        },
    )
    try:
        made.start_both()
        yield made
    finally:
        made.kill_all()


def scraped(client: httpx.Client) -> Samples:
    """Samples by the name of their series, each with its labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    samples: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            samples.setdefault(name, []).append((dict(sample.labels), sample.value))
    return samples


def becomes(client: httpx.Client, *wanted: Series) -> Samples:
    """Scrape until the series are there: some are measured periodically."""
    names = {each.prometheus_name for each in wanted}
    return wait_until(lambda: names <= (samples := scraped(client)).keys() and samples, failure=lambda: names)


def total(samples: Samples, each: Series, **labels: str) -> float:
    """The sum of the samples with those labels."""
    return sum(
        value
        for found, value in samples[each.prometheus_name]
        if all(found.get(label) == wanted for label, wanted in labels.items())
    )


def labelled(samples: Samples, *series: Series) -> set[tuple[str, ...]]:
    """The names of counters with the values of their labels."""
    return {
        (each.name, *(value for _, value in sorted(labels.items())))
        for each in series
        for labels, _ in samples.get(each.prometheus_name, [])
    }


def lines_of(client: httpx.Client) -> int:
    return len(client.get("/metrics").text.splitlines())


def analyze(client: httpx.Client, *, seed: int = 0, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(ROUTE, json={**ANALYSIS, "options": {"seed": seed}}, headers=fields)


def end_a_worker(services: Services, client: httpx.Client) -> None:
    """Kill a worker that is idle, and wait until it counts as replaced: one that is still starting never does."""
    engine = services.processes["engine"].pid
    # A child belongs to the thread that started it.
    idle = wait_until(
        lambda: [
            child
            for path in Path(f"/proc/{engine}/task").glob("*/children")
            for child in read(path).split()
            if read(Path(f"/proc/{child}/comm")).strip() == "cqox:idle"
        ]
    )
    os.kill(int(idle[0]), signal.SIGKILL)
    wait_until(lambda: total(scraped(client), metric_definitions.WORKER_RESTARTS) >= 1)


def read(path: Path) -> str:
    """Return the text of a file of /proc; nothing where it is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def crowd(services: Services, name: str) -> None:
    """Open more connections than there may be, so that one that stands still is closed."""
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS + 1):
            address = ("127.0.0.1", services.ports[name])
            last = stack.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
        # The connections before the last one are accepted before it is answered.
        last.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert last.recv(12) == b"HTTP/1.1 200"
    # Those that are closed all at once still have their places for a moment.
    url = f"{services.url(name)}/metrics"
    wait_until(lambda: httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False).status_code != 503)


def what_is_seen_at_rest(services: Services, name: str) -> Samples:
    """The samples of a service that has answered probes only, in few lines."""
    with services.client(name) as client:
        for path in ("/health/live", "/health/ready", "/api/health", "/metrics"):
            assert client.get(path).status_code == 200
        assert lines_of(client) <= MOST_LINES_AT_REST
        return scraped(client)


def what_engines_see(services: Services, redis: Redis, postgres: Postgres) -> Samples:
    """The samples of an engine that computed, lost a worker, and then its cache and its store."""
    with services.client() as gateway, services.client("engine") as engine:
        for _ in range(2):
            assert analyze(gateway).status_code == 200
        data = "id,w,y\n" + "\n".join(f"{row},{row % 2},{row % 7}" for row in range(60))
        assert gateway.post("/api/datasets?name=a.csv", content=data).status_code == 201
        assert analyze(engine, X_Request_Timeout_Ms="0").status_code == 504
        healthy = scraped(engine)
        assert total(healthy, metric_definitions.CACHE_REQUESTS, cache="redis", outcome="hit") == 1
        assert total(healthy, metric_definitions.POOL_LIMIT, db_client_connection_pool_name="postgres") >= 1
        assert total(healthy, metric_definitions.POOL_CONNECTIONS, db_client_connection_pool_name="redis") >= 1
        assert total(healthy, metric_definitions.ESTIMATOR_DURATION, status="ok") >= 1
        assert total(healthy, metric_definitions.CIRCUIT_STATE, policy="redis", state="closed") == 1
        end_a_worker(services, engine)
        crowd(services, "engine")
        redis.stop()
        postgres.stop()
        for seed in range(1, 7):
            # Slower and not stored, and an answer all the same.
            answer = analyze(gateway, seed=seed)
            assert answer.status_code == 200, answer.text
        samples = becomes(engine, metric_definitions.LOOP_LAG, metric_definitions.LOST)
        assert total(samples, metric_definitions.REJECTIONS, policy="redis", reason="CircuitBreaker") >= 1
        assert total(samples, metric_definitions.CIRCUIT_TRANSITIONS, policy="redis", state="open") >= 1
        assert total(samples, metric_definitions.RETRIES, policy="postgres") >= 1
        assert (
            total(
                samples, metric_definitions.STORE_DURATION, db_system_name="postgresql", error_type="StoreUnavailable"
            )
            >= 1
        )
        return samples


def what_gateways_see(services: Services) -> Samples:
    """The samples of a gateway that has served, and whose engine is then away."""
    services.processes["engine"].kill()
    services.processes["engine"].wait()
    with services.client() as gateway:
        for _ in range(6):
            assert gateway.get("/api/datasets").status_code == 503
        assert analyze(gateway, X_Request_Timeout_Ms="0").status_code == 504
        crowd(services, "gateway")
        samples = becomes(gateway, metric_definitions.LOOP_LAG, metric_definitions.LOST)
        answered = {"http_route": ROUTE, "http_response_status_code": "200", "le": "+Inf"}
        assert total(samples, metric_definitions.HTTP_SERVER_DURATION, **answered) == 8
        assert total(samples, metric_definitions.CIRCUIT_STATE, policy="_call_engine_read", state="open") == 1
        assert total(samples, metric_definitions.REJECTIONS, policy="_call_engine_read", reason="CircuitBreaker") == 1
        assert total(samples, metric_definitions.RETRIES, policy="_call_engine_read") == 10
        assert total(samples, metric_definitions.GIVEN_UP, policy="_call_engine_read") == 5
        assert total(samples, metric_definitions.TIMEOUTS, policy="request") == 1
        return samples


def test_every_series_shows_data_where_the_table_says_and_nowhere_else(
    services: Services, redis: Redis, postgres: Postgres
) -> None:
    at_rest = {name: what_is_seen_at_rest(services, name) for name in ("engine", "gateway")}
    engine = what_engines_see(services, redis, postgres)
    with services.client("engine") as client:
        assert lines_of(client) <= MOST_LINES_AFTER_WORK
    gateway = what_gateways_see(services)
    for name, samples in {"engine": engine, "gateway": gateway}.items():
        expected = {each.prometheus_name for each in SERIES if each.service in ("both", name)}
        # Only with TLS.
        expected -= {metric_definitions.CERTIFICATE_BEGIN.prometheus_name}
        expected -= {metric_definitions.CERTIFICATE_END.prometheus_name}
        # A rate must see the first increment.
        assert labelled(samples, *BOUNDED) <= labelled(at_rest[name], *BOUNDED)
        ours = {found for found in samples if re.match(r"(cqox|http|db)_", found)}
        assert ours == expected, f"{name}: {ours ^ expected}"
        for each in SERIES:
            labels = {label.replace(".", "_") for label in each.labels} | {"le"}
            for found, _ in samples.get(each.prometheus_name, []):
                assert set(found) <= labels, each.name
                assert all(len(value) < 100 for value in found.values()), each.name
