"""Group-time effects from repeated cross-sections, with the contribution of every row to each of them.

The change of a cohort's mean outcome between two periods less that of comparison rows (Callaway and Sant'Anna 2021, doi
10.1016/j.jeconom.2020.12.001, supplement on repeated cross-sections), with covariates as in
`two_period_cross_sections`.
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Settings, Vector
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.panel.comparisons import Cells, named
from cqox.estimators.panel.influence_factors import Part, part_of
from cqox.estimators.panel.repeated_cross_sections import Sections
from cqox.estimators.panel.two_period import NoComparison
from cqox.estimators.panel.two_period_cross_sections import section_effect

__all__ = ["section_effects"]

_MOST_KEPT = 100_000_000


def section_effects(
    sections: Sections, cells: Cells, frame: Frame | None, settings: Settings
) -> tuple[Vector, tuple[Part, ...], dict[Message, list[Message]]]:
    """Return the effects, the influence factors of the cohorts, and by reason the effects not estimated (NaN).

    Args:
        sections: the rows.
        cells: the comparisons.
        frame: the covariates of the rows' sample; None without.
        settings: how covariates are adjusted for.

    Raises:
        UnusableData: the contributions would need too much memory.
    """
    kept = (2 * sections.periods + 1) * sections.units if frame is None else _room(sections, cells)
    if kept > _MOST_KEPT:
        raise UnusableData(
            Message(
                "panel.too-many-contributions-of-rows", effects=len(cells.cohort), contributions=kept, limit=_MOST_KEPT
            )
        )
    if frame is None:
        effects, parts = _means(sections, cells)
        return effects, parts, {}
    return _one_by_one(sections, cells, frame, settings)


def _room(sections: Sections, cells: Cells) -> int:
    sizes = np.asarray([cohort.size for cohort in sections.cohorts])
    return int((sizes[cells.cohort] + cells.controls @ sizes)[~cells.reference].sum())


def _means(sections: Sections, cells: Cells) -> tuple[Vector, tuple[Part, ...]]:
    """Without covariates every contribution is a combination of a row's residual, its weight and its period."""
    shape, periods = (len(sections.cohorts), sections.periods), sections.periods
    cohort = np.repeat(np.arange(shape[0]), [each.size for each in sections.cohorts])
    place = cohort * periods + sections.period
    mass = np.bincount(place, sections.weights, shape[0] * periods).reshape(shape)
    sums = np.bincount(place, sections.weights * sections.y, shape[0] * periods).reshape(shape)
    means = sums / np.where(mass > 0, mass, 1.0)
    own = np.arange(len(cells.cohort))
    ends = [(1.0, cells.period), (-1.0, cells.base)]
    effects = np.zeros(len(own))
    lefts = [np.zeros((len(own), 2 * periods + 1)) for _ in sections.cohorts]
    for sign, when in ends:
        against = cells.controls * mass[:, when].T
        control_mass = against.sum(axis=1)
        level = (against * means[:, when].T).sum(axis=1) / control_mass
        effects += sign * (means[cells.cohort, when] - level)
        for at, left in enumerate(lefts):
            treated = np.where(cells.cohort == at, 1.0 / np.where(mass[at, when] > 0, mass[at, when], 1.0), 0.0)
            others = np.where(cells.controls[:, at], 1.0 / control_mass, 0.0)
            left[own, when] += sign * (treated - others)
            left[own, periods + when] -= sign * others * (means[at, when] - level)
    effects[cells.reference] = 0.0
    parts = []
    for at, left in enumerate(lefts):
        left[cells.reference] = 0.0
        used = np.flatnonzero(left.any(axis=1))
        parts.append(part_of(used, left[used], _factors(sections, at, means)))
    return effects, tuple(parts)


def _factors(sections: Sections, cohort: int, means: Matrix) -> Matrix:
    """Return (2 periods + 1, rows) of a cohort: weighted residuals by period, weights by period, and weights."""
    units, periods = sections.cohorts[cohort].units, sections.periods
    right = np.zeros((2 * periods + 1, units.stop - units.start))
    right[-1] = sections.weights[units]
    for when in range(periods):
        inside = sections.inside(cohort, when)
        own, w = slice(inside.start - units.start, inside.stop - units.start), sections.weights[inside]
        right[when, own] = w * (sections.y[inside] - means[cohort, when])
        right[periods + when, own] = w
    return right


def _one_by_one(
    sections: Sections, cells: Cells, frame: Frame, settings: Settings
) -> tuple[Vector, tuple[Part, ...], dict[Message, list[Message]]]:
    """Estimate each comparison on the rows of its two periods; NaN and a reason where it fails."""
    effects = np.where(cells.reference, 0.0, np.nan)
    rows: list[list[tuple[int, Vector]]] = [[] for _ in sections.cohorts]
    failed: dict[Message, list[Message]] = {}
    for at in np.flatnonzero(~cells.reference).tolist():
        own, pair = int(cells.cohort[at]), (int(cells.period[at]), int(cells.base[at]))
        cohorts = [own, *np.flatnonzero(cells.controls[at]).tolist()]
        slices = [(cohort, sections.inside(cohort, when)) for cohort in cohorts for when in pair]
        units = np.concatenate([np.arange(each.start, each.stop) for _, each in slices])
        after = sections.period[units] == pair[0]
        treated = sum(each.stop - each.start for _, each in slices[:2])
        z = frame.matrix[: frame.at["x"].stop, sections.position[units]]
        try:
            effects[at], found = section_effect(
                z, sections.y[units], sections.weights[units], treated, after, settings.did_method
            )
        except NoComparison as none:
            failed.setdefault(none.why, []).append(named(sections, cells, at))
            continue
        _put(sections, at, slices, found, rows)
    estimated = np.flatnonzero(~np.isnan(effects))
    parts = []
    for cohort, own_rows in zip(sections.cohorts, rows, strict=True):
        own_cells = np.searchsorted(estimated, np.asarray([at for at, _ in own_rows], dtype=np.intp))
        right = np.vstack([*(row for _, row in own_rows), sections.weights[cohort.units]])
        parts.append(part_of(own_cells, None, right))
    return effects, tuple(parts), failed


def _put(
    sections: Sections,
    at: int,
    slices: list[tuple[int, slice]],
    contributions: Vector,
    rows: list[list[tuple[int, Vector]]],
) -> None:
    """Spread a comparison's contributions over the rows of its cohorts."""
    low = 0
    for cohort, inside in slices:
        high = low + inside.stop - inside.start
        if not rows[cohort] or rows[cohort][-1][0] != at:
            rows[cohort].append((at, np.zeros(sections.cohorts[cohort].size)))
        first = sections.cohorts[cohort].units.start
        rows[cohort][-1][1][inside.start - first : inside.stop - first] = contributions[low:high]
        low = high
