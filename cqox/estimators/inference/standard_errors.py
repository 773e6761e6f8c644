"""Standard errors by the conventions of `docs/standard-errors.md`, from the rows' contributions to an estimate.

A row's contribution u is such that the estimate minus the true value is about Σu; Σu² is then HC0, and every other
standard error is a sum of the same contributions. Clusters: G/(G-1)·(N-1)/(N-K) and t(G-1); several dimensions by
Cameron-Gelbach-Miller with the smallest G throughout, as fixest does. Few clusters: the jackknife, with degrees of
freedom by `cluster_arms`. `docs/standard-errors.md` says which one is the default.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Settings, Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm, clusters_by_arm
from cqox.estimators.inference.clusters import (
    Clusters,
    beyond_rounding,
    cluster_degrees,
    linear_jackknife,
    positive_variance,
)
from cqox.estimators.inference.error_choice import Kind, by_unit, error_choice, few_clusters, no_error, unclustered
from cqox.estimators.inference.small_arms import ROWS, ROWS_PER_COEFFICIENT, Corrected

__all__ = [
    "TOO_MANY",
    "UNIDENTIFIED",
    "Linear",
    "Uncertainty",
    "influence_se",
    "one_cluster",
    "regression_se",
]

SMALL_SAMPLE = 250
_CHEAP_LEVERAGE = 400_000

UNIDENTIFIED = Message("inference.not-identified-without-cluster")
TOO_MANY = Message("inference.too-many-clusters-to-leave-out")
"""Reasons for the absence of leave-one-cluster-out estimates, as clauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """One linear combination of the coefficients of a regression, with the inputs of its standard errors.

    Attributes:
        value: the combination, in units of y.
        contributions: (n,) of the rows.
        parameters: number of coefficients, absorbed effects included.
        parameters_not_nested: the number without effects nested in the clusters.
        iid_variance: the variance under homoskedastic, independent errors.
        leverage: returns the (n,) leverages; None where the method has none (absorbed effects, instruments).
        jackknife: returns the values without each of (n,) coded clusters, or the reason for their absence, as a clause.
        arm_codes: (n,) 1 where the row is treated, 0 where it is a control of such rows, -1 otherwise, to count
            clusters by arm; other values are amounts, which have no arms.
        assigned: (n,) 1 and 0 by the value of a binary instrument, whose arms these are; None without a single such
            instrument.
        satterthwaite: returns the degrees of freedom of HC2; None for those of the residuals.
        sparse: True if an arm has few rows per coefficient, False if not, None where there are no arms to count.
        spread: (n,) contributions of the means of the regressors at which the combination is taken; None where it does
            not depend on them. They count in the default error, and not in errors by name, which condition on them.
    """

    value: float
    contributions: Vector
    parameters: int
    parameters_not_nested: int
    iid_variance: float
    leverage: Callable[[], Vector] | None
    jackknife: Callable[[Codes, int], Vector | Message]
    arm_codes: Vector | None = None
    assigned: Vector | None = None
    satterthwaite: Callable[[], float] | None = None
    sparse: bool | None = None
    spread: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """A standard error with its name and its reference distribution.

    Attributes:
        standard_error: on the scale of the estimate; None where the variance is not positive.
        method: its name in the literature.
        degrees: of freedom of the t distribution; None for the normal.
        alternates: other standard errors by name, at no additional cost.
        notes: choices made, each a sentence.
        warnings: caveats, each a sentence; without a standard error, the reason.
        by_arm: number of clusters of each arm, if counted.
    """

    standard_error: float | None
    method: str
    degrees: float | None
    alternates: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()
    by_arm: ClustersByArm | None = None

    @property
    def clustered(self) -> bool:
        """True if the standard error is clustered."""
        return self.method.startswith("CRV")

    def without_error(self, why: Message) -> "Uncertainty":
        """Return the uncertainty without the standard error and its notes; the error stays among the alternates."""
        return replace(self, standard_error=None, degrees=None, warnings=(why,))


