"""Standard errors by the conventions of `engine.md`, from the contributions of the rows to an estimate.

A row's contribution u is such that the estimate minus the truth is about Σu; Σu² is then HC0, and every other standard
error is a sum of the same contributions. Clusters: G/(G-1)·(N-1)/(N-K) and t(G-1); several dimensions by
Cameron-Gelbach-Miller with the smallest G throughout, as fixest does. Few clusters: the jackknife, with degrees of
freedom by `_cluster_arms`. `docs/standard-errors.md` says which is taken when.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from cqox.estimators.data import Codes, Settings, Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm, clusters_by_arm
from cqox.estimators.inference.clusters import (
    FEW_CLUSTERS,
    Clusters,
    beyond_rounding,
    cluster_degrees,
    linear_jackknife,
    positive_variance,
)

__all__ = [
    "TOO_MANY",
    "UNIDENTIFIED",
    "Linear",
    "Uncertainty",
    "asymptotic",
    "regression",
]

SMALL_SAMPLE = 250
_CHEAP_LEVERAGE = 400_000

UNIDENTIFIED = "some cluster cannot be left out"
TOO_MANY = "there are too many clusters and coefficients to fit without each cluster"
"""Why there are no values without each cluster."""

type Kind = Literal["iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """What a regression knows about one combination of its coefficients.

    Attributes:
        value: the combination, in units of y.
        contributions: (n,) of the rows.
        parameters: coefficients in all, absorbed effects included.
        parameters_beside_clusters: the same without effects nested in the clusters.
        iid_variance: under equal error variances.
        leverage: gives the (n,) leverages; None where the method has none (absorbed effects, instruments).
        jackknife: gives the values without each of (n,) coded clusters, or says why there are none, as a clause.
        exposed: (n,) 1 where the row is treated, 0 where it is compared with such, -1 where neither, for counting
            clusters of either kind; other values are amounts, which have no arms.
        assigned: (n,) 1 and 0 where the row was assigned to either value of an instrument, whose arms these are; None
            without one such instrument.
        satterthwaite: gives the degrees of freedom of HC2; None for those of the residuals.
    """

    value: float
    contributions: Vector
    parameters: int
    parameters_beside_clusters: int
    iid_variance: float
    leverage: Callable[[], Vector] | None
    jackknife: Callable[[Codes, int], Vector | str]
    exposed: Vector | None = None
    assigned: Vector | None = None
    satterthwaite: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """A standard error with its name and its reference distribution.

    Attributes:
        standard_error: on the scale of the estimate; None where the variance is not positive.
        method: its name in the field.
        degrees: of freedom of the t distribution; None for the normal.
        alternates: other standard errors by name, those that cost nothing.
        notes: choices made, each a sentence.
        warnings: doubts, each a sentence; where there is no error, why.
        by_arm: clusters of each arm, where they were counted.
    """

    standard_error: float | None
    method: str
    degrees: float | None
    alternates: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    by_arm: ClustersByArm | None = None

    @property
    def clustered(self) -> bool:
        """Whether the error allows for clusters."""
        return self.method.startswith("CRV")

    def without_error(self, why: str) -> "Uncertainty":
        """The same without the error and without what was said of it; it stays among the alternates."""
        return replace(self, standard_error=None, degrees=None, warnings=(why,))


def asymptotic(
    contributions: Vector, clusters: Clusters, settings: Settings, *, name: str, exposed: Vector | None = None
) -> Uncertainty:
    """The uncertainty of an estimator that has an influence function and no finite-sample theory.

    The plain sum of squares is robust to heteroskedasticity already, so that every choice among iid and HC0 to HC3
    means the same here; the report keeps the name of what was computed.

    Args:
        contributions: (n,) of the rows.
        clusters: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        name: of the error for independent rows.
        exposed: (n,) 1 where the row is treated and 0 where it is not, of an estimator that compares the rows of both;
            few clusters are then allowed for. None for others.
    """
    plain = math.sqrt(float(contributions @ contributions))
    alternates = {name: plain}
    asked = settings.se
    notes: list[str] = []
    if not clusters.codes or asked in ("iid", "HC0", "HC1", "HC2", "HC3"):
        if asked not in ("auto", "HC0"):
            notes.append(f"{asked} has no meaning of its own for this estimator; the standard error is {name}.")
        return Uncertainty(
            standard_error=plain or None, method=name, degrees=None, alternates=alternates, notes=tuple(notes),
            warnings=tuple(_unclustered(clusters, settings)),
        )  # fmt: skip
    if clusters.fewest < 2:
        return _one_cluster(name)
    warnings: list[str] = []
    if asked == "CRV3":
        notes.append("CRV3 is defined for regressions; the standard error is CRV1.")
    variance = positive_variance(contributions, clusters, warnings)
    if variance > 0:
        alternates["CRV1"] = math.sqrt(variance)
    left_out = linear_jackknife(contributions, clusters, exposed) if asked == "auto" and variance > 0 else None
    kind = "CRV1" if left_out is None else "CRV3L"
    if left_out is None:
        warnings += _few(clusters)
    else:
        alternates[kind] = math.sqrt(float(left_out.sum()))
    degrees, remarks = cluster_degrees(exposed, clusters, left_out)
    found = Uncertainty(
        standard_error=alternates.get(kind),
        method=f"{kind} ({name}){_by_unit(clusters)}",
        degrees=degrees,
        alternates=alternates,
        notes=(*notes, *remarks),
        warnings=tuple(warnings),
    )
    return found if variance > 0 else found.without_error(_no_error(variance, clustered=plain > 0))


def regression(fit: Linear, clusters: Clusters, settings: Settings, *, default: Kind | None = None) -> Uncertainty:
    """The uncertainty of a regression coefficient.

    Args:
        fit: the regression.
        clusters: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        default: without clusters, for `auto`; where None, HC3 under 250 rows (if there are leverages) and HC1 else.
    """
    n, u = len(fit.contributions), fit.contributions
    small: Kind = "HC3" if n < SMALL_SAMPLE and fit.leverage is not None else "HC1"
    by_arm = clusters_by_arm(clusters.codes, fit.exposed)
    chosen, notes, warnings = _choice(by_arm, clusters, settings, default or small)
    if chosen in ("CRV1", "CRV3") and clusters.fewest < 2:
        return _one_cluster(chosen)
    variances = _without_clusters(fit, leverages=chosen in ("HC2", "HC3"))
    if clusters.fewest >= 2:
        beside = fit.parameters_beside_clusters
        told = warnings if chosen == "CRV1" else []
        variances["CRV1"] = positive_variance(u, clusters, told) * (n - 1) / max(n - beside, 1)
    by_cluster: Vector | None = None
    if chosen == "CRV3":
        jackknife = _jackknife(fit, clusters)
        if isinstance(jackknife, str):
            chosen = "CRV1"
            warnings.append(f"CRV3 is not computed, as {jackknife}; the standard error is CRV1.")
            warnings += _few(clusters)
            by_cluster = np.square(np.bincount(clusters.codes[0], u, clusters.counts[0]))
        else:
            by_cluster = jackknife
            variances["CRV3"] = beyond_rounding(float(jackknife.sum()), u)
    elif chosen not in variances:
        why = "leverages are not computed here" if fit.leverage is None else "a row is fitted exactly"
        # What was asked for and is not given is a doubt; a convention that does not apply is a remark.
        (notes if settings.se == "auto" else warnings).append(
            f"There is no {chosen}, as {why}; the standard error is HC1."
        )
        chosen = "HC1"
    grouped = chosen in ("CRV1", "CRV3")
    arms = by_arm is not None or fit.assigned is not None
    told_apart = settings.se == "auto" and arms and variances[chosen] > 0
    degrees, why_so_many = _degrees(fit, chosen, clusters, by_cluster if told_apart else None)
    alternates = {name: math.sqrt(value) for name, value in variances.items() if value > 0}
    found = Uncertainty(
        standard_error=alternates.get(chosen),
        method=chosen + (_by_unit(clusters) if grouped else ""),
        degrees=degrees,
        alternates=alternates,
        notes=(*notes, *why_so_many),
        warnings=tuple(warnings),
        by_arm=by_arm,
    )
    refusal = by_arm.refusal() if grouped and by_arm is not None and settings.se != "CRV1" else None
    if refusal is None and found.standard_error is None:
        refusal = _no_error(variances[chosen], clustered=grouped and variances["HC0"] > 0)
    return found if refusal is None else found.without_error(refusal)


def _degrees(fit: Linear, chosen: Kind, clusters: Clusters, by_cluster: Vector | None) -> tuple[float, list[str]]:
    """The degrees of freedom of an error and, where they are Welch's over the clusters, a sentence that says so.

    Args:
        fit: the regression.
        chosen: its error.
        clusters: groups of its rows.
        by_cluster: (clusters,) what each has of the variance, where few clusters were allowed for without being asked.
    """
    if chosen == "HC2" and fit.satterthwaite is not None:
        return fit.satterthwaite(), []
    if chosen not in ("CRV1", "CRV3"):
        return float(len(fit.contributions) - fit.parameters), []
    return cluster_degrees(fit.exposed if fit.assigned is None else fit.assigned, clusters, by_cluster)


def _without_clusters(fit: Linear, *, leverages: bool) -> dict[str, float]:
    """The variances for independent rows; HC2 and HC3 where they exist and are asked for or cheap."""
    u, n, k = fit.contributions, len(fit.contributions), fit.parameters
    plain = float(u @ u)
    variances = {"iid": fit.iid_variance, "HC0": plain, "HC1": plain * n / (n - k)}
    if fit.leverage is not None and (leverages or n * k * k <= _CHEAP_LEVERAGE):
        rest = 1.0 - fit.leverage()
        if float(rest.min()) > 1e-9:
            variances["HC2"] = float((u * u / rest).sum())
            variances["HC3"] = float(np.square(u / rest).sum())
    return variances


def _choice(
    by_arm: ClustersByArm | None, clusters: Clusters, settings: Settings, default: Kind
) -> tuple[Kind, list[str], list[str]]:
    asked, notes, warnings = settings.se, list[str](), list[str]()
    if not clusters.codes:
        if asked in ("CRV1", "CRV3"):
            same: Kind = "HC1" if asked == "CRV1" else "HC3"
            notes.append(f"{asked} was asked for and no cluster is mapped: with each row a cluster it is {same}.")
            return same, notes, warnings
        return (default if asked == "auto" else asked), notes, warnings
    if len(clusters.codes) > 1 and asked in ("auto", "CRV3"):
        if asked == "CRV3":
            notes.append("CRV3 is defined for one clustering dimension; the standard error is CRV1.")
        return "CRV1", notes, [*_few(clusters), *_few_treated(by_arm)]
    if asked == "CRV1":
        return asked, notes, [*_few(clusters), *_few_treated(by_arm)]
    if asked != "auto":
        return asked, notes, _few_treated(by_arm) if asked == "CRV3" else _unclustered(clusters, settings)
    doubts = _few_treated(by_arm)
    return ("CRV3" if doubts or clusters.fewest < FEW_CLUSTERS else "CRV1"), notes, doubts


def _few(clusters: Clusters) -> list[str]:
    """A warning of few clusters, for the variance that does not allow for it."""
    if clusters.fewest >= FEW_CLUSTERS:
        return []
    return [
        f"There are {clusters.fewest} clusters; below {FEW_CLUSTERS} a cluster-robust interval tends to be too narrow."
    ]


def _unclustered(clusters: Clusters, settings: Settings) -> list[str]:
    """A warning where a standard error was asked for that takes rows of a cluster as independent."""
    if not clusters.codes or settings.se in ("auto", "CRV1", "CRV3"):
        return []
    rows = "rows of a mapped cluster" if clusters.mapped else "the rows of a unit"
    return [f"options.se = {settings.se} takes {rows} as independent; leave it out for errors that allow for them."]


def _few_treated(by_arm: ClustersByArm | None) -> list[str]:
    doubt = None if by_arm is None else by_arm.doubt()
    return [] if doubt is None else [doubt]


def _jackknife(fit: Linear, clusters: Clusters) -> Vector | str:
    """(clusters,) what each has of the variance by leaving it out, or why there is no such variance, as a clause."""
    count = clusters.counts[0]
    values = fit.jackknife(clusters.codes[0], count)
    return values if isinstance(values, str) else np.asarray((count - 1) / count * np.square(values - fit.value))


def _no_error(variance: float, *, clustered: bool) -> str:
    """Why a variance that is not positive gives no standard error."""
    if variance == 0 and clustered:
        return (
            "The contributions of each cluster's rows sum to 0 but for rounding, as where every cluster has a "
            "coefficient of its own: there is no cluster-robust standard error."
        )
    return "The estimated variance is not positive, so that there is no standard error."


def _one_cluster(name: str) -> Uncertainty:
    return Uncertainty(
        standard_error=None,
        method=name,
        degrees=None,
        warnings=("All rows are in one cluster, so that there is no cluster-robust standard error.",),
    )


def _by_unit(clusters: Clusters) -> str:
    return "" if clusters.mapped else " by unit"
