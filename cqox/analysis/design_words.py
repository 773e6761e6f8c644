"""The design of a request in words, made from its roles and its data before anything is estimated."""

import math
from collections.abc import Callable

import numpy as np

from cqox.analysis.timing import Starts, periods_of_rows, starts_of
from cqox.contract.messages import Message, joined, of
from cqox.estimators import Plan, Sample, Vector

__all__ = ["design_in_words"]

type _Words = Callable[[Plan, Sample], list[Message]]

_NEAR = 0.5
"""Distance of a cutoff, in standard deviations of the score, within which rows are counted."""


def design_in_words(design: str | None, plan: Plan, sample: Sample, *, assignment: str, adjusts: bool) -> Message:
    """Return the design of a primary estimate in one or two sentences.

    Args:
        design: name of the design; None where no estimator applies.
        plan: of the contrast.
        sample: the rows that the primary estimate uses.
        assignment: `options.assignment`.
        adjusts: whether the primary estimate adjusts for covariates.
    """
    if design is None:
        return Message("preview.no-design", rows=plan.data.n)
    if design == "comparison":
        found = _comparison(plan, sample, assignment=assignment, adjusts=adjusts)
    else:
        found = _WORDS[design](plan, sample)
    return found[0] if len(found) == 1 else joined(found)


def _comparison(plan: Plan, sample: Sample, *, assignment: str, adjusts: bool) -> list[Message]:
    data = plan.data
    columns = data.covariates.shape[1] if adjusts else 0
    adjusted = [Message("preview.adjusted", columns=columns)] if columns else []
    if data.treatment_kind != "binary" or data.treatment is None:
        values = np.empty(0) if data.treatment is None else sample.take(data.treatment)
        if not len(values):
            return [Message("preview.no-design", rows=plan.data.n)]
        amount = Message(
            "preview.amount", rows=sample.n, treatment=plan.label("treatment"), least=float(values.min()),
            median=float(np.median(values)), most=float(values.max()),
        )  # fmt: skip
        return [amount, *adjusted]
    control, treated = plan.arm_rows(sample)
    share = 100 * treated / max(sample.n, 1)
    if assignment == "randomized":
        said = Message("preview.trial", rows=sample.n, treated=treated, control=control, share=share)
    else:
        said = Message("preview.comparison", treated=treated, control=control, share=share)
    return [said, *_clusters(plan, sample), *adjusted]


