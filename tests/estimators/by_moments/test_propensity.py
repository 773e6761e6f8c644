import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings
from cqox.estimators.by_moments.propensity import clipped, correction, logistic, out_of_fold, propensity
from cqox.estimators.numerics.moments import Column, times
from tests.estimators.by_moments.tables_of import in_arrays, replaced, study, tables


def values(made, expression, rows) -> np.ndarray:
    found = rows.source.fetch({"value": expression}, Column("y"), np.inf)
    return found["value"]


def test_the_logit_is_that_of_the_rows_in_memory() -> None:
    data = study()
    made = tables(data)
    rows = made.complete("y", "treatment", "propensity_covariates")
    scores = propensity(made, rows)
    memory = Plan(data, Settings()).propensity()
    order = np.argsort(data.y[memory.sample.index], kind="stable")
    np.testing.assert_allclose(values(made, scores.e, rows), memory.used[order], rtol=1e-10)
    assert memory.logit is not None
    own, theirs = (np.outer(frame.scale[1:5], frame.scale[1:5]) for frame in (scores.frame, memory.logit.frame))
    np.testing.assert_allclose(scores.inverse[1:, 1:] / own, memory.inverse[1:, 1:] / theirs, rtol=1e-7)


def test_without_each_fold_it_is_that_of_the_rows_in_memory() -> None:
    data = study()
    made, plan = tables(data), Plan(data, Settings())
    rows = made.complete("y", "treatment", "propensity_covariates")
    memory = plan.propensity()
    assert memory.logit is not None
    order = np.argsort(data.y[memory.sample.index], kind="stable")
    ours = values(made, out_of_fold(made, propensity(made, rows), 0), rows)
    np.testing.assert_allclose(ours, plan.out_of_fold(memory.logit, 0)[order], rtol=1e-8)


def test_separated_arms_are_refused() -> None:
    data = study()
    data = replaced(data, treatment=(np.nan_to_num(data.covariates[:, 0]) > 0).astype(float))
    made = tables(data)
    with pytest.raises(UnusableData):
        propensity(made, made.complete("y", "treatment", "propensity_covariates"))


def test_clipping_moves_and_counts_what_lies_outside() -> None:
    source = in_arrays({"e": np.array([0.001, 0.5, 0.995, 0.01])})
    moved, counts = clipped(Column("e"))
    assert source.sums([moved, *counts]).sums.tolist() == pytest.approx([0.01 + 0.5 + 0.99 + 0.01, 1.0, 1.0])


def test_the_correction_is_orthogonal_at_the_fit() -> None:
    data = study()
    made = tables(data)
    rows = made.complete("y", "treatment", "propensity_covariates")
    scores = propensity(made, rows)
    moved = correction(made, scores, np.eye(len(scores.coefficients))[1])
    total, squares = rows.source.sums([moved, times(moved, moved)]).sums
    assert abs(total) < 1e-8 * np.sqrt(squares)
    assert squares == pytest.approx(scores.inverse[1, 1], rel=0.2)


def test_a_logistic_line_is_finite_far_out() -> None:
    source = in_arrays({"line": np.array([-2000.0, 0.0, 2000.0])})
    assert source.sums([logistic(Column("line"))]).sums[0] == pytest.approx(1.5)
