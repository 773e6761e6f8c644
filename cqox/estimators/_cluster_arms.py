"""How many clusters each arm has: a clustered standard error rests on the arm that has fewer of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cqox.estimators.data import Codes, Vector

__all__ = ["ClustersByArm", "clusters_by_arm"]

_FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClustersByArm:
    """How many clusters of a dimension hold treated rows, and how many hold rows that these are compared with."""

    treated: int
    untreated: int

    @property
    def fewer(self) -> int:
        """The smaller of the two."""
        return min(self.treated, self.untreated)

    @property
    def poorer(self) -> Literal["treated", "untreated"]:
        """Which of the two is the smaller."""
        return "treated" if self.treated <= self.untreated else "untreated"

    def doubt(self) -> str | None:
        """What is doubtful where there are few of an arm; None where there are enough."""
        if self.fewer >= _FEW:
            return None
        if self.fewer == 1:
            return (
                f"Only 1 cluster is {self.poorer}: how far it deviates of its own counts for nothing, so that the "
                "interval is far too narrow."
            )
        return f"Only {self.fewer} clusters are {self.poorer}: the interval rests on very few of them."

    def refusal(self) -> str | None:
        """Why there is no clustered error but by request, where an arm has a single cluster; None where it has more.

        The arm's mean is then fitted to its one cluster, whose deviation counts as 0 (MacKinnon and Webb 2017,
        Journal of Applied Econometrics 32, doi 10.1002/jae.2508).
        """
        if self.fewer != 1:
            return None
        return (
            f"Only 1 cluster is {self.poorer}: how far it deviates of its own cannot be told from the effect, so that "
            "there is no cluster-robust standard error (options.se = CRV1 takes it for nothing)."
        )


def clusters_by_arm(clusters: Sequence[Codes], exposed: Vector | None) -> ClustersByArm | None:
    """The clusters of each arm, in the dimension that has the fewest of one; None without clusters or arms.

    Args:
        clusters: (n,) codes of each dimension.
        exposed: (n,) 1 where the row is treated, 0 where it is compared with such, -1 where neither; other values are
            amounts, which have no arms.
    """
    if exposed is None or not clusters:
        return None
    treated, untreated = exposed == 1, exposed == 0
    if not (treated | untreated | (exposed == -1)).all():
        return None
    counted = [
        ClustersByArm(
            treated=int(np.count_nonzero(np.bincount(codes, treated))),
            untreated=int(np.count_nonzero(np.bincount(codes, untreated))),
        )
        for codes in clusters
    ]
    return min(counted, key=lambda each: each.fewer)
