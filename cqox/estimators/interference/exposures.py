"""Exposure mappings: each row's own treatment and exposure to its neighbours', with their probabilities.

There are two sources: a network with independent treatments, from whose probabilities all others follow; and a measured
exposure, whose probability is a share or a logit. `spillovers` makes the estimates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Data, Edges, Matrix, Vector
from cqox.estimators.nuisance.propensity import Propensity, fitted_propensity
from cqox.estimators.numerics.frame import build_frame
from cqox.estimators.numerics.logit import fit_logit
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["Measured", "Network", "measured", "network"]

DRAWS = 1_000
_MOST_PAIRS, _MOST_DRAWN = 20_000_000, 400_000
_FEW_UNEXPOSED = 0.05
_TREATMENT = Message("interference.treatment-itself")
_EXPOSURE_BY_ARM = (Message("interference.exposure-untreated"), Message("interference.exposure-treated"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Rows with neighbours, under independent treatments.

    Attributes:
        sample: the rows used: those with an outcome, and neighbours whose treatment is known.
        classes: (n,) 2 · own treatment + exposure.
        chances: (4, n) probability of each class.
        pairs: (m, 2) positions of rows with dependent classes, each pair once.
        joint: (4, 4, m) joint probability of the classes of the first and of the second of a pair.
        known: True if the treatment probabilities were given.
        left_out: numbers of rows without neighbours, and of rows with a neighbour of unknown treatment.
        rule: the definition of exposure, a phrase.
    """

    sample: Sample
    classes: Codes
    chances: Matrix
    pairs: Edges
    joint: NDArray[np.float64]
    known: bool
    left_out: tuple[int, int]
    rule: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Rows with a measured exposure.

    Attributes:
        sample: the rows used.
        classes: (n,) 2 · own treatment + exposure.
        chances: (n,) probability of each row's own class.
        treatment: the model of treatment; None where it is a share, or given.
        exposure: of the untreated and of the treated, the model of exposure; None where it is a share.
        rule: the definition of exposure, a phrase.
        notes: preprocessing of the columns of the models.
        warnings: caveats about their overlap.
    """

    sample: Sample
    classes: Codes
    chances: Vector
    treatment: Propensity | None
    exposure: tuple[Propensity | None, Propensity | None]
    rule: Message
    notes: tuple[Message, ...]
    warnings: tuple[Message, ...]


def network(plan: Plan) -> Network:
    """Return the network of a request, read at first use.

    Raises:
        UnusableData: too few rows have neighbours, or too many depend on one another.
    """
    return plan.share("exposure network", lambda: _network(plan))


def measured(plan: Plan) -> Measured:
    """Return the measured exposures of a request, read at first use.

    Raises:
        UnusableData: the exposure does not vary, or separates in a model.
    """
    return plan.share("measured exposure", lambda: _measured(plan))


def _network(plan: Plan) -> Network:
    data, n = plan.data, plan.data.n
    assert data.edges is not None
    assert data.treatment is not None
    edges = np.unique(data.edges[data.edges[:, 0] != data.edges[:, 1]], axis=0)
    chance, known = _chances(plan)
    here, there = edges.T
    settled = np.isfinite(data.treatment) & np.isfinite(chance)
    degree = np.bincount(here, minlength=n)
    open_ends = np.bincount(here, ~settled[there], n) > 0
    used = settled & np.isfinite(data.y) & (degree > 0) & ~open_ends
    index = np.flatnonzero(used)
    if len(index) < 4:
        raise UnusableData(Message("interference.few-known-neighbours", rows=len(index)))
    place = np.full(n, -1, dtype=np.int64)
    place[index] = np.arange(len(index))
    kept = edges[used[here]]
    own = data.treatment[index].astype(np.int64)
    threshold = plan.settings.exposure_threshold
    needed = _needed(threshold, degree)
    hits = np.bincount(kept[:, 0], data.treatment[kept[:, 1]], n)
    exposed = (hits >= needed)[index]
    pairs = _dependent(kept, place, index, n)
    if threshold is None:
        chances, joint = _exact(kept, place, index, chance, pairs)
    else:
        chances, joint = _drawn(plan, kept, needed, index, chance, pairs)
    isolated = int(np.sum(settled & np.isfinite(data.y) & (degree == 0)))
    return Network(
        sample=Sample(total=n, n=len(index), index=index), classes=2 * own + exposed, chances=chances, pairs=pairs,
        joint=joint, known=known, left_out=(isolated, int(np.sum(open_ends))),
        rule=_rule(threshold),
    )  # fmt: skip


def _rule(threshold: float | None) -> Message:
    if threshold is None:
        return Message("interference.a-neighbour-is-treated")
    return Message("interference.share-of-neighbours-is-treated", threshold=threshold)


def _needed(threshold: float | None, degree: Codes) -> Vector:
    """Return (n,) the number of treated neighbours that makes a row exposed."""
    if threshold is None:
        return np.ones(len(degree))
    return np.maximum(np.ceil(threshold * degree - 1e-9), 1.0)


def _chances(plan: Plan) -> tuple[Vector, bool]:
    """Return (n,) each row's treatment probability, NaN where unknown, and whether it was given."""
    data = plan.data
    assert data.treatment is not None
    if data.pscore is not None:
        return np.where((data.pscore > 0) & (data.pscore < 1), data.pscore, np.nan), True
    if not plan.has("propensity_covariates"):
        seen = data.treatment[np.isfinite(data.treatment)]
        return np.full(data.n, float(seen.mean())), False
    sample = plan.sample("treatment", "propensity_covariates")
    return _model(plan, sample, sample.take(data.treatment), of=_TREATMENT).e, False