def influence_se(
    contributions: Vector,
    clusters: Clusters,
    settings: Settings,
    *,
    name: str,
    arm_codes: Vector | None = None,
    sparse: Callable[[], Corrected] | None = None,
) -> Uncertainty:
    """Return the uncertainty of an estimator from its influence function.

    The plain sum of squares is already robust to heteroskedasticity, so that iid and HC0 to HC3 all mean the same here;
    the report names the error that was computed.

    Args:
        contributions: (n,) of the rows.
        clusters: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        name: of the error for independent rows.
        arm_codes: (n,) 1 where the row is treated and 0 where it is not, if the estimator compares the rows of both;
            few clusters are then corrected for. None for other estimators.
        sparse: returns the variance for an arm with few rows per coefficient, which is the default for independent
            rows; None where the arms have enough, or there is no such theory.
    """
    plain = math.sqrt(float(contributions @ contributions))
    alternates = {name: plain}
    asked = settings.se
    notes: list[Message] = []
    if not clusters.codes or asked in ("iid", "HC0", "HC1", "HC2", "HC3"):
        if asked not in ("auto", "HC0"):
            notes.append(Message("inference.error-without-meaning", asked=asked, error=name))
        if asked == "auto" and sparse is not None and plain > 0:
            return _sparse(sparse(), alternates, name)
        return Uncertainty(
            standard_error=plain or None, method=name, degrees=None, alternates=alternates, notes=tuple(notes),
            warnings=tuple(unclustered(clusters, settings)),
        )  # fmt: skip
    if clusters.fewest < 2:
        return one_cluster(name)
    warnings: list[Message] = []
    if asked == "CRV3":
        notes.append(Message("inference.crv3-for-regressions"))
    variance = positive_variance(contributions, clusters, warnings)
    if variance > 0:
        alternates["CRV1"] = math.sqrt(variance)
    left_out = linear_jackknife(contributions, clusters, arm_codes) if asked == "auto" and variance > 0 else None
    kind = "CRV1" if left_out is None else "CRV3L"
    if left_out is None:
        warnings += few_clusters(clusters)
    else:
        alternates[kind] = math.sqrt(float(left_out.sum()))
    degrees, remarks = cluster_degrees(arm_codes, clusters, left_out)
    found = Uncertainty(
        standard_error=alternates.get(kind),
        method=f"{kind} ({name}){by_unit(clusters)}",
        degrees=degrees,
        alternates=alternates,
        notes=(*notes, *remarks),
        warnings=tuple(warnings),
    )
    return found if variance > 0 else found.without_error(no_error(variance, clustered=plain > 0))


def _sparse(found: Corrected, alternates: dict[str, float], name: str) -> Uncertainty:
    """Return the uncertainty with the correction for an arm of few rows."""
    error = math.sqrt(found.variance)
    note = Message("inference.few-rows-per-coefficient", degrees=found.degrees, rows=ROWS, least=ROWS_PER_COEFFICIENT)
    return Uncertainty(
        standard_error=error, method=f"HC2 ({name})", degrees=found.degrees,
        alternates={**alternates, "HC2": error}, notes=(note,),
    )  # fmt: skip


def regression_se(fit: Linear, clusters: Clusters, settings: Settings, *, default: Kind | None = None) -> Uncertainty:
    """Return the uncertainty of a regression coefficient.

    Args:
        fit: the regression.
        clusters: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        default: without clusters, for `auto`; where None, HC2 if an arm has few rows per coefficient, and without arms
            HC3 under 250 rows (both if there are leverages); HC1 otherwise.
    """
    n, u = len(fit.contributions), fit.contributions
    by_arm = clusters_by_arm(clusters.codes, fit.arm_codes)
    chosen, notes, warnings = error_choice(by_arm, clusters, settings, default or _by_size(fit))
    if chosen in ("CRV1", "CRV3") and clusters.fewest < 2:
        return one_cluster(chosen)
    spread = fit.spread if settings.se == "auto" else None
    variances = _without_clusters(fit, spread, leverages=chosen in ("HC2", "HC3"))
    u = u if spread is None else u + spread
    if clusters.fewest >= 2:
        parameters = fit.parameters_not_nested
        warned = warnings if chosen == "CRV1" else []
        variances["CRV1"] = positive_variance(u, clusters, warned) * (n - 1) / max(n - parameters, 1)
    by_cluster: Vector | None = None
    if chosen == "CRV3":
        jackknife = _jackknife(fit, clusters)
        if isinstance(jackknife, Message):
            chosen = "CRV1"
            warnings.append(Message("inference.crv3-not-computed", reason=jackknife))
            warnings += few_clusters(clusters)
            by_cluster = np.square(np.bincount(clusters.codes[0], u, clusters.counts[0]))
        else:
            by_cluster = jackknife
            variances["CRV3"] = beyond_rounding(float(jackknife.sum()), u)
    elif chosen not in variances:
        # A request that cannot be met is a warning; a default that does not apply is a note.
        (notes if settings.se == "auto" else warnings).append(
            Message("inference.no-leverages", asked=chosen)
            if fit.leverage is None
            else Message("inference.row-fitted-exactly", asked=chosen)
        )
        chosen = "HC1"
    grouped = chosen in ("CRV1", "CRV3")
    arms = by_arm is not None or fit.assigned is not None
    distinguishable = settings.se == "auto" and arms and variances[chosen] > 0
    by_cluster = by_cluster if distinguishable else None
    degrees, why_so_many = _degrees(fit, chosen, clusters, by_cluster, own=default == "HC2" or settings.se == "auto")
    suffix = "" if spread is None or grouped else " (unconditional)"
    alternates = {name + suffix: math.sqrt(value) for name, value in variances.items() if value > 0}
    found = Uncertainty(
        standard_error=alternates.get(chosen + suffix),
        method=chosen + (by_unit(clusters) if grouped else "") + suffix,
        degrees=degrees,
        alternates=alternates,
        notes=(*notes, *why_so_many),
        warnings=tuple(warnings),
        by_arm=by_arm,
    )
    refusal = by_arm.refusal() if grouped and by_arm is not None and settings.se != "CRV1" else None
    if refusal is None and found.standard_error is None:
        refusal = no_error(variances[chosen], clustered=grouped and variances["HC0"] > 0)
    return found if refusal is None else found.without_error(refusal)


