"""Headings, measures and links that several panels share."""

from collections.abc import Mapping

from cqox.contract.messages import Message
from cqox.dashboards.panels import Link
from cqox.dashboards.views import Measure

__all__ = [
    "ESTIMATES",
    "FINDINGS",
    "GATES",
    "HISTORY",
    "LEDGER",
    "MANY",
    "NUMBER",
    "REFUTERS",
    "REPORT",
    "ROLES_AGAINST",
    "TIME",
    "VERDICTS",
]

MANY = 100_000
"""Analyses that a question about figures of whole reports counts."""

NUMBER = Measure(name="number", how="count")
TIME = Message("studies.column-time")
REPORT = Message("studies.column-report")
HISTORY = Link(kind="page", target="/history", title=Message("studies.link-history"))

VERDICTS: Mapping[str, Message] = {
    "GO": Message("studies.status-go"),
    "CANARY": Message("studies.status-canary"),
    "HOLD": Message("studies.status-hold"),
}
LEDGER: Mapping[str, Message] = {
    "supported": Message("studies.status-supported"),
    "declared": Message("studies.status-declared"),
    "untested": Message("studies.status-untested"),
    "contradicted": Message("studies.status-contradicted"),
}
GATES: Mapping[str, Message] = {
    "not_applicable": Message("studies.status-not-applicable"),
    "pass": Message("studies.status-pass"),
    "warn": Message("studies.status-warn"),
    "fail": Message("studies.status-fail"),
}
ESTIMATES: Mapping[str, Message] = {
    "skipped": Message("studies.status-skipped"),
    "ok": Message("studies.status-ok"),
    "warning": Message("studies.status-warning"),
    "failed": Message("studies.status-failed"),
}
REFUTERS: Mapping[str, Message] = {
    "stands": Message("studies.status-stands"),
    "not_run": Message("studies.status-not-run"),
    "contradicted": Message("studies.status-contradicted"),
}
FINDINGS: Mapping[str, Message] = {
    "accepted": Message("studies.status-accepted"),
    "open": Message("studies.status-open"),
}
ROLES_AGAINST: Mapping[str, Message] = {
    "same": Message("studies.status-same"),
    "unsuggested": Message("studies.status-unsuggested"),
    "unknown": Message("studies.status-unknown"),
    "left_out": Message("studies.status-left-out"),
    "other": Message("studies.status-other"),
}
