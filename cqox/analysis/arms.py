"""Arms of a contrast as a preview shows them: rows, shares, units and clusters; nothing is estimated."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.analysis.timing import periods_of_rows, starts_of
from cqox.contract.messages import Message, of
from cqox.contract.preview import PreviewedAmount, PreviewedArm
from cqox.estimators import Codes, Plan, Sample
from cqox.estimators.sample import ARMS

__all__ = ["amount_of", "arms_of_contrast", "counts_of"]

type _Mask = NDArray[np.bool_]

_OVER_TIME = ("trends", "switching_trends", "synthetic_control")
_MOST_ACTIONS = 50


def arms_of_contrast(
    plan: Plan, sample: Sample, design: str | None, compared: tuple[str, str] | None
) -> list[PreviewedArm]:
    """Return the arms of a contrast, those of the control first; none of an amount.

    Args:
        plan: of the contrast.
        sample: the rows that the primary estimate uses.
        design: name of its design; None without one.
        compared: the reference and the level, as texts.
    """
    if not sample.n:
        return []
    if design == "policy_log":
        return _actions(plan, sample)
    if design == "interrupted_series":
        return _before_and_after(plan, sample)
    if design in ("sharp_cutoff", "fuzzy_cutoff"):
        return _sides(plan, sample)
    sample = _source(plan, sample) if design == "transport" else sample
    treated = _treated(plan, sample, design)
    if treated is None:
        return []
    words = [of(word) for word in compared] if compared is not None else list(ARMS)
    if compared is not None and compared == ("0", "1"):
        words = list(ARMS)
    return [
        _arm(plan, sample, rows, words[value], treated=bool(value)) for value, rows in enumerate((~treated, treated))
    ]


def amount_of(plan: Plan, sample: Sample) -> PreviewedAmount | None:
    """Return the range of a treatment that is an amount; None of any other."""
    if plan.data.treatment_kind != "continuous" or plan.data.treatment is None:
        return None
    values = sample.take(plan.data.treatment)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return PreviewedAmount(
        minimum=float(values.min()), median=float(np.median(values)), maximum=float(values.max())
    )  # fmt: skip


def counts_of(plan: Plan, sample: Sample) -> dict[str, int | None]:
    """Return the numbers of units, periods and clusters of a sample's rows, None where they are not mapped."""
    data = plan.data
    return {
        "units": _different(data.unit, sample) if plan.units_repeat else None,
        "periods": _different(data.time, sample),
        "clusters": _different(data.clusters[0] if data.clusters else None, sample),
    }


def _different(codes: Codes | None, sample: Sample) -> int | None:
    return None if codes is None else len(np.unique(sample.take(codes)))


def _treated(plan: Plan, sample: Sample, design: str | None) -> _Mask | None:
    if design in _OVER_TIME:
        starts = starts_of(plan, sample)
        if starts is not None:
            return np.asarray(starts.of_rows <= starts.periods.values[-1], dtype=np.bool_)
    if plan.data.treatment is None or plan.data.treatment_kind != "binary":
        return None
    return np.asarray(sample.take(plan.data.treatment) > 0, dtype=np.bool_)


def _source(plan: Plan, sample: Sample) -> Sample:
    """Return the rows of a sample in which outcomes are compared: those of the source, if there is one."""
    if plan.data.in_source is None:
        return sample
    index = np.arange(sample.n) if sample.index is None else sample.index
    rows = index[sample.take(plan.data.in_source) > 0]
    return Sample(total=sample.total, n=len(rows), index=rows)


def _arm(plan: Plan, sample: Sample, rows: _Mask, level: Message, *, treated: bool | None) -> PreviewedArm:
    data = plan.data
    count = int(rows.sum())
    units = len(np.unique(sample.take(data.unit)[rows])) if data.unit is not None and plan.units_repeat else None
    clusters = len(np.unique(sample.take(data.clusters[0])[rows])) if data.clusters else None
    return PreviewedArm(
        level=level, treated=treated, rows=count, share=count / sample.n, units=units, clusters=clusters
    )


def _actions(plan: Plan, sample: Sample) -> list[PreviewedArm]:
    if plan.data.action is None:
        return []
    actions = sample.take(plan.data.action)
    labels: Sequence[str] = plan.data.action_labels or ()
    return [
        _arm(plan, sample, actions == code, of(labels[code] if code < len(labels) else str(code)), treated=None)
        for code in np.unique(actions).tolist()[:_MOST_ACTIONS]
    ]


def _before_and_after(plan: Plan, sample: Sample) -> list[PreviewedArm]:
    data, periods = plan.data, periods_of_rows(plan, sample)
    if periods is None:
        return []
    if data.intervention_time is not None:
        after = periods.of_rows >= data.intervention_time
    else:
        status = data.post if data.post is not None else data.treatment
        if status is None:
            return []
        after = sample.take(status) > 0
    words = (Message("preview.before-change"), Message("preview.after-change"))
    return [
        _arm(plan, sample, rows, words[value], treated=bool(value)) for value, rows in enumerate((~after, after))
    ]  # fmt: skip


def _sides(plan: Plan, sample: Sample) -> list[PreviewedArm]:
    data = plan.data
    if data.running is None or data.cutoff is None:
        return []
    above = sample.take(data.running) >= data.cutoff
    words = (
        Message("preview.below-cutoff", cutoff=data.cutoff), Message("preview.above-cutoff", cutoff=data.cutoff),
    )  # fmt: skip
    return [_arm(plan, sample, rows, words[value], treated=None) for value, rows in enumerate((~above, above))]
