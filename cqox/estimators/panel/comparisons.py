"""The comparisons of a staggered design: cohorts, pairs of periods, and comparison groups.

Only the presence of outcomes is used here, not their values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix
from cqox.estimators.panel.cohorts import Staggered
from cqox.estimators.panel.layout import Panel, staggered_panel
from cqox.estimators.panel.repeated_cross_sections import Sections, are_sections, sections
from cqox.estimators.plan import Plan
from cqox.estimators.sample import listed

__all__ = ["NOTHING", "Cells", "Comparisons", "comparisons", "counted", "effects_on", "named"]

_FEWEST = 2
_MANY_GAPS = 0.1
_MOSTLY_ONCE = 0.5
_MOST_CELLS = 6_000
NOTHING = "No effect after the start of a treatment can be estimated."
"""The reason where no comparison is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The comparisons (cells), by cohort and then by period.

    Attributes:
        cohort: (cells,) the treated units' number among the panel's cohorts.
        period, base: (cells,) the periods compared.
        event: (cells,) event time: steps from the start of treatment to the period.
        controls: (cells, cohorts) the comparison cohorts.
    """

    cohort: Codes
    period: Codes
    base: Codes
    event: Codes
    controls: NDArray[np.bool_]

    @property
    def reference(self) -> NDArray[np.bool_]:
        """(cells,) True if the cell is the reference period of its cohort, so that it is 0 by definition."""
        return np.asarray(self.period == self.base)

    def of(self, kept: NDArray[np.bool_]) -> "Cells":
        """Return some of the cells."""
        return Cells(
            cohort=self.cohort[kept],
            period=self.period[kept],
            base=self.base[kept],
            event=self.event[kept],
            controls=self.controls[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """The design's comparisons and sample sizes.

    Attributes:
        panel: the panel, or cross-sections; without a never-treated cohort, up to the last period with untreated units.
        cells: the comparisons.
        rows: (cells, 2) treated and comparison units; of cross-sections those in the period with fewer.
        compared_with: the comparison group.
        notes: choices made, each a sentence.
        warnings: caveats, each a sentence.
    """

    panel: Panel | Sections
    cells: Cells
    rows: NDArray[np.int64]
    compared_with: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def comparisons(plan: Plan) -> Comparisons:
    """Return the comparisons of a design; only the presence of outcomes is used, not their values.

    Raises:
        UnusableData: there is no panel of a staggered design, or no comparison group.
    """
    return plan.share("comparisons", lambda: _comparisons(plan))


def _comparisons(plan: Plan) -> Comparisons:
    panel, against, notes = _comparable(plan)
    cells = _cells(plan, panel, against)
    rows = counted(panel, cells)
    compared = rows[:, 1] >= _FEWEST
    kept = cells.reference | ((rows[:, 0] > 0) & compared)
    warnings = tuple(
        f"Without {what}, and so left out: "
        f"{effects_on([named(panel, cells, int(at)) for at in np.flatnonzero(which)])}."
        for what, which in (
            (f"two comparison {panel.word}s", ~kept & ~compared),
            (f"a treated {panel.word} in both periods", ~kept & compared),
        )
        if which.any()
    )
    if isinstance(panel, Panel):
        said, doubts = _gaps(panel)
        notes, warnings = [*notes, *said], (*warnings, *doubts)
    if not (cells.event[kept] >= 0).any():
        raise UnusableData(" ".join([*warnings, NOTHING]))
    return Comparisons(
        panel=panel, cells=cells.of(kept), rows=rows[kept], compared_with=against, notes=(*panel.notes, *notes),
        warnings=warnings,
    )  # fmt: skip


def _gaps(panel: Panel) -> tuple[list[str], list[str]]:
    """Return the note on missing rows and the warning where they are many."""
    if panel.present is None:
        return [], []
    missing, said = 1 - float(panel.present.mean()), "each effect uses the units observed in both of its periods"
    if missing <= _MANY_GAPS:
        return [f"Some units miss some periods: {said}."], []
    doubts = [
        f"{missing:.0%} of the units' periods are missing: {said}, so that the sample varies from effect to effect."
    ]
    once = float((panel.present.sum(axis=0) == 1).mean())
    if once > _MOSTLY_ONCE:
        doubts.append(
            f"{once:.0%} of the units are observed in one period only and are not used; without 'unit_id' all rows are "
            "compared, as repeated cross-sections."
        )
    return [], doubts


def _comparable(plan: Plan) -> tuple[Panel | Sections, str, list[str]]:
    """Return the panel or the cross-sections, the comparison group, and the choices made."""
    panel: Panel | Sections = sections(plan) if are_sections(plan) else staggered_panel(plan)
    asked = plan.settings.control_group
    never = len(panel.treated) < len(panel.cohorts)
    if never:
        return panel, asked or "never_treated", []
    if asked == "never_treated":
        raise UnusableData(
            "Every unit is treated at some time, so that there are no never-treated units; set options.control_group "
            "to 'not_yet_treated'."
        )
    last = panel.cohorts[-1]
    until = panel.last_before(last, plan.settings.anticipation) + 1
    if len(panel.cohorts) < 2 or until < 2:
        raise UnusableData("Every unit is treated from about one time on, so that there is no comparison group.")
    note = (
        f"Every unit is treated at some time: the last-treated units, from {last.onset.name} on, serve as the "
        f"untreated, and the periods after {panel.called(until - 1)} are not used."
    )
    return panel.until(until), "not_yet_treated", [note]


def _cells(plan: Plan, panel: Staggered, against: str) -> Cells:
    settings = plan.settings
    found: list[tuple[int, int, int]] = []
    for at, each in enumerate(panel.treated):
        last = panel.last_before(each, settings.anticipation)
        if last < 0:
            continue
        if settings.base_period == "universal":
            found += [(at, now, last) for now in range(panel.periods)]
        else:
            found += [(at, now, min(now - 1, last)) for now in range(1, panel.periods)]
    if len(found) > _MOST_CELLS:
        raise UnusableData(
            f"{len(panel.treated)} starts of treatment and {panel.periods} periods make {len(found)} effects, more "
            f"than {_MOST_CELLS}; take longer periods."
        )
    if not found:
        raise UnusableData("No unit is observed before its treatment, so that there is no change to estimate.")
    cohort, period, base = np.asarray(found, dtype=np.int64).T
    step = np.asarray([each.onset.step for each in panel.cohorts], dtype=np.int64)
    untreated = np.arange(len(panel.cohorts)) >= len(panel.treated)
    controls = np.broadcast_to(untreated, (len(cohort), len(step))).copy()
    if against == "not_yet_treated":
        limit = panel.steps[np.maximum(period, base)] + settings.anticipation
        controls |= (step > limit[:, None]) & (np.arange(len(step)) != cohort[:, None])
    event = panel.steps[period] - step[cohort]
    return Cells(cohort=cohort, period=period, base=base, event=event, controls=controls)


def counted(panel: Panel | Sections, cells: Cells) -> NDArray[np.int64]:
    """Return (cells, 2) treated and comparison units observed in both periods; rows in the period with fewer."""
    places = np.arange(len(cells.cohort))
    if isinstance(panel, Sections):
        rows = [panel.rows[:, when] for when in (cells.period, cells.base)]
        fewest = [(each[cells.cohort, places], np.sum(each * cells.controls.T, axis=0)) for each in rows]
        return np.stack([np.minimum(one, other) for one, other in zip(*fewest, strict=True)], axis=1)
    if panel.present is None:
        sizes = np.asarray([cohort.size for cohort in panel.cohorts])
        return np.stack([sizes[cells.cohort], cells.controls @ sizes], axis=1)
    both = np.stack([_pairs(panel.present[:, cohort.units]) for cohort in panel.cohorts])
    seen = both[:, cells.period, cells.base].T
    return np.stack([seen[places, cells.cohort], np.sum(seen * cells.controls, axis=1)], axis=1).astype(np.int64)


def _pairs(present: NDArray[np.bool_]) -> Matrix:
    """Return (periods, periods) numbers of units observed in both periods."""
    seen = present.astype(np.float32)
    return np.asarray(seen @ seen.T, dtype=np.float64)


def named(panel: Staggered, cells: Cells, at: int) -> str:
    """Return a cell for a sentence: the start of treatment and the period."""
    return f"{panel.cohorts[int(cells.cohort[at])].onset.name} in {panel.called(int(cells.period[at]))}"


def effects_on(names: list[str]) -> str:
    """Return the effects in some cells, for a sentence."""
    return f"the effect{'' if len(names) == 1 else 's'} on the units treated from {listed(names, 6)}"
