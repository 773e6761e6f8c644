import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from tests.estimators.by_moments.tables_of import both, panel, replaced, same, without_covariates

DESIGNS = [
    {},
    {"weights": True},
    {"missing": False},
    {"clusters": 120, "weights": True},
    {"clusters": 12},
    {"clusters": 30, "weights": True},
    {"treated": 0.02},
    {"treated": 0.02, "weights": True},
]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool]) -> None:
    same(*both("twfe", panel(**design)))


@pytest.mark.parametrize("se", ["iid", "HC0", "HC1", "HC3", "CRV1", "CRV3"])
@pytest.mark.parametrize("design", [{}, {"clusters": 20}])
def test_every_error_that_can_be_asked_for_is_that_of_memory(design: dict[str, bool], se: str) -> None:
    same(*both("twfe", panel(units=120, **design), Settings(se=se)))


def far(data: Data) -> Data:
    return replaced(data, y=1e9 + 1e-3 * data.y)


def large_effects(data: Data) -> Data:
    return replaced(data, y=data.y + 1e6 * np.random.default_rng(3).normal(size=int(data.unit.max()) + 1)[data.unit])


def amounts(data: Data) -> Data:
    amount = data.treatment * np.random.default_rng(4).uniform(1, 3, data.n)
    return replaced(data, treatment=amount, treatment_kind="continuous")


def gaps_in_time(data: Data) -> Data:
    return replaced(data, time=data.time**2)


def always_treated(data: Data) -> Data:
    return replaced(data, treatment=np.where(data.unit < 20, 1.0, data.treatment))


def never_treated_together(data: Data) -> Data:
    """Every period with treatment has untreated rows of few units."""
    return replaced(data, treatment=np.where(data.unit > 8, (data.time >= 4).astype(float), 0.0))


def by_period(data: Data) -> Data:
    return replaced(data, covariates=np.column_stack([data.covariates, data.time**2, np.full(data.n, 7.0)]),
                    names={**data.names, "covariates": ("x0", "x1", "x2", "squared", "same")})  # fmt: skip


def apart(data: Data) -> Data:
    """Two panels without a unit or a period in common."""
    late = data.unit >= 200
    return replaced(data, time=data.time + 9 * late, treatment=data.treatment * (data.unit % 2))


def one_cluster(data: Data) -> Data:
    return replaced(data, clusters=(np.zeros(data.n, dtype=np.int64),), names={**data.names, "cluster": ("g",)})


def clusters_of_periods(data: Data) -> Data:
    return replaced(data, clusters=(data.time,), names={**data.names, "cluster": ("g",)})


def two_ways(data: Data) -> Data:
    return replaced(data, clusters=(data.unit, data.time), names={**data.names, "cluster": ("g", "h")})


def clusters_within_units(data: Data) -> Data:
    return replaced(data, clusters=(data.unit // 4 * 3 + data.time % 2,), names={**data.names, "cluster": ("g",)})


ODD = [
    far, large_effects, amounts, gaps_in_time, always_treated, never_treated_together, by_period, apart, one_cluster,
    clusters_of_periods, two_ways, clusters_within_units, without_covariates,
]  # fmt: skip


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("odd", ODD)
def test_odd_panels_have_the_numbers_of_memory(odd: object, weights: bool) -> None:
    same(*both("twfe", odd(panel(weights=weights))))


def test_rows_that_repeat_in_a_period_are_left_to_the_sample() -> None:
    data = panel()
    last = np.flatnonzero(data.unit == 399)
    _, found = both("twfe", data.rows(np.append(np.arange(data.n), last[-1])))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.repeated-rows"


def test_units_that_are_mostly_seen_once_are_refused_as_in_memory() -> None:
    data = panel(missing=False)
    keep = np.flatnonzero((data.time == data.unit % 9) | (data.unit == 2))
    memory, found = both("twfe", data.rows(keep))
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail


def test_many_periods_are_left_to_the_sample() -> None:
    _, found = both("twfe", panel(units=40, periods=405, missing=False))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.many-periods"
