"""The value of a target policy from the log of another one, by moments."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import influence_error, reported
from cqox.estimators.by_moments.rounds import Answer, Ask, ScoreSums, Steps
from cqox.estimators.by_moments.summed import Clustering, Complete, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Settings, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.numerics.moments import Constant, Expr, Is, Quotient, case, linear, times
from cqox.estimators.off_policy.reward_model import RewardLines, reward_lines
from cqox.estimators.off_policy.target_policy import (
    CLIPS,
    check_columns,
    column_order,
    same_everywhere,
    unlogged_warning,
    weight_warnings,
)

__all__ = ["direct", "doubly_robust", "inverse_propensity", "self_normalised"]

_METHOD = "influence function"
_LOGGED = ("y", "action", "pscore", "target_policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """The target policy.

    Attributes:
        taken: its probability of the logged action.
        every: of each action; None if only that of the logged action is known.
        constant: (actions,) the same, where they are the same in every row.
        note: the source of the policy.
    """

    taken: Expr
    every: tuple[Expr, ...] | None
    constant: Vector | None
    note: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """The rows of a log, and sums over them.

    Attributes:
        tables: the request's shared computations.
        rows: the rows.
        frame: the covariates of a reward model, if there is one, and the outcome.
        policy: the target policy.
        ratio: the importance weights.
        answer: of `_sums`.
    """

    tables: Tables
    rows: Complete
    frame: SummedFrame
    policy: _Policy
    ratio: Expr
    answer: Answer

    @property
    def y(self) -> Expr:
        """The standardised outcome."""
        return self.frame.columns[-1]

    @property
    def scale(self) -> float:
        """Of the outcome."""
        return float(self.frame.scale[-1])

    @property
    def origin(self) -> float:
        """The centre of the outcome."""
        return float(self.frame.centre[-1])

    @property
    def logged(self) -> float:
        """The mean standardised outcome."""
        return float(self.answer.sums[3]) / self.frame.n

    @property
    def mean_ratio(self) -> float:
        """The mean importance weight."""
        return float(self.answer.sums[0]) / self.frame.n

    @property
    def weighted(self) -> float:
        """The mean product of importance weight and standardised outcome."""
        return float(self.answer.sums[1]) / self.frame.n


def inverse_propensity(tables: Tables) -> Steps:
    """Return the mean reward, weighted by the target over the logging policy's probability."""
    log = _log(tables, modelled=False)
    log = replace(log, answer=(yield _sums(log)))
    mean, excess = log.mean_ratio, linear([(1.0, log.ratio)], -log.mean_ratio)
    score = linear([(log.scale, times(log.ratio, log.y)), (log.origin, excess)], -log.scale * log.weighted)
    # Of the difference from the logged outcome, so that equal policies differ by nothing.
    apart = times(linear([(1.0, log.ratio)], -1.0), log.y)
    lift = linear([(log.scale, apart), (log.origin, excess)], -log.scale * (log.weighted - log.logged))
    value = log.origin * mean + log.scale * log.weighted
    return (yield from _answer(log, "ope_ips", value, score, lift))


def self_normalised(tables: Tables) -> Steps:
    """Return the same, divided by the mean weight."""
    log = _log(tables, modelled=False)
    log = replace(log, answer=(yield _sums(log)))
    mean, value = log.mean_ratio, log.weighted / log.mean_ratio
    score = times(log.ratio, linear([(1.0 / mean, log.y)], -value / mean))
    return (yield from _standardised(log, "ope_snips", value, score))


def direct(tables: Tables) -> Steps:
    """Return the mean prediction of a reward model under the target policy."""
    log = _log(tables, modelled=True)
    log = replace(log, answer=(yield _sums(log)))
    lines = _lines(log, crossed=False)
    every, constant = log.policy.every, log.policy.constant
    assert every is not None
    frame, k = log.frame, log.frame.at["x"].stop
    if constant is not None:
        reach = np.outer(constant, frame.products[0, :k]) / frame.n
    else:
        parts = [times(frame.weight, chance, column) for chance in every for column in frame.columns[:k]]
        reach = (yield Ask(rows=log.rows, sums=tuple(parts))).sums.reshape(len(every), k) / frame.n
    predicted, logged = _predicted(log, lines, lines.coefficients)
    value = float(np.einsum("ak,ak->", lines.coefficients[0], reach))
    along = case(_action(log), *(frame.combined(row) for row in lines.direction(reach)))
    residual = linear([(1.0, log.y), (-1.0, logged)])
    score = linear([(1.0, predicted), (float(frame.n), times(residual, along))], -value)
    return (yield from _standardised(log, "ope_dm", value, score, lines))


def doubly_robust(tables: Tables) -> Steps:
    """Return the mean prediction, corrected by weighted residuals, cross-fitted."""
    tables.fold()
    log = _log(tables, modelled=True)
    log = replace(log, answer=(yield _sums(log)))
    lines = _lines(log, crossed=True)
    predicted, logged = _predicted(log, lines, lines.coefficients)
    residual = linear([(1.0, log.y), (-1.0, logged)])
    each = linear([(1.0, predicted), (1.0, times(log.ratio, residual))])
    value = float((yield Ask(rows=log.rows, sums=(times(log.frame.weight, each),))).sums[0]) / log.frame.n
    return (yield from _standardised(log, "ope_dr", value, linear([(1.0, each)], -value), lines))


