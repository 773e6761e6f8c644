"""An alert as data, and the scaling of its times.

Times are written where Prometheus has them, as `[5m]` and `offset 40s`, or as `seconds(60)` where an expression
compares a series with a time. `scaled` divides all of them, so that a test stages in seconds what takes minutes.
"""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Alert", "duration", "scaled", "seconds_of"]

type Severity = Literal["page", "ticket", "none"]
"""`page` wakes a person, `ticket` waits for the morning, `none` is for the watchdog alone."""

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PARTS = re.compile(r"(\d+)(ms|[dhms])")
_RANGE = re.compile(r"(\[|offset )((?:\d+(?:ms|[dhms]))+)")
_NUMBER = re.compile(r"seconds\((\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: its name, and the heading of its section in the runbook.
        expression: PromQL, with times in the form of this module.
        severity: who gets it.
        within: seconds from the cause to the notification, at the intervals of the configuration files.
        summary: one sentence for the head of a notification: what is wrong, and where.
        action: what to do first, in one sentence.
        hold: how long the expression must hold before the alert fires, in seconds.
    """

    name: str
    expression: str
    severity: Severity
    within: float
    summary: str
    action: str
    hold: float = 0.0

    @property
    def anchor(self) -> str:
        """The fragment of its section in the runbook."""
        return self.name.lower()


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as `1m30s`."""
    return sum(int(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def duration(seconds: float) -> str:
    """Return a duration for Prometheus: in whole units where that is exact, else in milliseconds."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{round(seconds / _UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms" if seconds else "0s"


def scaled(expression: str, factor: float) -> str:
    """Return the expression with each of its times divided by a factor."""
    ranged = _RANGE.sub(lambda found: found[1] + duration(seconds_of(found[2]) / factor), expression)
    return _NUMBER.sub(lambda found: f"{int(found[1]) / factor:.12g}", ranged)
