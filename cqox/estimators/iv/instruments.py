"""Instrumental variables: two-stage least squares, LIML, Fuller and the Wald ratio, always with Anderson-Rubin sets.

All assume relevance, that the instrument is as good as random given the covariates, the exclusion restriction, and, for
a local average treatment effect, monotonicity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator, Law
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.least_squares import ACROSS_CLUSTERS, JACKKNIFE_CELLS
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, pooled_periods, two_arms, varying_outcome
from cqox.estimators.inference.standard_errors import TOO_MANY, UNIDENTIFIED, Linear, regression_se
from cqox.estimators.iv import specification
from cqox.estimators.iv.moments import (
    Partialled,
    RowPass,
    Variables,
    check_instruments,
    k_class_contributions,
    limited,
    net_of_covariates,
    row_pass,
)
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import grouped_gram
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS"]

_FAMILY = "instruments"

type Kappa = Callable[[Partialled, int], float]
"""The κ of a k-class estimate from cross-products of so many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """Results shared by all estimates with the same instruments and covariates.

    Attributes:
        frame: the columns.
        variables: the columns as the row passes read them.
        parts: their cross-products.
        rows: row-level results of two-stage least squares.
        clusters: groups of rows whose errors may be correlated.
        parameters: number of coefficients, absorbed effects included.
        not_nested: the number without effects nested in the clusters.
        diagnostics: strength, sets and tests.
        warnings: caveats from them.
    """

    frame: Frame
    variables: Variables
    parts: Partialled
    rows: RowPass
    clusters: Clusters
    parameters: int
    not_nested: int
    diagnostics: dict[str, Json]
    warnings: tuple[Message, ...]

    @property
    def scale(self) -> float:
        """Units of the outcome per unit of the treatment."""
        frame = self.frame
        return float(frame.scale[frame.column("y")] / frame.scale[frame.column("t")])


def _shared(plan: Plan, groups: str, sample: Sample, effects: Sequence[Codes]) -> _Shared:
    frame = plan.frame(groups, sample, effects)
    return plan.share("instruments", lambda: _computed(plan, frame, sample), frame)


def _computed(plan: Plan, frame: Frame, sample: Sample) -> _Shared:
    check_instruments(frame, plan)
    parts = net_of_covariates(frame, frame.products)
    if parts.strength <= 1e-20 * parts.tt:
        raise UnusableData(Message("iv.no-first-stage", instrument=plan.label("instrument")))
    clusters, absorbed, n = plan.clusters(sample), frame.absorbed, frame.n
    variables = Variables(rows=frame.rows, matrix=frame.matrix, weights=frame.weights)
    rows = row_pass(variables, parts, clusters)
    k = parts.covariates + 1 + (absorbed.degrees if absorbed is not None else 0)
    not_nested = parts.covariates + 1 + (absorbed.degrees_not_nested(clusters.codes) if absorbed is not None else 0)
    scale = float(frame.scale[frame.column("y")] / frame.scale[frame.column("t")])
    moved, weak = specification.strength(parts, rows, n, k - 1, clusters)
    agreeing, contradicted = specification.overidentification(parts, rows, n, plan.settings.alpha)
    needed = specification.endogeneity(parts, rows, n, (k, not_nested), clusters, plan.settings)
    sets, odd = specification.anderson_rubin(parts, rows, n, k - 1, clusters, plan.settings.alpha, scale)
    return _Shared(
        frame=frame, variables=variables, parts=parts, rows=rows, clusters=clusters, parameters=k,
        not_nested=not_nested, diagnostics={**moved, **agreeing, **needed, **sets},
        warnings=(*weak, *contradicted, *odd),
    )  # fmt: skip


def _two_stage(parts: Partialled, rows: int) -> float:
    return 1.0


def _limited(parts: Partialled, rows: int) -> float:
    return limited(parts)