def _by_size(fit: Linear) -> Kind:
    """Return the default error by the number of rows."""
    if fit.leverage is None:
        return "HC1"
    if fit.sparse is not None:
        return "HC2" if fit.sparse else "HC1"
    return "HC3" if len(fit.contributions) < SMALL_SAMPLE else "HC1"


def _degrees(
    fit: Linear, chosen: Kind, clusters: Clusters, by_cluster: Vector | None, *, own: bool
) -> tuple[float, list[Message]]:
    """Return the degrees of freedom of an error and, if they are Welch's over the clusters, a note that says so.

    Args:
        fit: the regression.
        chosen: its error.
        clusters: groups of its rows.
        by_cluster: (clusters,) terms of the variance, if the correction for few clusters is the default.
        own: True if HC2 has its own degrees of freedom.
    """
    if chosen == "HC2" and fit.satterthwaite is not None and own:
        return fit.satterthwaite(), []
    if chosen not in ("CRV1", "CRV3"):
        return float(len(fit.contributions) - fit.parameters), []
    return cluster_degrees(fit.arm_codes if fit.assigned is None else fit.assigned, clusters, by_cluster)


def _without_clusters(fit: Linear, spread: Vector | None, *, leverages: bool) -> dict[str, float]:
    """Return the variances for independent rows; HC2 and HC3 if they exist and are requested or cheap."""
    u, n, k = fit.contributions, len(fit.contributions), fit.parameters
    whole = u if spread is None else u + spread
    plain, fixed = float(whole @ whole), 0.0 if spread is None else float(spread @ spread)
    variances = {"iid": fit.iid_variance + fixed, "HC0": plain, "HC1": plain * n / (n - k)}
    if fit.leverage is not None and (leverages or n * k * k <= _CHEAP_LEVERAGE):
        rest = 1.0 - fit.leverage()
        if float(rest.min()) > 1e-9:
            variances["HC2"] = float((u * u / rest).sum())
            variances["HC3"] = float(np.square(u / rest).sum())
            if spread is not None:
                crossed = 2.0 * u * spread
                variances["HC2"] += float((crossed / np.sqrt(rest)).sum()) + fixed
                variances["HC3"] += float((crossed / rest).sum()) + fixed
    return variances


def _jackknife(fit: Linear, clusters: Clusters) -> Vector | Message:
    """Return (clusters,) terms of the jackknife variance, or the reason for its absence, as a clause."""
    count = clusters.counts[0]
    values = fit.jackknife(clusters.codes[0], count)
    return values if isinstance(values, Message) else np.asarray((count - 1) / count * np.square(values - fit.value))


def one_cluster(name: str) -> Uncertainty:
    """Return the uncertainty, without an error, of rows that are all of one cluster."""
    return Uncertainty(
        standard_error=None,
        method=name,
        degrees=None,
        warnings=(Message("inference.one-cluster"),),
    )
