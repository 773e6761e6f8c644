"""Proximal causal inference: two proxies instead of an unmeasured confounder.

Assumes a proxy that does not cause the outcome (negative-control exposure), one that the treatment does not cause
(negative-control outcome), completeness (both proxies depend on every confounder given the covariates), and linear
models: then regressing the outcome on the treatment and on the first proxy's prediction of the second removes the
confounding.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import TOO_MANY, UNIDENTIFIED, Linear, regression_se
from cqox.estimators.iv.proxy_checks import Proxies, agreement, strength
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import grouped_gram, independent, solve
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS"]

_FAMILY = "proximal"
_WEAK_F = 10.0
_JACKKNIFE_CELLS = 20_000_000


def _two_stage(plan: Plan) -> Estimate:
    sample = _sample(plan)
    frame = _frame(plan, sample)
    place = _Places(frame)
    if frame.n <= len(place.instruments) + 1:
        raise UnusableData(Message("inference.too-few-rows", rows=frame.n, coefficients=len(place.instruments)))
    fit = _Fit(frame.products, place)
    influence, residual = np.empty(frame.n), np.empty(frame.n)
    combine = np.zeros((2, len(frame.matrix)))
    combine[0, place.y] = 1.0
    combine[0, place.regressors] = -fit.coefficients
    combine[1, place.instruments] = fit.direction
    weights = frame.weights

    def work(s: slice) -> Partial:
        block = frame.matrix[:, s]
        residual[s], along = combine @ block
        weighted = residual[s] if weights is None else residual[s] * weights[s]
        np.multiply(weighted, along, out=influence[s])
        return (np.asarray(weighted @ residual[s]),)

    (squares,) = frame.rows.total(work)
    scale = float(frame.scale[place.y] / frame.scale[place.t])
    k = len(place.regressors)
    linear = Linear(
        value=fit.value * scale,
        contributions=influence * scale,
        parameters=k,
        parameters_not_nested=k,
        iid_variance=float(squares) / (frame.n - k) * fit.variance * scale**2,
        leverage=None,
        jackknife=lambda codes, count: _without_each(frame, place, codes, count, scale),
        arm_codes=plan.treated(sample) if plan.data.treatment_kind == "binary" else None,
    )
    uncertainty = regression_se(linear, plan.clusters(sample), plan.settings)
    details, warnings = _checks(plan, frame, place, residual, float(squares))
    details["without_proxies"] = _adjusted(frame.products, place) * scale
    return make_estimate(
        EstimateId("proximal_2sls", _FAMILY, "ATE"), plan, sample, linear.value, linear.contributions, uncertainty,
        diagnostics=details, notes=frame.notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


class _Places:
    """Positions of the variables in the frame, by their part."""

    def __init__(self, frame: Frame) -> None:
        x = np.arange(frame.at["x"].start, frame.at["x"].stop)
        self.t, self.y = frame.column("t"), frame.column("y")
        self.w = np.arange(frame.at["w"].start, frame.at["w"].stop)
        self.z = np.arange(frame.at["z"].start, frame.at["z"].stop)
        self.exogenous = np.append(x, self.t)
        self.regressors = np.concatenate([self.exogenous, self.w])
        self.instruments = np.concatenate([self.exogenous, self.z])


class _Fit:
    """Two-stage least squares from (M, M) cross-products.

    Attributes:
        coefficients: (k,) of the regressors, standardised.
        value: that of the treatment.
        direction: (l,) combination of the instruments: the derivative of the value by a residual.
        variance: of the value for residuals of unit variance.
    """

    def __init__(self, products: Matrix, place: _Places) -> None:
        instruments = products[np.ix_(place.instruments, place.instruments)]
        if len(independent(instruments)) < len(instruments):
            raise UnusableData(Message("iv.proxies-collinear"))
        first = np.linalg.solve(instruments, products[np.ix_(place.instruments, place.regressors)])
        second = products[np.ix_(place.regressors, place.instruments)] @ first
        if len(independent(second)) < len(second):
            raise UnusableData(Message("iv.proxies-unidentified"))
        inverse = np.linalg.inv(second)
        self.coefficients: Vector = inverse @ (first.T @ products[place.instruments, place.y])
        at = len(place.exogenous) - 1
        self.value = float(self.coefficients[at])
        self.direction: Vector = first @ inverse[at]
        self.variance = float(inverse[at, at])


def _adjusted(products: Matrix, place: _Places) -> float:
    """Return the treatment's coefficient in the regression without proxies, standardised."""
    fit = solve(products[np.ix_(place.exogenous, place.exogenous)], products[place.exogenous, place.y][:, None])
    return float(fit.coefficients[-1, 0])


