"""Standard errors by the conventions of `docs/standard-errors.md`, from sums of contributions.

The rules are those of `inference.standard_errors`. Where a rule needs single rows (leverages of many columns, arms with
few rows), the estimate is left to the sample.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import Cells, ScoreSums
from cqox.estimators.by_moments.summed import Clustering, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Settings, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.inference.arm_sizes import RowsByArm, allowing_for_clusters, compares_rows
from cqox.estimators.inference.cluster_arms import degrees_by_mass
from cqox.estimators.inference.error_choice import by_unit, error_choice, few_clusters, no_error, unclustered
from cqox.estimators.inference.make_estimate import EstimateId, assembled, pooled_periods
from cqox.estimators.inference.small_arms import sparse_arms
from cqox.estimators.inference.standard_errors import Uncertainty, one_cluster

__all__ = ["Regression", "influence_error", "refuse_sparse", "regression_error", "reported"]

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One linear combination of the coefficients of a regression.

    Attributes:
        value: the combination, in units of y.
        sums: of its contributions.
        n: rows.
        parameters: number of coefficients, absorbed effects included.
        not_nested: the number without effects nested in the clusters.
        iid_variance: the variance under homoskedastic, independent errors.
        without_each: returns the values without each cluster, or the reason for their absence, as a clause.
        compares_arms: True if treated rows are compared with untreated ones.
        unconditional: True if the contributions hold what the means of the regressors add.
        hc2: the variance HC2 and its degrees of freedom, where it is the default.
        leverages: False for a method that has none, as with absorbed effects: its errors by leverages are HC1.
    """

    value: float
    sums: ScoreSums
    n: int
    parameters: int
    not_nested: int
    iid_variance: float
    without_each: Callable[[], Vector | Message]
    compares_arms: bool
    unconditional: bool = False
    hc2: tuple[float, float] | None = None
    leverages: bool = True


def refuse_sparse(rows: Sequence[int], coefficients: Sequence[int]) -> None:
    """Refuse arms with few rows per coefficient, whose errors need leverages.

    Raises:
        NotByMoments: there is one.
    """
    if any(sparse_arms(rows, coefficients)):
        raise NotByMoments(Message("by_moments.few-rows"))


def clustered(sums: ScoreSums, clustering: Clustering, settings: Settings, warnings: list[Message]) -> float:
    """Return the variance of a sum of contributions, by clusters, as `positive_variance` does."""
    factor = clustering.fewest / (clustering.fewest - 1) if settings.cluster_factor else 1.0

    def beyond(variance: float) -> float:
        return variance if abs(variance) > _ROUNDING * sums.squares else 0.0

    variance = beyond(factor * math.fsum(sign * value for sign, value in sums.clustered))
    if variance > 0 or len(clustering.counts) < 2:
        return variance
    warnings.append(Message("inference.variances-added"))
    single = [value for value, (_, within) in zip(sums.clustered, clustering.within, strict=True) if len(within) == 1]
    return factor * math.fsum(beyond(value) for _, value in single)


def influence_error(
    sums: ScoreSums, clustering: Clustering, settings: Settings, *, name: str, arms: bool
) -> Uncertainty:
    """Return the uncertainty of an estimator from its influence function, as `influence_se` does.

    Args:
        sums: of the contributions.
        clustering: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        name: of the error for independent rows.
        arms: True if the rows of two arms are compared.
    """
    plain, asked = math.sqrt(sums.squares), settings.se
    alternates, notes, warnings = {name: plain}, list[Message](), list[Message]()
    if not clustering.counts or asked in ("iid", "HC0", "HC1", "HC2", "HC3"):
        if asked not in ("auto", "HC0"):
            notes.append(Message("inference.error-without-meaning", asked=asked, error=name))
        return Uncertainty(
            standard_error=plain or None, method=name, degrees=None, alternates=alternates, notes=tuple(notes),
            warnings=tuple(unclustered(clustering, settings)),
        )  # fmt: skip
    if clustering.fewest < 2:
        return one_cluster(name)
    if asked == "CRV3":
        notes.append(Message("inference.crv3-for-regressions"))
    variance = clustered(sums, clustering, settings, warnings)
    if variance > 0:
        alternates["CRV1"] = math.sqrt(variance)
    left_out = _left_out(sums.cells) if asked == "auto" and variance > 0 and arms else None
    kind = "CRV1" if left_out is None else "CRV3L"
    if left_out is None:
        warnings += few_clusters(clustering)
    else:
        alternates[kind] = math.sqrt(float(left_out.sum()))
    degrees, remarks = _degrees(sums.cells, clustering, left_out)
    found = Uncertainty(
        standard_error=alternates.get(kind), method=f"{kind} ({name}){by_unit(clustering)}", degrees=degrees,
        alternates=alternates, notes=(*notes, *remarks), warnings=tuple(warnings),
    )  # fmt: skip
    return found if variance > 0 else found.without_error(no_error(variance, clustered=plain > 0))


def _left_out(cells: Cells | None) -> Vector | None:
    """Return (clusters,) the terms of the first-order jackknife variance, as `linear_jackknife` does."""
    if cells is None or min(np.count_nonzero(cells.mass, axis=1)) < 2:
        return None
    share = cells.mass / cells.mass.sum(axis=1, keepdims=True)
    moved = (cells.contributions / (1.0 - share)).sum(axis=0)
    count = len(moved)
    return np.asarray((count - 1) / count * np.square(moved))


