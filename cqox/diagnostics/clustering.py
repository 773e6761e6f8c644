"""How many groups of rows stand behind a standard error."""

import numpy as np

from cqox.estimators import Json, Plan

__all__ = ["cluster_counts"]


def cluster_counts(plan: Plan) -> dict[str, Json]:
    """The number and the largest size of the clusters in each dimension; a reason where every row stands for itself."""
    sample = plan.sample("y", "treatment") if plan.has("treatment") else plan.sample("y")
    clusters = plan.clusters(sample)
    if not clusters.codes:
        return {"reason": "No cluster is mapped and no unit has several rows: every row stands for itself."}
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
