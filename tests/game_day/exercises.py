"""The exercises of a game day, and how one is held: look, break, wait for people to be notified, mend, look again."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.alerts.monitoring import Monitoring
from tests.alerts.receiver import Notification
from tests.alerts.staging import RECEIVERS, named, slack
from tests.game_day.board import Board, Picture
from tests.game_day.clients import Tally, tally, well_again
from tests.game_day.site import Site

__all__ = ["EXERCISES", "Exercise", "Expected", "Held", "Notified", "hold"]

_PAUSE_SECONDS = 0.2
_LATER_SECONDS = 60.0
_RESOLVED_SECONDS = 600.0
_QUIET_SECONDS = 300.0
_WELL_SECONDS = 30.0
_UNSCALED_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """One fault and who must hear of it.

    Attributes:
        name: a method of `Site`.
        title: in English and Japanese.
        alerts: alerts that must be notified, resolved after the mend.
        row: the row of the board that shows it, next to the first one.
        sizes: windows in which the board is shown.
        pages: whether a person may be woken; where not, any page is a failure.
        lasts: waits for the fault to have all of its effect, from a time of the monotonic clock on.
    """

    name: str
    title: tuple[str, str]
    alerts: tuple[str, ...]
    row: str
    sizes: tuple[str, ...] = ("desk",)
    pages: bool = True
    lasts: Callable[[Site, float], None] = lambda place, since: None


EXERCISES = (
    Exercise(
        name="engines_killed",
        title=("All engines are killed", "すべてのエンジンを強制終了する"),
        alerts=("CqoxDown",),
        row="requests",
        sizes=("desk", "phone"),
    ),
    Exercise(
        name="disk_full",
        title=("The disk of the engines fills up", "エンジンのディスクがいっぱいになる"),
        alerts=("CqoxDiskFull",),
        row="processes",
    ),
    Exercise(
        name="database_hung",
        title=("PostgreSQL hangs", "PostgreSQLが停止したままになる"),
        alerts=("CqoxStoreFailing",),
        row="stores",
    ),
    Exercise(
        name="certificate_expired",
        title=("The certificate of the gateway expires", "ゲートウェイの証明書が失効する"),
        alerts=("CqoxCertificateEnds",),
        row="processes",
        lasts=Site.wait_for_the_end_of_the_certificate,
    ),
    Exercise(
        name="engine_killed",
        title=("One of two engines is killed", "2つのエンジンの1つを強制終了する"),
        alerts=("CqoxReplicasMissing",),
        row="requests",
        pages=False,
    ),
)
"""All of them, in the order in which they are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An alert that had to come.

    Attributes:
        alert: its name.
        receiver: where it has to come.
        at_most: seconds that it may take.
        fired: seconds from the fault to its notification; None if none came.
        resolved: seconds from the mend to the notification that it is over; None if none came.
    """

    alert: str
    receiver: str
    at_most: float
    fired: float | None
    resolved: float | None

    @property
    def is_well(self) -> bool:
        """True where it came in time and was resolved."""
        return self.fired is not None and self.fired <= self.at_most and self.resolved is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """A notification that came.

    Attributes:
        alert: its name.
        receiver: where it came.
        status: `firing` or `resolved`.
        summary: its text.
        seconds: since the fault.
    """

    alert: str
    receiver: str
    status: str
    summary: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An exercise that was held.

    Attributes:
        exercise: what it was.
        expected: alerts that had to come.
        notified: all notifications but those of the watchdog, up to the quiet after the mend.
        fault_seconds: how long the fault lasted.
        quiet: seconds from the mend until no alert that pages was left, notified or not; None if one was left.
        well: seconds from the mend until no request failed any more.
        requests: how requests ended by phase: `before`, `during`, `after`.
        numbers: what the first row of the board said by phase.
        pictures: pictures of the board by phase.
    """

    exercise: Exercise
    expected: Sequence[Expected]
    notified: Sequence[Notified]
    fault_seconds: float
    quiet: float | None
    well: float
    requests: dict[str, Tally] = field(default_factory=dict)
    numbers: dict[str, dict[str, str]] = field(default_factory=dict)
    pictures: dict[str, list[Picture]] = field(default_factory=dict)

    @property
    def pages(self) -> list[str]:
        """Names of the alerts that paged somebody, each once, in the order in which they came."""
        return list(
            dict.fromkeys(each.alert for each in self.notified if (each.receiver, each.status) == ("page", "firing"))
        )

    @property
    def is_well(self) -> bool:
        """True where all were notified in time and of the end as well, and nobody was woken for nothing."""
        return all(each.is_well for each in self.expected) and (self.exercise.pages or not self.pages)