def _dependent(edges: Edges, place: Codes, index: NDArray[np.intp], n: int) -> Edges:
    """Return (m, 2) pairs of used rows that are neighbours or share one."""
    touches = np.concatenate([edges, np.stack([index, index], axis=1)])
    touches = touches[np.argsort(touches[:, 1], kind="stable")]
    size = np.bincount(touches[:, 1], minlength=n)
    if float(np.square(size, dtype=np.float64).sum()) > _MOST_PAIRS:
        raise UnusableData(Message("interference.too-many-common-neighbours", most=_MOST_PAIRS))
    first = np.concatenate([[0], np.cumsum(size)])[touches[:, 1]]
    repeats = size[touches[:, 1]]
    left = np.repeat(np.arange(len(touches)), repeats)
    step = np.arange(len(left)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    a, b = place[touches[left, 0]], place[touches[first[left] + step, 0]]
    key = np.unique(a[a < b] * len(index) + b[a < b])
    return np.stack(np.divmod(key, len(index)), axis=1)


def _exact(
    edges: Edges, place: Codes, index: NDArray[np.intp], chance: Vector, pairs: Edges
) -> tuple[Matrix, NDArray[np.float64]]:
    """Return the exact marginal and joint class probabilities, where one treated neighbour exposes."""
    n, used = len(chance), len(index)
    spared = np.log1p(-chance)
    none = np.bincount(place[edges[:, 0]], spared[edges[:, 1]], used)
    own = np.stack([1.0 - chance[index], chance[index]])
    chances = np.stack([own[z] * (np.exp(none) if h == 0 else -np.expm1(none)) for z in (0, 1) for h in (0, 1)])
    i, j = pairs.T
    links = np.sort(edges[:, 0] * n + edges[:, 1])
    sees = _among(links, index[i] * n + index[j]), _among(links, index[j] * n + index[i])
    common = _common(edges, index, pairs, spared, n)
    # Of both rows' neighbours none is treated, but for the two rows themselves.
    rest_i = none[i] - np.where(sees[0], spared[index[j]], 0.0)
    rest_j = none[j] - np.where(sees[1], spared[index[i]], 0.0)
    neither = np.exp(rest_i + rest_j - common)
    joint = np.empty((4, 4, len(pairs)))
    for z in (0, 1):
        for other in (0, 1):
            both = own[z, i] * own[other, j]
            # A row with a treated neighbour in the pair is exposed with certainty.
            free_i, free_j = ~(sees[0] & (other == 1)), ~(sees[1] & (z == 1))
            spared_i, spared_j = both * np.exp(rest_i) * free_i, both * np.exp(rest_j) * free_j
            spared_both = both * neither * free_i * free_j
            joint[2 * z, 2 * other] = spared_both
            joint[2 * z, 2 * other + 1] = spared_i - spared_both
            joint[2 * z + 1, 2 * other] = spared_j - spared_both
            joint[2 * z + 1, 2 * other + 1] = both - spared_i - spared_j + spared_both
    joint[joint < 1e-13] = 0.0
    return chances, joint


def _among(ordered: Codes, wanted: Codes) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.asarray(ordered[at] == wanted)


def _common(edges: Edges, index: NDArray[np.intp], pairs: Edges, spared: Vector, n: int) -> Vector:
    """Return (m,) the log probability that no common neighbour of two rows is treated."""
    links = edges[:, 0] * n + edges[:, 1]
    order = np.argsort(links, kind="stable")
    links, to = links[order], edges[order, 1]
    starts = np.searchsorted(links, index * n)
    sizes = np.searchsorted(links, index * n + n) - starts
    i, j = pairs.T
    # Iterate over the shorter list of the two.
    short, long = np.where(sizes[i] <= sizes[j], i, j), np.where(sizes[i] <= sizes[j], j, i)
    repeats = sizes[short]
    pair = np.repeat(np.arange(len(pairs)), repeats)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    seen = to[starts[short][pair] + step]
    both = _among(links, index[long[pair]] * n + seen)
    return np.bincount(pair[both], spared[seen[both]], len(pairs))


def _drawn(
    plan: Plan, edges: Edges, needed: Vector, index: NDArray[np.intp], chance: Vector, pairs: Edges
) -> tuple[Matrix, NDArray[np.float64]]:
    """Return Monte-Carlo marginal and joint class probabilities from drawn assignments; keyed by the seed.

    The draws follow the rows' keys, so that row order does not matter, and their units if rows of a cluster share a
    key: each unit was treated by itself. The observed assignment is one draw.
    """
    if len(pairs) > _MOST_DRAWN:
        raise UnusableData(Message("interference.too-many-pairs-to-draw", pairs=len(pairs), most=_MOST_DRAWN))
    data = plan.data
    assert data.treatment is not None
    generator = np.random.Generator(np.random.Philox(plan.settings.seed))
    rank, size = _ranks(data)
    chances, joint = np.zeros((4, len(index))), np.zeros((4, 4, len(pairs)))
    rows, places = np.arange(len(index)), np.arange(len(pairs))
    for draw in range(DRAWS + 1):
        z = (generator.random(size)[rank] < chance).astype(np.float64) if draw else data.treatment
        hits = np.bincount(edges[:, 0], z[edges[:, 1]], data.n)
        classes = (2 * z[index] + (hits >= needed)[index]).astype(np.int64)
        chances[classes, rows] += 1.0
        joint[classes[pairs[:, 0]], classes[pairs[:, 1]], places] += 1.0
    return chances / (DRAWS + 1), joint / (DRAWS + 1)


def _ranks(data: Data) -> tuple[Codes, int]:
    """Return (n,) each row's rank by key and unit, equal for rows that share both, and the number of ranks."""
    keys, units = data.row_key, np.zeros(data.n, dtype=np.int64) if data.unit is None else data.unit
    order = np.lexsort((units, keys))
    first = (np.diff(keys[order]) != 0) | (np.diff(units[order]) != 0)
    rank = np.empty(data.n, dtype=np.int64)
    rank[order] = np.concatenate([[0], np.cumsum(first)])
    return rank, int(rank[order[-1]]) + 1


def _measured(plan: Plan) -> Measured:
    data = plan.data
    models = plan.has("propensity_covariates")
    roles = ("pscore",) if data.pscore is not None else ()
    sample = plan.sample("y", "treatment", "neighbor_exposure", "propensity_covariates", *roles)
    assert data.neighbor_exposure is not None
    exposed, rule = _exposed(sample.take(data.neighbor_exposure), plan)
    own = plan.treated(sample).astype(np.int64)
    weights = plan.weights(sample)
    w = np.ones(sample.n) if weights is None else weights
    treatment: Propensity | None = None
    if data.pscore is not None:
        e = sample.take(data.pscore)
        if ((e <= 0) | (e >= 1)).any():
            raise UnusableData(Message("interference.probabilities-outside", column=plan.label("pscore")))
    elif models:
        treatment = _model(plan, sample, own.astype(np.float64), of=_TREATMENT)
        e = treatment.used
    else:
        e = np.full(sample.n, float(np.average(own, weights=w)))
    chance = np.where(own > 0, e, 1.0 - e)
    fitted: list[Propensity | None] = [None, None]
    for arm in (0, 1):
        mine = own == arm
        if len(np.unique(exposed[mine])) < 2:
            continue
        if models:
            rows = np.flatnonzero(mine)
            full = rows if sample.index is None else sample.index[rows]
            fit = fitted[arm] = _model(
                plan, Sample(total=data.n, n=len(rows), index=full), exposed[mine].astype(np.float64),
                of=_EXPOSURE_BY_ARM[arm],
            )  # fmt: skip
            q = fit.used
        else:
            q = np.full(int(mine.sum()), float(np.average(exposed[mine], weights=w[mine])))
        chance[mine] *= np.where(exposed[mine] > 0, q, 1.0 - q)
    fits = [fit for fit in (treatment, *fitted) if fit is not None]
    return Measured(
        sample=sample, classes=2 * own + exposed, chances=chance, treatment=treatment,
        exposure=(fitted[0], fitted[1]), rule=rule, notes=tuple(dict.fromkeys(n for fit in fits for n in fit.notes)),
        warnings=tuple(warning for fit in fits for warning in fit.warnings),
    )  # fmt: skip


def _exposed(exposure: Vector, plan: Plan) -> tuple[Codes, Message]:
    """Return (n,) 0/1, and the rule in words: above 0, or at least the median where few rows have 0."""
    name, threshold = plan.label("neighbor_exposure"), plan.settings.exposure_threshold
    if not len(exposure) or float(np.ptp(exposure)) == 0:
        raise UnusableData(Message("interference.constant-exposure", exposure=name))
    if threshold is None and float(np.mean(exposure <= 0)) >= _FEW_UNEXPOSED:
        return (exposure > 0).astype(np.int64), Message("interference.above", exposure=name, threshold=0.0)
    least = float(np.median(exposure)) if threshold is None else threshold
    if not (exposure < least).any():
        return (exposure > least).astype(np.int64), Message("interference.above", exposure=name, threshold=least)
    return (exposure >= least).astype(np.int64), Message("interference.at-least", exposure=name, threshold=least)


def _model(plan: Plan, sample: Sample, outcome: Vector, *, of: Message) -> Propensity:
    """Fit a logit of the (n,) 0/1 outcome of a sample on the covariates; `of` names the outcome."""
    data, settings = plan.data, plan.settings
    columns = {
        "x": (data.propensity_covariates, plan.labels("propensity_covariates")),
        "t": (sample.scatter(outcome)[:, None], ("outcome",)),
    }
    frame = build_frame(
        sample, columns, weights=data.weights, block=settings.chunk_rows, threads=settings.threads
    )  # fmt: skip
    return fitted_propensity(fit_logit(frame, outcome), of=of)
