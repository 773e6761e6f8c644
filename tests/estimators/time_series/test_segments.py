from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.time_series.segments import Segments, sample_of, segments
from tests.estimators.designs import series


def read(data: Data, **settings: object) -> Segments:
    found = segments(Plan(data, Settings(**settings)))
    assert isinstance(found, Segments), found
    return found


def short(before: int, after: int) -> Data:
    """A short series without covariates."""
    return replace(series(before, after), covariates=np.empty((0, 0)), propensity_covariates=np.empty((0, 0)))


def refusal(data: Data, **settings: object) -> str:
    found = segments(Plan(data, Settings(**settings)))
    assert isinstance(found, Message)
    return found.code


def test_periods_are_weighted_means_of_their_rows() -> None:
    data = series(8, 5, units=3)
    weights = np.random.default_rng(0).uniform(0.5, 2, data.n)
    for w, given in ((np.ones(data.n), None), (weights, weights)):
        found = read(replace(data, weights=given))
        means = [np.average(data.y[own := data.time == at], weights=w[own]) for at in range(13)]
        np.testing.assert_allclose(found.y * found.scale + found.centre, means, rtol=1e-12)
        assert (found.y.mean(), found.y.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
        assert (found.rows == 3).all()


def test_time_is_counted_from_the_first_period_after_the_intervention() -> None:
    data = short(6, 4)
    found = read(data)
    assert (found.before, found.start) == (6, 7.0)
    assert found.time.tolist() == [*range(-6, 4)]
    # A period without rows is no period, but time passes.
    gone = read(data.rows(np.flatnonzero(data.time != 2)))
    assert gone.before == 5
    assert gone.time.tolist() == [-6, -5, -3, -2, -1, 0, 1, 2, 3]
    assert gone.values.tolist() == [1, 2, 4, 5, 6, 7, 8, 9, 10]


def test_lines_are_level_and_slope_and_their_changes() -> None:
    found = read(series(6, 4))
    after = found.time >= 0
    np.testing.assert_allclose(
        found.lines, np.column_stack([np.ones(10), found.time / 9, after, after * found.time / 9])
    )


def test_seasons_are_sines_and_cosines_of_the_requested_cycle() -> None:
    found = read(series(40, 20), season_length=4.0, season_pairs=1)
    angle = 2 * np.pi * found.time / 4
    waves = np.column_stack([np.ones(60), np.sin(angle), np.cos(angle)])
    assert found.seasons.shape == (60, 2)
    left = found.seasons - waves @ np.linalg.lstsq(waves, found.seasons, rcond=None)[0]
    np.testing.assert_allclose(left, 0, atol=1e-9)
    assert read(series(40, 20)).seasons.shape == (60, 0)


def test_the_start_is_a_time_or_post_or_the_treatment() -> None:
    data = series(6, 4)
    by_time = replace(data, post=None, treatment=None, treatment_kind="none", intervention_time=6.5)
    by_treatment = replace(data, post=None)
    assert [read(each).before for each in (data, by_time, by_treatment)] == [6, 6, 6]


def test_the_rows_need_only_the_roles_that_say_when_it_starts() -> None:
    data = series(6, 4)
    holed = replace(data, treatment=np.where(np.arange(10) == 1, np.nan, data.treatment))
    assert sample_of(Plan(holed, Settings())).n == 9
    assert sample_of(Plan(replace(holed, intervention_time=7.0), Settings())).n == 10


def test_an_outcome_of_any_magnitude_is_scaled_and_one_of_rounding_is_not() -> None:
    data = series(8, 5)
    huge = read(replace(data, y=data.y * 1e300))
    np.testing.assert_allclose(huge.y, read(data).y, rtol=1e-9)
    flat = series(8, 5, units=2)
    opposite = replace(flat, y=np.where(flat.unit == 0, 5.0 + flat.time, 5.0 - flat.time))
    assert read(opposite).scale == pytest.approx(np.abs(opposite.y).max())


def test_what_is_no_series_is_refused_by_its_reason() -> None:
    data, many = series(6, 4), series(6, 4, units=2)
    ended = np.where(data.time == 9, 0.0, data.post)
    partly = np.where(many.unit == 0, many.post, 0.0)
    assert refusal(replace(data, post=None, treatment=None, treatment_kind="none")) == "time_series.no-intervention"
    assert refusal(replace(data, post=data.post * 2)) == "time_series.not-0-before-1-after"
    assert refusal(replace(data, post=ended, treatment=ended)) == "time_series.intervention-ends"
    assert refusal(replace(many, post=partly, treatment=partly)) == "time_series.untreated-rows"
    assert refusal(replace(many, treatment=partly)) == "time_series.untreated-rows"


@pytest.mark.parametrize(("before", "after", "enough"), [(3, 9, False), (9, 2, False), (4, 4, False), (5, 4, True)])
def test_a_short_series_is_refused(before: int, after: int, enough: bool) -> None:
    data = short(before, after)
    if enough:
        assert read(data).before == before
    else:
        assert refusal(data) == "time_series.too-few-periods"


def test_covariates_are_standardised_means_by_period_that_nothing_else_determines() -> None:
    data = series(40, 20, units=2)
    x = np.column_stack([data.covariates[:, 0], 2 * data.covariates[:, 0] + 1])
    found = read(replace(data, covariates=x, names={**data.names, "covariates": ("a", "b")}))
    assert (found.adjusted, found.left_out) == (("a",), ("b",))
    assert found.regressors.shape == (60, 5)
    means = data.covariates[:, 0].reshape(2, -1).mean(axis=0)
    level = means - means.mean()
    np.testing.assert_allclose(found.covariates[:, 0], level / np.abs(level).max(), atol=1e-10)


def test_control_series_are_means_by_period() -> None:
    data = series(8, 5, units=3)
    control = np.arange(float(data.n))[:, None]
    found = read(replace(data, proxy_outcome=control))
    means = control.reshape(3, 13).mean(axis=0)
    np.testing.assert_allclose(found.controls[:, 0] - found.controls.mean(), means - means.mean(), atol=1e-12)


def test_a_high_level_of_control_series_and_gaps_in_them_leave_their_digits() -> None:
    data = series(8, 5, units=3)
    low = np.round(np.sin(np.arange(39.0)) * 4096) / 4096
    low[data.time == 4] = np.nan
    found = read(replace(data, proxy_outcome=np.column_stack([1e12 + low, np.full(39, np.nan)]))).controls
    seen, means = np.arange(13) != 4, low.reshape(3, 13).mean(axis=0)
    assert (np.isfinite(found) == np.column_stack([seen, np.zeros(13, bool)])).all()
    np.testing.assert_allclose(np.diff(found[seen, 0]), np.diff(means[seen]), rtol=1e-11)


def test_a_covariate_that_varies_only_by_rounding_on_its_level_is_left_out() -> None:
    data = short(40, 20)
    wave = np.sin(np.arange(60.0))
    x = np.column_stack([1e9 + wave * 1e-4, 1e9 + wave * 1e-2])
    found = read(replace(data, covariates=x, names={**data.names, "covariates": ("flat", "wave")}))
    assert (found.left_out, found.adjusted) == (("flat",), ("wave",))
