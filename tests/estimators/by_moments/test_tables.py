import numpy as np

from cqox.estimators import Plan, Settings
from cqox.estimators.numerics.frame import Crossed
from tests.estimators.by_moments.tables_of import replaced, study, tables


def test_cross_products_by_fold_and_arm_are_those_of_the_rows_in_memory() -> None:
    data = study(weights=True)
    plan, made = Plan(data, Settings()), tables(data)
    frame = plan.frame("xty", plan.outcome_sample(), folded=True)
    ours = made.frame("xty", made.complete("y", "treatment", "covariates"))
    assert ours.n == frame.n
    assert ours.labels == frame.labels
    np.testing.assert_array_equal(made.blocks(ours)[1], plan.blocks(frame)[1])
    # The two frames have scales of their own; a coefficient in raw units does not depend on them.
    np.testing.assert_allclose(slopes(ours), slopes(frame), rtol=1e-10)


def slopes(frame: Crossed) -> np.ndarray:
    standard = np.linalg.solve(frame.products[:5, :5], frame.products[:5, frame.column("y")])
    return standard[1:] * frame.scale[-1] / frame.scale[1:5]


def test_a_column_that_is_constant_in_the_sample_alone_is_kept() -> None:
    data = study(missing=False)
    x = data.covariates.copy()
    x[:, 3] = 5.0
    x[1::1000, 3] = 6.0
    made = tables(replaced(data, covariates=x, propensity_covariates=x))
    frame = made.frame("xty", made.complete("y", "treatment", "covariates"))
    assert frame.dropped == ()
    assert frame.scale[4] > 0


def test_rows_of_a_unit_are_clusters_where_units_repeat() -> None:
    made = tables(study())
    assert made.clusters() == ()
    assert made.clustering(made.complete("y")).counts == ()
