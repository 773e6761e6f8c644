"""Imputation estimator: treated outcomes less their predictions from untreated rows.

Unit effects, period effects and slopes of the covariates are fitted to the untreated rows alone; the effect of a
treated row is its outcome less their prediction. The variance uses the treated rows' residuals from the mean effect of
their cohort and period, which makes it conservative (Borusyak, Jaravel and Spiess 2024, doi 10.1093/restud/rdae007,
equations 4 to 6 and section 4.3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.gram import Solution, solve
from cqox.estimators.panel.cohorts import Cohort
from cqox.estimators.panel.imputation_support import Cell, Support
from cqox.estimators.panel.layout import Panel, staggered_panel
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample, listed

__all__ = ["Imputation", "imputation"]

_MOST_LEADS = 5
_WITHIN = 1e-12
"""A covariate counts as constant within units if less than this share of its sum of squares is within units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imputation:
    """Imputed effects, in the panel's scale.

    Attributes:
        panel: the panel.
        sample: the rows used.
        rows: (sample.n,) their positions in the panel's sample.
        estimate: mean effect over the treated rows.
        contributions: (units,) to it.
        events: (k,) event times.
        effects: (k,) the mean effect of each.
        by_event: (k, units) contributions.
        treated_rows: (k,) number of rows of each.
        leads: (m,) steps before the start of treatment, compared with earlier ones.
        lead_effects: (m,) differences of the later treated units in them.
        by_lead: (m, units) contributions.
        undefined, event_undefined, lead_undefined: why the estimate, an event or a lead has no standard error, each a
            sentence; None where it has one.
        notes: what was left out, each a sentence.
        warnings: caveats, each a sentence.
    """

    panel: Panel
    sample: Sample
    rows: NDArray[np.intp]
    estimate: float
    contributions: Vector
    events: tuple[int, ...]
    effects: Vector
    by_event: Matrix
    treated_rows: tuple[int, ...]
    leads: tuple[int, ...]
    lead_effects: Vector
    by_lead: Matrix
    undefined: Message | None
    event_undefined: tuple[Message | None, ...]
    lead_undefined: tuple[Message | None, ...]
    notes: tuple[Message, ...]
    warnings: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levels:
    """Unit effects, period effects and slopes, fitted to weighted rows.

    Attributes:
        share: (periods, units) the rows' weights over their unit's; 0 where a row is not used.
        free: periods with an effect relative to the first one's.
        columns: (periods, units) of each slope, less the unit's mean over the rows used.
        solution: of the normal equations of free periods and slopes.
        residuals: (periods, units) of all rows, including those not used.
        scores: (parameters, units) sums over a unit of weight, residual and variable.
    """

    share: Matrix
    free: NDArray[np.intp]
    columns: list[Matrix]
    solution: Solution
    residuals: Matrix
    scores: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByEvent:
    """Mean effects by event as in `Imputation`, the weight of their rows, and the number of one-unit cells."""

    effects: Vector
    contributions: Matrix
    mass: Vector
    rows: tuple[int, ...]
    lone: int


def imputation(plan: Plan) -> Imputation:
    """Return the imputed effects of a request, computed at first use.

    Raises:
        UnusableData: there is no panel of a staggered design, or its untreated rows predict no treated row.
    """
    return plan.share("imputation", lambda: _imputed(plan))


