"""Standard errors by the conventions of `engine.md`, from the contributions of the rows to an estimate.

A row's contribution u is such that the estimate minus the truth is about Σu; Σu² is then HC0, and every other standard
error is a sum of the same contributions. Clusters: G/(G-1)·(N-1)/(N-K) and t(G-1); several dimensions by
Cameron-Gelbach-Miller with the smallest G throughout, as fixest does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from cqox.estimators._absorb import compress
from cqox.estimators.data import Codes, Settings, Vector

__all__ = [
    "TOO_MANY",
    "UNIDENTIFIED",
    "Clusters",
    "Linear",
    "Uncertainty",
    "asymptotic",
    "clustered_variance",
    "regression",
]

FEW_CLUSTERS = 50
FEW_TREATED = 10
SMALL_SAMPLE = 250
_CHEAP_LEVERAGE = 400_000

UNIDENTIFIED = "some cluster cannot be left out"
TOO_MANY = "there are too many clusters and coefficients to fit without each cluster"
"""Why there are no values without each cluster."""

type Kind = Literal["iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Groups within which errors may be correlated.

    Attributes:
        codes: (n,) codes of each dimension, numbered without gaps; empty where rows are independent.
        counts: clusters in each dimension.
        mapped: whether the mapping names them; else they are the units, each of several rows.
    """

    codes: tuple[Codes, ...] = ()
    counts: tuple[int, ...] = ()
    mapped: bool = True

    @property
    def fewest(self) -> int:
        """Clusters in the dimension that has the fewest; 0 without clusters."""
        return min(self.counts, default=0)


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
        exposed: (n,) nonzero where the row is treated, for counting treated clusters.
    """

    value: float
    contributions: Vector
    parameters: int
    parameters_beside_clusters: int
    iid_variance: float
    leverage: Callable[[], Vector] | None
    jackknife: Callable[[Codes, int], Vector | str]
    exposed: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """A standard error with its name and its reference distribution.

    Attributes:
        standard_error: on the scale of the estimate; None where the variance is not positive.
        method: its name in the field.
        degrees: of freedom of the t distribution; None for the normal.
        alternates: other standard errors by name, those that cost nothing.
        notes: choices made, each a sentence.
        warnings: doubts, each a sentence.
    """

    standard_error: float | None
    method: str
    degrees: float | None
    alternates: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def clustered_variance(contributions: Vector, clusters: Sequence[Codes], *, adjust: bool = True) -> float:
    """The variance of a sum of contributions that may be correlated within clusters, with G/(G-1) unless told not to.

    Several dimensions are combined by inclusion and exclusion; negative values are possible then.
    """
    groups: list[tuple[float, Codes, int]] = []
    for size in range(1, len(clusters) + 1):
        for chosen in combinations(clusters, size):
            codes, count = compress(chosen[0])
            for other in chosen[1:]:
                finer, levels = compress(other)
                codes, count = compress(codes * levels + finer)
            groups.append(((-1.0) ** (size + 1), codes, count))
    fewest = min(count for _, _, count in groups)
    factor = fewest / (fewest - 1) if adjust else 1.0
    return factor * math.fsum(
        sign * float(np.square(np.bincount(codes, contributions, count)).sum()) for sign, codes, count in groups
    )


def asymptotic(contributions: Vector, clusters: Clusters, settings: Settings, *, name: str) -> Uncertainty:
    """The uncertainty of an estimator that has an influence function and no finite-sample theory.

    The plain sum of squares is robust to heteroskedasticity already, so that every choice among iid and HC0 to HC3
    means the same here; the report keeps the name of what was computed.
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
    warnings += _few(clusters)
    variance = _variance(contributions, clusters, warnings)
    error = _positive_root(variance, warnings)
    if error is not None:
        alternates["CRV1"] = error
    return Uncertainty(
        standard_error=error,
        method=f"CRV1 ({name}){_by_unit(clusters)}",
        degrees=clusters.fewest - 1,
        alternates=alternates,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


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
    chosen, notes, warnings = _choice(fit, clusters, settings, default or small)
    if chosen in ("CRV1", "CRV3") and clusters.fewest < 2:
        return _one_cluster(chosen)
    variances = _without_clusters(fit, leverages=chosen in ("HC2", "HC3"))
    if clusters.fewest >= 2:
        beside = fit.parameters_beside_clusters
        told = warnings if chosen == "CRV1" else []
        variances["CRV1"] = _variance(u, clusters, told) * (n - 1) / max(n - beside, 1)
    if chosen == "CRV3":
        jackknife = _jackknife_variance(fit, clusters)
        if isinstance(jackknife, float):
            variances["CRV3"] = jackknife
        else:
            chosen = "CRV1"
            warnings.append(f"CRV3 is not computed, as {jackknife}; the standard error is CRV1.")
            warnings += _few(clusters)
    elif chosen not in variances:
        why = "leverages are not computed here" if fit.leverage is None else "a row is fitted exactly"
        notes.append(f"There is no {chosen}, as {why}; the standard error is HC1.")
        chosen = "HC1"
    grouped = chosen in ("CRV1", "CRV3")
    return Uncertainty(
        standard_error=_positive_root(variances[chosen], warnings),
        method=chosen + (_by_unit(clusters) if grouped else ""),
        degrees=float(clusters.fewest - 1 if grouped else n - fit.parameters),
        alternates={name: math.sqrt(value) for name, value in variances.items() if value > 0},
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


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


def _choice(fit: Linear, clusters: Clusters, settings: Settings, default: Kind) -> tuple[Kind, list[str], list[str]]:
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
        return "CRV1", notes, [*_few(clusters), *_few_treated(fit, clusters)]
    if asked != "auto":
        if asked == "CRV1":
            return asked, notes, [*_few(clusters), *_few_treated(fit, clusters)]
        return asked, notes, _unclustered(clusters, settings)
    doubts = _few_treated(fit, clusters)
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


def _few_treated(fit: Linear, clusters: Clusters) -> list[str]:
    treated = _treated_clusters(fit, clusters)
    if treated is None or min(treated) >= FEW_TREATED:
        return []
    return [
        f"Only {min(treated)} cluster{' is' if min(treated) == 1 else 's are'} "
        f"{'treated' if treated[0] <= treated[1] else 'untreated'}: the interval rests on very few of them."
    ]


def _treated_clusters(fit: Linear, clusters: Clusters) -> tuple[int, int] | None:
    """How many clusters hold treated rows, and how many hold untreated ones."""
    if fit.exposed is None:
        return None
    treated = np.bincount(clusters.codes[0], fit.exposed != 0)
    rows = np.bincount(clusters.codes[0])
    return int((treated > 0).sum()), int((treated < rows).sum())


def _variance(contributions: Vector, clusters: Clusters, warnings: list[str]) -> float:
    """`clustered_variance`; where that of several dimensions is not positive, the sum of theirs one by one.

    The sum does not take off what the dimensions have in common, and so is never too small (Davezies, D'Haultfœuille
    and Guyonvarch 2021, Annals of Statistics 49).
    """
    variance = clustered_variance(contributions, clusters.codes)
    if variance > 0 or len(clusters.codes) < 2:
        return variance
    warnings.append(
        "Inclusion and exclusion of the clustering dimensions gives no positive variance; the variances by each of "
        "them are added instead, which errs on the wide side."
    )
    factor = clusters.fewest / (clusters.fewest - 1)
    return factor * math.fsum(clustered_variance(contributions, [codes], adjust=False) for codes in clusters.codes)


def _jackknife_variance(fit: Linear, clusters: Clusters) -> float | str:
    count = clusters.counts[0]
    values = fit.jackknife(clusters.codes[0], count)
    if isinstance(values, str):
        return values
    return (count - 1) / count * float(np.square(values - fit.value).sum())


def _positive_root(variance: float, warnings: list[str]) -> float | None:
    if variance > 0:
        return math.sqrt(variance)
    warnings.append("The estimated variance is not positive, so that there is no standard error.")
    return None


def _one_cluster(name: str) -> Uncertainty:
    return Uncertainty(
        standard_error=None,
        method=name,
        degrees=None,
        warnings=("All rows are in one cluster, so that there is no cluster-robust standard error.",),
    )


def _by_unit(clusters: Clusters) -> str:
    return "" if clusters.mapped else " by unit"
