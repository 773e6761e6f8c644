"""Test of an exposure mapping: whether a finer measure of others' treatment still moves the outcome.

Within own treatment and exposure the outcome is regressed on the share of treated neighbours (of a network, also the
share among neighbours of neighbours), net of covariates and the number of neighbours. If the mapping captures all that
others' treatment does, neither matters (Aronow and Samii 2017, doi 10.1214/16-AOAS1005, on misspecified exposures).
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.diagnostics.robust_fit import cluster_codes, robust_fit
from cqox.errors import UnusableData
from cqox.estimators import Codes, Json, Matrix, Plan, Sample, Vector
from cqox.estimators.interference.exposures import measured, network

__all__ = ["finer_exposure"]

_MOST_ROWS = 100_000


def finer_exposure(plan: Plan) -> dict[str, Json]:
    """Return the joint test of finer exposures with their coefficients.

    Raises:
        UnusableData: no exposure is mapped, or nothing finer varies within its levels.
    """
    data = plan.data
    if data.treatment_kind != "binary" or not plan.has("y"):
        raise UnusableData(Message("diagnostics.no-exposure"))
    if data.edges is not None:
        found = network(plan)
        sample, classes = found.sample, found.classes
        finer, sizes = _of_neighbours(plan, sample)
        names = ["treated_share_of_neighbours", "treated_share_of_their_neighbours"]
    elif data.neighbor_exposure is not None:
        known = measured(plan)
        sample, classes = known.sample, known.classes
        finer, sizes = sample.take(data.neighbor_exposure)[:, None], np.empty((sample.n, 0))
        names = ["neighbor_exposure"]
    else:
        raise UnusableData(Message("diagnostics.no-exposure"))
    if sample.n > _MOST_ROWS:
        raise UnusableData(Message("diagnostics.exposure-too-large", rows=sample.n, most=_MOST_ROWS))
    return _tested(plan, sample, classes, finer, sizes, names)


def _tested(
    plan: Plan, sample: Sample, classes: Codes, finer: Matrix, sizes: Matrix, names: list[str]
) -> dict[str, Json]:
    cells = np.column_stack([classes == level for level in np.unique(classes)]).astype(np.float64)
    within = finer - cells @ (cells.T @ finer / cells.sum(axis=0)[:, None])
    varies = within.std(axis=0) > 1e-9
    if not varies.any():
        raise UnusableData(Message("diagnostics.no-finer-exposure"))
    kept = [name for name, keep in zip(names, varies, strict=True) if keep]
    x = sample.take(plan.data.covariates) if plan.has("covariates") else np.empty((sample.n, 0))
    complete = np.isfinite(x).all(axis=1)
    design = np.column_stack([within[:, varies], cells, sizes, x])[complete]
    codes, weights = cluster_codes(plan, sample), plan.weights(sample)
    fit = robust_fit(
        design, sample.take(plan.data.y)[complete], codes=None if codes is None else codes[complete],
        weights=None if weights is None else weights[complete],
    )  # fmt: skip
    p_value = None if fit is None else fit.p_value(np.arange(len(kept)))
    if fit is None or p_value is None:
        raise UnusableData(Message("diagnostics.no-finer-exposure"))
    errors = np.sqrt(np.diag(fit.covariance))
    coefficients: list[Json] = [
        {"exposure": name, "coefficient": number(fit.coefficients[at]), "standard_error": number(errors[at])}
        for at, name in enumerate(kept)
    ]
    return {"rows": len(design), "coefficients": coefficients, "p_value": p_value}


def _of_neighbours(plan: Plan, sample: Sample) -> tuple[Matrix, Matrix]:
    """Return (n, 2) treated shares among neighbours and their neighbours, and (n, 2) the number of neighbours."""
    data = plan.data
    assert data.edges is not None
    assert data.treatment is not None
    edges = np.unique(data.edges[data.edges[:, 0] != data.edges[:, 1]], axis=0)
    here, there = edges.T
    degree = np.bincount(here, minlength=data.n).astype(np.float64)
    treated = np.where(np.isfinite(data.treatment), data.treatment, 0.0)
    share = _mean_of(here, treated[there], degree, data.n)
    # The row itself is among its neighbours' neighbours and is left out of their share.
    hits = np.bincount(here, treated[there], data.n)
    around, counts = np.bincount(here, hits[there], data.n) - degree * treated, np.bincount(here, degree[there], data.n)
    beyond = np.maximum(counts - degree, 0.0)
    second = np.divide(around, beyond, out=np.zeros(data.n), where=beyond > 0)
    size = np.log1p(degree)
    return sample.take(np.column_stack([share, second])), sample.take(np.column_stack([size, size**2]))


def _mean_of(here: Codes, values: Vector, degree: Vector, n: int) -> Vector:
    return np.divide(np.bincount(here, values, n), degree, out=np.zeros(n), where=degree > 0)
