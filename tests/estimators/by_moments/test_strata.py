from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Settings
from cqox.estimators.by_moments import score_cuts
from tests.estimators.by_moments.tables_of import both, replaced, same, study, without_covariates

NAME = "propensity_strata"


@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
@pytest.mark.parametrize("most", [200_000, 100])
def test_the_numbers_are_those_of_the_rows_in_memory(
    design: dict[str, bool], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_cuts, "MOST_ROWS", most)
    same(*both(NAME, study(**design)))


@pytest.mark.parametrize("strata", [2, 10, 100])
def test_any_number_of_strata_can_be_asked_for(strata: int) -> None:
    same(*both(NAME, study(weights=True), Settings(strata=strata)))


@pytest.mark.parametrize("strata", [2, 5])
def test_rows_of_equal_covariates_are_in_one_stratum(strata: int) -> None:
    data = study(missing=False)
    same(*both(NAME, with_covariate(data, np.round(data.covariates[:, 0])), Settings(strata=strata)))


def test_strata_that_lack_an_arm_are_merged() -> None:
    data = study(missing=False)
    x, rng = data.covariates[:, 0], np.random.default_rng(2)
    treatment = (rng.random(data.n) < 1 / (1 + np.exp(-9 * x))).astype(float)
    memory, moments = both(NAME, with_covariate(replaced(data, treatment=treatment), x), Settings(strata=20))
    same(memory, moments)
    assert isinstance(moments, Estimate)
    assert "adjustment.strata-merged" in [message.code for message in moments.warnings]
    assert len(moments.diagnostics["strata"]) < 20


@pytest.mark.parametrize("treated", [3, 8, 40])
def test_an_arm_may_have_few_rows(treated: int) -> None:
    data = study(missing=False)
    treatment = np.zeros(data.n)
    treatment[np.random.default_rng(3).permutation(data.n // 2)[:treated] * 2] = 1.0
    same(*both(NAME, with_covariate(replaced(data, treatment=treatment), data.covariates[:, 0])))


def with_scores(data: Data, e: np.ndarray) -> Data:
    names = {**without_covariates(data).names, "pscore": ("e",)}
    return replaced(without_covariates(data), pscore=e, names=names)


def with_covariate(data: Data, x: np.ndarray) -> Data:
    column, names = (
        np.asfortranarray(x[:, None]),
        {**data.names, "covariates": ("x0",), "propensity_covariates": ("x0",)},
    )
    return replaced(data, covariates=column, propensity_covariates=column, names=names)


@pytest.mark.parametrize("levels", [None, 4, 12])
def test_known_scores_are_taken_as_they_are(levels: int | None) -> None:
    data = study()
    e = 1 / (1 + np.exp(-0.6 * data.covariates[:, 0]))
    same(*both(NAME, with_scores(data, e if levels is None else np.round(e * levels).clip(1, levels - 1) / levels)))


def test_known_scores_of_zero_or_one_are_refused_wherever_they_are() -> None:
    data = study(missing=False)
    e = np.full(data.n, 0.5)
    e[[1, 3]] = 0.0, 1.0
    memory, moments = both(NAME, with_scores(data, e))
    assert isinstance(moments, Exception)
    assert str(moments) == str(memory.reason)


def test_outcomes_on_a_high_level_keep_their_digits() -> None:
    data = study(weights=True)
    same(*both(NAME, replace(data, y=data.y + 1e6)))


@pytest.mark.parametrize("asked", ["HC1", "CRV1", "CRV3"])
def test_an_error_by_name_says_what_it_is(asked: str) -> None:
    same(*both(NAME, study(clusters=80), Settings(se=asked)))
