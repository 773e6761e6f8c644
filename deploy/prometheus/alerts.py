"""The alerts, in the order of the runbook. `python -m deploy.prometheus` writes them to `rules.yml`."""

from deploy.prometheus.alert import Alert

__all__ = ["ALERTS"]

_STORE_ERRORS = (
    'db_client_operation_duration_seconds_count{db_system_name=~"postgresql|sqlite", '
    'error_type=~"StoreUnavailable|StorageFull"}'
)

# Windows see a failure for minutes after its repair: who has been woken by the cause is not woken once more by them.
_PAGED = (
    'count_over_time(ALERTS{alertname=~"CqoxDown|CqoxStoreFailing|CqoxJam|CqoxDiskFull", alertstate="firing"}[6m]) > 0'
)


def _grown(series: str, labels: str, window: str) -> str:
    # A counter that appears with its first event has no earlier sample from which it could have increased.
    return (
        f"sum by ({labels}) (increase({series}[{window}])) > 0\n"
        f"or sum by ({labels}) ({series} > 0 unless {series} offset {window}) > 0"
    )


ALERTS = (
    # A replica that its orchestrator has removed has no `up` at all, so the job itself is asked for.
    Alert(
        name="CqoxDown",
        expression='sum by (job) (up{job=~"cqox-.+"}) == 0\n'
        'or absent(up{job="cqox-gateway"})\n'
        'or absent(up{job="cqox-engine"})',
        hold=45,
        severity="page",
        within=120,
        summary="No instance of {{ $labels.job }} answers",
        action="See which container or process ended and why, and start it again.",
    ),
    Alert(
        name="CqoxStoreFailing",
        expression='max by (job, instance) (avg_over_time(cqox_degraded{part="results"}[1m])) > 0.5\n'
        f"or (sum by (job, instance) (increase({_STORE_ERRORS}[40s])) > 0\n"
        f"    and sum by (job, instance) (increase({_STORE_ERRORS}[40s] offset 40s)) > 0)",
        hold=15,
        severity="page",
        within=120,
        summary="The result store of {{ $labels.job }} ({{ $labels.instance }}) fails or does not answer",
        action="Look for locks and for a full disk at the database; analyses go on, uploads and jobs do not.",
    ),
    Alert(
        name="CqoxJam",
        expression="max by (job, instance) (cqox_analysis_queue_oldest_seconds) > seconds(30)\n"
        "and max by (job, instance) (cqox_analysis_running - cqox_analysis_places) >= 0\n"
        "and sum by (job, instance) (rate(cqox_worker_cpu_seconds_total[45s])) < 0.05",
        hold=15,
        severity="page",
        within=120,
        summary="Analyses of {{ $labels.instance }} wait, and its workers compute nothing",
        action="See what the worker processes wait for, then restart the engine.",
    ),
    Alert(
        name="CqoxDiskFull",
        expression='max by (job, instance) (avg_over_time(cqox_degraded{part="disk"}[1m])) > 0.5',
        hold=30,
        severity="page",
        within=120,
        summary="The disk of {{ $labels.job }} ({{ $labels.instance }}) is full or takes no writes",
        action="Delete data sets, or what others have put there; uploads and jobs are refused meanwhile.",
    ),
    # A certificate that lives for an hour is always near its end: so the share of its life that is left counts as well.
    Alert(
        name="CqoxCertificateEnds",
        expression="cqox:certificate:left_seconds < seconds(259200)\n"
        "and cqox:certificate:left_seconds < 0.2 * cqox:certificate:life_seconds",
        severity="page",
        within=120,
        summary="A certificate ({{ $labels.certificate }}) of {{ $labels.instance }} ends in "
        "{{ $value | humanizeDuration }}",
        action="Issue a new one into the folder of the service; it is taken up without a restart.",
    ),
    # While no engine answers, CqoxDown says so; and for a minute after its end the gateway only has not noticed yet.
    Alert(
        name="CqoxDegraded",
        expression='max by (job, instance, part) (avg_over_time(cqox_degraded{part=~"keys|vault"}[1m])) > 0.5\n'
        'or (max by (job, instance, part) (avg_over_time(cqox_degraded{part="engine"}[1m])) > 0.5\n'
        '    and on () max(min_over_time(up{job="cqox-engine"}[1m])) == 1)',
        hold=45,
        severity="page",
        within=120,
        summary="{{ $labels.job }} ({{ $labels.instance }}) has to do without: {{ $labels.part }}",
        action="Ask the service for the reason: `degraded` at /api/health.",
    ),
    # 99.5 % of requests a month: 14.4 times that budget for an hour uses 2 % of it, 6 times for 6 h uses 5 %.
    Alert(
        name="CqoxErrorBudgetBurnsFast",
        expression="cqox:request_errors:ratio_rate5m > 14.4 * 0.005\n"
        "and cqox:request_errors:ratio_rate1h > 14.4 * 0.005\n"
        f"and cqox:request_errors:increase5m >= 10\nunless on () {_PAGED}",
        hold=120,
        severity="page",
        within=300,
        summary="{{ $labels.job }} fails {{ $value | humanizePercentage }} of its requests",
        action="See by which status and on which route requests fail.",
    ),
    Alert(
        name="CqoxErrorBudgetBurns",
        expression="cqox:request_errors:ratio_rate30m > 6 * 0.005\n"
        "and cqox:request_errors:ratio_rate6h > 6 * 0.005\n"
        "and cqox:request_errors:increase30m >= 30",
        hold=900,
        severity="ticket",
        within=2700,
        summary="{{ $labels.job }} has failed {{ $value | humanizePercentage }} of its requests for hours",
        action="Look for one route or one data set before one machine.",
    ),
    Alert(
        name="CqoxReplicasMissing",
        expression='cqox:replicas:expected - on (job) sum by (job) (up{job=~"cqox-.+"}) > 0',
        hold=120,
        severity="ticket",
        within=210,
        summary="{{ $value }} expected instance(s) of {{ $labels.job }} do not answer",
        action="Start them again, or lower the number in expected.yml.",
    ),
    # Its changes, not its state: one that tests recovery is half open every few seconds, an idle one stays open.
    Alert(
        name="CqoxCircuitOpen",
        expression=_grown('cqox_circuit_transitions_total{state="open"}', "job, policy", "5m"),
        severity="ticket",
        within=180,
        summary="The circuit {{ $labels.policy }} of {{ $labels.job }} has opened and refused calls",
        action="See why the calls before it failed; it closes by itself.",
    ),
    Alert(
        name="CqoxSaturated",
        expression='sum by (job) (rate(cqox_rejections_total{reason!="CircuitBreaker"}[5m])) > 0.1',
        hold=300,
        severity="ticket",
        within=660,
        summary="{{ $labels.job }} refuses {{ $value | humanize }} calls a second for load",
        action="Add engines, or places where cores are idle.",
    ),
    Alert(
        name="CqoxQueueLong",
        expression="(histogram_quantile(0.9, sum by (job, le) (rate(cqox_analysis_queue_wait_seconds_bucket[5m])))"
        " > seconds(30)\n"
        "and sum by (job) (increase(cqox_analysis_queue_wait_seconds_count[5m])) >= 10)\n"
        "or max by (job) (cqox_analysis_queue_oldest_seconds) > seconds(60)",
        hold=300,
        severity="ticket",
        within=660,
        summary="Analyses of {{ $labels.job }} wait {{ $value | humanizeDuration }} for a place",
        action="Add engines, or places where cores are idle.",
    ),
    # Four of five samples: even where calls wait nearly always, one look in some minutes sees a moment without.
    Alert(
        name="CqoxPoolExhausted",
        expression="quantile_over_time(0.2, db_client_connection_pending_requests[5m]) > 0",
        hold=300,
        severity="ticket",
        within=660,
        summary="Calls of {{ $labels.instance }} wait for a connection to {{ $labels.db_client_connection_pool_name }}",
        action="See whether operations of the store have become slow.",
    ),
    Alert(
        name="CqoxReportsUnstored",
        expression="min_over_time(cqox_reports_unstored[5m]) > 0",
        hold=300,
        severity="ticket",
        within=660,
        summary="{{ $labels.instance }} holds {{ $value }} report(s) in memory that its store does not take",
        action="Do not restart this engine before they are stored: see why the store refuses them.",
    ),
    Alert(
        name="CqoxCacheAway",
        expression='max by (job, instance) (avg_over_time(cqox_degraded{part="cache"}[5m])) > 0.5',
        hold=300,
        severity="ticket",
        within=660,
        summary="The cache of {{ $labels.job }} ({{ $labels.instance }}) does not answer",
        action="Start Redis again; answers are right without it, and slower.",
    ),
    Alert(
        name="CqoxDiskNearlyFull",
        expression="cqox_disk_free_bytes / cqox_disk_size_bytes < 0.1",
        hold=300,
        severity="ticket",
        within=390,
        summary="Only {{ $value | humanizePercentage }} of the disk `{{ $labels.disk }}` of {{ $labels.instance }} "
        "is free",
        action="Delete what is not needed, or give it a larger disk, before uploads are refused.",
    ),
    Alert(
        name="CqoxCertificateEndsSoon",
        expression="cqox:certificate:left_seconds < seconds(1209600)\n"
        "and cqox:certificate:left_seconds < 0.3 * cqox:certificate:life_seconds",
        hold=60,
        severity="ticket",
        within=180,
        summary="A certificate ({{ $labels.certificate }}) of {{ $labels.instance }} ends in "
        "{{ $value | humanizeDuration }} and has not been renewed",
        action="See what renews certificates, and why it did not.",
    ),
    Alert(
        name="CqoxCertificateNotReplaced",
        expression='max by (job, instance) (avg_over_time(cqox_degraded{part="certificates"}[5m])) > 0.5',
        hold=300,
        severity="ticket",
        within=660,
        summary="{{ $labels.job }} ({{ $labels.instance }}) cannot use its next certificate",
        action="Read the reason and the date in `degraded` at /api/health; the one in force serves until then.",
    ),
    Alert(
        name="CqoxEventLoopBlocked",
        expression="histogram_quantile(0.99, sum by (job, le) (rate(cqox_event_loop_lag_seconds_bucket[5m]))) > 0.25\n"
        "and sum by (job) (increase(cqox_event_loop_lag_seconds_count[5m])) >= 10",
        hold=300,
        severity="ticket",
        within=660,
        summary="The event loop of {{ $labels.job }} comes back {{ $value | humanizeDuration }} late",
        action="See whether the machine is short of CPU.",
    ),
    Alert(
        name="CqoxWorkersKeepDying",
        expression="increase(cqox_worker_restarts_total[10m]) > 5",
        hold=300,
        severity="ticket",
        within=960,
        summary="{{ $labels.instance }} has replaced {{ $value | humanize }} worker processes in 10 minutes",
        action="See in the log of the engine how they ended; without deadlines it is memory.",
    ),
    Alert(
        name="CqoxTelemetryLost",
        expression="sum by (job, signal) (rate(cqox_telemetry_lost_total[5m])) > 0",
        hold=300,
        severity="ticket",
        within=420,
        summary="{{ $labels.job }} loses {{ $labels.signal }}: its collector is away or slow",
        action="Start the collector again, or sample.",
    ),
    Alert(
        name="CqoxAuditLost",
        expression=_grown("cqox_audit_lost_total", "job, instance", "10m"),
        severity="ticket",
        within=90,
        summary="{{ $labels.job }} ({{ $labels.instance }}) has lost entries of the audit log",
        action="Note the time and the number from its log: these entries cannot be had again.",
    ),
    # It always fires: who receives it raises the alarm when it stops coming.
    Alert(
        name="Watchdog",
        expression="vector(1)",
        severity="none",
        within=60,
        summary="Alerts can reach people",
        action="Nothing: act when this stops coming.",
    ),
)
"""Every alert."""