def _imputed(plan: Plan) -> Imputation:
    panel = staggered_panel(plan)
    notes, warnings = list[Message](panel.notes), list[Message]()
    untreated, treated = _rows(plan, panel)
    treated = _predictable(panel, untreated, treated, notes)
    weight = panel.weights if panel.changing_weights is None else panel.changing_weights
    w, v = np.where(untreated, weight, 0.0), np.where(treated, weight, 0.0)
    columns = _covariates(plan, panel, w, notes)
    levels = _fit(panel, w, columns)
    cells = _treated_cells(panel, v)
    events = sorted({cell.event for cell in cells})
    found = _by_event(levels, v, cells, events)
    share, lone = found.mass / found.mass.sum(), found.lone
    leads, lead_effects, by_lead = _leads(plan, panel, w, columns)
    support = Support(plan, panel, untreated)
    undefined, *event_undefined = support.of_effects(v, cells, events)
    if lone and undefined is None:
        warnings.append(Message("panel.single-units-treated", cells=lone))
    since = [(cohort, _since(panel, cohort)) for cohort in panel.treated]
    used = np.zeros(panel.sample.n, dtype=np.bool_)
    used[panel.position[untreated | treated]] = True
    rows = np.flatnonzero(used)
    index = rows if panel.sample.index is None else panel.sample.index[rows]
    whole = len(rows) == panel.sample.total
    return Imputation(
        panel=panel, sample=Sample(total=panel.sample.total, n=len(rows), index=None if whole else index), rows=rows,
        estimate=float(share @ found.effects), contributions=share @ found.contributions, events=tuple(events),
        effects=found.effects, by_event=found.contributions, treated_rows=found.rows,
        leads=leads, lead_effects=lead_effects, by_lead=by_lead, undefined=undefined,
        event_undefined=tuple(event_undefined), lead_undefined=tuple(support.of_leads(since, leads)),
        notes=tuple(notes), warnings=tuple(warnings),
    )  # fmt: skip


def _since(panel: Panel, cohort: Cohort) -> Codes:
    """Return (periods,) the event time of each period for a cohort."""
    return np.asarray(panel.steps - cohort.onset.step)


