"""Variance of the mean of a cluster: between clusters, within them, and by how much their sizes differ."""

from typing import NamedTuple

__all__ = ["Components", "cluster_mean_variance", "components"]


class Components(NamedTuple):
    """Variances of an outcome between clusters and within them."""

    between: float
    within: float

    @property
    def total(self) -> float:
        """Variance of one row."""
        return self.between + self.within


def components(variance: float, icc: float, r2: float = 0.0, r2_clusters: float | None = None) -> Components:
    """Return what covariates leave of the variances between and within clusters.

    Args:
        variance: of one row.
        icc: intra-cluster correlation, the share of the variance that lies between clusters.
        r2: share that the covariates explain of the variance within clusters.
        r2_clusters: share that they explain of the variance between clusters; None for the same.
    """
    left = 1.0 - (r2 if r2_clusters is None else r2_clusters)
    return Components(icc * variance * left, (1.0 - icc) * variance * (1.0 - r2))


def cluster_mean_variance(parts: Components, size: float, cv: float = 0.0) -> float:
    """Return the variance that one cluster adds to the mean of its arm, times the number of clusters.

    With clusters of one size it is the variance of their means. If sizes differ, rows count alike, and clusters by
    their sizes: the design effect is 1 + ((cv² + 1)m − 1)ρ (Eldridge, Ashby and Kerry 2006, doi 10.1093/ije/dyl129).

    Args:
        parts: variances between and within clusters.
        size: mean number of rows of a cluster.
        cv: standard deviation of the sizes over their mean.
    """
    return parts.between * (1.0 + cv**2) + parts.within / size
