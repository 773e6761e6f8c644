import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Estimate, Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.series import interrupted_series
from tests.estimators.by_moments.tables_of import both, figures, replaced, same, series, tables, without_covariates


def by_post(data: Data) -> Data:
    names = {**data.names, "post": ("p",)}
    return replaced(data, post=(data.time >= 18).astype(float), intervention_time=None, names=names)


def by_treatment(data: Data) -> Data:
    status, names = (data.time >= 18).astype(float), {**data.names, "treatment": ("t",)}
    return replaced(data, treatment=status, treatment_kind="binary", intervention_time=None, names=names)


def with_a_treatment_of_gaps(data: Data) -> Data:
    status, names = (data.time >= 18).astype(float), {**data.names, "treatment": ("t",)}
    status[::50] = np.nan
    return replaced(data, treatment=status, treatment_kind="binary", names=names)


def uneven(data: Data) -> Data:
    return replaced(data, time_values=np.arange(30.0) ** 1.2)


def same_covariate_twice(data: Data) -> Data:
    names = {**data.names, "covariates": ("x0", "x1", "x2")}
    return replaced(data, covariates=np.column_stack([data.covariates, 2 * data.covariates[:, 0]]), names=names)


@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 12, "weights": True}])
@pytest.mark.parametrize(
    "made",
    [lambda data: data, without_covariates, by_post, by_treatment, with_a_treatment_of_gaps, uneven,
     same_covariate_twice],
)  # fmt: skip
def test_the_numbers_are_those_of_the_rows_in_memory(made: object, design: dict[str, int]) -> None:
    data = made(series(**design))
    memory, found = both("interrupted_series", data)
    same(memory, found)
    assert found.diagnostics["periods"][0]["time"] == memory.diagnostics["periods"][0]["time"]


def test_seasons_that_are_asked_for_are_adjusted_for() -> None:
    same(*both("interrupted_series", series(periods=60), Settings(season_length=7.0)))


@pytest.mark.parametrize("level", [0.0, 1e3, 1e6, 1e9, 1e12])
def test_a_high_level_costs_no_digits(level: float) -> None:
    low = series(weights=True)
    # Multiples of 1/4096, which every level keeps exactly; covariates vary enough not to count as constant.
    y, x = (np.round(each * 4096) / 4096 for each in (low.y - np.nanmean(low.y), 100 * low.covariates))
    plain, moved = (replaced(low, y=y + at, covariates=np.asfortranarray(x + at)) for at in (0.0, level))
    expected, (memory, found) = both("interrupted_series", plain)[0], both("interrupted_series", moved)
    assert isinstance(found, Estimate), found
    for made in (memory, found):
        theirs = figures(made)
        for place, value in figures(expected).items():
            if ".periods[" not in place:
                assert theirs[place] == pytest.approx(value, rel=1e-11, abs=1e-13), place


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_an_outcome_that_does_not_vary_is_refused_as_in_memory(value: float) -> None:
    data = series()
    data = replaced(data, y=np.where(np.isnan(data.y), np.nan, value))
    memory, found = both("interrupted_series", data)
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail


@pytest.mark.parametrize("first", [3.0, 29.0])
def test_an_intervention_near_an_end_is_refused_as_in_memory(first: float) -> None:
    memory, found = both("interrupted_series", replaced(series(), intervention_time=first))
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail


def test_rows_that_differ_within_a_period_are_refused_as_in_memory() -> None:
    data = by_treatment(series())
    odd = np.where((data.unit == 7) & (data.time == 20), 0.0, data.treatment)
    for changed in (replaced(data, treatment=odd), replaced(data, treatment=odd, intervention_time=18.0)):
        memory, found = both("interrupted_series", changed)
        assert isinstance(found, UnusableData)
        assert memory.reason == found.detail


def test_a_period_that_the_sample_lacks_is_left_to_the_sample() -> None:
    data = series()
    data = data.rows(np.flatnonzero((data.time != 9) | (data.unit % 2 == 1)))
    made = tables(data)
    found = run_rounds(made, {"interrupted_series": lambda: interrupted_series(made)})["interrupted_series"]
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.periods-of-sample"
