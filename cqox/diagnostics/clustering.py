"""Number and size of the clusters that a cluster-robust standard error is based on."""

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators import Json, Plan

__all__ = ["cluster_counts"]


def cluster_counts(plan: Plan) -> dict[str, Json]:
    """Return the number and the largest size of the clusters in each dimension; a reason if rows are not clustered."""
    sample = plan.sample("y", "treatment") if plan.has("treatment") else plan.sample("y")
    clusters = plan.clusters(sample)
    if not clusters.codes:
        return {"reason": Message("diagnostics.no-clusters")}
    names = plan.data.names.get("cluster" if clusters.mapped else "unit_id", ())
    dimensions: list[Json] = [
        {
            "name": names[at] if at < len(names) else None,
            "clusters": clusters.counts[at],
            "largest": int(np.bincount(codes).max()),
        }
        for at, codes in enumerate(clusters.codes)
    ]
    return {"fewest": min(clusters.counts), "mapped": clusters.mapped, "dimensions": dimensions}