def hold(exercise: Exercise, place: Site, board: Board, *, before_seconds: float) -> Held:
    """Hold an exercise.

    Args:
        exercise: what to do.
        place: where.
        board: what is looked at.
        before_seconds: how long requests are counted before the fault.
    """
    watched, factor = place.watched, place.watched.factor
    fault: Callable[[], AbstractContextManager[None]] = getattr(place, exercise.name)
    alerts = [named(each) for each in exercise.alerts]
    numbers, pictures = {}, {}

    def look(phase: str) -> None:
        numbers[phase] = board.numbers()
        pictures[phase] = board.shoot(f"{exercise.name}-{phase}", ("now", exercise.row), exercise.sizes)

    time.sleep(before_seconds)
    look("before")
    began = time.monotonic()
    with fault():
        for alert in alerts:
            _await(watched, alert.name, "firing", began, alert.within / factor + slack(factor) + _LATER_SECONDS)
        exercise.lasts(place, began)
        look("during")
        ended = time.monotonic()
    for alert in alerts:
        _await(watched, alert.name, "resolved", ended, _RESOLVED_SECONDS / factor + _UNSCALED_SECONDS)
    time.sleep(_WELL_SECONDS / factor)
    look("after")
    quiet = _quiet(watched, ended, _QUIET_SECONDS / factor + _UNSCALED_SECONDS)
    over = time.monotonic()
    answered = list(place.clients.answered)
    return Held(
        exercise=exercise,
        expected=[
            Expected(
                alert=alert.name,
                receiver=RECEIVERS[alert.severity],
                at_most=alert.within / factor + slack(factor),
                fired=_seconds(watched.of(alert.name, since=began), RECEIVERS[alert.severity], began),
                resolved=_seconds(watched.of(alert.name, "resolved", since=ended), RECEIVERS[alert.severity], ended),
            )
            for alert in alerts
        ],
        notified=[
            _notified(each, began)
            for each in watched.receiver.notifications
            if each.at >= began and each.receiver != "watchdog"
        ],
        fault_seconds=ended - began,
        quiet=quiet,
        well=well_again(answered, ended),
        requests={
            "before": tally(answered, began - before_seconds, began),
            "during": tally(answered, began, ended),
            "after": tally(answered, ended, over),
        },
        numbers=numbers,
        pictures=pictures,
    )


def _await(watched: Monitoring, alert: str, status: str, since: float, patience: float) -> None:
    """Wait for a notification, or until it is not worth waiting any more."""
    end = time.monotonic() + patience
    while not watched.of(alert, status, since=since) and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)


def _quiet(watched: Monitoring, since: float, patience: float) -> float | None:
    """Return the seconds since a time until Prometheus has no alert that pages."""
    end = time.monotonic() + patience
    while watched.prometheus.query('ALERTS{severity="page"}'):
        if time.monotonic() > end:
            return None
        time.sleep(_PAUSE_SECONDS)
    return time.monotonic() - since


def _seconds(found: Sequence[Notification], receiver: str, since: float) -> float | None:
    return next((each.at - since for each in found if each.receiver == receiver), None)


def _notified(each: Notification, since: float) -> Notified:
    return Notified(
        alert=each.alert,
        receiver=each.receiver,
        status=each.status,
        summary=each.annotations.get("summary", ""),
        seconds=each.at - since,
    )
