import pytest

from cqox.telemetry.settings import settings_from


def test_nothing_set_asks_for_nothing_and_says_nothing() -> None:
    settings = settings_from({})
    assert settings.signals == frozenset()
    assert settings.notes == ()
    assert not settings.disabled


def test_the_address_of_a_collector_asks_for_all_three_signals_by_http() -> None:
    settings = settings_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert settings.otlp == {"traces": "http/protobuf", "metrics": "http/protobuf", "logs": "http/protobuf"}
    assert settings.traces_endpoint == ""


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://jaeger:14268/api/traces", "http://jaeger:4318/v1/traces"),
        ("jaeger:6831", "http://jaeger:4318/v1/traces"),
        ("jaeger", "http://jaeger:4318/v1/traces"),
        ("grpc://jaeger.tracing.svc:4317", "http://jaeger.tracing.svc:4318/v1/traces"),
        ("[::1]:6831", "http://[::1]:4318/v1/traces"),
    ],
)
def test_the_host_of_a_jaeger_gets_traces_alone(given: str, endpoint: str) -> None:
    settings = settings_from({"JAEGER_ENDPOINT": given})
    assert settings.traces_endpoint == endpoint
    assert settings.otlp == {"traces": "http/protobuf"}


def test_a_jaeger_is_asked_by_grpc_where_that_is_the_protocol() -> None:
    settings = settings_from({"JAEGER_ENDPOINT": "jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert settings.traces_endpoint == "http://jaeger:4317"


def test_the_standard_address_wins_over_the_alias() -> None:
    settings = settings_from({"JAEGER_ENDPOINT": "jaeger", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert settings.traces_endpoint == ""
    assert "traces" in settings.otlp


def test_an_alias_that_names_no_host_is_reported() -> None:
    settings = settings_from({"JAEGER_ENDPOINT": "http://"})
    assert settings.signals == frozenset()
    assert "JAEGER_ENDPOINT" in settings.notes[0]


@pytest.mark.parametrize(("word", "asked"), [("true", True), ("1", True), ("ON", True), ("false", False), ("", False)])
def test_the_console_shows_spans_where_it_is_asked_to(word: str, asked: bool) -> None:
    assert settings_from({"OTEL_CONSOLE": word}).console == ({"traces"} if asked else frozenset())


def test_exporters_are_chosen_signal_by_signal() -> None:
    settings = settings_from(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
            "OTEL_TRACES_EXPORTER": "otlp,console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "console",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        }
    )
    assert settings.otlp == {"traces": "grpc"}
    assert settings.console == {"traces", "logs"}


def test_an_exporter_and_a_protocol_that_are_not_there_are_reported() -> None:
    settings = settings_from(
        {
            "OTEL_TRACES_EXPORTER": "zipkin",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        }
    )
    assert settings.otlp == {"metrics": "http/protobuf"}
    assert any("'zipkin'" in note for note in settings.notes)
    assert any("'http/json'" in note for note in settings.notes)


def test_the_standard_switch_turns_everything_off() -> None:
    settings = settings_from({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert settings.disabled
    assert settings.signals == frozenset()


def test_headers_that_cannot_be_read_are_reported_without_their_text() -> None:
    settings = settings_from({"OTEL_EXPORTER_OTLP_HEADERS": "a=b,hunter2", "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "a=b"})
    (note,) = settings.notes
    assert note.startswith("OTEL_EXPORTER_OTLP_HEADERS ")
    assert "hunter2" not in note


def test_a_word_that_is_neither_true_nor_false_is_reported() -> None:
    settings = settings_from({"OTEL_CONSOLE": "maybe"})
    assert settings.console == frozenset()
    assert settings.notes == ("OTEL_CONSOLE is 'maybe', which is not valid: the choices are true, false.",)


@pytest.mark.parametrize("word", ["false", "0", "No", "off", ""])
def test_a_console_that_is_not_wanted_is_not_reported(word: str) -> None:
    assert settings_from({"OTEL_CONSOLE": word}).notes == ()


def test_an_address_that_nothing_can_be_sent_to_is_reported_once() -> None:
    settings = settings_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})
    assert settings.notes == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL such as http://localhost:4318: nothing can be exported there.",
    )
    own = settings_from({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http:///logs"})
    assert own.notes[0].startswith("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is not a URL")
    assert settings_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).notes == ()


@pytest.mark.parametrize(
    ("given", "formats", "notes"),
    [
        ("", ("tracecontext", "baggage"), 0),
        ("b3", ("b3",), 0),
        ("B3multi, tracecontext,b3multi", ("b3multi", "tracecontext"), 0),
        ("none", (), 0),
        ("xray,tracecontext", ("tracecontext",), 1),
        ("xray", ("tracecontext", "baggage"), 1),
    ],
)
@pytest.mark.parametrize("disabled", ["false", "true"])
def test_propagators_are_those_named_that_are_known(
    given: str, formats: tuple[str, ...], notes: int, disabled: str
) -> None:
    settings = settings_from({"OTEL_PROPAGATORS": given, "OTEL_SDK_DISABLED": disabled})
    assert settings.propagators == formats
    assert len(settings.notes) == notes
