"""Leave-one-cluster-out fits with fixed effects that span clusters: as dummies, estimated again without each cluster.

Effects nested in the clusters are absorbed, since their residuals in a cluster do not depend on the other clusters.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.least_squares import ACROSS_CLUSTERS, focus, regress
from cqox.estimators.numerics.absorb import compress, is_nested
from cqox.estimators.numerics.frame import build_frame
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["MOST_DUMMIES", "without_each_cluster"]

MOST_DUMMIES = 200
"""Number of levels of effects up to which these are dummies."""


def without_each_cluster(
    plan: Plan, sample: Sample, effects: Sequence[Codes], codes: Codes, count: int
) -> Vector | Message:
    """Return (count,) treatment coefficients, given covariates and effects, without each of the coded clusters.

    Args:
        plan: the request's plan.
        sample: its rows.
        effects: (total,) codes of each fixed effect.
        codes: (n,) clusters, numbered below `count`.
        count: number of clusters.

    Returns:
        The coefficients, or a clause that gives the reason for their absence.
    """
    data = plan.data
    assert data.treatment is not None
    nested: list[Codes] = []
    dummies: list[Matrix] = []
    for effect in effects:
        numbered, levels = compress(sample.take(effect))
        if is_nested(numbered, codes, levels):
            nested.append(effect)
            continue
        if sum(each.shape[1] for each in dummies) + levels > MOST_DUMMIES:
            return ACROSS_CLUSTERS
        columns = np.zeros((data.n, levels - 1))
        rows = np.arange(data.n) if sample.index is None else sample.index
        later = numbered > 0
        columns[rows[later], numbered[later] - 1] = 1.0
        dummies.append(columns)
    covariates = data.covariates if plan.has("covariates") else np.empty((data.n, 0))
    x = np.hstack([covariates, *dummies])
    frame = build_frame(
        sample,
        {
            "x": (x, ("",) * x.shape[1]),
            "t": (data.treatment[:, None], ("t",)),
            "y": (data.y[:, None], ("y",)),
        },
        weights=data.weights,
        block=plan.settings.chunk_rows,
        threads=plan.settings.threads,
        effects=nested,
    )
    regressors = focus(frame, "t", Message("inference.the-treatment"))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    return regress(frame, regressors, contrast, clusters=(codes,)).jackknife(codes, count)
