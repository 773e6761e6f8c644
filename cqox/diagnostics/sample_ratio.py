"""Test that the arms have the planned share of units: the sample ratio test of online experiments.

A mismatch means that rows were lost or assigned differently from the plan, and that those left may differ between the
arms (Fabijan et al. 2019, doi 10.1145/3292500.3330722).
"""

import numpy as np

from cqox.contract import Options
from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan, Vector

__all__ = ["sample_ratio"]


def sample_ratio(plan: Plan, options: Options) -> dict[str, Json]:
    """Compare the number of treated units with the share that was planned, by an exact binomial test.

    An instrument of two levels takes the place of the treatment. Clusters that are assigned as a whole count once.

    Raises:
        UnusableData: no share was planned, or what is assigned has more than two levels.
    """
    share = options.expected_share
    if not isinstance(share, float):
        raise UnusableData(Message("diagnostics.no-expected-share"))
    role = "instrument" if plan.has("instrument") else "treatment"
    values = _two_levels(plan, role)
    sample = plan.sample(role)
    assigned, counted = sample.take(values), "rows"
    codes = plan.clusters(sample).codes
    for code in codes:
        first = np.unique(code, return_index=True)[1]
        if (assigned[first][code] == assigned).all():
            assigned, counted = assigned[first], "clusters"
            break
    total, treated = len(assigned), int(assigned.sum())
    return {
        "variable": plan.label(role), "counted": counted, "total": total, "treated": treated,
        "share": number(treated / total), "expected_share": share,
        "p_value": number(_two_tails(treated, total, share)),
    }  # fmt: skip


def _two_levels(plan: Plan, role: str) -> Vector:
    data = plan.data
    values = data.treatment if role == "treatment" else data.instruments[:, 0]
    several = role == "instrument" and data.instruments.shape[1] > 1
    if values is None or several or not np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
        raise UnusableData(Message("diagnostics.share-needs-two-levels"))
    return values


def _two_tails(count: int, total: int, share: float) -> float:
    """Return twice the smaller tail probability of a binomial count, at most 1."""
    from scipy.special import bdtr, bdtrc

    at_most = float(bdtr(count, total, share))
    at_least = float(bdtrc(count - 1, total, share)) if count > 0 else 1.0
    return min(1.0, 2.0 * min(at_most, at_least))
