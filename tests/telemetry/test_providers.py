import json
import logging
import os
import socket
from collections.abc import Iterator

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk.resources import Resource

from cqox.telemetry import providers
from cqox.telemetry.export_stats import ExportStats
from cqox.telemetry.prometheus import Exposition
from cqox.telemetry.providers import (
    SCHEMA_URL,
    logs_provider,
    make_export_stats,
    metrics_provider,
    resource_of,
    traces_provider,
)
from cqox.telemetry.settings import TelemetrySettings, settings_from

HERE = Resource({"service.name": "test"})
NOTHING = settings_from({})


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the machine counts, and loggers of the SDK get their levels back."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name, raising=False)
    levels = {name: logging.getLogger(name).level for name in providers._CHATTY}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def on_console(*signals: str) -> TelemetrySettings:
    return TelemetrySettings(otlp={}, console=frozenset(signals))  # type: ignore[arg-type]


def named(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, object]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = resource_of("engine", "1.2", "i-1").attributes
    return {key: value for key, value in found.items() if key.startswith(("service.", "deployment"))}


def test_a_resource_is_named_by_service_version_and_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(monkeypatch) == {
        "service.name": "engine", "service.namespace": "cqox", "service.version": "1.2", "service.instance.id": "i-1",
    }  # fmt: skip


def test_a_resource_names_host_and_process_and_the_conventions_but_no_command_line() -> None:
    found = resource_of("engine", "1.2", "i-1")
    assert found.schema_url == SCHEMA_URL
    assert found.attributes["process.pid"] == os.getpid()
    assert found.attributes["host.name"] == socket.gethostname()
    assert {"host.arch", "os.type", "process.runtime.version"} <= set(found.attributes)
    assert not [name for name in found.attributes if "command" in name]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OTEL_SERVICE_NAME": "mine"}, {"service.name": "mine", "service.version": "1.2"}),
        ({"OTEL_SERVICE_NAME": "  "}, {"service.name": "engine"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.version=9, deployment.environment=test"},
            {"service.name": "engine", "service.version": "9", "deployment.environment": "test"},
        ),
        (
            {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other"},
            {"service.name": "mine"},
        ),
    ],
)
def test_the_environment_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: dict[str, str]
) -> None:
    found = named(monkeypatch, **environment)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("value", "limit"), [("", 2048), ("3", 3), (" 7 ", 7), ("0", 2048), ("-1", 2048), ("1e3", 2048), ("x", 2048)]
)
def test_the_limit_of_a_queue_is_the_one_of_its_batch_processor(
    monkeypatch: pytest.MonkeyPatch, value: str, limit: int
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", value)
    traces, logs = make_export_stats()
    assert sum(traces.admit() for _ in range(limit + 1)) == limit
    assert sum(logs.admit() for _ in range(2049)) == 2048


def test_without_a_destination_nothing_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    stats = ExportStats("traces", 0)
    traces, logs = traces_provider(NOTHING, HERE, stats), logs_provider(NOTHING, HERE, stats)
    traces.get_tracer("t").start_span("work").end()
    logs.get_logger("t").emit(LogRecord(body="words"))
    traces.shutdown()
    logs.shutdown()
    assert capsys.readouterr().out == ""
    assert stats.lost == 0


def test_spans_on_the_console_are_json_objects_one_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    provider = traces_provider(on_console("traces"), HERE, ExportStats("traces", 0))
    for name in ("one", "two"):
        provider.get_tracer("t").start_span(name, attributes={"text": "a\nb"}).end()
    provider.shutdown()
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["one", "two"]


def test_log_records_go_to_the_console_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    provider = logs_provider(on_console("logs"), HERE, ExportStats("logs", 0))
    provider.get_logger("t").emit(LogRecord(body="words"))
    provider.shutdown()
    assert json.loads(capsys.readouterr().out)["body"] == "words"


def test_metrics_are_read_by_the_exposition_and_by_the_console_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for settings, printed in ((NOTHING, False), (on_console("metrics"), True)):
        exposition = Exposition()
        metering = metrics_provider(settings, HERE, exposition)
        metering.provider.get_meter("t").create_counter("calls").add(2)
        assert b"calls_total" in exposition.render()[0]
        assert len(metering.ends) == 1
        for end in metering.ends:
            end()
        assert ("calls" in capsys.readouterr().out) == printed
