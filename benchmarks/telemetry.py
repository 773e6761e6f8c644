"""Overhead of telemetry for a request and a task: with a collector, with a dead one, and disabled.

Real services on loopback with interleaved settings, so that each sees the same machine. Targets: at most 25 µs for a
task's span; with a dead collector no slower than with a live one, except for the cost of the spans themselves.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import trio

from benchmarks._history import Ratio, record
from benchmarks._load import Connection, Load, closed_loop, percentile

_ANALYZE = "/api/analyze/comprehensive"
_BODY = json.dumps(
    {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "x4"]}}
).encode()
_CONNECTIONS = 8
_ROUNDS = 4
_ROUND_SECONDS = 2.0
_READY_SECONDS = 60.0
_TASKS = 1000
_REPEATS = 20

_SINK = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import sys
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *ignored): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def main() -> None:
    """Print both tables."""
    _tasks()
    _requests()


def _tasks() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    from cqox.tasks import observe_tasks
    from cqox.telemetry.export_stats import CountedSpanExporter, CountedSpans, ExportStats
    from cqox.telemetry.recorder import OpenTelemetryRecorder
    from cqox.telemetry.tasks import TaskSpans

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    stats = ExportStats("traces", 2048)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountedSpans(BatchSpanProcessor(CountedSpanExporter(Nowhere(), stats)), stats))
    recorder = OpenTelemetryRecorder(provider.get_tracer("benchmark"))
    watched = {"off": None, "on, one in ten": TaskSpans(recorder, ratio=0.1), "on": TaskSpans(recorder)}
    print(f"A task that does nothing, µs of CPU, best of {_REPEATS} × {_TASKS}")
    loops: dict[str, Callable[[Callable[[], Awaitable[float]]], float]] = {
        "asyncio": lambda f: asyncio.run(f()),  # type: ignore[arg-type]
        "trio": trio.run,
    }
    for name, run in loops.items():
        times: dict[str, list[float]] = {"bare": [], **{label: [] for label in watched}}
        for _ in range(_REPEATS):
            times["bare"].append(run(_bare))
            for label, observer in watched.items():
                observe_tasks(observer)
                times[label].append(run(_grouped))
                observe_tasks(None)
        row = {label: min(values) / _TASKS * 1e6 for label, values in times.items()}
        shown = " · ".join(f"{label} {value:.1f}" for label, value in row.items())
        print(f"  {name:8} {shown} · a span adds {row['on'] - row['off']:.1f}")
    provider.shutdown()


async def _nothing() -> None:
    pass


async def _bare() -> float:
    began = time.thread_time()
    async with anyio.create_task_group() as group:
        for _ in range(_TASKS):
            group.start_soon(_nothing)
    return time.thread_time() - began


async def _grouped() -> float:
    from cqox.tasks import open_task_group

    began = time.thread_time()
    async with open_task_group("benchmark") as group:
        for _ in range(_TASKS):
            group.start_soon(_nothing)
    return time.thread_time() - began


def _requests() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cqox-benchmark-")))
        live, dead = _free_port(), _free_port()
        sink = subprocess.Popen([sys.executable, "-c", _SINK, str(live)])
        stack.callback(sink.kill)
        addresses = {
            "not even measures": {"OTEL_SDK_DISABLED": "true"},
            "off": {},
            "on": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{live}"},
            "on, collector dead": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{dead}"},
        }
        pairs = {label: stack.enter_context(_services(folder / label, more)) for label, more in addresses.items()}
        loads: dict[str, list[Load]] = {label: [] for label in addresses}
        costs: dict[str, list[float]] = {label: [] for label in addresses}
        for _ in range(_ROUNDS):
            for label, pair in pairs.items():
                before = pair.cpu_seconds()
                load = closed_loop(pair.port, _ANALYZE, lambda: _BODY, connections=_CONNECTIONS, seconds=_ROUND_SECONDS)
                loads[label].append(load)
                costs[label].append((pair.cpu_seconds() - before) / len(load.answers))
    print(f"A cached analysis through gateway and engine, {_CONNECTIONS} connections, {_ROUNDS} rounds in turns")
    rates = {label: statistics.median(load.per_second for load in rounds) for label, rounds in loads.items()}
    # The CPU time of both services is least affected by other load on the machine.
    spent = {label: statistics.median(rounds) * 1e3 for label, rounds in costs.items()}
    for label, rounds in loads.items():
        late = statistics.median(percentile(load.of(200), 0.99) for load in rounds) * 1e3
        print(
            f"  {label:20} {rates[label]:7.0f} requests/s ({rates[label] / rates['off']:.2f})   p99 {late:6.1f} ms"
            f"   CPU {spent[label]:5.2f} ms a request ({spent[label] / spent['off']:.2f})"
        )
        if label != "off":
            record(_ratio(f"Requests, {label}", "requests/s", rates[label], rates["off"]))
            record(_ratio(f"CPU, {label}", "ms", spent[label], spent["off"]))


def _ratio(case: str, unit: str, ours: float, off: float) -> Ratio:
    return Ratio(
        case=case,
        ratio=ours / off,
        better="higher" if unit == "requests/s" else "lower",
        unit=unit,
        ours=ours,
        theirs=off,
        peer="telemetry off",
        peer_version=None,
        threads=1,
        peer_threads=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A running gateway and engine."""

    port: int
    processes: tuple[int, ...]

    def cpu_seconds(self) -> float:
        """Return the CPU time of both so far; Linux only."""
        ticks = 0
        for process in self.processes:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _services(folder: Path, more: dict[str, str]) -> Iterator[_Pair]:
    folder.mkdir(parents=True)
    ports = {"engine": _free_port(), "gateway": _free_port()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CQOX_"))}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, port in ports.items():
            environment = {
                **clean,
                **more,
                "CQOX_DATA_DIR": str(folder / "data"),
                f"CQOX_{name.upper()}_PORT": str(port),
                "ENGINE_URL": f"http://127.0.0.1:{ports['engine']}",
                "CQOX_CONCURRENT_ANALYSES": "1",
            }
            running.append(
                subprocess.Popen([sys.executable, "-m", f"services.{name}"], env=environment, stdout=subprocess.DEVNULL)
            )
        for port in ports.values():
            _wait_ready(port)
        Connection(ports["gateway"]).ask(_ANALYZE, _BODY)
        yield _Pair(port=ports["gateway"], processes=tuple(process.pid for process in running))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(45)


def _wait_ready(port: int) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        try:
            if Connection(port).ask("/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"The service on port {port} is not ready after {_READY_SECONDS:g} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
