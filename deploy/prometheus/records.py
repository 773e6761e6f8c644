"""Recording rules: the service level, and what alerts compare."""

from dataclasses import dataclass

__all__ = ["COUNTED", "RECORDS", "Record"]

_COUNT = "http_server_request_duration_seconds_count"
COUNTED = 'http_route!~"/health.*|/api/health|/metrics", http_response_status_code!~"4..", error_type!="ClientDeadline"'
"""Requests that the service level is about: no probes, no mistakes of clients, no deadlines that a client chose."""

_FAILED = f'{COUNTED}, http_response_status_code=~"5.."'


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recording rule.

    Attributes:
        name: the name of the series that it makes.
        expression: PromQL, with times in the form of `deploy.prometheus.alert`.
    """

    name: str
    expression: str


def _ratio(window: str) -> Record:
    return Record(
        name=f"cqox:request_errors:ratio_rate{window}",
        expression=f"sum by (job) (rate({_COUNT}{{{_FAILED}}}[{window}]))\n/\n"
        f"sum by (job) (rate({_COUNT}{{{COUNTED}}}[{window}]))",
    )


def _failures(window: str) -> Record:
    return Record(
        name=f"cqox:request_errors:increase{window}",
        expression=f"sum by (job) (increase({_COUNT}{{{_FAILED}}}[{window}]))",
    )


RECORDS = (
    *(_ratio(window) for window in ("5m", "30m", "1h", "6h")),
    *(_failures(window) for window in ("5m", "30m")),
    Record(
        name="cqox:request_duration_seconds:p99_rate5m",
        expression="histogram_quantile(0.99, sum by (job, http_route, le) "
        "(rate(http_server_request_duration_seconds_bucket[5m])))",
    ),
    Record(
        name="cqox:certificate:left_seconds",
        expression="cqox_certificate_not_after_seconds - time()",
    ),
    Record(
        name="cqox:certificate:life_seconds",
        expression="cqox_certificate_not_after_seconds - cqox_certificate_not_before_seconds",
    ),
)
