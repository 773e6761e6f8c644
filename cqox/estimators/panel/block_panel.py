"""A balanced block panel: all treated units start together and stay treated; units by periods.

Synthetic controls weight whole units, so that units and periods must be complete. A treated unit with missing periods
is left out if another is complete; otherwise the periods that treated units miss are left out for all. Donors that miss
one of the remaining periods are left out. Where `post` is mapped, a unit is treated in those periods after the
intervention in which `treatment` marks it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.make_estimate import varying_outcome
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample, listed

__all__ = ["MOST_CELLS", "MOST_DONORS", "BlockPanel", "block_panel"]

MOST_CELLS, MOST_DONORS = 4_000_000, 2_000
"""Number of units times periods, and of untreated units, up to which there is a panel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPanel:
    """Outcomes of complete units, in an order that does not depend on row order.

    Attributes:
        treated: (treated units, periods) outcomes, less `centre` and over `scale`.
        donors: (donors, periods) the same of the never-treated units.
        centre, scale: mean and standard deviation of the donors' outcomes before treatment; their magnitude where they
            are constant.
        times: (periods,) on the scale of the data's `time_values`, ascending.
        before: number of pre-treatment periods, which come first.
        treated_units, donor_units: codes of the units, by row of the matrices.
        labels: the user's labels of the units, by code; None where there are none.
        notes: what was left out.
        warnings: exclusions that change the population of the effect.
    """

    treated: Matrix
    donors: Matrix
    centre: float
    scale: float
    times: Vector
    before: int
    treated_units: Codes
    donor_units: Codes
    labels: tuple[str, ...] | None
    notes: tuple[Message, ...]
    warnings: tuple[Message, ...]

    @property
    def target(self) -> Vector:
        """The (periods,) mean of the treated units."""
        return np.asarray(self.treated.mean(axis=0))

    @property
    def after(self) -> int:
        """The number of periods with treatment, which come last."""
        return len(self.times) - self.before

    def donor(self, row: int) -> str | int:
        """Return the label of a donor, by its row."""
        code = int(self.donor_units[row])
        return code if self.labels is None else self.labels[code]

    @property
    def rows(self) -> int:
        """The number of data rows in the panel."""
        return self.treated.size + self.donors.size


def block_panel(plan: Plan) -> BlockPanel | Message:
    """Return the panel of a plan's data, or the reason for its absence; the same object at each call."""
    return plan.share("block panel", lambda: _block_panel(plan))


