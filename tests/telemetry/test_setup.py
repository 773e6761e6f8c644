import threading

import pytest

from cqox.resilience import CircuitBreaker
from cqox.tasks import observe_tasks
from cqox.telemetry import is_recording, metric_definitions, metrics, providers
from cqox.telemetry.setup import Telemetry, start
from tests.telemetry.receiver import Receiver


@pytest.fixture
def begun():
    telemetry = start("engine", version="1", environ={})
    yield telemetry
    telemetry.stop()


def value_of(text: str, name: str, *labels: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith(name) and all(label in line for label in labels)]
    assert len(lines) == 1, lines
    return float(lines[0].rsplit(" ", 1)[1])


def test_what_is_measured_before_measures_are_set_up_is_shown_all_the_same(begun: Telemetry) -> None:
    metrics.count(metric_definitions.REJECTIONS, {"policy": "p", "reason": "Shed"}, 3)
    metrics.record(metric_definitions.DATASET_ROWS, 1500)
    text, content_type = begun.exposition()
    assert content_type.startswith("text/plain")
    shown = text.decode()
    assert value_of(shown, "cqox_rejections_total", 'policy="p"', 'reason="Shed"') == 3
    assert value_of(shown, "cqox_dataset_rows_bucket", 'le="10000.0"') == 1
    assert value_of(shown, "cqox_dataset_rows_bucket", 'le="1000.0"') == 0


def test_a_scraper_that_asks_for_openmetrics_gets_it(begun: Telemetry) -> None:
    text, content_type = begun.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_circuit_is_a_series_for_each_of_its_states(begun: Telemetry) -> None:
    breaker = CircuitBreaker("watched", failure_threshold=1)
    breaker.isolate()
    shown = begun.exposition()[0].decode()
    assert value_of(shown, "cqox_circuit_state", 'policy="watched"', 'state="open"') == 1
    assert value_of(shown, "cqox_circuit_state", 'policy="watched"', 'state="closed"') == 0
    assert value_of(shown, "cqox_circuit_transitions_total", 'policy="watched"', 'state="isolated"') == 1


def test_a_reading_that_fails_hides_no_other(begun: Telemetry) -> None:
    def broken():
        raise RuntimeError("broken")

    end = metrics.watch(metric_definitions.QUEUE_DEPTH, broken)
    other = metrics.watch(metric_definitions.ANALYSES_RUNNING, lambda: [(2, {})])
    try:
        shown = begun.exposition()[0].decode()
    finally:
        end()
        other()
    assert value_of(shown, "cqox_analysis_running") == 2
    assert "cqox_analysis_queue_depth " not in shown


def test_disabled_it_shows_nothing_and_measures_nothing() -> None:
    telemetry = start("engine", version="1", environ={"OTEL_SDK_DISABLED": "true"})
    metrics.count(metric_definitions.REJECTIONS, {"policy": "p", "reason": "Shed"})
    assert telemetry.exposition()[0] == b""
    telemetry.stop()


def test_the_end_puts_every_slot_back(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_url)
    telemetry = start("engine", version="1", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url})
    assert is_recording()
    telemetry.exposition()
    telemetry.stop()
    assert not is_recording()
    assert observe_tasks(None) is None


@pytest.mark.parametrize("preference", ["cumulative", "delta", ""])
def test_measures_go_out_again_and_again_and_are_the_same_for_a_scraper(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, preference: str
) -> None:
    asked = {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{receiver.http_url}/v1/metrics",
        "OTEL_METRIC_EXPORT_INTERVAL": "20",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference,
    }
    for name, text in asked.items():
        monkeypatch.setenv(name, text)
    telemetry = start("engine", version="1", environ=asked)
    key = ("engine", "cqox.rejections")
    telemetry.exposition()
    for total in range(1, 6):
        metrics.count(metric_definitions.REJECTIONS, {"policy": "p", "reason": "Shed"})
        sent = len(receiver.received.sums.get(key, []))
        assert value_of(telemetry.exposition()[0].decode(), "cqox_rejections_total", 'policy="p"') == total
        receiver.wait_for(lambda received, sent=sent: len(received.sums.get(key, [])) > sent)
    metrics.count(metric_definitions.REJECTIONS, {"policy": "p", "reason": "Shed"})
    telemetry.stop(60.0)
    values = [value for value, _ in receiver.received.sums[key]]
    temporalities = {temporality for _, temporality in receiver.received.sums[key]}
    # As OTLP numbers them: 1 is what came since the last time, 2 what came since the start.
    assert temporalities == ({1} if preference == "delta" else {2})
    assert (sum(values) if preference == "delta" else max(values)) == 6


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", ["traces are not exported"]),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "bogus",
            [f"{signal} are not exported" for signal in ("logs", "metrics", "traces")],
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10", []),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "100000", []),
    ],
)
def test_what_an_exporter_has_against_the_environment_is_said_and_keeps_no_service_from_starting(
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
    said: list[str],
) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", variable: value}
    for name, text in asked.items():
        monkeypatch.setenv(name, text)
    with caplog.at_level("WARNING", "cqox.telemetry"):
        telemetry = start("engine", version="1", environ=asked)
        shown = telemetry.exposition()[0]
    telemetry.stop()
    assert b"python_info" in shown
    ours = [record.getMessage() for record in caplog.records if record.name == "cqox.telemetry"]
    assert sorted(message.partition(":")[0] for message in ours) == said


def test_the_end_does_not_wait_for_a_flush_that_never_returns(begun: Telemetry) -> None:
    entered, never = threading.Event(), threading.Event()

    def flush() -> None:
        entered.set()
        never.wait()

    begun.exposition()
    begun._flush.append(flush)
    begun.stop(0.2)
    assert entered.is_set()
    never.set()


def test_measures_that_could_not_be_set_up_before_the_end_are_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended, unhandled = threading.Event(), list[threading.ExceptHookArgs]()

    def metrics_provider(*_: object) -> None:
        assert ended.wait(60)
        # As the interpreter does once it ends.
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(providers, "metrics_provider", metrics_provider)
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    telemetry = start("engine", version="1", environ={})
    (setting_up,) = [thread for thread in threading.enumerate() if thread.name == "telemetry metrics"]
    telemetry.stop()
    ended.set()
    setting_up.join(60)
    assert not setting_up.is_alive()
    assert not unhandled
    assert not caplog.records