def _log(tables: Tables, *, modelled: bool) -> _Log:
    """Return the rows of the log without sums.

    Raises:
        UnusableData: the columns are not one for each action, or the requested action is not logged.
        NotByMoments: there are many actions.
    """
    encoded = tables.encoded
    if tables.pilot.has("action") and encoded.action is None:
        raise NotByMoments(Message("by_moments.many-actions"))
    rows = tables.complete(*_LOGGED, *(("covariates",) if modelled else ()))
    x, labels = (encoded.covariates, tables.pilot.labels("covariates")) if modelled else ((), ())
    frame = tables.once(
        ("log", modelled, rows.known),
        lambda: tables.frame_of({"x": x, "y": (encoded.y,)}, {"x": labels if x else (), "y": ("y",)}, rows),
    )
    policy = _policy(tables)
    assert encoded.pscore is not None
    none = Answer(sums=np.empty(0), largest=np.empty(0), scores=())
    return _Log(
        tables=tables, rows=rows, frame=frame, policy=policy, ratio=Quotient(policy.taken, encoded.pscore), answer=none
    )


def _labels(tables: Tables) -> tuple[str, ...]:
    data = tables.pilot.data
    if data.action is None:
        return ()
    return data.action_labels or tuple(str(code) for code in range(int(data.action.max(initial=-1)) + 1))


def _policy(tables: Tables) -> _Policy:
    columns, labels, action = tables.encoded.target_policy, _labels(tables), tables.encoded.action
    if len(columns) == 1:
        column = tables.pilot.label("target_policy")
        note = Message("off_policy.probability-of-logged-action", column=column)
        return _Policy(taken=columns[0], every=None, constant=None, note=note)
    assert action is not None
    if columns:
        names = tables.pilot.data.names.get("target_policy", ())
        every = tuple(columns[place] for place in column_order(len(columns), names, labels))
        note = Message("off_policy.column-for-each-action")
        return _Policy(taken=case(action, *every), every=every, constant=None, note=note)
    constant, note = same_everywhere(labels, tables.settings.target_action)
    every = tuple(Constant(each) for each in constant.tolist())
    return _Policy(taken=case(action, *every), every=every, constant=constant, note=note)


def _action(log: _Log) -> Expr:
    assert log.tables.encoded.action is not None
    return log.tables.encoded.action


def _sums(log: _Log) -> Ask:
    """Return the sums that every estimate of the policy's value needs.

    They are those of the weights, of the outcome, of the clipped weights, and of each action; the largest are of the
    weights, of the difference of each row's probabilities from 1, and of the probability of each action.
    """
    weight, ratio = log.frame.weight, log.ratio
    whole = times(weight, ratio) if weight is not None else ratio
    sums = [whole, times(whole, log.y), times(whole, whole), times(weight, log.y)]
    for clip in CLIPS:
        clipped = times(weight, case(Is(ratio, "<", clip), Constant(clip), ratio))
        sums += [clipped, times(clipped, log.y)]
    every, constant = log.policy.every, log.policy.constant
    sums += [Is(_action(log), "=", float(place)) for place in range(len(every or ()))]
    largest = [ratio, whole]
    if every is not None and constant is None:
        off = [linear([(sign, each) for each in every], -sign) for sign in (1.0, -1.0)]
        largest += [*off, *every]
    return Ask(rows=log.rows, sums=tuple(sums), largest=tuple(largest))


def _standardised(log: _Log, name: str, value: float, score: Expr, lines: RewardLines | None = None) -> Steps:
    """Return the answer of a standardised value and its contributions."""
    # Contributions of equal policies are the same numbers, whose difference is 0.
    lift = linear([(1.0, score), (-1.0, linear([(1.0, log.y)], -log.logged))])
    scaled, of_lift = (linear([(log.scale, each)]) for each in (score, lift))
    return (yield from _answer(log, name, log.origin + log.scale * value, scaled, of_lift, lines))


def _lines(log: _Log, *, crossed: bool) -> RewardLines:
    """Return the reward model.

    Raises:
        UnusableData: a fold leaves fewer rows than there are coefficients.
        NotByMoments: rows have no key to make folds by.
    """
    tables, frame, actions = log.tables, log.frame, len(_labels(log.tables))
    folded = tables.encoded.row_key is not None

    def summed() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        by = [*([tables.fold()] if folded else []), _action(log)]
        found = log.rows.source.gram(frame.columns, by, frame.weight)
        width, folds = len(frame.labels), tables.settings.folds if folded else 1
        products, rows = np.zeros((folds, actions, width, width)), np.zeros((folds, actions))
        places = found.keys.astype(np.intp)
        at = (places[:, 0] if folded else 0, places[:, -1])
        products[at], rows[at] = found.products, found.counts
        return products, rows

    products, rows = tables.once(("rewards", log.rows.known), summed)
    if not crossed:
        products, rows = products.sum(axis=0)[None], rows.sum(axis=0)[None]
    return reward_lines(products, rows, frame.at["x"].stop, crossed=crossed)


