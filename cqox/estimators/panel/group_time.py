"""Group-time effects, with the contribution of every unit to each of them.

A cohort's change since before its treatment less the change of comparison units over the same periods (Callaway and
Sant'Anna 2021, doi 10.1016/j.jeconom.2020.12.001, equations 2.4 to 2.9). The contributions of a cohort's units are
stored as two factors, so that those of averages over many effects need no more memory than the panel itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message, joined
from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.panel.comparisons import NOTHING, Cells, comparisons, counted, effects_on, named
from cqox.estimators.panel.cross_section_effects import section_effects
from cqox.estimators.panel.influence_factors import Part, part_of
from cqox.estimators.panel.layout import Panel
from cqox.estimators.panel.repeated_cross_sections import Sections
from cqox.estimators.panel.two_period import Comparison, NoComparison
from cqox.estimators.plan import Plan
from cqox.estimators.sample import listed

__all__ = ["GroupTimes", "group_times"]

_SMALL = 5
_MOST_KEPT = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimes:
    """Group-time effects (by cohort and period), in the panel's scale.

    Attributes:
        panel: the panel, or cross-sections; without a never-treated cohort, up to the last period with untreated units.
        cells: the comparisons.
        effects: (cells,) of each.
        parts: influence factors, one for each cohort of the panel.
        rows: (cells, 2) treated and comparison units; of cross-sections those in the period with fewer.
        compared_with: the comparison group.
        method: how covariates are adjusted for; `means` where there are none.
        notes: choices made, each a sentence.
        warnings: caveats, each a sentence.
    """

    panel: Panel | Sections
    cells: Cells
    effects: Vector
    parts: tuple[Part, ...]
    rows: NDArray[np.int64]
    compared_with: str
    method: str
    notes: tuple[Message, ...]
    warnings: tuple[Message, ...]


def group_times(plan: Plan) -> GroupTimes:
    """Return the group-time effects of a request, computed at first use.

    Raises:
        UnusableData: there is no panel of a staggered design, or no comparison group.
    """
    return plan.share("group times", lambda: _computed(plan))


def _computed(plan: Plan) -> GroupTimes:
    found = comparisons(plan)
    panel, cells, rows, warnings = found.panel, found.cells, found.rows, list(found.warnings)
    notes: tuple[Message, ...] = found.notes
    frame = plan.frame("x", panel.sample) if plan.has("covariates") else None
    method = "means" if frame is None or frame.width("x") < 2 else plan.settings.did_method
    if frame is not None:
        notes = (*notes, *frame.notes)
    failed: dict[Message, list[Message]] = {}
    if isinstance(panel, Sections):
        effects, parts, failed = section_effects(panel, cells, frame if method != "means" else None, plan.settings)
    elif method == "means" and panel.present is None and panel.changing_weights is None:
        effects, parts = _plain(panel, cells)
    else:
        effects, parts, failed = _one_by_one(plan, panel, cells, frame if method != "means" else None)
    for why, names in failed.items():
        warnings.append(Message("panel.left-out", reason=why, effects=effects_on(names)))
    known = np.asarray(~np.isnan(effects))
    cells, rows, effects = cells.of(known), rows[known], effects[known]
    if not (cells.event >= 0).any():
        raise UnusableData(joined([*warnings, NOTHING]))
    return GroupTimes(
        panel=panel, cells=cells, effects=effects, parts=parts, rows=rows, compared_with=found.compared_with,
        method=method, notes=notes, warnings=(*warnings, *_small(panel, cells, rows)),
    )  # fmt: skip


def _small(panel: Panel | Sections, cells: Cells, rows: NDArray[np.int64]) -> Iterator[Message]:
    small = []
    for at in np.unique(cells.cohort).tolist():
        own = rows[(cells.cohort == at) & ~cells.reference, 0]
        size = panel.cohorts[at].size if isinstance(panel, Panel) else int(own.min(initial=_SMALL))
        if size < _SMALL:
            small.append(panel.cohorts[at].onset.name)
    if not small:
        return
    starts = listed(small, 6)
    if isinstance(panel, Panel):
        yield Message("panel.few-units-start", fewest=_SMALL, starts=starts)
    else:
        yield Message("panel.few-rows-observed", fewest=_SMALL, starts=starts)


def _plain(panel: Panel, cells: Cells) -> tuple[Vector, tuple[Part, ...]]:
    """Without covariates or gaps every contribution is a combination of a unit's own outcomes."""
    mass = np.asarray([cohort.mass for cohort in panel.cohorts])
    weights = [panel.weights[cohort.units] for cohort in panel.cohorts]
    means = np.stack(
        [panel.y[:, cohort.units] @ w / w.sum() for cohort, w in zip(panel.cohorts, weights, strict=True)], axis=1
    )
    places = np.arange(len(cells.cohort))
    changes = means[cells.period] - means[cells.base]
    shares = cells.controls * mass
    control_mass = shares.sum(axis=1)
    change = (shares * changes).sum(axis=1) / np.maximum(control_mass, 1e-300)
    effects = np.where(cells.reference, 0.0, changes[places, cells.cohort] - change)
    parts = []
    for at, (cohort, w) in enumerate(zip(panel.cohorts, weights, strict=True)):
        against = np.where(cells.controls[:, at], 1.0 / np.maximum(control_mass, 1e-300), 0.0)
        against[cells.reference] = 0.0
        factor = np.where((cells.cohort == at) & ~cells.reference, 1.0 / mass[at], 0.0) - against
        own = np.flatnonzero(factor)
        left = np.zeros((len(own), panel.periods + 1))
        left[np.arange(len(own)), cells.period[own]] = factor[own]
        left[np.arange(len(own)), cells.base[own]] = -factor[own]
        left[:, -1] = -(against * (changes[:, at] - change))[own]
        right = np.empty((panel.periods + 1, cohort.size))
        np.subtract(panel.y[:, cohort.units], means[:, at, None], out=right[:-1])
        right[:-1] *= w
        right[-1] = w
        parts.append(part_of(own, left, right))
    return effects, tuple(parts)