def _instrumented(
    plan: Plan, identity: EstimateId, groups: str, sample: Sample, effects: Sequence[Codes], kappa: Kappa = _two_stage
) -> Estimate:
    shared = _shared(plan, groups, sample, effects)
    frame, parts, scale = shared.frame, shared.parts, shared.scale
    chosen = kappa(parts, frame.n)
    if parts.denominator(chosen) <= 0:
        raise UnusableData(Message("iv.no-finite-estimate"))
    if chosen == 1.0:
        contributions, squares = shared.rows.contributions, shared.rows.squares
    else:
        contributions, squares = k_class_contributions(shared.variables, parts, chosen)
    fit = Linear(
        value=parts.value(chosen) * scale,
        contributions=contributions * scale,
        parameters=shared.parameters,
        parameters_not_nested=shared.not_nested,
        iid_variance=squares / (frame.n - shared.parameters) / parts.denominator(chosen) * scale**2,
        leverage=None,
        jackknife=lambda codes, count: _without_each(frame, codes, count, scale, kappa),
        assigned=_assigned(plan, sample),
    )
    uncertainty = regression_se(fit, shared.clusters, plan.settings)
    diagnostics = dict(shared.diagnostics)
    if kappa is not _two_stage:
        diagnostics["kappa"] = chosen
    return make_estimate(
        identity, plan, sample, fit.value, fit.contributions, uncertainty, diagnostics=diagnostics,
        notes=frame.notes, warnings=(*shared.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _assigned(plan: Plan, sample: Sample) -> Vector | None:
    """Return (n,) 1 for the larger value of a single binary instrument, 0 for the other; None for other instruments."""
    if plan.data.instruments.shape[1] != 1:
        return None
    z = sample.take(plan.data.instruments[:, 0])
    low, high = z.min(), z.max()
    return (z == high).astype(np.float64) if low < high and ((z == low) | (z == high)).all() else None


def _without_each(frame: Frame, codes: Codes, count: int, scale: float, kappa: Kappa) -> Vector | Message:
    absorbed = frame.absorbed
    if absorbed is not None and absorbed.degrees_not_nested([codes]) > 1:
        return ACROSS_CLUSTERS
    if count * len(frame.matrix) ** 2 > JACKKNIFE_CELLS:
        return TOO_MANY
    blocks, sizes = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
    whole = blocks.sum(axis=0)
    try:
        rest = [net_of_covariates(frame, whole - block) for block in blocks]
    except np.linalg.LinAlgError:
        return UNIDENTIFIED
    left = frame.n - sizes.astype(int)
    return np.asarray([part.value(kappa(part, int(n))) * scale for part, n in zip(rest, left, strict=True)])


def _with_covariates(plan: Plan, *, name: str, kappa: Kappa) -> Estimate:
    identity = EstimateId(name, _FAMILY, "LATE")
    return _instrumented(plan, identity, "xzty", _two_stage_sample(plan), plan.data.fixed_effects, kappa)


def _fuller(plan: Plan) -> Estimate:
    """Return LIML with Fuller's constant of 1, which has finite moments and no first-order bias."""
    shared = _shared(plan, "xzty", _two_stage_sample(plan), plan.data.fixed_effects)
    first_stage = shared.parameters - 1 + len(shared.parts.z_t)
    return _with_covariates(
        plan, name="iv_fuller", kappa=lambda parts, rows: limited(parts) - 1.0 / max(rows - first_stage, 1)
    )


def _wald(plan: Plan) -> Estimate:
    return _instrumented(plan, EstimateId("iv_wald", _FAMILY, "LATE"), "zty", _wald_sample(plan), ())


def _two_stage_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "instrument", "covariates", "fixed_effects")


def _wald_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "instrument")


def _two_stage_rule(plan: Plan) -> Message | None:
    sample = _two_stage_sample(plan)
    reason = _arms(plan, sample)
    if reason is None and plan.data.instruments.shape[1] >= sample.n:
        return Message("iv.too-many-instruments", instruments=plan.data.instruments.shape[1], rows=sample.n)
    return reason