def _block_panel(plan: Plan) -> BlockPanel | Message:
    sample = plan.sample("y", "treatment", "unit_id", "time", "post")
    reason = _unusable(plan, sample) or varying_outcome(plan, sample)
    if reason is not None:
        return reason
    units, unit = np.unique(sample.take(_codes(plan.data.unit)), return_inverse=True)
    periods, time = np.unique(sample.take(_codes(plan.data.time)), return_inverse=True)
    if len(units) * len(periods) > MOST_CELLS:
        return Message("panel.too-many-cells-keep-units", units=len(units), periods=len(periods), limit=MOST_CELLS)
    status = plan.treated(sample)
    if plan.data.post is not None:
        status = status * sample.take(plan.data.post)
    reason = (
        _too_many(unit, status, len(units))
        or _repeated(sample, unit * len(periods) + time)
        or _no_block(plan, unit, time, status, len(units))
    )
    if reason is not None:
        return reason
    outcomes = np.full((len(units), len(periods)), np.nan)
    outcomes[unit, time] = sample.take(plan.data.y)
    start = int(time[status > 0].min())
    treated = np.bincount(unit, status, len(units)) > 0
    keys = np.full(len(units), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(keys, unit, sample.take(plan.data.row_key))
    values = plan.data.time_values
    times = periods.astype(np.float64) if values is None else values[periods]
    panel = _complete(outcomes, treated, start, times, units, keys)
    return panel if isinstance(panel, Message) else replace(panel, labels=plan.data.unit_labels)


def _unusable(plan: Plan, sample: Sample) -> Message | None:
    if plan.has("weights"):
        return Message("panel.no-sampling-weights", weights=plan.label("weights"))
    return None if sample.n else Message("panel.no-complete-row")


def _too_many(unit: Codes, status: Vector, units: int) -> Message | None:
    if not status.any():
        return Message("panel.no-treated-row")
    donors = units - int(np.count_nonzero(np.bincount(unit, status, units)))
    if donors <= MOST_DONORS:
        return None
    return Message("panel.too-many-untreated-units", limit=MOST_DONORS, untreated=donors)


def _codes(codes: Codes | None) -> Codes:
    return np.empty(0, dtype=np.int64) if codes is None else codes


def _repeated(sample: Sample, cells: Codes) -> Message | None:
    """Return a reason if a unit has several rows in one period."""
    order = np.argsort(cells, kind="stable")
    repeats = np.flatnonzero(np.diff(cells[order]) == 0)
    if not len(repeats):
        return None
    rows = np.sort(order[repeats + 1])
    rows = rows if sample.index is None else sample.index[rows]
    return Message("panel.repeated-rows", rows=listed([str(row + 1) for row in rows]))


def _no_block(plan: Plan, unit: Codes, time: Codes, status: Vector, units: int) -> Message | None:
    """Return a reason unless all treated units start together, stay treated, and some units are never treated."""
    treated = np.bincount(unit, status, units) > 0
    if treated.all():
        return Message("panel.no-never-treated")
    start = time[status > 0].min()
    # A unit whose first treated rows are missing is no late starter: only rows that exist count.
    wrong = status != (treated[unit] & (time >= start))
    if wrong.any():
        last_untreated = np.full(units, -1)
        np.maximum.at(last_untreated, unit[status == 0], time[status == 0])
        starts = np.full(units, np.iinfo(np.int64).max)
        np.minimum.at(starts, unit[status > 0], time[status > 0])
        if (last_untreated[treated] > starts[treated]).any():
            return Message("panel.treatment-ends")
        return Message("panel.several-starts")
    if not (treated[unit] & (time < start)).any():
        return Message("panel.no-unit-before-treatment-in", time=plan.label("time"))
    return None


def _complete(
    outcomes: Matrix, treated: NDArray[np.bool_], start: int, times: Vector, units: Codes, keys: NDArray[np.uint64]
) -> BlockPanel | Message:
    known = ~np.isnan(outcomes)
    whole = known.all(axis=1)
    notes, warnings = list[Message](), list[Message]()
    missing = int(np.count_nonzero(treated & ~whole))
    periods = np.ones(len(times), dtype=np.bool_)
    if missing and (treated & whole).any():
        warnings.append(Message("panel.treated-units-left-out", units=missing, treated=int(treated.sum())))
        treated_kept = treated & whole
    else:
        treated_kept = treated
        periods = known[treated].all(axis=0)
        if missing:
            notes.append(Message("panel.periods-left-out", periods=int((~periods).sum())))
    donors = ~treated & known[:, periods].all(axis=1)
    left_out = int(np.count_nonzero(~treated & ~donors))
    if left_out:
        notes.append(Message("panel.untreated-units-left-out", units=left_out))
    before = int(np.count_nonzero(periods[:start]))
    if before < 2 or not periods[start:].any():
        return Message("panel.too-few-complete-periods", before=before, after=int(periods[start:].sum()))
    if np.count_nonzero(donors) < 2:
        return Message(
            "panel.too-few-complete-units", units=int(donors.sum()), untreated=int(np.count_nonzero(~treated))
        )
    return _laid_out(outcomes[:, periods], treated_kept, donors, before, times[periods], units, keys, notes, warnings)


def _laid_out(
    outcomes: Matrix,
    treated: NDArray[np.bool_],
    donors: NDArray[np.bool_],
    before: int,
    times: Vector,
    units: Codes,
    keys: NDArray[np.uint64],
    notes: list[Message],
    warnings: list[Message],
) -> BlockPanel:
    past = outcomes[donors, :before]
    # Scaled first, so that the squares of outcomes of any magnitude are representable.
    size = float(np.abs(past).max()) or 1.0
    centre = float((past / size).mean()) * size
    scale = float(np.std(past / size)) * size
    if not scale > 1e-12 * size:
        scale = size
    # By key, and by content where units share one (a cluster's): random choices then follow units, not positions.
    order = np.lexsort((*outcomes.T[::-1], keys))
    standard = (outcomes - centre) / scale
    first, second = order[treated[order]], order[donors[order]]
    return BlockPanel(
        treated=standard[first],
        donors=standard[second],
        centre=centre,
        scale=scale,
        times=times,
        before=before,
        treated_units=units[first],
        donor_units=units[second],
        labels=None,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )
