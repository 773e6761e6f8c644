"""A tiny exporter in the place of a service, for causes that cannot be made within seconds.

Its text has the series and labels of the real `/metrics`; `test_stand_ins.py` compares them with the table of series.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["CAUSES", "Cause", "StandIn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Series of a service in trouble.

    Attributes:
        alert: the alert that it fires.
        about: what the series say.
        levels: gauges by name and labels; a certificate's is a share of twenty days.
        rates: growth of counters, per second.
        well: the same gauges where all is well; 0 if not given.
        well_rates: growth of counters once the trouble is over, per second; 0 if not given.
    """

    alert: str
    about: str
    levels: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    well: Mapping[str, float] = field(default_factory=dict)
    well_rates: Mapping[str, float] = field(default_factory=dict)


_REQUESTS = 'http_server_request_duration_seconds_count{http_request_method="POST",http_route="/api/datasets",'
_CERTIFICATE = 'cqox_certificate_not_after_seconds{certificate="service"}'
_ITS_BEGIN = 'cqox_certificate_not_before_seconds{certificate="service"}'
_DAY = 86400.0

CAUSES = (
    Cause(
        alert="CqoxErrorBudgetBurns",
        about="one request in twenty-five fails",
        rates={
            _REQUESTS + 'http_response_status_code="200"}': 24.0,
            _REQUESTS + 'http_response_status_code="503",error_type="503"}': 1.0,
        },
        well_rates={_REQUESTS + 'http_response_status_code="200"}': 25.0},
    ),
    Cause(
        alert="CqoxCircuitOpen",
        about="a circuit opens every twenty seconds",
        rates={'cqox_circuit_transitions_total{policy="_call_engine_read",state="open"}': 0.05},
    ),
    Cause(
        alert="CqoxSaturated",
        about="a call a second is refused for load",
        rates={'cqox_rejections_total{policy="analyses",reason="Bulkhead"}': 1.0},
    ),
    Cause(
        alert="CqoxQueueLong",
        about="an analysis has waited for two minutes",
        levels={"cqox_analysis_queue_oldest_seconds": 120.0},
    ),
    Cause(
        alert="CqoxPoolExhausted",
        about="three calls wait for a connection",
        levels={'db_client_connection_pending_requests{db_client_connection_pool_name="postgres"}': 3.0},
    ),
    Cause(
        alert="CqoxReportsUnstored",
        about="two reports are not stored",
        levels={"cqox_reports_unstored": 2.0},
    ),
    Cause(
        alert="CqoxCacheAway",
        about="the cache does not answer",
        levels={'cqox_degraded{part="cache"}': 1.0},
    ),
    Cause(
        alert="CqoxDiskNearlyFull",
        about="5 % of a disk are free",
        levels={'cqox_disk_free_bytes{disk="data"}': 5e9, 'cqox_disk_size_bytes{disk="data"}': 1e11},
        well={'cqox_disk_free_bytes{disk="data"}': 5e10, 'cqox_disk_size_bytes{disk="data"}': 1e11},
    ),
    Cause(
        alert="CqoxCertificateEndsSoon",
        about="a certificate ends before its renewal",
        levels={_CERTIFICATE: 0.25},
        well={_CERTIFICATE: 1.0},
    ),
    Cause(
        alert="CqoxCertificateNotReplaced",
        about="the next certificate cannot be used",
        levels={'cqox_degraded{part="certificates"}': 1.0},
    ),
    Cause(
        alert="CqoxEventLoopBlocked",
        about="one look at the event loop in ten is half a second late",
        rates={
            'cqox_event_loop_lag_seconds_bucket{le="0.1"}': 1.8,
            'cqox_event_loop_lag_seconds_bucket{le="0.5"}': 2.0,
            'cqox_event_loop_lag_seconds_bucket{le="+Inf"}': 2.0,
            "cqox_event_loop_lag_seconds_count": 2.0,
        },
    ),
    Cause(
        alert="CqoxWorkersKeepDying",
        about="a worker process ends every ten seconds",
        rates={"cqox_worker_restarts_total": 0.1},
    ),
    Cause(
        alert="CqoxTelemetryLost",
        about="a span a second is lost",
        rates={'cqox_telemetry_lost_total{reason="queue_full",signal="traces"}': 1.0},
    ),
    Cause(
        alert="CqoxAuditLost",
        about="entries of the audit log are lost",
        rates={"cqox_audit_lost_total": 0.1},
    ),
)
"""Causes that a stand-in can have all at once."""


@dataclass
class StandIn:
    """A server of `/metrics`, as long as it is entered.

    Attributes:
        factor: by how much faster its time runs.
    """

    factor: float
    _counts: dict[str, float] = field(default_factory=dict)
    _causes: tuple[Cause, ...] = ()
    _had_causes: bool = False
    _changed: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = stand_in.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Keep the output of tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def having(self, *causes: Cause) -> Iterator[None]:
        """Have these causes meanwhile."""
        self._set(causes)
        yield
        self._set(())

    def text(self) -> str:
        """Return the samples as they are now."""
        with self._lock:
            self._count()
            levels = {name: each.well.get(name, 0.0) for each in CAUSES for name in each.levels}
            for each in self._causes:
                levels |= each.levels
            life = 20 * _DAY / self.factor
            levels[_CERTIFICATE] = time.time() + levels[_CERTIFICATE] * life
            levels[_ITS_BEGIN] = levels[_CERTIFICATE] - life
            counts = dict.fromkeys((name for each in CAUSES for name in each.rates), 0.0) | self._counts
        return "".join(f"{name} {value!r}\n" for name, value in (levels | counts).items())

    def _set(self, causes: tuple[Cause, ...]) -> None:
        with self._lock:
            self._count()
            self._causes = causes
            self._had_causes = True

    def _count(self) -> None:
        now = time.monotonic()
        # No traffic before the first trouble: at a scale of time it would outweigh the failures for long.
        for each in CAUSES if self._had_causes else ():
            for name, rate in (each.rates if each in self._causes else each.well_rates).items():
                self._counts[name] = self._counts.get(name, 0.0) + rate * self.factor * (now - self._changed)
        self._changed = now
