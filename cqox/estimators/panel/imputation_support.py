"""Number of units, or clusters of them, behind imputed effects and leads, and which of them have a standard error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.panel.cohorts import Cohort
from cqox.estimators.panel.layout import Panel
from cqox.estimators.panel.undefined_errors import undefined_reason
from cqox.estimators.panel.unit_errors import unit_clusters
from cqox.estimators.plan import Plan

__all__ = ["Cell", "Support"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cohort in a period after the start of its treatment, and its event time."""

    cohort: Cohort
    period: int
    event: int


class Support:
    """Independent groups of rows: clusters where they are mapped, else units."""

    def __init__(self, plan: Plan, panel: Panel, untreated: NDArray[np.bool_]) -> None:
        """Set up.

        Args:
            plan: the request's plan.
            panel: the panel.
            untreated: (periods, units) the rows to which unit and period effects are fitted.

        Raises:
            UnusableData: the units of a mapped cluster change over time.
        """
        clusters = unit_clusters(plan, panel)
        self._panel, self._untreated, self._settings = panel, untreated, plan.settings
        self._codes = clusters.codes if clusters.mapped else ()
        self._word = Message("panel.cluster") if clusters.mapped else Message("panel.unit")
        self._against = np.asarray([self._counted(np.flatnonzero(row)) for row in untreated], dtype=np.float64)

    def _counted(self, units: NDArray[np.intp]) -> int:
        return min((int(np.count_nonzero(np.bincount(codes[units]))) for codes in self._codes), default=len(units))

    def of_effects(self, v: Matrix, cells: Sequence[Cell], events: Sequence[int]) -> list[Message | None]:
        """Return why the mean effect, and then that of each event, has no standard error; None where it has one.

        Args:
            v: (periods, units) weights of the treated rows.
            cells: cohorts and periods with such rows.
            events: event times.
        """
        mass, counts = np.zeros(len(cells)), np.zeros((len(cells), 2))
        for at, cell in enumerate(cells):
            weights = v[cell.period, cell.cohort.units]
            mass[at] = weights.sum()
            counts[at] = self._counted(cell.cohort.units.start + np.flatnonzero(weights)), self._against[cell.period]
        event = np.asarray([cell.event for cell in cells])
        return [self._reason(mass, counts), *(self._reason(mass * (event == step), counts) for step in events)]

    def of_leads(self, since: Sequence[tuple[Cohort, Codes]], leads: Sequence[int]) -> list[Message | None]:
        """Return why each lead has no standard error; None where it has one.

        Args:
            since: cohorts with the (periods,) event times.
            leads: steps before treatment.
        """
        found = list[Message | None]()
        for lead in leads:
            inside = np.zeros_like(self._untreated)
            for cohort, steps in since:
                inside[steps == lead, cohort.units] = True
            inside &= self._untreated
            compared = self._untreated & inside.any(axis=1)[:, None] & ~inside
            counts = [self._counted(np.flatnonzero(each.any(axis=0))) for each in (inside, compared)]
            found.append(self._reason(np.ones(1), np.asarray([counts], dtype=np.float64)))
        return found

    def _reason(self, weights: Vector, counts: Matrix) -> Message | None:
        return undefined_reason(weights, counts, self._settings, self._word)
