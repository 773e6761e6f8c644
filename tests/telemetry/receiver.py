"""A collector for tests: takes OTLP by HTTP and by gRPC, keeps what it gets, and can be slow or refuse."""

import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from cqox.certificates import Credentials

WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as the collector sees it."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    status: int
    start_ns: int
    end_ns: int
    attributes: dict[str, object]
    events: tuple[tuple[str, dict[str, object]], ...]
    links: tuple[str, ...]


@dataclass
class Received:
    """Records received so far."""

    spans: list[ReceivedSpan] = field(default_factory=list)
    metrics: dict[str, set[str]] = field(default_factory=dict)
    gauges: dict[tuple[str, str], float] = field(default_factory=dict)
    sums: dict[tuple[str, str], list[tuple[float, int]]] = field(default_factory=dict)
    logs: list[tuple[str, str, str]] = field(default_factory=list)
    requests: int = 0


class Receiver:
    """Both protocols on free ports.

    Attributes:
        delay: seconds before each answer.
        refuse: whether to answer 503.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        """Speak HTTP with TLS, and demand certificates, where there are credentials."""
        self.received = Received()
        self._credentials = credentials
        self.delay = 0.0
        self.refuse = False
        self._changed = threading.Condition()
        self._http = self._server()(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._add_grpc()

    @property
    def http_url(self) -> str:
        scheme = "http" if self._credentials is None else "https"
        return f"{scheme}://127.0.0.1:{self._http.server_address[1]}"

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait(5)

    def wait_for(self, found: Callable[[Received], bool]) -> Received:
        """Wait until `found(received)` is true."""
        end = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while not found(self.received):
                left = end - time.monotonic()
                assert left > 0, f"not received: {sorted({span.name for span in self.received.spans})}"
                self._changed.wait(left)
        return self.received

    def take_spans(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        with self._changed:
            self.received.requests += 1
            for resource in request.resource_spans:
                service = _attributes(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.received.spans.extend(_span(str(service), span) for span in scope.spans)
            self._changed.notify_all()

    def take_metrics(self, request: metrics_service_pb2.ExportMetricsServiceRequest) -> None:
        with self._changed:
            for resource in request.resource_metrics:
                service = str(_attributes(resource.resource.attributes)["service.name"])
                for scope in resource.scope_metrics:
                    self.received.metrics.setdefault(service, set()).update(metric.name for metric in scope.metrics)
                    for metric in scope.metrics:
                        for point in metric.gauge.data_points:
                            self.received.gauges[service, metric.name] = point.as_double or point.as_int
                        for point in metric.sum.data_points:
                            measured = (point.as_double or point.as_int, metric.sum.aggregation_temporality)
                            self.received.sums.setdefault((service, metric.name), []).append(measured)
            self._changed.notify_all()

    def take_logs(self, request: logs_service_pb2.ExportLogsServiceRequest) -> None:
        with self._changed:
            for resource in request.resource_logs:
                service = str(_attributes(resource.resource.attributes)["service.name"])
                for scope in resource.scope_logs:
                    for record in scope.log_records:
                        self.received.logs.append((service, record.body.string_value, record.trace_id.hex()))
            self._changed.notify_all()

    def _server(self) -> type[ThreadingHTTPServer]:
        receiver = self

        class Server(ThreadingHTTPServer):
            def get_request(self):
                accepted, address = super().get_request()
                if receiver._credentials is not None:
                    mutual = receiver._credentials.current().mutual
                    accepted = mutual.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
                return accepted, address

            def handle_error(self, request, client_address):
                """Be silent about clients that are refused."""

        return Server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self
        paths = {
            "/v1/traces": (trace_service_pb2.ExportTraceServiceRequest, self.take_spans),
            "/v1/metrics": (metrics_service_pb2.ExportMetricsServiceRequest, self.take_metrics),
            "/v1/logs": (logs_service_pb2.ExportLogsServiceRequest, self.take_logs),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.delay)
                message, take = paths[self.path]
                if not receiver.refuse:
                    take(message.FromString(body))
                self.send_response(503 if receiver.refuse else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _add_grpc(self) -> None:
        receiver = self

        class Traces(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request, context):
                receiver.take_spans(request)
                return trace_service_pb2.ExportTraceServiceResponse()

        class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
            def Export(self, request, context):
                receiver.take_metrics(request)
                return metrics_service_pb2.ExportMetricsServiceResponse()

        class Logs(logs_service_pb2_grpc.LogsServiceServicer):
            def Export(self, request, context):
                receiver.take_logs(request)
                return logs_service_pb2.ExportLogsServiceResponse()

        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), self._grpc)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), self._grpc)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), self._grpc)


def _span(service: str, span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        status=span.status.code,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _attributes(pairs) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
