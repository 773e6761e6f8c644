"""A collector that is dead, slow or refuses costs lost spans, which are counted, and nothing else."""

from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from cqox.certificates import Credentials
from cqox.telemetry import metric_definitions
from cqox.telemetry.export_stats import ExportStats
from cqox.telemetry.providers import traces_provider
from cqox.telemetry.settings import settings_from
from tests.measured import Measured
from tests.servers.certificates import authority_in
from tests.servers.ports import free_port
from tests.telemetry.conftest import Services
from tests.telemetry.receiver import Receiver


def spans_to(monkeypatch: pytest.MonkeyPatch, url: str, stats: ExportStats, **variables: str) -> TracerProvider:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = settings_from({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url})
    return traces_provider(settings, Resource({"service.name": "test"}), stats)


def record(provider: TracerProvider, count: int) -> None:
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number % 10}").end()


def test_every_span_arrives_or_is_counted(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    # The collector is so slow that the queue overflows.
    receiver.delay = 0.3
    stats = ExportStats("traces", 256)
    provider = spans_to(monkeypatch, f"{receiver.http_url}/v1/traces", stats, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="64")
    made = 3000
    record(provider, made)
    assert stats.waiting <= 256
    # Nothing would be lost if callers waited for room in the queue.
    assert 0 < stats.lost < made
    provider.shutdown()
    assert len(receiver.received.spans) + stats.lost == made


def test_a_collector_that_refuses_loses_whole_batches_and_they_are_counted(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, measured: Measured
) -> None:
    receiver.refuse = True
    stats = ExportStats("traces", 2048)
    provider = spans_to(monkeypatch, f"{receiver.http_url}/v1/traces", stats, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="1")
    record(provider, 100)
    provider.force_flush()
    assert stats.lost == 100
    assert {"signal": "traces", "reason": "not_delivered"} in measured.of(metric_definitions.LOST)
    provider.shutdown()


def test_a_collector_with_https_is_verified_and_gets_a_certificate_while_the_authority_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # With requests these win over the file of the exporter.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    authority = authority_in(tmp_path, "collector", "engine")
    current = authority.folder / "engine" / "current"
    stats = ExportStats("traces", 2048)
    with Receiver(Credentials(authority.folder / "collector")) as collector:
        provider = spans_to(
            monkeypatch,
            f"{collector.http_url}/v1/traces",
            stats,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(current / "ca.pem"),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(current / "cert.pem"),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(current / "key.pem"),
        )
        for number in range(4):
            record(provider, 10)
            assert provider.force_flush()
            assert len(collector.received.spans) == 10 * (number + 1)
            if number < 3:
                authority.replace()
        provider.shutdown()
    assert stats.lost == 0


def test_a_collector_of_another_authority_gets_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    current = authority_in(tmp_path / "own", "engine").folder / "engine" / "current"
    strange = authority_in(tmp_path / "strange", "collector")
    stats = ExportStats("traces", 2048)
    with Receiver(Credentials(strange.folder / "collector")) as collector:
        provider = spans_to(
            monkeypatch,
            f"{collector.http_url}/v1/traces",
            stats,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(current / "ca.pem"),
            OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="1",
        )
        record(provider, 10)
        provider.force_flush()
        provider.shutdown()
        assert collector.received.spans == []
    assert stats.lost == 10


@pytest.mark.parametrize("manner", ["dead", "slow"])
def test_a_service_serves_and_ends_without_waiting_for_its_collector(
    services: Services, receiver: Receiver, manner: str
) -> None:
    receiver.delay = 120.0
    services.environment |= {
        "OTEL_EXPORTER_OTLP_TIMEOUT": "120",
        "OTEL_BSP_EXPORT_TIMEOUT": "120000",
        "OTEL_BLRP_EXPORT_TIMEOUT": "120000",
    }
    address = f"http://127.0.0.1:{free_port()}" if manner == "dead" else receiver.http_url
    services.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
    services.ports["engine"] = 1
    services.start("gateway")
    services.wait_ready("gateway")
    with services.client() as client:
        for _ in range(200):
            assert client.get("/nothing").status_code == 404
    # Less than a collector, or the timeout of an export, takes.
    assert services.stop("gateway") == 0
    log = services.log("gateway")
    assert "records of traces were lost" in log
    assert "Traceback" not in log


def test_a_clean_end_loses_nothing_not_even_the_spans_of_the_drain(services: Services, receiver: Receiver) -> None:
    services.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url, "CQOX_DRAIN_DELAY": "0.5"}
    services.ports["engine"] = 1
    services.start("gateway")
    services.wait_ready("gateway")
    assert services.stop("gateway") == 0
    names = {span.name for span in receiver.received.spans}
    assert {
        "services.http.server.serving._Server._drain",
        "services.http.server.serving._Server._watch_signals",
    } <= names
    assert "were lost" not in services.log("gateway")
    assert "[Gateway] Shutting down gracefully..." in {body for _, body, _ in receiver.received.logs}
    assert "http.server.request.duration" in receiver.received.metrics["gateway"]


def test_where_nothing_is_configured_there_is_no_exporter_no_warning_and_still_a_trace_id(services: Services) -> None:
    services.ports["engine"] = 1
    services.start("gateway")
    services.wait_ready("gateway")
    with services.client() as client:
        answer = client.get("/nothing")
    assert len(answer.headers["X-Trace-Id"]) == 32
    assert answer.headers["X-Trace-Id"] == answer.json()["trace_id"]
    assert services.stop("gateway") == 0
    lines = services.log_lines("gateway")
    assert [line for line in lines if line["level"] != "info"] == []
    access = next(line for line in lines if line["event"] == "GET /nothing 404")
    assert access["trace_id"] == answer.headers["X-Trace-Id"]