def _predicted(log: _Log, lines: RewardLines, coefficients: NDArray[np.float64]) -> tuple[Expr, Expr]:
    """Return the standardised prediction under the policy, and that for the logged action."""
    every, constant = log.policy.every, log.policy.constant
    assert every is not None

    def under_policy(of_actions: NDArray[np.float64]) -> Expr:
        if constant is not None:
            return log.frame.combined(constant @ of_actions)
        own = (log.frame.combined(row) for row in of_actions)
        return linear([(1.0, times(chance, line)) for chance, line in zip(every, own, strict=True)])

    def of_logged(of_actions: NDArray[np.float64]) -> Expr:
        return case(_action(log), *(log.frame.combined(row) for row in of_actions))

    if len(coefficients) == 1:
        return under_policy(coefficients[0]), of_logged(coefficients[0])
    fold = log.tables.fold()
    return (
        case(fold, *(under_policy(each) for each in coefficients)),
        case(fold, *(of_logged(each) for each in coefficients)),
    )


def _answer(log: _Log, name: str, value: float, score: Expr, lift: Expr, lines: RewardLines | None = None) -> Steps:
    """Return the value with its standard error, and the comparison with the logging policy's value."""
    tables, frame, sums = log.tables, log.frame, log.answer.sums
    unlogged = _unlogged(log)
    each_of_n = linear([], 1.0 / frame.n) if frame.weight is None else linear([(1.0 / frame.n, frame.weight)])
    spread = linear([(1.0, log.ratio)], -log.mean_ratio)
    answer = yield Ask(
        rows=log.rows, scores=tuple(times(each_of_n, each) for each in (score, lift, spread)), weight=frame.weight
    )
    clustering = tables.clustering(log.rows)
    errors = [_error(each, clustering, tables.settings) for each in answer.scores]
    uncertainty, of_lift = (_unbiased(each, frame.n, clustering, tables.settings) for each in errors[:2])
    logged = log.origin + log.scale * log.logged
    diagnostics: dict[str, Json] = {
        "logged_value": logged,
        "lift": value - logged,
        "lift_standard_error": of_lift.standard_error,
    }
    if tables.pilot.has("action"):
        diagnostics["actions"] = len(_labels(tables))
    warnings: list[Message] = []
    effective = tables.effective(frame)
    if name != "ope_dm":
        total, clips = float(sums[0]), sums[4 : 4 + 2 * len(CLIPS)].reshape(-1, 2)
        effective, error = total**2 / float(sums[2]), errors[2].standard_error
        values = (log.origin * clips[:, 0] + log.scale * clips[:, 1]) / frame.n
        diagnostics |= {
            "ess": effective,
            "mean_weight": log.mean_ratio,
            "mean_weight_standard_error": error,
            "largest_weight": float(log.answer.largest[0]),
            "largest_weight_share": float(log.answer.largest[1]) / total,
            "ips_clipped_at": {f"{clip:g}": each for clip, each in zip(CLIPS, values.tolist(), strict=True)},
        }
        warnings += weight_warnings(effective, frame.n, log.mean_ratio, error)
    if lines is not None:
        diagnostics["reward_model"] = lines.kind
    warnings += unlogged_warning(unlogged, modelled=lines is not None)
    return reported(
        EstimateId(name, "off_policy", "policy value"), tables, frame, value, uncertainty, rows=None,
        n_effective=effective, diagnostics=diagnostics, warnings=warnings, over_time=True,
        notes=(log.policy.note, *(frame.notes if lines is not None else ())),
    )  # fmt: skip


def _unlogged(log: _Log) -> list[str]:
    """Return the actions of the target policy that the log has not.

    Raises:
        UnusableData: the probabilities of a row do not sum to 1.
    """
    every, constant = log.policy.every, log.policy.constant
    if every is None:
        return []
    largest = log.answer.largest
    if constant is None:
        check_columns(float(max(0.0, largest[2], largest[3])))
    wanted = (largest[4:] if constant is None else constant) > 0
    seen = log.answer.sums[4 + 2 * len(CLIPS) :] > 0
    return [label for label, missing in zip(_labels(log.tables), wanted & ~seen, strict=True) if missing]


def _error(sums: ScoreSums, clustering: Clustering, settings: Settings) -> Uncertainty:
    return influence_error(sums, clustering, settings, name=_METHOD, arms=False)


def _unbiased(uncertainty: Uncertainty, n: int, clustering: Clustering, settings: Settings) -> Uncertainty:
    """Return the uncertainty with n - 1 instead of n, as for a mean, unless another error was requested."""
    error = uncertainty.standard_error
    if error is None or settings.se != "auto" or clustering.counts:
        return uncertainty
    return replace(uncertainty, standard_error=error * math.sqrt(n / (n - 1)))