def _wald_rule(plan: Plan) -> Message | None:
    if plan.data.instruments.shape[1] != 1:
        return Message("iv.one-instrument-only")
    if plan.has("covariates") or plan.has("fixed_effects"):
        return Message("iv.no-covariates")
    sample = _wald_sample(plan)
    levels = np.unique(sample.take(plan.data.instruments[:, 0]))
    if len(levels) != 2:
        return Message("iv.two-levels-only", instrument=plan.label("instrument"), levels=len(levels))
    return _arms(plan, sample)


def _arms(plan: Plan, sample: Sample) -> Message | None:
    return two_arms(plan, sample) if plan.data.treatment_kind == "binary" else varying_outcome(plan, sample)


_ERROR = "HC1; CRV1 with t(G-1) when clustered, CRV3 with few clusters; with Anderson-Rubin sets"
_BOTH = frozenset[Literal["binary", "continuous", "none"]]({"binary", "continuous"})


def _entry(
    name: str,
    summary: str,
    paper: str,
    doi: str,
    checked: str,
    compute: Callable[[Plan], Estimate],
    laws: frozenset[Law] = CROSS_SECTION_LAWS,
) -> Estimator:
    return Estimator(
        name=name,
        family=_FAMILY,
        estimand="LATE",
        summary=f"{summary}: the effect on the compliers; the instrument is as good as random given the "
        "covariates and affects the outcome through the treatment alone.",
        requires=("y", "treatment", "instrument"),
        optional=("covariates", "fixed_effects", "weights", "cluster"),
        standard_error=_ERROR,
        paper=paper,
        doi=doi,
        checked_against=checked,
        laws=laws | {"scale_treatment"},
        treatment=_BOTH,
        rule=_two_stage_rule,
        compute=compute,
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry(
        "iv_2sls",
        "Two-stage least squares",
        "Theil 1953; Angrist and Imbens 1995, JASA 90, equation 8; Anderson and Rubin 1949, equation 3.1",
        "10.1080/01621459.1995.10476535",
        "linearmodels IV2SLS, IVGMM (Hansen's J); R ivmodel (Anderson-Rubin)",
        partial(_with_covariates, name="iv_2sls", kappa=_two_stage),
    ),
    _entry(
        "iv_liml",
        "Limited-information maximum likelihood, less biased than 2SLS with many or weak instruments",
        "Anderson and Rubin 1949; k-class as in Davidson and MacKinnon 2004, section 12.5",
        "10.1214/aoms/1177730090",
        "linearmodels IVLIML",
        partial(_with_covariates, name="iv_liml", kappa=_limited),
    ),
    _entry(
        "iv_fuller",
        "LIML with Fuller's constant of 1, nearly unbiased and less variable with weak instruments",
        "Fuller 1977, Econometrica 45, theorem 1",
        "10.2307/1912683",
        "linearmodels IVLIML with fuller=1",
        _fuller,
        # Its constant counts rows.
        CROSS_SECTION_LAWS - {"half_weights"},
    ),
    Estimator(
        name="iv_wald",
        family=_FAMILY,
        estimand="LATE",
        summary="The instrument's effect on the outcome over its effect on the treatment; it is as good as random and "
        "affects the outcome through the treatment alone.",
        requires=("y", "treatment", "instrument"),
        optional=("weights", "cluster"),
        standard_error=_ERROR,
        paper="Wald 1940; Imbens and Angrist 1994, Econometrica 62, theorem 1",
        doi="10.2307/2951620",
        checked_against="linearmodels IV2SLS",
        laws=CROSS_SECTION_LAWS - {"irrelevant_constant", "collinear_copy"} | {"scale_treatment"},
        treatment=_BOTH,
        rule=_wald_rule,
        compute=_wald,
    ),
)
