"""Facts measured on rows: standard deviation, rate, allocation, and what covariates and clusters explain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.planning.clusters import Components
from cqox.planning.columns import codes, numbers, regressors
from cqox.planning.facts import Facts

if TYPE_CHECKING:
    from cqox.planning.columns import Frame

__all__ = ["arms_of", "facts_of_rows", "outcome_of"]

_MOST_EXPLAINED = 0.999


class _Rows(NamedTuple):
    y: Vector
    arm: NDArray[np.intp]
    x: Matrix
    cluster: NDArray[np.intp] | None


def facts_of_rows(
    data: "Frame", y: str, *, treatment: str | None, cluster: str | None, covariates: Sequence[str]
) -> Facts:
    """Return what rows say of a study whose rows are like them.

    Args:
        data: the frame.
        y: column of the outcome.
        treatment: column of 0 and 1; without it there is one arm.
        cluster: column of the clusters that are assigned as wholes.
        covariates: columns to adjust for.

    Raises:
        InvalidRequest: there is no such column.
        UnusableData: the outcome does not vary, the treatment is not of 0 and 1, varies within a cluster, or too few
            rows have a value in every column.
    """
    rows, left_out = _complete(data, y, treatment, cluster, covariates)
    sizes = np.bincount(rows.arm, minlength=2)
    centred = _centred(rows.y, rows.arm)
    if not np.square(centred).sum() > 1e-20 * np.square(rows.y).sum():
        raise UnusableData(Message("power.constant-outcome", column=y), field="y")
    residuals, taken = _residuals(centred, rows)
    arms = int((sizes > 0).sum())
    degrees = len(rows.y) - arms - taken
    if degrees < 1:
        raise UnusableData(Message("power.few-rows", rows=len(rows.y), columns=taken), field="y")
    common = {"n": len(rows.y), "baseline": float(rows.y[rows.arm == 0].mean()), "rate": _is_rate(rows.y)}
    notes = [Message("power.rows-left-out", rows=left_out)] if left_out else []
    if treatment is not None:
        common["ratio"] = float(sizes[1] / sizes[0])
    if rows.cluster is not None:
        measured = _clustered(rows, centred, residuals, arms, notes)
    else:
        measured = _independent(centred, residuals, rows.arm, degrees, taken)
    names = frozenset((common | measured).keys() - (set() if covariates else {"r2", "r2_clusters"}))
    return Facts(**common, **measured, measured=names, notes=tuple(notes))  # type: ignore[arg-type]


def outcome_of(data: "Frame", name: str) -> Vector:
    """Return the outcome, NaN where it is missing or infinite."""
    values = numbers(data, name, "y")
    return np.where(np.isfinite(values), values, np.nan)


def arms_of(data: "Frame", name: str) -> Vector:
    """Return a treatment of 0 and 1, NaN where it is missing.

    Raises:
        UnusableData: it has other values.
    """
    values = numbers(data, name, "treatment")
    seen = values[np.isfinite(values)]
    if not np.isin(seen, (0.0, 1.0)).all():
        raise UnusableData(Message("power.treatment-values", column=name), field="treatment")
    return values


def _complete(
    data: "Frame", y: str, treatment: str | None, cluster: str | None, covariates: Sequence[str]
) -> tuple[_Rows, int]:
    outcome = outcome_of(data, y)
    arm = np.zeros(len(outcome)) if treatment is None else arms_of(data, treatment)
    x = regressors(data, covariates) if covariates else np.empty((len(outcome), 0))
    group = None if cluster is None else codes(data, cluster, "cluster").values
    if not len(outcome) == len(arm) == len(x) or (group is not None and len(group) != len(outcome)):
        raise UnusableData(Message("power.column-lengths"), field="data")
    kept = np.isfinite(outcome) & np.isfinite(arm) & np.isfinite(x).all(axis=1)
    if group is not None:
        kept &= group >= 0
        group = np.unique(group[kept], return_inverse=True)[1]
    assigned = arm[kept].astype(np.intp)
    if treatment is not None and len(np.unique(assigned)) < 2:
        raise UnusableData(Message("power.one-arm", column=treatment), field="treatment")
    if kept.sum() < 3:
        raise UnusableData(Message("power.few-rows", rows=int(kept.sum()), columns=0), field="y")
    return _Rows(outcome[kept], assigned, x[kept], group), int(len(kept) - kept.sum())


def _is_rate(values: Vector) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _centred(values: NDArray[np.float64], arm: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (n,) or (n, k) values about the means of their arms."""
    centred = values.astype(np.float64, copy=True)
    for each in np.unique(arm):
        centred[arm == each] -= centred[arm == each].mean(axis=0)
    return centred


