"""Definitions of every metric. `docs/telemetry.md` lists them, and a test compares the two.

Labels are bounded: routes, never paths; names of policies, estimators and stores, never ids.
"""

from cqox.telemetry.series import Series

__all__ = ["SERIES", "Series"]

# Few: each bound is a line for every value of every label. What alerts and objectives compare with is one of them.
_REQUEST_SECONDS = (0.01, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0)
_STEP_SECONDS = (0.05, 0.25, 1.0, 5.0, 30.0)
_WAIT_SECONDS = (0.1, 1.0, 5.0, 30.0, 60.0, 120.0)
_STORE_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)
_LAG_SECONDS = (0.005, 0.025, 0.1, 0.25, 1.0, 5.0)
_ROWS = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)
_SIZES = tuple(float(16**power * 1024) for power in range(6))

HTTP_SERVER_DURATION = Series(
    name="http.server.request.duration",
    kind="histogram",
    unit="s",
    meaning="Time to answer a request, from its head to the end of its answer; 499 where the client left.",
    labels=("http.request.method", "http.route", "http.response.status_code", "error.type"),
    buckets=_REQUEST_SECONDS,
    exemplars=True,
)
HTTP_SERVER_ACTIVE = Series(
    name="http.server.active_requests",
    kind="gauge",
    unit="{request}",
    meaning="Requests and background jobs in flight.",
)
HTTP_CLIENT_DURATION = Series(
    name="http.client.request.duration",
    kind="histogram",
    unit="s",
    meaning="Time of one attempt at an engine, from its first byte to the end of the answer.",
    labels=("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"),
    service="gateway",
    buckets=_REQUEST_SECONDS,
    exemplars=True,
)
DEGRADED = Series(
    name="cqox.degraded",
    kind="gauge",
    unit="1",
    meaning="1 while a part that the service depends on is unavailable, as `degraded` of `/api/health` says; else 0.",
    labels=("part",),
)
CERTIFICATE_END = Series(
    name="cqox.certificate.not_after",
    kind="gauge",
    unit="s",
    meaning="Unix time at which the certificate in use expires: that of the `service`, where it has TLS.",
    labels=("certificate",),
)
CERTIFICATE_BEGIN = Series(
    name="cqox.certificate.not_before",
    kind="gauge",
    unit="s",
    meaning="Unix time from which on the certificate in use is valid: what of its life is left decides about alerts.",
    labels=("certificate",),
)
CIRCUIT_STATE = Series(
    name="cqox.circuit.state",
    kind="gauge",
    unit="1",
    meaning="1 for the state that a circuit is in, 0 for the others.",
    labels=("policy", "state"),
)
CIRCUIT_TRANSITIONS = Series(
    name="cqox.circuit.transitions",
    kind="counter",
    unit="{transition}",
    meaning="Changes of a circuit into a state.",
    labels=("policy", "state"),
)
RETRIES = Series(
    name="cqox.retry.attempts",
    kind="counter",
    unit="{attempt}",
    meaning="Attempts after the first.",
    labels=("policy",),
)
GIVEN_UP = Series(
    name="cqox.retry.given_up",
    kind="counter",
    unit="{call}",
    meaning="Calls whose last attempt failed.",
    labels=("policy",),
)
RETRY_BUDGET = Series(
    name="cqox.retry.budget",
    kind="gauge",
    unit="{retry}",
    meaning="Retries that a budget would allow now.",
    labels=("policy",),
    service="gateway",
)
CONNECTIONS = Series(
    name="cqox.connections", kind="gauge", unit="{connection}", meaning="Connections of clients that are open."
)
CONNECTIONS_CLOSED = Series(
    name="cqox.connections.closed",
    kind="counter",
    unit="{connection}",
    meaning="Connections closed on the service's side: `failed` by a defect, `evicted` while they stood still, "
    "`refused` since all others were at work.",
    labels=("reason",),
    born=(("failed",), ("evicted",), ("refused",)),
)
TIMEOUTS = Series(
    name="cqox.timeouts",
    kind="counter",
    unit="{timeout}",
    meaning="Attempts that a policy cut, and as policy `request` requests whose deadline passed.",
    labels=("policy",),
    born=(("request",),),
)
REJECTIONS = Series(
    name="cqox.rejections",
    kind="counter",
    unit="{call}",
    meaning="Calls that a policy did not let through, by the kind of policy.",
    labels=("policy", "reason"),
)
CPU_SECONDS = Series(
    name="cqox.tasks.cpu",
    kind="counter",
    unit="s",
    meaning="CPU time of worker processes in the tasks of tenants: `analyze` and `preview`.",
    labels=("task",),
    born=(("analyze",), ("preview",)),
    service="engine",
)
UPLOADED_BYTES = Series(
    name="cqox.uploads.received",
    kind="counter",
    unit="By",
    meaning="Bytes of uploaded files that have arrived, those of uploads that failed included.",
    service="gateway",
)
BULKHEAD_RUNNING = Series(
    name="cqox.bulkhead.running",
    kind="gauge",
    unit="{call}",
    meaning="Calls inside a bulkhead.",
    labels=("policy",),
    service="gateway",
)
BULKHEAD_QUEUED = Series(
    name="cqox.bulkhead.queued",
    kind="gauge",
    unit="{call}",
    meaning="Calls that wait at a bulkhead.",
    labels=("policy",),
    service="gateway",
)
BULKHEAD_LIMIT = Series(
    name="cqox.bulkhead.limit",
    kind="gauge",
    unit="{call}",
    meaning="How many calls may be inside a bulkhead at once.",
    labels=("policy",),
    service="gateway",
)
QUEUE_WAIT = Series(
    name="cqox.analysis.queue.wait",
    kind="histogram",
    unit="s",
    meaning="Time that a computation waited for its place, and how that ended: it `started`, it `gave_up` since its "
    "callers left or their deadline came too near, or it was `refused` since a more critical one took its place in the "
    "queue. Who is refused on arrival has not waited, and is in `cqox.rejections` alone.",
    labels=("outcome",),
    service="engine",
    buckets=_WAIT_SECONDS,
    born=(("started",), ("gave_up",), ("refused",)),
    exemplars=True,
)
QUEUE_OLDEST = Series(
    name="cqox.analysis.queue.oldest",
    kind="gauge",
    unit="s",
    meaning="How long the computation that has waited longest for a place has waited by now; 0 where none waits.",
    service="engine",
)
QUEUE_DEPTH = Series(
    name="cqox.analysis.queue.depth",
    kind="gauge",
    unit="{analysis}",
    meaning="Computations that wait for a place.",
    service="engine",
)
ANALYSES_RUNNING = Series(
    name="cqox.analysis.running",
    kind="gauge",
    unit="{analysis}",
    meaning="Computations that hold a place.",
    service="engine",
)
ANALYSIS_PLACES = Series(
    name="cqox.analysis.places",
    kind="gauge",
    unit="{analysis}",
    meaning="How many computations may run at once (`CQOX_CONCURRENT_ANALYSES`).",
    service="engine",
)
REPORTS_UNSTORED = Series(
    name="cqox.reports.unstored",
    kind="gauge",
    unit="{report}",
    meaning="Finished reports that the result store has not taken yet.",
    service="engine",
)
WORKER_CPU = Series(
    name="cqox.worker.cpu",
    kind="total",
    unit="s",
    meaning="CPU time of all worker processes, those that have ended included.",
    service="engine",
)
WORKER_MEMORY = Series(
    name="cqox.worker.memory",
    kind="gauge",
    unit="By",
    meaning="Resident memory of all worker processes together.",
    service="engine",
)
WORKER_RESTARTS = Series(
    name="cqox.worker.restarts",
    kind="total",
    unit="{process}",
    meaning="Worker processes that ended, were killed or were lost, and were replaced.",
    service="engine",
)
WORKERS = Series(
    name="cqox.worker.processes",
    kind="gauge",
    unit="{process}",
    meaning="Worker processes by what they do.",
    labels=("state",),
    service="engine",
)
CACHE_REQUESTS = Series(
    name="cqox.cache.requests",
    kind="counter",
    unit="{request}",
    meaning="Look-ups of a finished report in a cache.",
    labels=("cache", "outcome"),
    service="engine",
)
CACHE_BYTES = Series(
    name="cqox.cache.size",
    kind="gauge",
    unit="By",
    meaning="Memory of what an engine holds: reports near at hand (`memory`) or not yet stored (`unstored`), and the "
    "steps of `jobs` that have ended.",
    labels=("cache",),
    service="engine",
)
STORE_DURATION = Series(
    name="db.client.operation.duration",
    kind="histogram",
    unit="s",
    meaning="Time of one operation of a store or a cache, waiting for a connection included.",
    labels=("db.system.name", "db.operation.name", "error.type"),
    service="engine",
    buckets=_STORE_SECONDS,
)
STORE_ACTIVE = Series(
    name="cqox.store.active",
    kind="gauge",
    unit="{operation}",
    meaning="Operations of a store or a cache that hold a connection or wait for one.",
    labels=("db.system.name",),
    service="engine",
)
POOL_CONNECTIONS = Series(
    name="db.client.connection.count",
    kind="gauge",
    unit="{connection}",
    meaning="Connections of a pool that a call has, and those that wait for one.",
    labels=("db.client.connection.pool.name", "db.client.connection.state"),
    service="engine",
    # A suffix `_count` is that of a histogram.
    shown="db.client.connections",
)
POOL_LIMIT = Series(
    name="db.client.connection.max",
    kind="gauge",
    unit="{connection}",
    meaning="How many connections a pool may have.",
    labels=("db.client.connection.pool.name",),
    service="engine",
)
POOL_WAITING = Series(
    name="db.client.connection.pending_requests",
    kind="gauge",
    unit="{request}",
    meaning="Calls that wait for a connection of a pool.",
    labels=("db.client.connection.pool.name",),
    service="engine",
)
ESTIMATOR_DURATION = Series(
    name="cqox.estimator.duration",
    kind="histogram",
    unit="s",
    meaning="Time of one estimator on one contrast, and how it ended; without those that were skipped.",
    labels=("estimator", "status"),
    service="engine",
    buckets=_STEP_SECONDS,
    exemplars=True,
)
ESTIMATOR_SKIPPED = Series(
    name="cqox.estimator.skipped",
    kind="counter",
    unit="{estimator}",
    meaning="Estimators that a contrast gave no cause to compute, or not the data for.",
    labels=("estimator",),
    service="engine",
)
STEP_DURATION = Series(
    name="cqox.analysis.step.duration",
    kind="histogram",
    unit="s",
    meaning="Time of one step of an analysis other than an estimator.",
    labels=("step",),
    service="engine",
    buckets=_STEP_SECONDS,
    exemplars=True,
)
GATE_RESULTS = Series(
    name="cqox.gate.results",
    kind="counter",
    unit="{gate}",
    meaning="Quality gates by what they said.",
    labels=("gate", "status"),
    service="engine",
)
DISK_FREE = Series(
    name="cqox.disk.free",
    kind="gauge",
    unit="By",
    meaning="Space that is left to the engine on the disk of its `data` directory, and of its `temporary` files where "
    "those are on another disk.",
    labels=("disk",),
    service="engine",
)
DISK_SIZE = Series(
    name="cqox.disk.size",
    kind="gauge",
    unit="By",
    meaning="Size of these disks.",
    labels=("disk",),
    service="engine",
)
DATASET_ROWS = Series(
    name="cqox.dataset.rows",
    kind="histogram",
    unit="{row}",
    meaning="Rows of the data sets that are analysed.",
    service="engine",
    buckets=_ROWS,
)
DATASET_SIZE = Series(
    name="cqox.dataset.size",
    kind="histogram",
    unit="By",
    meaning="Size of the data sets that are uploaded.",
    service="engine",
    buckets=_SIZES,
)
LOOP_LAG = Series(
    name="cqox.event_loop.lag",
    kind="histogram",
    unit="s",
    meaning="How much later than asked the event loop came back, asked twice a second.",
    buckets=_LAG_SECONDS,
)
AUDIT_LOST = Series(
    name="cqox.audit.lost",
    kind="counter",
    unit="{entry}",
    meaning="Entries of the audit log that were never stored; the requests were answered.",
)
LOST = Series(
    name="cqox.telemetry.lost",
    kind="counter",
    unit="{record}",
    meaning="Spans and log records that never reached the collector.",
    labels=("signal", "reason"),
    born=tuple(
        (signal, reason) for signal in ("traces", "logs") for reason in ("queue_full", "not_delivered", "shutdown")
    ),
)

SERIES: tuple[Series, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Series))
"""All definitions, in the order above."""
