import numpy as np
import pytest

from cqox.estimators.by_moments.summed import ONE, Clustering
from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.numerics.moments import Constant, linear
from tests.estimators.by_moments.tables_of import study, tables


@pytest.mark.parametrize(
    ("counts", "by_arm", "needed"),
    [
        ((), None, False),
        ((49,), None, True),
        ((50,), None, False),
        ((50,), (9, 41), True),
        ((50,), (10, 40), False),
        ((20, 30), (5, 15), False),
    ],
)
def test_few_clusters_of_one_dimension_need_their_cells(
    counts: tuple[int, ...], by_arm: tuple[int, int] | None, needed: bool
) -> None:
    arms = None if by_arm is None else ClustersByArm(treated=by_arm[0], untreated=by_arm[1])
    assert Clustering(counts=counts, by_arm=arms).needs_cells is needed


def test_a_combination_of_columns_has_their_ones_as_its_constant() -> None:
    made = tables(study())
    frame = made.frame("ty", made.complete("y", "treatment"))
    assert frame.columns[0] == ONE
    assert frame.combined(np.array([2.0, 0.0, 3.0])) == linear([(3.0, frame.columns[2])], 2.0)
    assert frame.combined(np.array([1.5])) == Constant(1.5)