def _degrees(cells: Cells | None, clustering: Clustering, by_cluster: Vector | None) -> tuple[float, list[Message]]:
    most, found = clustering.fewest - 1, None
    if by_cluster is not None and cells is not None:
        found = degrees_by_mass(cells.mass, cells.noise, by_cluster)
    if found is None or found >= most:
        return float(most), []
    return found, [Message("inference.welch-degrees", degrees=found, most=most)]


def regression_error(fit: Regression, clustering: Clustering, settings: Settings) -> Uncertainty:
    """Return the uncertainty of a regression coefficient, as `regression_se` does.

    Raises:
        NotByMoments: the error that was asked for needs leverages.
    """
    sums, n, automatic = fit.sums, fit.n, settings.se == "auto"
    by_arm = clustering.by_arm if fit.compares_arms else None
    chosen, notes, warnings = error_choice(by_arm, clustering, settings, "HC1" if fit.hc2 is None else "HC2")
    if chosen in ("HC2", "HC3") and not fit.leverages:
        (notes if automatic else warnings).append(Message("inference.no-leverages", asked=chosen))
        chosen = "HC1"
    if chosen == "HC3" or (chosen == "HC2" and fit.hc2 is None):
        raise NotByMoments(Message("by_moments.leverages", error=chosen))
    if chosen in ("CRV1", "CRV3") and clustering.fewest < 2:
        return one_cluster(chosen)
    variances = {"iid": fit.iid_variance, "HC0": sums.squares, "HC1": sums.squares * n / (n - fit.parameters)}
    if fit.hc2 is not None:
        variances["HC2"] = fit.hc2[0]
    if clustering.fewest >= 2:
        warned = warnings if chosen == "CRV1" else []
        variances["CRV1"] = clustered(sums, clustering, settings, warned) * (n - 1) / max(n - fit.not_nested, 1)
    by_cluster: Vector | None = None
    if chosen == "CRV3":
        values = fit.without_each()
        if isinstance(values, Message):
            chosen = "CRV1"
            warnings += [Message("inference.crv3-not-computed", reason=values), *few_clusters(clustering)]
            by_cluster = None if sums.cells is None else np.square(sums.cells.contributions.sum(axis=0))
        else:
            by_cluster = np.asarray((len(values) - 1) / len(values) * np.square(values - fit.value))
            variance = float(by_cluster.sum())
            variances["CRV3"] = variance if variance > _ROUNDING * sums.squares else 0.0
    grouped = chosen in ("CRV1", "CRV3")
    distinguishable = automatic and by_arm is not None and variances[chosen] > 0
    degrees, remarks = float(n - fit.parameters), list[Message]()
    if grouped:
        degrees, remarks = _degrees(sums.cells, clustering, by_cluster if distinguishable else None)
    elif chosen == "HC2" and fit.hc2 is not None:
        degrees = fit.hc2[1]
    suffix = " (unconditional)" if fit.unconditional and not grouped else ""
    alternates = {kind + suffix: math.sqrt(value) for kind, value in variances.items() if value > 0}
    found = Uncertainty(
        standard_error=alternates.get(chosen + suffix),
        method=chosen + (by_unit(clustering) if grouped else "") + suffix,
        degrees=degrees,
        alternates=alternates,
        notes=(*notes, *remarks),
        warnings=tuple(warnings),
        by_arm=by_arm,
    )
    refusal = by_arm.refusal() if grouped and by_arm is not None and settings.se != "CRV1" else None
    if refusal is None and found.standard_error is None:
        refusal = no_error(variances[chosen], clustered=grouped and variances["HC0"] > 0)
    return found if refusal is None else found.without_error(refusal)


def reported(
    identity: EstimateId,
    tables: Tables,
    frame: SummedFrame,
    value: float,
    uncertainty: Uncertainty,
    *,
    rows: tuple[int, int] | None,
    n_effective: float,
    diagnostics: Mapping[str, Json] | None = None,
    notes: Sequence[Message] = (),
    warnings: Sequence[Message] = (),
    over_time: bool = False,
) -> Estimate:
    """Return the estimate, as `make_estimate` does.

    Args:
        identity: its name, family and estimand.
        tables: the request's shared computations.
        frame: the columns that it was computed from.
        value: the point estimate.
        uncertainty: its standard error.
        rows: of each arm, for an estimator that compares them.
        n_effective: effective rows.
        diagnostics: numbers about the estimate.
        notes: what was done.
        warnings: caveats.
        over_time: True if the estimate compares periods, which is no doubt then.
    """
    plan = tables.pilot
    arms = None
    if rows is not None and compares_rows(plan, identity.family, identity.estimand):
        arms = RowsByArm(untreated=rows[0], treated=rows[1], constant=_constant_arms(tables, frame))
        uncertainty = allowing_for_clusters(uncertainty, tables.clustering(frame.rows).by_arm, plan.settings)
    return assembled(
        identity, plan, value, uncertainty, n=frame.n, arms=arms, n_effective=n_effective, influence=None,
        diagnostics=diagnostics, notes=notes, warnings=warnings if over_time else (*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _constant_arms(tables: Tables, frame: SummedFrame) -> tuple[int, ...]:
    """Return the arms in which the outcome does not vary, from the cross-products of the arms."""
    y, products = frame.column("y"), tables.by_arm(frame)[0]
    spread = [each[y, y] - each[0, y] ** 2 / each[0, 0] for each in products]
    return tuple(arm for arm in (0, 1) if spread[arm] <= _ROUNDING * products[arm][y, y])
