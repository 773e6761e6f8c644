"""Telemetry settings from the environment: exported signals and their destinations. Pure; loads no OpenTelemetry.

Read from the standard `OTEL_*` variables and two of CQOx: `JAEGER_ENDPOINT`, whose host receives traces by OTLP, and
`OTEL_CONSOLE`, which writes spans to standard output. Endpoints, headers, timeouts, queue sizes and samplers are read
from the environment by OpenTelemetry itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from cqox.telemetry.propagation import DEFAULT_FORMATS, FORMATS
from cqox.telemetry.secrets import masked

__all__ = ["Signal", "TelemetrySettings", "settings_from"]

type Signal = Literal["traces", "metrics", "logs"]
type _Get = Callable[[str], str]
type Protocol = Literal["http/protobuf", "grpc"]

_SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_KNOWN = ("otlp", "console", "none")
_PROTOCOLS: dict[str, Protocol] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_PORTS: dict[Protocol, int] = {"http/protobuf": 4318, "grpc": 4317}
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("", "0", "false", "no", "off")
_HTTP = re.compile(r"^https?://[^/]", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Destination of each signal.

    Attributes:
        disabled: True to record nothing, not even for `/metrics`.
        otlp: signals exported to a collector, each with its protocol.
        console: signals written to standard output.
        traces_endpoint: traces endpoint from `JAEGER_ENDPOINT`; empty if OpenTelemetry reads it itself.
        propagators: formats in which trace contexts are read and written, see `propagation`.
        notes: sentences to log, such as ignored values.
    """

    disabled: bool = False
    otlp: Mapping[Signal, Protocol]
    console: frozenset[Signal]
    traces_endpoint: str = ""
    propagators: tuple[str, ...] = DEFAULT_FORMATS
    notes: tuple[str, ...] = ()

    @property
    def signals(self) -> frozenset[Signal]:
        """Signals that are exported."""
        return frozenset(self.otlp) | self.console


def settings_from(environ: Mapping[str, str]) -> TelemetrySettings:
    """Parse the environment; no signal is exported if no variable is set."""

    def given(name: str) -> str:
        return environ.get(name, "").strip()

    notes: list[str] = []
    propagators = _propagators(given("OTEL_PROPAGATORS"), notes)
    if given("OTEL_SDK_DISABLED").lower() == "true":
        return TelemetrySettings(
            disabled=True, otlp={}, console=frozenset(), propagators=propagators, notes=tuple(notes)
        )
    otlp: dict[Signal, Protocol] = {}
    console: set[Signal] = set()
    jaeger = _host(given("JAEGER_ENDPOINT"))
    standard = given("OTEL_EXPORTER_OTLP_ENDPOINT")
    for signal in _SIGNALS:
        own = given(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        chosen = _exporters(f"OTEL_{signal.upper()}_EXPORTER", given, notes)
        # An endpoint alone enables its signals; Jaeger accepts traces only.
        if chosen is None:
            chosen = {"otlp"} if own or standard or (jaeger and signal == "traces") else set()
        if "otlp" in chosen:
            otlp[signal] = _protocol(signal, given, notes)
            if otlp[signal] == "http/protobuf" and (own or standard) and not _HTTP.match(own or standard):
                variable = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT" if own else "OTEL_EXPORTER_OTLP_ENDPOINT"
                notes.append(f"{variable} is not a URL such as http://localhost:4318: nothing can be exported there.")
        if "console" in chosen:
            console.add(signal)
    if given("OTEL_CONSOLE").lower() in _TRUE:
        console.add("traces")
    elif given("OTEL_CONSOLE").lower() not in _FALSE:
        notes.append(f"OTEL_CONSOLE is '{given('OTEL_CONSOLE')}', which is not valid: the choices are true, false.")
    endpoint = ""
    if jaeger and "traces" in otlp and not (standard or given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        port = _PORTS[otlp["traces"]]
        endpoint = f"http://{jaeger}:{port}" + ("/v1/traces" if port == _PORTS["http/protobuf"] else "")
    elif given("JAEGER_ENDPOINT") and not jaeger:
        notes.append(f"JAEGER_ENDPOINT={masked(given('JAEGER_ENDPOINT'))} is ignored: it has no host.")
    for infix in ("", *(f"{signal.upper()}_" for signal in _SIGNALS)):
        variable = f"OTEL_EXPORTER_OTLP_{infix}HEADERS"
        if any("=" not in pair for pair in given(variable).split(",") if pair.strip()):
            notes.append(f"{variable} has an entry that is not a name=value pair; it is ignored.")
    return TelemetrySettings(
        otlp=otlp,
        console=frozenset(console),
        traces_endpoint=endpoint,
        propagators=propagators,
        notes=tuple(dict.fromkeys(notes)),
    )


def _propagators(text: str, notes: list[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if "none" in names:
        return ()
    for name in names:
        if name not in FORMATS:
            choices = ", ".join((*FORMATS, "none"))
            notes.append(f"OTEL_PROPAGATORS names '{name}', which is not supported: the choices are {choices}.")
    return tuple(name for name in names if name in FORMATS) or DEFAULT_FORMATS


def _exporters(variable: str, given: _Get, notes: list[str]) -> set[str] | None:
    text = given(variable).lower()
    if not text:
        return None
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names - {*_KNOWN, "prometheus"}):
        notes.append(f"{variable} names '{name}', which is not supported: the choices are {', '.join(_KNOWN)}.")
    return names & {"otlp", "console"}


def _protocol(signal: Signal, given: _Get, notes: list[str]) -> Protocol:
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        text = given(variable).lower()
        if text in _PROTOCOLS:
            return _PROTOCOLS[text]
        if text:
            notes.append(f"{variable} is '{text}', which is not supported: the choices are {', '.join(_PROTOCOLS)}.")
    return "http/protobuf"


def _host(endpoint: str) -> str:
    """Return the host of an endpoint with or without scheme, port and path."""
    if not endpoint:
        return ""
    try:
        host = urlsplit(endpoint if _SCHEME.match(endpoint) else f"//{endpoint}").hostname or ""
    except ValueError:
        return ""
    return f"[{host}]" if ":" in host else host
