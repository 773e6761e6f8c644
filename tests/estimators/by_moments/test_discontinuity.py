from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Estimate, Settings
from tests.estimators.by_moments.tables_of import (
    around_cutoff,
    both,
    in_arrays,
    replaced,
    same,
    without_covariates,
)

NAMES = ("rd_local_linear", "rd_fuzzy", "rd_density_test")


def mapped(data: Data, role: str, **fields: object) -> Data:
    return replaced(data, names={**data.names, role: ("m",)}, **fields)


def as_it_is(data: Data) -> Data:
    return data


def in_whole_numbers(data: Data) -> Data:
    return replaced(data, running=np.floor(40 * data.running), cutoff=20.0)


def below_are_treated(data: Data) -> Data:
    status = data.treatment if data.treatment is not None else (data.running > data.cutoff).astype(float)
    return mapped(data, "treatment", treatment=1 - status, treatment_kind="binary")


def at_the_cutoff_is_below(data: Data) -> Data:
    data = in_whole_numbers(data)
    if data.treatment is not None:
        return data
    return mapped(data, "treatment", treatment=(data.running > data.cutoff).astype(float), treatment_kind="binary")


def of_units(data: Data) -> Data:
    unit = np.arange(data.n) // 3
    return mapped(data, "unit_id", unit=np.where(np.arange(data.n) % 401 == 1, -1, unit))


def of_periods(data: Data) -> Data:
    time = np.arange(data.n) % 4 - (np.arange(data.n) % 403 == 0)
    return mapped(data, "time", time=time, time_values=np.arange(4.0))


def of_one_period(data: Data) -> Data:
    return mapped(data, "time", time=-(np.arange(data.n) % 403 == 0).astype(np.int64), time_values=np.zeros(1))


def before_and_after(data: Data) -> Data:
    return mapped(data, "post", post=(np.arange(data.n) % 2).astype(float))


def in_two_ways(data: Data) -> Data:
    rng = np.random.default_rng(1)
    codes = tuple(np.where(rng.random(data.n) < 0.01, -1, rng.integers(0, groups, data.n)) for groups in (60, 80))
    return mapped(data, "cluster", clusters=codes)


def a_collinear_covariate(data: Data) -> Data:
    x = np.column_stack([data.covariates, 2 * data.covariates[:, 0] + 1, np.full(data.n, 3.0)])
    return replaced(data, covariates=x, names={**data.names, "covariates": ("x0", "x1", "x2", "x3")})


MADE = [
    as_it_is, without_covariates, in_whole_numbers, below_are_treated, at_the_cutoff_is_below, of_units, of_periods,
    of_one_period, before_and_after, in_two_ways, a_collinear_covariate,
]  # fmt: skip
SETTINGS = [
    {"rd_bandwidth": 0.3}, {"rd_bandwidth": 0.3, "rd_bias_bandwidth": 0.5}, {"rd_bandwidth": "all", "rd_order": 2},
    {"rd_kernel": "uniform"}, {"rd_kernel": "epanechnikov", "rd_order": 0}, {"se": "HC1"}, {"se": "HC3"}, {"se": "iid"},
]  # fmt: skip


def missing(values: np.ndarray) -> np.ndarray:
    """Codes as a table has them, NaN where one is missing."""
    return np.where(values < 0, np.nan, values.astype(float))


def in_a_table(columns: dict[str, np.ndarray]) -> object:
    coded = [name for name in columns if name in ("u", "when") or name.startswith("g")]
    return in_arrays({**columns, **{name: missing(columns[name]) for name in coded}})


@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 60, "weights": True}])
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_the_rows_in_memory(
    name: str, made: Callable[[Data], Data], design: dict[str, int]
) -> None:
    same(*both(name, made(around_cutoff(fuzzy=name == "rd_fuzzy", **design)), Settings(), in_a_table))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", NAMES)
def test_options_are_those_of_rows_in_memory(name: str, settings: dict[str, object]) -> None:
    same(*both(name, around_cutoff(fuzzy=name == "rd_fuzzy"), Settings(**settings), in_a_table))


def nobody_below(data: Data) -> Data:
    return replaced(data, cutoff=-1.0)


def few_values_above(data: Data) -> Data:
    return replaced(data, running=np.where(data.running >= data.cutoff, data.cutoff, data.running))


def a_constant_outcome(data: Data) -> Data:
    return replaced(data, y=np.ones(data.n))


def few_rows(data: Data) -> Data:
    return data.rows(np.arange(30, 45))


@pytest.mark.parametrize("made", [nobody_below, few_values_above, a_constant_outcome, few_rows])
@pytest.mark.parametrize("name", NAMES)
def test_what_rows_in_memory_cannot_give_is_refused_in_the_same_words(name: str, made: Callable[[Data], Data]) -> None:
    memory, found = both(name, made(around_cutoff(fuzzy=name == "rd_fuzzy")), Settings(), in_a_table)
    if memory.estimate is not None:
        # The density needs no outcome.
        assert (name, made) == ("rd_density_test", a_constant_outcome)
        return same(memory, found)
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail
    return None


@pytest.mark.parametrize(("name", "other"), [("rd_local_linear", True), ("rd_fuzzy", False)])
def test_a_treatment_of_the_other_design_is_refused_in_the_same_words(name: str, other: bool) -> None:
    data = below_are_treated(around_cutoff(fuzzy=other, missing=False))
    memory, found = both(name, data, Settings(), in_a_table)
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail


def test_rows_in_another_order_give_the_same_bytes() -> None:
    data = in_whole_numbers(around_cutoff(fuzzy=True, clusters=60, weights=True))
    shuffled = data.rows(np.random.default_rng(5).permutation(data.n))
    for name in NAMES[1:]:
        found = [both(name, each, Settings(), in_a_table)[1] for each in (data, shuffled)]
        assert replace(found[0], influence=None) == replace(found[1], influence=None), name


def test_no_estimate_keeps_values_of_single_rows() -> None:
    _, found = both("rd_local_linear", around_cutoff())
    assert isinstance(found, Estimate)
    assert found.influence is None
