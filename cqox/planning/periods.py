"""Facts measured on a panel: how much the change of a unit varies from before a start to after it.

Over as many periods as are planned the variance is that of the changes themselves, so that no model of the serial
correlation is needed: of the changes at the start of treatment if the data have one, else over every window of the
planned length (Burlig, Preonas and Woerman 2020, appendix D, average residual covariances over the same windows).
Means of periods are taken off by arm and nothing of a unit is estimated, so that the variance has no bias to correct.
A plan with more periods than the data takes correlations that are fitted to what there is.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.planning.columns import Codes, codes
from cqox.planning.facts import Facts, PanelFacts
from cqox.planning.panels import Moments, correlations, moments
from cqox.planning.rows import arms_of, outcome_of

if TYPE_CHECKING:
    from cqox.planning.columns import Frame

__all__ = ["facts_of_periods"]

_MOST_WINDOWS = 200
_AUTOREGRESSIONS = np.linspace(0.0, 0.99, 100)


class _Panel(NamedTuple):
    """Outcomes by unit and period, NaN where there is none; the arm of each unit, and where its treatment starts."""

    y: Matrix
    arm: NDArray[np.intp]
    start: int | None


def facts_of_periods(
    data: "Frame",
    y: str,
    *,
    unit: str,
    time: str,
    treatment: str | None,
    before: int | None,
    after: int | None,
) -> Facts:
    """Return what a panel says of a study whose units are like its own.

    Args:
        data: the frame, a row for each unit and period; several rows of one are averaged.
        y: column of the outcome.
        unit: column of what is assigned.
        time: column of the periods.
        treatment: column of 0 and 1: 1 from the start on, or constant in a unit. Without it there is one arm.
        before, after: planned periods; None for those of the data on either side of the start.

    Raises:
        InvalidRequest: there is no such column, or the data have no start and no periods are planned.
        UnusableData: units start in different periods or stop, or too few units or periods are there.
    """
    panel, notes = _panel(data, y, unit, time, treatment)
    if before is None or after is None:
        if panel.start is None:
            raise InvalidRequest(Message("power.periods-missing"), field="periods_before")
        before, after = panel.start, panel.y.shape[1] - panel.start
    sizes = np.bincount(panel.arm, minlength=2)
    untreated = panel.y[panel.arm == 0] if panel.start is None else panel.y[:, : max(panel.start, 1)]
    found, more = _moments(panel, before, after)
    lagged = _autocovariances(panel, 1)
    sd = float(lagged[0]) ** 0.5
    names = {"n", "sds", "baseline", "ratio", "panel"} if treatment is not None else {"n", "sds", "baseline", "panel"}
    return Facts(
        n=len(panel.y),
        sds=(sd, sd),
        baseline=float(np.nanmean(untreated)),
        ratio=float(sizes[1] / sizes[0]) if treatment is not None else 1.0,
        panel=found,
        measured=frozenset(names),
        notes=(*notes, *more),
    )


def _panel(data: "Frame", y: str, unit: str, time: str, treatment: str | None) -> tuple[_Panel, list[Message]]:
    outcome, units, times = outcome_of(data, y), codes(data, unit, "unit"), codes(data, time, "time")
    treated = np.zeros(len(outcome)) if treatment is None else arms_of(data, treatment)
    if not len(outcome) == len(units.values) == len(times.values) == len(treated):
        raise UnusableData(Message("power.column-lengths"), field="data")
    kept = np.isfinite(outcome) & np.isfinite(treated) & (units.values >= 0) & (times.values >= 0)
    notes = [Message("power.rows-left-out", rows=int((~kept).sum()))] if not kept.all() else []
    y_cells, several = _cells(outcome, units, times, kept)
    if several:
        notes.append(Message("power.rows-averaged", rows=several))
    seen = np.isfinite(y_cells).any(axis=1)
    if seen.sum() < 3 or y_cells.shape[1] < 2:
        raise UnusableData(Message("power.few-units", units=int(seen.sum()), periods=y_cells.shape[1]), field="unit")
    arm, start = np.zeros(len(y_cells), np.intp), None
    if treatment is not None:
        arm, start = _start(_cells(treated, units, times, kept)[0][seen])
        if arm.all() or not arm.any():
            raise UnusableData(Message("power.one-arm", column=treatment), field="treatment")
        return _Panel(y_cells[seen], arm, start), notes
    return _Panel(y_cells[seen], arm[seen], start), notes


def _cells(values: Vector, units: Codes, times: Codes, kept: NDArray[np.bool_]) -> tuple[Matrix, int]:
    """Return (units, periods) means of the rows of a cell, and how many rows share one with others."""
    shape = units.levels, times.levels
    place = units.values[kept] * times.levels + times.values[kept]
    count = np.bincount(place, minlength=shape[0] * shape[1])
    total = np.bincount(place, values[kept], minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        return (total / count).reshape(shape), int(count[count > 1].sum())


def _start(treated: Matrix) -> tuple[NDArray[np.intp], int | None]:
    """Return the arm of each unit, and the period in which treatment starts; None if it does not vary in a unit."""
    share = treated[np.isfinite(treated)]
    if not np.isin(share, (0.0, 1.0)).all():
        raise UnusableData(Message("power.treatment-within-clusters"), field="unit")
    known = np.nan_to_num(treated, nan=-1.0)
    ever = (known == 1.0).any(axis=1)
    constant = ~((known == 0.0).any(axis=1) & ever)
    if constant.all():
        return ever.astype(np.intp), None
    first = np.argmax(known == 1.0, axis=1)[ever]
    if (first != first[0]).any():
        raise UnusableData(Message("power.several-starts", starts=len(np.unique(first))), field="treatment")
    if (known[ever, first[0] :] == 0.0).any():
        raise UnusableData(Message("power.treatment-ends"), field="treatment")
    return ever.astype(np.intp), int(first[0])


def _moments(panel: _Panel, before: int, after: int) -> tuple[PanelFacts, list[Message]]:
    periods = panel.y.shape[1]
    start = panel.start
    if start is not None and before <= start and after <= periods - start:
        whole, by_arm = _moments_of(panel.y[:, start - before : start + after], before, panel.arm)
        if whole is not None:
            return PanelFacts(whole, by_arm, before, after), [Message("power.changes-at-start")]
    elif start is None and before + after <= periods:
        firsts = np.unique(np.linspace(0, periods - before - after, _MOST_WINDOWS).round().astype(np.intp))
        found = [
            one
            for first in firsts
            if (one := _moments_of(panel.y[:, first : first + before + after], before, panel.arm)[0]) is not None
        ]
        if found:
            mean = Moments(*np.mean(found, axis=0).tolist())
            return PanelFacts(mean, None, before, after), [Message("power.changes-in-windows", windows=len(found))]
    sd, autocorrelation, serial = _fitted(panel, before + after)
    covariance = sd**2 * correlations(before + after, autocorrelation, serial)
    note = Message(
        "power.correlations-fitted", periods=periods, lasting=autocorrelation, serial=serial, needed=before + after
    )
    return PanelFacts(moments(covariance, before), None, before, after), [note]


def _moments_of(
    block: Matrix, before: int, arm: NDArray[np.intp]
) -> tuple[Moments | None, tuple[Moments, Moments] | None]:
    """Return the moments of complete units about the means of their arms; None where there are too few."""
    complete = np.isfinite(block).all(axis=1)
    block, arm = block[complete], arm[complete]
    past = block[:, :before].mean(axis=1) if before else np.zeros(len(block))
    means = np.column_stack([past, block[:, before:].mean(axis=1)])
    arms = np.unique(arm)
    if len(block) < len(arms) + 2:
        return None, None
    products = []
    for each in arms:
        about = means[arm == each] - means[arm == each].mean(axis=0)
        products.append((about.T @ about, len(about) - 1))
    total = sum(product for product, _ in products) / sum(degrees for _, degrees in products)
    own = [product / degrees for product, degrees in products if degrees > 0]
    return _as_moments(total), (_as_moments(own[0]), _as_moments(own[1])) if len(own) == 2 else None


def _as_moments(covariance: Matrix) -> Moments:
    return Moments(float(covariance[0, 0]), float(covariance[1, 1]), float(covariance[0, 1]))


def _autocovariances(panel: _Panel, lags: int) -> Vector:
    """Return (lags + 1,) covariances of outcomes about the means of their arm and period, by distance."""
    about = panel.y.copy()
    for each in np.unique(panel.arm):
        rows = panel.arm == each
        count = np.isfinite(about[rows]).sum(axis=0)
        means = np.where(count > 0, np.nansum(about[rows], axis=0) / np.maximum(count, 1), np.nan)
        about[rows] -= means
    arms = len(np.unique(panel.arm))
    found = np.full(lags + 1, np.nan)
    for lag in range(lags + 1):
        products = about[:, : about.shape[1] - lag] * about[:, lag:]
        pairs = np.isfinite(products).sum(axis=0)
        degrees = float(np.maximum(pairs - arms, 0).sum())
        if degrees > 0:
            found[lag] = float(np.nansum(products[:, pairs > arms])) / degrees
    if not found[0] > 0:
        raise UnusableData(Message("power.constant-within-periods"), field="y")
    return found


def _fitted(panel: _Panel, periods: int) -> tuple[float, float, float]:
    """Return the standard deviation and the parameters of `correlations` nearest to the observed ones."""
    lags = min(panel.y.shape[1], periods) - 1
    covariances = _autocovariances(panel, lags)
    observed = covariances[1:] / covariances[0]
    lag = np.arange(1, lags + 1)[np.isfinite(observed)]
    weights = np.sqrt(panel.y.shape[1] - lag)
    observed = observed[np.isfinite(observed)]
    if not len(lag):
        raise UnusableData(Message("power.no-lags"), field="time")
    best, lasting, serial = np.inf, 0.0, 0.0
    for gamma in _AUTOREGRESSIONS if len(lag) > 1 else (0.0,):
        rest = gamma**lag
        x, target = weights * (1.0 - rest), weights * (observed - rest)
        rho = float(np.clip(x @ target / (x @ x), 0.0, 0.999))
        misfit = float(np.square(target - rho * x).sum())
        if misfit < best - 1e-12:
            best, lasting, serial = misfit, rho, float(gamma)
    return float(covariances[0]) ** 0.5, lasting, serial