def _checks(
    plan: Plan, frame: Frame, place: _Places, residual: Vector, squares: float
) -> tuple[dict[str, Json], list[Message]]:
    """Return the strength of the proxies and the test of surplus proxies, with warnings."""
    proxies, clusters = Proxies.of(frame, place.exogenous, place.z, place.w, place.y), plan.clusters(_sample(plan))
    details = strength(proxies, clusters)
    warnings = _weak(plan, details)
    details |= agreement(proxies, residual, squares, clusters)
    p_value = details.get("hansen_j_p_value")
    if isinstance(p_value, float) and p_value < plan.settings.alpha:
        warnings.append(Message("iv.proxies-contradict", p_value=p_value))
    return details, warnings


def _weak(plan: Plan, details: dict[str, Json]) -> list[Message]:
    treatment, outcome = plan.label("proxy_treatment"), plan.label("proxy_outcome")
    effective, plain = details["effective_f"], details["first_stage_f"]
    if isinstance(effective, float):
        if effective < _WEAK_F:
            return [
                Message(
                    "iv.weak-proxies-effective-f",
                    treatment_proxies=treatment,
                    outcome_proxies=outcome,
                    f_statistic=effective,
                    least=_WEAK_F,
                )
            ]
    elif isinstance(plain, float) and plain < _WEAK_F:
        return [
            Message(
                "iv.weak-proxies",
                treatment_proxies=treatment,
                outcome_proxies=outcome,
                f_statistic=plain,
                least=_WEAK_F,
            )
        ]
    return []


def _without_each(frame: Frame, place: _Places, codes: Codes, count: int, scale: float) -> Vector | Message:
    if count * len(frame.matrix) ** 2 > _JACKKNIFE_CELLS:
        return TOO_MANY
    blocks, _ = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
    whole = blocks.sum(axis=0)
    try:
        return np.asarray([_Fit(whole - block, place).value * scale for block in blocks])
    except (UnusableData, np.linalg.LinAlgError):
        return UNIDENTIFIED


def _sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "covariates", "proxy_treatment", "proxy_outcome")


def _frame(plan: Plan, sample: Sample) -> Frame:
    data = plan.data
    columns: dict[str, tuple[Matrix, Sequence[str]]] = {}
    if plan.has("covariates"):
        columns["x"] = data.covariates, plan.labels("covariates")
    columns["z"] = data.proxy_treatment, plan.labels("proxy_treatment")
    columns["w"] = data.proxy_outcome, plan.labels("proxy_outcome")
    assert data.treatment is not None
    columns["t"] = data.treatment[:, None], plan.labels("treatment")
    columns["y"] = data.y[:, None], ("y",)
    return plan.share(
        "proximal frame",
        lambda: build_frame(
            sample, columns, weights=data.weights, block=plan.settings.chunk_rows, threads=plan.settings.threads
        ),
        sample,
    )


def _rule(plan: Plan) -> Message | None:
    z, w = plan.data.proxy_treatment.shape[1], plan.data.proxy_outcome.shape[1]
    if z < w:
        return Message("iv.too-few-treatment-proxies", treatment_proxies=z, outcome_proxies=w)
    sample = _sample(plan)
    binary = plan.data.treatment_kind == "binary"
    return no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))


ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="proximal_2sls",
        family=_FAMILY,
        estimand="ATE",
        summary="Regression on the treatment and on the prediction of the outcome's proxies by the treatment's; "
        "together the proxies capture every confounder not in the covariates.",
        requires=("y", "treatment", "proxy_treatment", "proxy_outcome"),
        optional=("covariates", "weights", "cluster"),
        standard_error="HC1 of the two-stage moments; CRV1 with clusters",
        paper="Tchetgen Tchetgen, Ying, Cui, Shi and Miao 2024, Statistical Science 39, section 2.3",
        doi="10.1214/23-STS911",
        checked_against="linearmodels IV2SLS with the outcome's proxies instrumented by the treatment's",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_rule,
        compute=_two_stage,
    ),
)
