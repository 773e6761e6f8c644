"""Conditions, links and groups of queries that several rows share."""

from collections.abc import Sequence

from cqox.contract.messages import Message
from cqox.dashboards.panels import Link
from cqox.dashboards.queries import Legend, Match, Quantile, Rate
from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import Series

__all__ = [
    "AT_GATEWAY",
    "FAILED_ATTEMPT",
    "FAILED_GATE",
    "FAILED_OPERATION",
    "FAILED_STATUS",
    "FORWARDED",
    "HALF_OPEN",
    "HIT",
    "NO_PROBES",
    "OPEN",
    "TRACES",
    "USED",
    "counted",
    "failed",
    "ranks",
    "runbook",
]

NO_PROBES = Match(
    label="http_route", how="!~", value="/health.*|/api/health|/metrics|/api/dashboards.*|/api/internal.*"
)
"""Requests that somebody makes, apart from those of a dashboard itself."""

AT_GATEWAY = Match(label="job", how="=", value="cqox-gateway")
FORWARDED = Match(label="http_route", how="=~", value="/api/.*")
"""Requests that a gateway forwards."""

OPEN = Match(label="state", how="=", value="open")
HALF_OPEN = Match(label="state", how="=", value="half_open")
FAILED_ATTEMPT = Match(label="http_response_status_code", how="!~", value="[1-4]..")
"""Attempts that an engine failed, or that did not reach it."""

FAILED_OPERATION = Match(label="error_type", how="!=", value="")
FAILED_STATUS = Match(label="status", how="=", value="failed")
FAILED_GATE = Match(label="status", how="=", value="fail")
HIT = Match(label="outcome", how="=", value="hit")
USED = Match(label="db_client_connection_state", how="=", value="used")

TRACES = Link(kind="traces", target="", title=Message("dashboards.link-traces"))
"""The trace viewer of the installation."""

_COUNTED = (
    NO_PROBES,
    Match(label="http_response_status_code", how="!~", value="4.."),
    Match(label="error_type", how="!=", value="ClientDeadline"),
)
_FAILED = (*_COUNTED, Match(label="http_response_status_code", how="=~", value="5.."))


def counted(by: str | Sequence[str], window: int | None = None) -> Rate:
    """Return the rate of requests that the service level is about: no mistakes and no chosen deadlines of clients."""
    labels = (by,) if isinstance(by, str) else tuple(by)
    return Rate(series=metric_definitions.HTTP_SERVER_DURATION, by=labels, where=_COUNTED, window=window)


def failed(by: str | Sequence[str], window: int | None = None) -> Rate:
    """Return the rate of those among them that fail."""
    labels = (by,) if isinstance(by, str) else tuple(by)
    return Rate(series=metric_definitions.HTTP_SERVER_DURATION, by=labels, where=_FAILED, window=window)


def ranks(series: Series, by: tuple[str, ...], where: tuple[Match, ...] = ()) -> tuple[Quantile, ...]:
    """Return the median, the 95th and the 99th percentile of a histogram."""
    words = (
        (0.5, Message("dashboards.word-p50")),
        (0.95, Message("dashboards.word-p95")),
        (0.99, Message("dashboards.word-p99")),
    )
    return tuple(
        Quantile(rank=rank, series=series, by=by, where=where, legend=Legend(word=word, labels=by))
        for rank, word in words
    )


def runbook(alert: str) -> Link:
    """Return the link to the section of the runbook on an alert."""
    return Link(kind="runbook", target=f"runbook.md#{alert}", title=Message("dashboards.link-runbook"))
