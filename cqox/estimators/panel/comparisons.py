"""The comparisons of a staggered design: cohorts, pairs of periods, and comparison groups.

Only the presence of outcomes is used here, not their values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message, joined
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
NOTHING = Message("panel.no-effect")
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
    notes: tuple[Message, ...]
    warnings: tuple[Message, ...]


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
    warnings = _left_out(panel, cells, ~kept & ~compared, ~kept & compared)
    if isinstance(panel, Panel):
        said, doubts = _gaps(panel)
        notes, warnings = [*notes, *said], [*warnings, *doubts]
    if not (cells.event[kept] >= 0).any():
        raise UnusableData(joined([*warnings, NOTHING]))
    return Comparisons(
        panel=panel, cells=cells.of(kept), rows=rows[kept], compared_with=against, notes=(*panel.notes, *notes),
        warnings=tuple(warnings),
    )  # fmt: skip


def _left_out(
    panel: Staggered, cells: Cells, without_controls: NDArray[np.bool_], without_treated: NDArray[np.bool_]
) -> list[Message]:
    """Return warnings that name the cells left out."""

    def effects(which: NDArray[np.bool_]) -> Message:
        return effects_on([named(panel, cells, int(at)) for at in np.flatnonzero(which)])

    found = list[Message]()
    if without_controls.any():
        found.append(Message("panel.without-controls", units=panel.words, effects=effects(without_controls)))
    if without_treated.any():
        found.append(Message("panel.without-treated", unit=panel.word, effects=effects(without_treated)))
    return found


def _gaps(panel: Panel) -> tuple[list[Message], list[Message]]:
    """Return the note on missing rows and the warning where they are many."""
    if panel.present is None:
        return [], []
    missing = 1 - float(panel.present.mean())
    if missing <= _MANY_GAPS:
        return [Message("panel.some-gaps")], []
    doubts = [Message("panel.many-gaps", missing=missing)]
    once = float((panel.present.sum(axis=0) == 1).mean())
    if once > _MOSTLY_ONCE:
        doubts.append(Message("panel.mostly-observed-once", once=once))
    return [], doubts


def _comparable(plan: Plan) -> tuple[Panel | Sections, str, list[Message]]:
    """Return the panel or the cross-sections, the comparison group, and the choices made."""
    panel: Panel | Sections = sections(plan) if are_sections(plan) else staggered_panel(plan)
    asked = plan.settings.control_group
    never = len(panel.treated) < len(panel.cohorts)
    if never:
        return panel, asked or "never_treated", []
    if asked == "never_treated":
        raise UnusableData(Message("panel.no-never-treated-set-control-group"))
    last = panel.cohorts[-1]
    until = panel.last_before(last, plan.settings.anticipation) + 1
    if len(panel.cohorts) < 2 or until < 2:
        raise UnusableData(Message("panel.no-comparison-group"))
    note = Message("panel.last-treated-serve", start=last.onset.name, period=panel.called(until - 1))
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
        starts = len(panel.treated)
        raise UnusableData(
            Message(
                "panel.too-many-effects", starts=starts, periods=panel.periods, effects=len(found), limit=_MOST_CELLS
            )
        )
    if not found:
        raise UnusableData(Message("panel.no-unit-observed-before"))
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


def named(panel: Staggered, cells: Cells, at: int) -> Message:
    """Return a cell for a sentence: the start of treatment and the period."""
    start, period = panel.cohorts[int(cells.cohort[at])].onset.name, panel.called(int(cells.period[at]))
    return Message("panel.effect-name", start=start, period=period)


def effects_on(names: list[Message]) -> Message:
    """Return the effects in some cells, for a sentence."""
    return Message("panel.effects-on", effects=len(names), names=listed(names, 6))