def _residuals(centred: Vector, rows: _Rows) -> tuple[Vector, int]:
    """Return what covariates leave of an outcome about the means of its arms, and their number."""
    if not rows.x.shape[1]:
        return centred, 0
    x = _centred(rows.x, rows.arm)
    scale = np.sqrt(np.square(x).mean(axis=0))
    x = x[:, scale > 1e-10 * (1.0 + np.abs(rows.x).max(axis=0))]
    x = x / np.sqrt(np.square(x).mean(axis=0))
    coefficients, _, rank, _ = np.linalg.lstsq(x, centred, rcond=1e-10)
    return centred - x @ coefficients, int(rank)


def _independent(
    centred: Vector, residuals: Vector, arm: NDArray[np.intp], degrees: int, taken: int
) -> dict[str, object]:
    sizes, squares = np.bincount(arm, minlength=2), np.bincount(arm, centred**2, minlength=2)
    pooled = float(squares.sum()) / (len(centred) - int((sizes > 0).sum()))
    by_arm = bool(sizes.min() > 1)
    variances = squares / (sizes - 1) if by_arm else np.full(2, pooled)
    r2 = _explained(float(residuals @ residuals) / degrees, pooled) if taken else 0.0
    return {
        "sds": (float(variances[0]) ** 0.5, float(variances[1]) ** 0.5),
        "by_arm": by_arm,
        "r2": r2,
        "covariates": taken,
    }


def _explained(left: float, whole: float) -> float:
    """Return the share of a variance that is not left, within [0, 1)."""
    return min(max(1.0 - left / whole, 0.0), _MOST_EXPLAINED) if whole > 0 else 0.0


def _clustered(rows: _Rows, centred: Vector, residuals: Vector, arms: int, notes: list[Message]) -> dict[str, object]:
    assert rows.cluster is not None
    sizes = np.bincount(rows.cluster)
    arm = np.full(len(sizes), -1)
    arm[rows.cluster] = rows.arm
    if (arm[rows.cluster] != rows.arm).any():
        raise UnusableData(Message("power.treatment-within-clusters"), field="cluster")
    if len(sizes) < arms + 1:
        raise UnusableData(Message("power.few-clusters", clusters=len(sizes)), field="cluster")
    if len(sizes) == len(centred):
        raise UnusableData(Message("power.clusters-of-one"), field="cluster")
    whole = _components(centred, rows.cluster, arm)
    left = _components(residuals, rows.cluster, arm)
    if whole.between <= 0:
        notes.append(Message("power.icc-negative"))
    found: dict[str, object] = {
        "sds": (whole.total**0.5, whole.total**0.5),
        "icc": whole.between / whole.total,
        "cluster_size": float(sizes.mean()),
        "cluster_size_cv": float(sizes.std() / sizes.mean()),
    }
    if rows.x.shape[1]:
        found["r2"] = _explained(left.within, whole.within)
        found["r2_clusters"] = _explained(left.between, whole.between)
        found["covariates"] = _between_only(rows)
    return found


def _components(values: Vector, cluster: NDArray[np.intp], arm: NDArray[np.intp]) -> Components:
    """Return the variances between clusters of an arm and within clusters, by the analysis of variance.

    The estimates of Donner (1986, doi 10.2307/1403259) with clusters nested in arms; a negative one is 0.
    """
    sizes = np.bincount(cluster).astype(np.float64)
    means = np.bincount(cluster, values) / sizes
    rest = values - means[cluster]
    within = float(rest @ rest) / (len(values) - len(sizes))
    arms, of_arm = np.unique(arm, return_inverse=True)
    rows = np.bincount(of_arm, sizes)
    centre = np.bincount(of_arm, sizes * means) / rows
    groups = len(sizes) - len(arms)
    between = float(sizes @ (means - centre[of_arm]) ** 2) / groups
    typical = (len(values) - float((np.bincount(of_arm, sizes**2) / rows).sum())) / groups
    return Components(max((between - within) / typical, 0.0), within)


def _between_only(rows: _Rows) -> int:
    """Return how many covariates are constant within clusters, which take degrees of freedom between them."""
    assert rows.cluster is not None
    sizes = np.bincount(rows.cluster)
    constant = 0
    for column in rows.x.T:
        means = np.bincount(rows.cluster, column) / sizes
        constant += bool(np.abs(column - means[rows.cluster]).max() <= 1e-9 * (1.0 + np.abs(column).max()))
    return constant