def _clusters(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    codes = data.unit if plan.clusters_are_units else data.clusters[0] if data.clusters else None
    if codes is None or not sample.n:
        return []
    own = sample.take(codes)
    count = len(np.unique(own))
    name = plan.label("unit_id" if plan.clusters_are_units else "cluster")
    treated = plan.treated(sample) > 0
    pairs = len(np.unique(own[treated])) + len(np.unique(own[~treated]))
    if pairs == count:
        return [
            Message(
                "preview.assigned-in-clusters", clusters=count, column=name, treated=len(np.unique(own[treated])),
                control=len(np.unique(own[~treated])),
            )
        ]  # fmt: skip
    return [Message("preview.within-clusters", clusters=count, column=name)]


def _instrument(plan: Plan, sample: Sample) -> list[Message]:
    instruments, treatment = sample.take(plan.data.instruments), plan.treated(sample)
    said = Message("preview.instrument", rows=sample.n, instrument=plan.label("instrument"),
                   treatment=plan.label("treatment"))  # fmt: skip
    if instruments.shape[1] != 1 or not np.isin(instruments, (0.0, 1.0)).all():
        return [said]
    on = instruments[:, 0] > 0
    if not on.any() or on.all():
        return [said]
    with_it, without = float(treatment[on].mean()), float(treatment[~on].mean())
    if plan.data.treatment_kind == "binary":
        more = Message("preview.treated-by-instrument", with_it=100 * with_it, without=100 * without)
    else:
        more = Message("preview.amount-by-instrument", with_it=with_it, without=without)
    return [said, more]


def _cutoff(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    assert data.running is not None
    assert data.cutoff is not None
    score = sample.take(data.running)
    above, width = score >= data.cutoff, _near(score)
    return [
        Message(
            "preview.cutoff", cutoff=data.cutoff, running=plan.label("running"), below=int((~above).sum()),
            above=int(above.sum()), near=int((np.abs(score - data.cutoff) <= width).sum()), width=width,
        )
    ]  # fmt: skip


def _fuzzy(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    assert data.running is not None
    said = _cutoff(plan, sample)
    if data.treatment is None or data.cutoff is None:
        return said
    above, treatment = sample.take(data.running) >= data.cutoff, plan.treated(sample)
    if not above.any() or above.all():
        return said
    below, beyond = float(treatment[~above].mean()), float(treatment[above].mean())
    if data.treatment_kind == "binary":
        return [*said, Message("preview.treated-by-side", below=100 * below, above=100 * beyond)]
    return [*said, Message("preview.amount-by-side", below=below, above=beyond)]


def _near(score: Vector) -> float:
    """Return a round distance of about half a standard deviation."""
    wanted = _NEAR * float(score.std()) if len(score) else 0.0
    if not wanted > 0 or not math.isfinite(wanted):
        return 0.0
    size = 10.0 ** math.floor(math.log10(wanted))
    return float(f"{max(step for step in (1, 2, 5) if step * size <= wanted * (1 + 1e-9)) * size:.6g}")


def _trends(plan: Plan, sample: Sample) -> list[Message]:
    starts = starts_of(plan, sample)
    if starts is None or not len(starts.waves):
        return _four_cells(plan, sample)
    said = _timed(starts, plan.label("unit_id") if starts.by_unit else None)
    never = int(np.isinf(starts.first).sum())
    return [said, Message("preview.never-treated", units=never)] if starts.by_unit else [said]


def _timed(starts: Starts, unit: str | None) -> Message:
    """Return when treatment starts, and how many periods lie before and after."""
    periods, waves = starts.periods, starts.waves
    treated = int(starts.treated.sum())
    first, last = periods.name(float(waves[0])), periods.name(float(waves[-1]))
    before, most = starts.before(float(waves[0])), starts.before(float(waves[-1]))
    ahead, after = periods.length(before), periods.length(len(periods.values) - before)
    if unit is None:
        return Message(
            "preview.sections", rows=len(starts.first), periods=len(periods.values), first=first, before=ahead
        )
    if len(waves) == 1:
        return Message(
            "preview.one-start", units=len(starts.first), column=unit, treated=treated, start=first, before=ahead,
            after=after,
        )  # fmt: skip
    return Message(
        "preview.several-starts", units=len(starts.first), column=unit, treated=treated, waves=len(waves), first=first,
        last=last, least=before, most=periods.length(most),
    )  # fmt: skip


def _four_cells(plan: Plan, sample: Sample) -> list[Message]:
    """Return the rows of two arms before and after an intervention."""
    data = plan.data
    if data.post is None or data.treatment is None or data.treatment_kind != "binary":
        return [Message("preview.over-time", rows=sample.n, time=plan.label("time"))]
    post, treated = sample.take(data.post) > 0, plan.treated(sample) > 0
    counts = [int(((treated == own) & (post == late)).sum()) for own in (True, False) for late in (False, True)]
    return [
        Message(
            "preview.four-cells", treated_before=counts[0], treated_after=counts[1], control_before=counts[2],
            control_after=counts[3],
        )
    ]  # fmt: skip


def _switching(plan: Plan, sample: Sample) -> list[Message]:
    data, periods = plan.data, periods_of_rows(plan, sample)
    if data.unit is None or data.time is None or data.treatment is None or periods is None:
        return _four_cells(plan, sample)
    unit, treated = sample.take(data.unit), plan.treated(sample)
    order = np.lexsort((sample.take(data.time), unit))
    same = unit[order][1:] == unit[order][:-1]
    changes = same & (treated[order][1:] != treated[order][:-1])
    changing = len(np.unique(unit[order][1:][changes]))
    return [
        Message(
            "preview.switching", units=len(np.unique(unit)), column=plan.label("unit_id"),
            periods=len(periods.values), changing=changing, share=100 * float((treated > 0).mean()),
        )
    ]  # fmt: skip


def _synthetic(plan: Plan, sample: Sample) -> list[Message]:
    starts = starts_of(plan, sample)
    if starts is None or not len(starts.waves):
        return _four_cells(plan, sample)
    start = float(starts.waves[0])
    before = starts.before(start)
    return [
        Message(
            "preview.donors", treated=int(starts.treated.sum()), column=plan.label("unit_id"),
            start=starts.periods.name(start), donors=int(np.isinf(starts.first).sum()),
            before=starts.periods.length(before), after=starts.periods.length(len(starts.periods.values) - before),
        )
    ]  # fmt: skip


def _series(plan: Plan, sample: Sample) -> list[Message]:
    data, periods = plan.data, periods_of_rows(plan, sample)
    if periods is None:
        return [Message("preview.no-design", rows=plan.data.n)]
    start = data.intervention_time
    if start is None:
        status = data.post if data.post is not None else data.treatment
        late = periods.of_rows[sample.take(status) > 0] if status is not None else np.empty(0)
        start = float(late.min()) if len(late) else math.inf
    after = int((periods.values >= start).sum())
    said = Message(
        "preview.series", periods=periods.length(len(periods.values)), after=periods.length(after),
        start=periods.name(start),
    )  # fmt: skip
    if sample.n > len(periods.values):
        return [said, Message("preview.series-of-means", rows=sample.n)]
    return [said]


def _policy_log(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    if data.action is None:
        return [Message("preview.log", rows=sample.n)]
    counts = np.bincount(sample.take(data.action))
    labels = data.action_labels or tuple(str(code) for code in range(len(counts)))
    often = int(counts.argmax())
    return [
        Message(
            "preview.log-of-actions", rows=sample.n, actions=int((counts > 0).sum()), often=of(labels[often]),
            share=100 * float(counts[often] / max(sample.n, 1)),
        )
    ]  # fmt: skip


def _transport(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    assert data.in_source is not None
    assert data.treatment is not None
    source = sample.take(data.in_source) > 0
    count = int(source.sum())
    share = 100 * float(sample.take(data.treatment)[source].mean()) if count else 0.0
    return [Message("preview.populations", source=count, share=share, target=sample.n - count)]


def _mediation(plan: Plan, sample: Sample) -> list[Message]:
    control, treated = plan.arm_rows(sample)
    return [Message("preview.mediation", treated=treated, control=control, mediator=plan.label("mediator"))]


def _proximal(plan: Plan, sample: Sample) -> list[Message]:
    return [
        Message(
            "preview.proxies", rows=sample.n, treatment=plan.label("treatment"),
            of_treatment=plan.label("proxy_treatment"), of_outcome=plan.label("proxy_outcome"),
        )
    ]  # fmt: skip


def _exposure(plan: Plan, sample: Sample) -> list[Message]:
    data = plan.data
    _, treated = plan.arm_rows(sample)
    said = Message("preview.neighbours", rows=sample.n, share=100 * treated / max(sample.n, 1))
    if data.edges is None:
        return [said]
    return [said, Message("preview.edges", edges=len(np.unique(np.sort(data.edges, axis=1), axis=0)))]


_WORDS: dict[str, _Words] = {
    "instrument": _instrument,
    "sharp_cutoff": _cutoff,
    "fuzzy_cutoff": _fuzzy,
    "trends": _trends,
    "switching_trends": _switching,
    "synthetic_control": _synthetic,
    "interrupted_series": _series,
    "policy_log": _policy_log,
    "transport": _transport,
    "mediation": _mediation,
    "proximal": _proximal,
    "exposure": _exposure,
}
