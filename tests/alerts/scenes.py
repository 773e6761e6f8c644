"""Every cause that is staged, with the alerts that it fires and those that another one silences."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.alerts.monitoring import Monitoring, monitoring
from tests.alerts.pair import pair
from tests.alerts.places import certified, on_small_disk
from tests.alerts.staging import Staged, stage
from tests.alerts.stand_in import CAUSES, StandIn
from tests.alerts.system import system

__all__ = ["PLACES", "SCENES", "Scene", "stand_ins"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One cause.

    Attributes:
        place: where it is made, a key of `PLACES`.
        cause: the method that makes it.
        alerts: alerts that it fires.
        silent: alerts that must not be notified meanwhile.
    """

    place: str
    cause: str
    alerts: Sequence[str]
    silent: Sequence[str] = ()

    def staged_in(self, place: Any) -> list[Staged]:
        """Stage it."""
        return stage(place.watched, getattr(place, self.cause), *self.alerts, silent=self.silent)


_FOLLOWING = ("CqoxDegraded", "CqoxReplicasMissing")

SCENES = (
    Scene(place="services", cause="vanished", alerts=("CqoxDown",), silent=_FOLLOWING),
    Scene(place="services", cause="dead", alerts=("CqoxDown",), silent=_FOLLOWING),
    Scene(place="services", cause="locked", alerts=("CqoxStoreFailing",), silent=("CqoxReportsUnstored",)),
    Scene(place="services", cause="hung_database", alerts=("CqoxStoreFailing",)),
    Scene(place="services", cause="jammed", alerts=("CqoxJam",), silent=("CqoxQueueLong",)),
    Scene(place="links", cause="slow_link", alerts=("CqoxDegraded", "CqoxErrorBudgetBurnsFast", "CqoxCircuitOpen")),
    Scene(place="links", cause="without_cache", alerts=("CqoxCacheAway",)),
    Scene(place="processes", cause="dying_workers", alerts=("CqoxWorkersKeepDying",)),
    Scene(place="processes", cause="starved", alerts=("CqoxEventLoopBlocked",)),
    Scene(place="pair", cause="one_killed", alerts=("CqoxReplicasMissing",), silent=("CqoxDown",)),
    Scene(place="pair", cause="refusing_collector", alerts=("CqoxTelemetryLost",)),
    Scene(place="pair", cause="overloaded", alerts=("CqoxSaturated", "CqoxQueueLong"), silent=("CqoxJam",)),
    Scene(place="disk", cause="nearly_full", alerts=("CqoxDiskNearlyFull",), silent=("CqoxDiskFull",)),
    Scene(place="disk", cause="full", alerts=("CqoxDiskFull",), silent=("CqoxStoreFailing", "CqoxReportsUnstored")),
    Scene(place="certificates", cause="ageing", alerts=("CqoxCertificateEndsSoon",), silent=("CqoxCertificateEnds",)),
    Scene(place="certificates", cause="dying", alerts=("CqoxCertificateEnds",), silent=("CqoxCertificateEndsSoon",)),
    Scene(place="certificates", cause="not_replaced", alerts=("CqoxCertificateNotReplaced",)),
    Scene(place="stand-ins", cause="all", alerts=tuple(each.alert for each in CAUSES)),
    Scene(place="stand-ins", cause="without_a_replica", alerts=("CqoxReplicasMissing",), silent=("CqoxDown",)),
)
"""All of them, in the order in which they are staged at a place."""


class _StandIns:
    def __init__(self, engine: StandIn, other: StandIn, watched: Monitoring) -> None:
        self._engine = engine
        self._other = other
        self.watched = watched

    @contextmanager
    def all(self) -> Iterator[None]:
        """A stand-in shows the series of this trouble."""
        with self._engine.having(*CAUSES):
            yield

    @contextmanager
    def without_a_replica(self) -> Iterator[None]:
        """One of two engines is gone, and its name with it."""
        self.watched.scrape("cqox-engine", [self._engine.address])
        yield
        self.watched.scrape("cqox-engine", [self._engine.address, self._other.address])


@contextmanager
def stand_ins(folder: Path, *, factor: float) -> Iterator[_StandIns]:
    """Run three stand-ins, two of them engines, watched at this scale of time."""
    with ExitStack() as stack:
        engine, other, gateway = (stack.enter_context(StandIn(factor)) for _ in range(3))
        targets = {"cqox-engine": [engine.address, other.address], "cqox-gateway": [gateway.address]}
        watched = stack.enter_context(monitoring(folder, targets, factor=factor, expected={"cqox-engine": 2}))
        yield _StandIns(engine, other, watched)


PLACES: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "services": system,
    "links": system,
    "processes": system,
    "pair": pair,
    "disk": on_small_disk,
    "certificates": certified,
    "stand-ins": stand_ins,
}
"""Places by name, each with processes of its own."""
