"""Telemetry over the lifetime of an app."""

from pathlib import Path

import pytest

from cqox.telemetry import metric_definitions, metrics
from services.config.settings import Settings
from services.http.observability.tracing import Exchange, link_traces, trace_members
from services.http.server.app import App
from services.http.server.telemetry import begin_telemetry, telemetry_of
from tests.servers.certificates import authority_in
from tests.services.http.request.test_language import asked


@pytest.fixture(autouse=True)
def not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)


def value_of(text: bytes, name: str) -> float:
    (line,) = [line for line in text.decode().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return float(line.rsplit(" ", 1)[1])


def test_responses_are_linked_to_the_traces_of_the_settings() -> None:
    begun = begin_telemetry("Gateway", Settings(trace_url="https://traces.test/{trace_id}"))
    try:
        with Exchange(asked()):
            members = trace_members()
        assert members["trace_url"] == f"https://traces.test/{members['trace_id']}"
    finally:
        link_traces("")
        begun.stop()


@pytest.mark.trio
async def test_an_app_without_telemetry_has_its_own_while_it_serves() -> None:
    app = App(__name__, title="Gateway", settings=Settings())
    async with telemetry_of(app) as begun:
        assert app.telemetry is begun
        with app.in_flight.admit("GET /x"):
            assert value_of(begun.exposition("")[0], "http_server_active_requests") == 1
    assert app.telemetry is None


@pytest.mark.trio
async def test_telemetry_that_the_server_started_is_left_to_it() -> None:
    app = App(__name__, title="Gateway", settings=Settings())
    app.telemetry = begun = begin_telemetry("Gateway", app.settings)
    try:
        async with telemetry_of(app) as used:
            assert used is begun
        assert app.telemetry is begun
        assert begun.exposition("")[0]
    finally:
        begun.stop()


@pytest.mark.trio
async def test_begin_and_end_of_the_certificate_in_use_are_metrics_where_there_is_tls(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "gateway")
    app = App(__name__, title="Gateway", settings=Settings(tls_dir=authority.folder / "gateway"))
    assert app.tls is not None
    async with telemetry_of(app):
        ((value, labels),) = metrics.read(metric_definitions.CERTIFICATE_END)
        assert labels == {"certificate": "service"}
        assert value == app.tls.credentials.current().not_after
        assert metrics.read(metric_definitions.CERTIFICATE_BEGIN) == [
            (app.tls.credentials.current().not_before, labels)
        ]
    assert metrics.read(metric_definitions.CERTIFICATE_END) == []
    async with telemetry_of(App(__name__, title="Gateway", settings=Settings())):
        assert metrics.read(metric_definitions.CERTIFICATE_END) == []
