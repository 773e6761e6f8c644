"""Every cause that is staged, with the alerts that it fires and those that another one silences."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.alerts import staging
from tests.alerts.database import Database, database
from tests.alerts.pair import Pair, pair
from tests.alerts.places import Certified, OnSmallDisk, certified, on_small_disk
from tests.alerts.staging import Staged, stage
from tests.alerts.system import System, system

__all__ = ["PLACES", "SCENES", "Scene", "words_of"]


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
    Scene(place="pool", cause="slow_database", alerts=("CqoxPoolExhausted",), silent=("CqoxStoreFailing",)),
    Scene(place="audit", cause="locked_audit", alerts=("CqoxAuditLost",)),
    Scene(place="writes", cause="read_only", alerts=("CqoxStoreFailing", "CqoxReportsUnstored")),
    Scene(place="calls", cause="lossy_link", alerts=("CqoxErrorBudgetBurns",), silent=("CqoxErrorBudgetBurnsFast",)),
)
"""All of them, in the order in which they are staged at a place."""

PLACES: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "services": system,
    "links": system,
    "processes": system,
    "pair": pair,
    "disk": on_small_disk,
    "certificates": certified,
    "pool": database,
    "audit": database,
    "writes": database,
    "calls": database,
}
"""Places by name, each with processes of its own."""

_MADE_IN: dict[Callable[..., AbstractContextManager[Any]], type] = {
    system: System,
    pair: Pair,
    on_small_disk: OnSmallDisk,
    certified: Certified,
    database: Database,
}


def words_of(scene: Scene) -> str:
    """Return what the cause of a scene says of itself."""
    return staging.words_of(getattr(_MADE_IN[PLACES[scene.place]], scene.cause))
