"""The smallest effect that the rows of a primary estimate would detect, by `cqox.planning` where it knows the design.

The outcome's noise is measured on the rows as they are; the effect itself is not estimated.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cqox.analysis.timing import starts_of
from cqox.contract import Options
from cqox.contract.messages import Message, of
from cqox.contract.preview import PreviewedPower
from cqox.errors import InputError
from cqox.estimators import Codes, Estimator, Plan, Sample, Vector
from cqox.planning.detectable import detectable
from cqox.planning.report import PowerReport

__all__ = ["Whole", "previewed_power"]

_TARGET = 0.8
_DESIGNS = ("comparison", "trends")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All rows of which the plan has a sample.

    Attributes:
        times: number of all rows over that of the sample.
        by_unit: whether the sample is of whole units, so that it has as small a share of the units.
    """

    times: float
    by_unit: bool


@dataclass(slots=True, kw_only=True)
class _Question:
    """Columns of a calculation of power, under the names that its sentences use."""

    columns: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    covariates: list[str] = field(default_factory=list)

    def add(self, label: str, values: NDArray[np.generic]) -> str:
        while label in self.columns:
            label += "'"
        self.columns[label] = values
        return label


def previewed_power(
    plan: Plan,
    sample: Sample,
    entry: Estimator | None,
    design: str | None,
    options: Options,
    *,
    whole: Whole | None = None,
) -> PreviewedPower:
    """Return what the rows of a primary estimate would detect with 80% power, or the reason why that is not known.

    Args:
        plan: of the contrast.
        sample: the rows that the primary estimate uses.
        entry: the primary estimator; None without one.
        design: name of its design; None without one.
        options: of the request; `alpha`, `better` and `minimum_effect` are used.
        whole: all rows, where those of the plan are a sample of them; None where they are all.
    """
    question = _question(plan, sample, entry, design)
    if isinstance(question, Message):
        return _unknown(question, options)
    least = options.minimum_effect * (1.0 if options.better == "higher" else -1.0)
    try:
        found, at = detectable(
            question.columns, y=question.roles["y"], treatment=question.roles["treatment"],
            cluster=question.roles.get("cluster"), unit=question.roles.get("unit"), time=question.roles.get("time"),
            covariates=question.covariates, alpha=options.alpha, better=options.better, effect=least or None,
            times=_times(question, whole),
        )  # fmt: skip
    except InputError as error:
        return _unknown(of(error.detail), options)
    return _known(found, at, options)


def _times(question: _Question, whole: Whole | None) -> float:
    """Return how many times the sample all rows are; 1, which is cautious, where it has parts of the clusters."""
    if whole is None or (not whole.by_unit and {"cluster", "unit"} & question.roles.keys()):
        return 1.0
    return whole.times


def _unknown(reason: Message, options: Options) -> PreviewedPower:
    return PreviewedPower(power=_TARGET, alpha=options.alpha, reason=Message("preview.no-power", reason=reason))


def _known(found: PowerReport, at: PowerReport | None, options: Options) -> PreviewedPower:
    said: Message | None = None
    if at is not None and at.power >= _TARGET:
        said = Message("preview.minimum-detected", effect=options.minimum_effect, power=100 * at.power)
    elif at is not None:
        said = Message(
            "preview.minimum-missed", effect=options.minimum_effect, power=100 * at.power, target=100 * _TARGET
        )
    return PreviewedPower(
        effect=found.effect, relative=found.relative_effect, baseline=found.baseline, power=_TARGET,
        alpha=options.alpha, headline=found.headline, method=found.method, assumptions=found.assumptions,
        minimum_effect=None if at is None else options.minimum_effect,
        minimum_power=None if at is None else at.power,
        minimum_detectable=None if at is None else at.power >= _TARGET,
        minimum_message=said,
    )  # fmt: skip


def _question(plan: Plan, sample: Sample, entry: Estimator | None, design: str | None) -> _Question | Message:
    """Return the columns of the calculation, or why there is none."""
    data = plan.data
    if entry is None or design is None:
        return Message("preview.no-design", rows=data.n)
    if data.y_kind == "none":
        return Message("preview.power-without-outcome")
    if design not in _DESIGNS or entry.name == "spatial_ols":
        return Message("preview.power-of-design", design=design if design not in _DESIGNS else entry.name)
    if data.weights is not None:
        return Message("preview.power-of-weights")
    if len(data.clusters) > 1:
        return Message("preview.power-of-clusters", dimensions=len(data.clusters))
    if design == "trends":
        return _of_trends(plan, sample)
    if data.treatment_kind != "binary":
        return Message("preview.power-of-amount")
    return _of_comparison(plan, sample, entry)


def _of_comparison(plan: Plan, sample: Sample, entry: Estimator) -> _Question | Message:
    data, question = plan.data, _Question()
    treated = plan.treated(sample)
    question.roles["y"] = question.add(plan.label("y"), sample.take(data.y))
    question.roles["treatment"] = question.add(plan.label("treatment"), treated)
    used = (*entry.requires, *entry.optional)
    if "covariates" in used and plan.has("covariates"):
        for label, values in zip(plan.labels("covariates"), sample.take(data.covariates).T, strict=True):
            question.covariates.append(question.add(label, values))
    for codes in data.fixed_effects if "fixed_effects" in used else ():
        question.covariates.append(question.add(plan.label("fixed_effects"), sample.take(codes).astype(str)))
    role = "unit_id" if plan.clusters_are_units else "cluster"
    groups = data.unit if plan.clusters_are_units else data.clusters[0] if data.clusters else None
    if groups is None:
        return question
    own = sample.take(groups)
    if len(np.unique(own)) == sample.n:
        return question
    if _varies(treated, own):
        return Message("preview.power-within-clusters", column=plan.label(role))
    question.roles["cluster"] = question.add(plan.label(role), own)
    return question


def _of_trends(plan: Plan, sample: Sample) -> _Question | Message:
    data, question = plan.data, _Question()
    if data.unit is None or not plan.units_repeat:
        return Message("preview.power-of-sections")
    found = _treated_periods(plan, sample)
    if isinstance(found, Message):
        return found
    start, times = found
    who, role = sample.take(data.unit), "unit_id"
    if data.clusters:
        who, role = sample.take(data.clusters[0]), "cluster"
        if _varies(start, who):
            return Message("preview.power-within-clusters", column=plan.label("cluster"))
    question.roles["y"] = question.add(plan.label("y"), sample.take(data.y))
    question.roles["treatment"] = question.add(plan.label("treatment"), (times >= start).astype(np.float64))
    question.roles["unit"] = question.add(plan.label(role), who)
    question.roles["time"] = question.add(plan.label("time" if data.time is not None else "post"), times)
    return question


def _treated_periods(plan: Plan, sample: Sample) -> tuple[Vector, Vector] | Message:
    """Return (rows,) the first treated period of each row's unit, and each row's period."""
    data = plan.data
    if data.time is None:
        if data.post is None:
            return Message("preview.power-of-sections")
        return np.where(plan.treated(sample) > 0, 1.0, np.inf), sample.take(data.post)
    starts = starts_of(plan, sample)
    if starts is None:
        return Message("preview.power-of-sections")
    if len(starts.waves) != 1:
        return Message("preview.power-of-starts", starts=len(starts.waves))
    return starts.of_rows, starts.periods.of_rows


def _varies(values: Vector, groups: Codes) -> bool:
    """Return whether values differ within a group."""
    _, place = np.unique(groups, return_inverse=True)
    first = np.empty(int(place.max(initial=-1)) + 1)
    first[place] = values
    return bool((first[place] != values).any())
