from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.nuisance.orthogonal_scores import CLIP, clipping, effect_scores, out_of_fold_propensity
from tests.estimators.designs import cross_section


def linear(data: Data, train: np.ndarray, at: np.ndarray) -> np.ndarray:
    x = np.column_stack([np.ones(data.n), data.covariates])
    return x[at] @ np.linalg.lstsq(x[train], data.y[train], rcond=None)[0]


@pytest.mark.parametrize("split", [0, 2])
def test_scores_are_the_doubly_robust_formula_with_fits_of_the_other_folds(split: int):
    data = cross_section(n=400, weights=False)
    e = np.random.default_rng(1).uniform(0.002, 0.9, 400)
    data = replace(data, pscore=e)
    plan = Plan(data, Settings(folds=3))
    frame = plan.frame("xty", plan.doubly_robust_sample())
    found = effect_scores(plan, frame, plan.propensity(frame.sample), split)
    folds, t = plan.folds(split), data.treatment
    mu = np.empty((2, 400))
    for fold in range(3):
        for arm in (0, 1):
            mu[arm, folds == fold] = linear(data, (folds != fold) & (t == arm), folds == fold)
    p = np.clip(e, 0.01, 0.99)
    expected = mu[1] - mu[0] + t * (data.y - mu[1]) / p - (1 - t) * (data.y - mu[0]) / (1 - p)
    np.testing.assert_allclose(found.values * frame.scale[frame.column("y")], expected, rtol=1e-8, atol=1e-8)
    assert found.clipped == np.count_nonzero(e < CLIP) > 0


def test_only_the_first_split_is_cached():
    plan = Plan(cross_section(n=200), Settings())
    frame = plan.frame("xty", plan.doubly_robust_sample())
    score = plan.propensity(frame.sample)
    assert effect_scores(plan, frame, score, 0) is effect_scores(plan, frame, score, 0)
    assert effect_scores(plan, frame, score, 1) is not effect_scores(plan, frame, score, 1)


def test_a_given_score_is_used_as_it_is_and_a_fitted_one_without_the_rows_fold():
    data = cross_section(n=200, weights=False)
    known = Plan(replace(data, pscore=np.full(200, 0.4)), Settings())
    assert (out_of_fold_propensity(known, known.propensity(), 0) == 0.4).all()
    plan = Plan(data, Settings())
    score = plan.propensity()
    found = out_of_fold_propensity(plan, score, 0)
    assert not np.array_equal(found, score.used)
    np.testing.assert_array_equal(found, plan.out_of_fold(score.logit, 0))


def test_clipped_rows_are_a_note_and_a_warning_above_one_in_a_hundred():
    assert clipping(0, 1000) == ([], [])
    (note,), none = clipping(10, 1000)
    assert not none
    assert (note.code, note.params["rows"]) == ("nuisance.clipped", 10)
    none, (warning,) = clipping(11, 1000)
    assert not none
    assert warning.code == "nuisance.clipped"
