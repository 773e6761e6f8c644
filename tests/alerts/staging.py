"""Stage an alert: make its cause, wait for its notification, end the cause, wait until it is resolved."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from deploy.prometheus.alert import Alert
from deploy.prometheus.alerts import ALERTS
from tests.alerts.monitoring import RUNBOOK, Monitoring

__all__ = ["RECEIVERS", "Staged", "named", "slack", "stage", "table", "words_of"]

RECEIVERS = {"page": "page", "ticket": "ticket", "none": "watchdog"}
_UNSCALED_SECONDS = 30.0
_RESOLVED_SECONDS = 2700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Result of staging one alert.

    Attributes:
        alert: the alert.
        cause: what made it fire.
        receiver: where its notification came.
        fired: seconds from the cause to the notification.
        resolved: seconds from the beginning of the repair to the notification that it is over.
        is_in_time: whether it fired within its time, at this scale.
    """

    alert: Alert
    cause: str
    receiver: str
    fired: float
    resolved: float
    is_in_time: bool


def named(name: str) -> Alert:
    """Return an alert by its name."""
    return next(each for each in ALERTS if each.name == name)


def slack(factor: float) -> float:
    """Return the seconds by which an alert may be later at a scale: what services wait for is not scaled."""
    return _UNSCALED_SECONDS if factor > 1 else 0.0


def words_of(cause: Callable[..., object]) -> str:
    """Return what a cause says of itself."""
    return (cause.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def stage(
    watched: Monitoring,
    cause: Callable[[], AbstractContextManager[object]],
    *alerts: str,
    silent: Sequence[str] = (),
) -> list[Staged]:
    """Stage alerts that have one cause.

    Args:
        watched: what watches the place where the cause is made.
        cause: a context in which there is the cause; where that takes long to have an effect, it gives the time of the
            monotonic clock at which it had one.
        alerts: alerts that it must fire.
        silent: alerts that must not be notified meanwhile, since another one says it already.
    """
    words = words_of(cause)
    began, fired = time.monotonic(), {}
    with cause() as given:
        since = given if isinstance(given, float) else began
        for alert in map(named, alerts):
            patience = alert.within / watched.factor + slack(watched.factor) + 60
            found = watched.wait_for(alert.name, "firing", since=began, patience=patience)
            assert found.receiver == RECEIVERS[alert.severity], found
            assert found.labels["severity"] == alert.severity
            assert found.annotations["runbook_url"] == f"{RUNBOOK}#{alert.anchor}"
            assert "<no value>" not in found.annotations["summary"], found
            assert found.annotations["description"] == alert.action
            assert "cqox_runbook" not in found.labels
            fired[alert.name] = found
        ended = time.monotonic()
    staged = []
    for alert in map(named, alerts):
        found = watched.wait_for(
            alert.name, "resolved", since=began, patience=_RESOLVED_SECONDS / watched.factor + slack(watched.factor)
        )
        assert found.receiver == fired[alert.name].receiver
        seconds = fired[alert.name].at - since
        staged.append(
            Staged(
                alert=alert,
                cause=words,
                receiver=found.receiver,
                fired=seconds,
                resolved=found.at - ended,
                is_in_time=seconds <= alert.within / watched.factor + slack(watched.factor),
            )
        )
    for name in silent:
        assert not watched.of(name, since=began), watched.explain()
    return staged


def table(staged: Sequence[Staged]) -> str:
    """Return a table of alerts and their seconds."""
    lines = ["| alert | cause | receiver | fired after s | at most s | resolved after s |", "|---|---|---|---|---|---|"]
    for each in staged:
        late = "" if each.is_in_time else " LATE"
        lines.append(
            f"| {each.alert.name} | {each.cause} | {each.receiver} | {each.fired:.0f}{late} | {each.alert.within:.0f} "
            f"| {each.resolved:.0f} |"
        )
    return "\n".join(lines) + "\n"