def _one_by_one(
    plan: Plan, panel: Panel, cells: Cells, frame: Frame | None
) -> tuple[Vector, tuple[Part, ...], dict[Message, list[Message]]]:
    """Estimate each comparison on the units observed in both periods; NaN and a reason where it fails.

    Time-varying covariates and weights are those of the earlier period.
    """
    kept = int(counted(panel, cells).sum())
    if kept > _MOST_KEPT:
        raise UnusableData(
            Message(
                "panel.too-many-contributions-of-units", effects=len(cells.cohort), contributions=kept, limit=_MOST_KEPT
            )
        )
    effects = np.where(cells.reference, 0.0, np.nan)
    rows: list[list[tuple[int, Vector]]] = [[] for _ in panel.cohorts]
    failed: dict[Message, list[Message]] = {}
    for earlier, group in _alike(panel, cells, frame):
        own, others = int(cells.cohort[group[0]]), np.flatnonzero(cells.controls[group[0]]).tolist()
        slices = [panel.cohorts[cohort].units for cohort in (own, *others)]
        ends = np.cumsum([0, *(each.stop - each.start for each in slices)]).tolist()
        try:
            units, seen, comparison = _comparison(plan, panel, cells, group[0], earlier, slices, frame)
        except NoComparison as none:
            failed.setdefault(none.why, []).extend(named(panel, cells, at) for at in group)
            continue
        for at in group:
            effects[at], found = comparison.effect(panel.y[cells.period[at], units] - panel.y[cells.base[at], units])
            contributions = found
            if seen is not None:
                contributions = np.zeros(ends[-1])
                contributions[seen] = found
            for whose, (low, high) in zip((own, *others), pairwise(ends), strict=True):
                rows[whose].append((at, contributions[low:high]))
    estimated = np.flatnonzero(~np.isnan(effects))
    parts = []
    for cohort, own_rows in zip(panel.cohorts, rows, strict=True):
        own_rows.sort(key=lambda row: row[0])
        own_cells = np.searchsorted(estimated, np.asarray([at for at, _ in own_rows], dtype=np.intp))
        right = np.vstack([*(row for _, row in own_rows), panel.weights[cohort.units]])
        parts.append(part_of(own_cells, None, right))
    return effects, tuple(parts), failed


def _alike(panel: Panel, cells: Cells, frame: Frame | None) -> Iterator[tuple[int, list[int]]]:
    """Return cells that share units, covariates and weights, and the period of these."""
    changing = panel.changing_weights is not None or (frame is not None and _moves(panel, frame))
    groups: dict[tuple[int, ...], list[int]] = {}
    for at in np.flatnonzero(~cells.reference).tolist():
        pair = int(cells.period[at]), int(cells.base[at])
        when = pair if panel.present is not None else (min(pair),) if changing else ()
        groups.setdefault((int(cells.cohort[at]), *when, *np.flatnonzero(cells.controls[at]).tolist()), []).append(at)
    for group in groups.values():
        yield min(int(cells.period[group[0]]), int(cells.base[group[0]])), group


def _moves(panel: Panel, frame: Frame) -> bool:
    """Return whether some covariate varies within some unit of a panel without gaps."""
    return any(
        not (row[panel.position] == row[panel.position[0]]).all() for row in frame.matrix[1 : frame.at["x"].stop]
    )


def _comparison(
    plan: Plan, panel: Panel, cells: Cells, at: int, earlier: int, slices: list[slice], frame: Frame | None
) -> tuple[NDArray[np.intp], NDArray[np.intp] | None, Comparison]:
    """Return the units of a comparison, the treated first; their positions in the slices where some are not
    observed."""
    units = np.concatenate([np.arange(each.start, each.stop) for each in slices])
    treated, seen = slices[0].stop - slices[0].start, None
    if panel.present is not None:
        seen = np.flatnonzero(panel.present[cells.period[at], units] & panel.present[cells.base[at], units])
        treated = int(np.searchsorted(seen, treated))
        units = units[seen]
    w = panel.weights if panel.changing_weights is None else panel.changing_weights[earlier]
    z = np.ones((1, len(units)))
    if frame is not None:
        z = frame.matrix[: frame.at["x"].stop, panel.position[earlier, units]]
    return units, seen, Comparison(z, w[units], treated, plan.settings.did_method)