def _rows(plan: Plan, panel: Panel) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (periods, units) the untreated and the treated rows; rows of anticipation are neither."""
    untreated, treated = np.ones(panel.y.shape, dtype=np.bool_), np.zeros(panel.y.shape, dtype=np.bool_)
    for cohort in panel.treated:
        untreated[_since(panel, cohort) >= -plan.settings.anticipation, cohort.units] = False
        treated[cohort.start :, cohort.units] = True
    if panel.present is not None:
        untreated &= panel.present
        treated &= panel.present
    return untreated, treated


def _predictable(
    panel: Panel, untreated: NDArray[np.bool_], treated: NDArray[np.bool_], notes: list[Message]
) -> NDArray[np.bool_]:
    """Return the treated rows whose unit and whose period have untreated rows."""
    kept = treated & untreated.any(axis=0) & untreated.any(axis=1)[:, None]
    lost = int(np.count_nonzero(treated & ~kept))
    if lost:
        empty = [panel.called(int(at)) for at in np.flatnonzero(~untreated.any(axis=1))]
        if empty:
            notes.append(Message("panel.rows-not-predicted-in-periods", rows=lost, periods=listed(empty, 6)))
        else:
            notes.append(Message("panel.rows-not-predicted", rows=lost))
    if not kept.any():
        raise UnusableData(Message("panel.no-row-predicted"))
    return kept


def _covariates(plan: Plan, panel: Panel, w: Matrix, notes: list[Message]) -> list[Matrix]:
    """Return (periods, units) of each covariate that varies within units."""
    if not plan.has("covariates"):
        return []
    frame = plan.frame("x", panel.sample)
    notes += frame.notes
    found: list[Matrix] = []
    constant: list[str] = []
    for at in range(1, frame.at["x"].stop):
        column = frame.matrix[at][panel.position]
        if panel.present is not None:
            column = np.where(panel.present, column, 0.0)
        within = _within(w, column)
        if float((w * within * within).sum()) <= _WITHIN * float((w * column * column).sum()):
            constant.append(frame.labels[at])
        else:
            found.append(column)
    if constant:
        notes.append(Message("panel.absorbed-by-unit-effects", covariates=listed(constant)))
    return found


def _within(w: Matrix, column: Matrix) -> Matrix:
    mass = w.sum(axis=0)
    return np.asarray(column - np.einsum("tu,tu->u", w, column) / np.where(mass > 0, mass, 1.0))


def _fit(panel: Panel, w: Matrix, columns: Iterable[Matrix]) -> _Levels:
    mass = w.sum(axis=0)
    share = w / np.where(mass > 0, mass, 1.0)
    free = np.flatnonzero(w.any(axis=1))[1:]
    y = _within(w, panel.y)
    inner = [_within(w, column) for column in columns]
    size = len(free) + len(inner)
    products, right = np.zeros((size, size)), np.zeros(size)
    products[: len(free), : len(free)] = np.diag(w[free].sum(axis=1)) - share[free] @ w[free].T
    right[: len(free)] = np.einsum("tu,tu->t", w[free], y[free])
    for a, column in enumerate(inner, len(free)):
        weighted = w * column
        products[a, : len(free)] = products[: len(free), a] = weighted[free].sum(axis=1)
        right[a] = np.vdot(weighted, y)
        for b, other in enumerate(inner[: a - len(free) + 1], len(free)):
            products[a, b] = products[b, a] = np.vdot(weighted, other)
    solution = solve(products, right[:, None])
    if len(free) and not np.isin(np.arange(len(free)), solution.kept).all():
        raise UnusableData(Message("panel.disconnected-periods"))
    coefficients = solution.coefficients[:, 0]
    periods = np.zeros(len(w))
    periods[free] = coefficients[: len(free)]
    residuals = y - (periods[:, None] - periods @ share)
    for column, slope in zip(inner, coefficients[len(free) :].tolist(), strict=True):
        residuals -= slope * column
    weighted = w * residuals
    slopes = [np.einsum("tu,tu->u", weighted, column) for column in inner]
    scores = np.vstack([weighted[free], *slopes])
    return _Levels(share=share, free=free, columns=inner, solution=solution, residuals=residuals, scores=scores)


def _treated_cells(panel: Panel, v: Matrix) -> list[Cell]:
    """Return the cohorts and periods with treated rows, and their event times."""
    return [
        Cell(cohort=cohort, period=period, event=event)
        for cohort in panel.treated
        for period, event in enumerate(_since(panel, cohort).tolist())
        if event >= 0 and v[period, cohort.units].any()
    ]


def _by_event(levels: _Levels, v: Matrix, cells: Sequence[Cell], events: Sequence[int]) -> _ByEvent:
    count, free = len(events), len(levels.free)
    place = {event: at for at, event in enumerate(events)}
    mass, effects, rows = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    contributions, right = np.zeros((count, v.shape[1])), np.zeros((count, free + len(levels.columns)))
    lone = 0
    for cell in cells:
        at, units = place[cell.event], cell.cohort.units
        weights, effect = v[cell.period, units], levels.residuals[cell.period, units]
        square = weights * weights
        # From the mean effect of the cohort and period, by the weights that the variance gives its units.
        contributions[at, units] = weights * (effect - (square @ effect) / square.sum())
        mass[at] += weights.sum()
        effects[at] += weights @ effect
        right[at, :free] += np.where(levels.free == cell.period, weights.sum(), 0.0)
        right[at, :free] -= levels.share[levels.free, units] @ weights
        for slope, column in enumerate(levels.columns, free):
            right[at, slope] += weights @ column[cell.period, units]
        seen = int(np.count_nonzero(weights))
        rows[at] += seen
        lone += seen == 1
    contributions -= (right @ levels.solution.inverse) @ levels.scores
    return _ByEvent(
        effects=effects / mass, contributions=contributions / mass[:, None], mass=mass, rows=tuple(rows.tolist()),
        lone=lone,
    )  # fmt: skip


def _leads(plan: Plan, panel: Panel, w: Matrix, columns: list[Matrix]) -> tuple[tuple[int, ...], Vector, Matrix]:
    """Return leads: differences of later treated units in the periods before treatment, fitted to untreated rows
    alone."""
    since = [(cohort, _since(panel, cohort)) for cohort in panel.treated]
    levels = np.unique(np.concatenate([steps[w[:, cohort.units].any(axis=1)] for cohort, steps in since]))[::-1]
    most = min(plan.settings.event_window or _MOST_LEADS, _MOST_LEADS, len(levels) - 1)
    chosen = levels[: max(most, 0)]
    nothing: tuple[tuple[int, ...], Vector, Matrix] = (), np.empty(0), np.empty((0, panel.units))
    if not len(chosen):
        return nothing

    def dummy(lead: int) -> Matrix:
        column = np.zeros_like(w)
        for cohort, steps in since:
            column[steps == lead, cohort.units] = 1.0
        return column

    try:
        fit = _fit(panel, w, chain(columns, map(dummy, chosen.tolist())))
    except UnusableData:
        return nothing
    first = len(fit.free) + len(columns)
    kept = [at for at in range(len(chosen)) if first + at in fit.solution.kept]
    places = np.asarray(kept, dtype=np.intp) + first
    effects = fit.solution.coefficients[places, 0]
    return tuple(chosen[kept].tolist()), effects, fit.solution.inverse[places] @ fit.scores
