"""A stand-in for Jaeger in tests of compose.yaml: OTLP by HTTP on 4318, its query API on 16686, its health on 13133.

With `RELAY_TO` it is a stand-in for the collector too, and passes on what it gets.
"""

import gzip
import json
import os
import signal
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_lock = threading.Lock()
_traces: dict[str, list[tuple[str, Span]]] = defaultdict(list)


class Handler(BaseHTTPRequestHandler):
    """Every port; the path distinguishes requests."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/traces":
            return self._answer(404, b"")
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        with _lock:
            for resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        _traces[span.trace_id.hex()].append((names.get("service.name", ""), span))
        if relay := os.environ.get("RELAY_TO"):
            headers = {"Content-Type": "application/x-protobuf"}
            with urlopen(Request(relay, plain, headers), timeout=5) as passed:
                passed.read()
        return self._answer(200, b"", "application/x-protobuf")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        with _lock:
            if url.path == "/api/services":
                return self._data(sorted({service for spans in _traces.values() for service, _ in spans}))
            if url.path.startswith("/api/traces/"):
                trace = url.path.removeprefix("/api/traces/")
                return self._data([_shown(trace, _traces[trace])] if trace in _traces else [])
            if url.path == "/api/traces":
                service = parse_qs(url.query).get("service", [""])[0]
                mine = [(key, spans) for key, spans in _traces.items() if any(name == service for name, _ in spans)]
                return self._data([_shown(key, spans) for key, spans in mine])
        return self._answer(200, b'{"status":"StatusOK"}')

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _data(self, data: list[object]) -> None:
        self._answer(200 if data else 404, json.dumps({"data": data}).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _shown(trace: str, spans: list[tuple[str, Span]]) -> dict[str, object]:
    services = sorted({service for service, _ in spans})
    return {
        "traceID": trace,
        "spans": [
            {
                "traceID": trace,
                "spanID": span.span_id.hex(),
                "operationName": span.name,
                "references": [{"refType": "CHILD_OF", "traceID": trace, "spanID": span.parent_span_id.hex()}]
                if span.parent_span_id
                else [],
                "startTime": span.start_time_unix_nano // 1000,
                "duration": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
                "tags": [{"key": one.key, "type": "string", "value": _value(one.value)} for one in span.attributes],
                "processID": f"p{services.index(service)}",
            }
            for service, span in spans
        ],
        "processes": {f"p{number}": {"serviceName": service} for number, service in enumerate(services)},
    }


def _value(value: object) -> str:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    return str(getattr(value, kind)) if kind else ""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    servers = [ThreadingHTTPServer(("0.0.0.0", port), Handler) for port in (4318, 16686, 13133)]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
