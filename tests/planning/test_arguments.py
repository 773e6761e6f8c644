import json
import math
from contextlib import suppress
from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pytest

from cqox.errors import InputError, InvalidRequest
from cqox.planning import power
from cqox.planning.arguments import Arguments, checked

PLAIN = Arguments(
    effect=None, n=None, power=None, alpha=0.05, one_sided=False, relative=False, better="higher", ratio=None, sd=1.0,
    baseline=None, rate_test="score", r2=None, r2_clusters=None, icc=None, clusters=None, cluster_size=None,
    cluster_size_cv=None, periods_before=None, periods_after=None, autocorrelation=None, serial_correlation=None,
    estimator=None, pair_correlation=None,
)  # fmt: skip


def check(*, data: bool = False, panel: bool = False, clustered: bool = False, **changes):
    return checked(replace(PLAIN, **changes), data=data, panel=panel, clustered=clustered)


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        ({"effect": 0.5}, "n"), ({"effect": 0.5, "power": 0.9}, "n"), ({"n": 100}, "effect"),
        ({"n": 100, "power": 0.9}, "effect"), ({"n": 100, "effect": 0.5}, "power"), ({"data": True}, "effect"),
        ({"data": True, "effect": 0.5}, "n"), ({"data": True, "power": 0.9}, "effect"),
        ({"icc": 0.1, "clusters": 10, "cluster_size": 5, "effect": 0.5}, "power"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_computed(given: dict[str, object], unknown: str) -> None:
    assert check(**given)[1] == unknown


def test_the_power_asked_for_is_80_percent_by_default() -> None:
    assert check(effect=1.0)[0].target == 0.8
    assert check(effect=1.0, power=0.95)[0].target == 0.95


def test_clusters_and_their_size_are_the_number_of_rows() -> None:
    given, _ = check(icc=0.1, clusters=10, cluster_size=12.5)
    assert (given.n, given.clusters, given.cluster_size) == (125, None, 12.5)
    given, _ = check(icc=0.1, clusters=10, effect=1.0)
    assert given.clusters == 10


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({}, "effect", "Give two of effect, n and power"),
        ({"power": 0.8}, "effect", "Give two of effect, n and power"),
        ({"effect": 1.0, "n": 10, "power": 0.8}, "power", "all given"),
        ({"effect": 0.0}, "effect", "An effect of 0"),
        ({"effect": float("nan")}, "effect", "0, or a number whose size is between 1e-50 and 1e\\+50"),
        ({"n": 1}, "n", "a whole number from 2 to"),
        ({"n": 10.5}, "n", "a whole number from 2 to"),
        ({"n": True}, "n", "a whole number from 2 to"),
        ({"n": "10"}, "n", "a whole number from 2 to"),
        ({"n": 10, "alpha": 0.0}, "alpha", "between 0 and 1"),
        ({"n": 10, "alpha": 1.0}, "alpha", "between 0 and 1"),
        ({"n": 10, "alpha": -0.1}, "alpha", "between 0 and 1"),
        ({"n": 10, "power": 1.0}, "power", "between 0 and 1"),
        ({"n": 10, "power": 0.05}, "power", "must be above alpha"),
        ({"n": 10, "alpha": 0.9}, "power", "power=0.8 must be above alpha"),
        ({"n": 10, "ratio": 0.0}, "ratio", "a number from 1e-05 to 100000"),
        ({"n": 10, "sd": 0.0}, "sd", "a positive number from 1e-50 to 1e\\+50, or two"),
        ({"n": 10, "sd": (1.0, -1.0)}, "sd", "a positive number from 1e-50 to 1e\\+50, or two"),
        ({"n": 10, "sd": (1.0, 1.0, 1.0)}, "sd", "a positive number from 1e-50 to 1e\\+50, or two"),
        ({"n": 10, "sd": None}, "sd", "Give sd"),
        ({"n": 10, "sd": None, "baseline": 0.0}, "baseline", "no rate between 0 and 1"),
        ({"n": 10, "sd": None, "baseline": 1.0}, "baseline", "no rate between 0 and 1"),
        ({"n": 10, "r2": 1.0}, "r2", "at least 0 and less than 1"),
        ({"n": 10, "r2": -0.1}, "r2", "at least 0 and less than 1"),
        ({"n": 10, "icc": -0.01, "cluster_size": 5}, "icc", "at least 0 and less than 1"),
        ({"n": 10, "icc": 0.1}, "cluster_size", "give cluster_size"),
        ({"n": 10, "cluster_size": 5}, "icc", "Clusters need icc"),
        ({"n": 10, "clusters": 5}, "icc", "Clusters need icc"),
        ({"n": 10, "icc": 0.1, "cluster_size": 0.5}, "cluster_size", "a number from 1 to"),
        ({"n": 60, "icc": 0.1, "cluster_size": 5, "clusters": 12}, "n", "the product"),
        ({"n": 10, "cluster_size_cv": 0.5}, "cluster_size_cv", "needs clusters"),
        ({"n": 10, "r2_clusters": 0.5}, "r2_clusters", "needs clusters"),
        ({"n": 10, "periods_before": 1}, "periods_after", "together"),
        ({"n": 10, "periods_after": 1}, "periods_before", "together"),
        ({"n": 10, "periods_before": 1, "periods_after": 0}, "periods_after", "a whole number from 1 to 2000"),
        ({"n": 10, "periods_before": 1, "periods_after": 1}, "autocorrelation", "Give autocorrelation"),
        ({"n": 10, "autocorrelation": 0.5}, "autocorrelation", "needs periods_before"),
        ({"n": 10, "estimator": "did"}, "estimator", "needs periods_before"),
        ({"n": 10, "serial_correlation": 1.0}, "serial_correlation", "between -1 and 1"),
        (
            {"n": 10, "periods_before": 0, "periods_after": 1, "autocorrelation": 0.5, "estimator": "ancova"},
            "estimator",
            "only post is possible",
        ),
        (
            {"n": 10, "periods_before": 1, "periods_after": 1, "autocorrelation": 0.5, "icc": 0.1, "cluster_size": 5},
            "icc",
            "Clusters over several periods are units",
        ),
        ({"n": 10, "pair_correlation": 0.5, "ratio": 2.0}, "pair_correlation", "cannot be combined"),
        ({"n": 10, "pair_correlation": 0.5, "clustered": True}, "pair_correlation", "cannot be combined"),
        ({"n": 11, "pair_correlation": 0.5}, "n", "must be even"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(given: dict[str, object], field: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        check(**given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("given", "choices"),
    [
        ({"better": "up"}, {"higher", "lower"}),
        ({"rate_test": "scores"}, {"score", "arcsine", "wald"}),
        ({"estimator": "dd"}, {"did", "ancova", "post"}),
    ],
)
def test_an_unknown_word_names_the_choices(given: dict[str, str], choices: set[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(n=10, **given)
    assert set(caught.value.choices) == choices


ABSURD = (
    1e-320, 1e-300, 1e300, 1.7e308, math.inf, -math.inf, math.nan, 0, -1, -1e300, 10**20, 10**400, -(10**5000), "3",
    True, [1], (), (1, 2, 3), (1e-300, 1e300), ("a", "b"), object(), b"x", 1j, Decimal("NaN"), np.array([1.0, 2.0]),
)  # fmt: skip


@pytest.mark.parametrize("name", [each.name for each in fields(Arguments)])
@pytest.mark.parametrize(
    "plan",
    [
        {"effect": 0.5, "sd": 1.0},
        {"n": 100, "sd": 1.0},
        {"effect": 0.5, "sd": 1.0, "n": 100, "ratio": 2.0},
        {"effect": 0.02, "baseline": 0.1},
        {"effect": 0.5, "sd": 1.0, "icc": 0.05, "cluster_size": 20, "cluster_size_cv": 0.3},
        {"effect": 0.5, "sd": 1.0, "periods_before": 3, "periods_after": 3, "autocorrelation": 0.3},
    ],
    ids=lambda plan: "-".join(plan),
)
def test_absurd_values_are_refused_by_name_or_have_an_answer(name: str, plan: dict[str, object]) -> None:
    for value in ABSURD:
        with suppress(InputError):
            answer = power(**{**plan, name: value})
            assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["n"] > 0


def test_numbers_of_numpy_are_numbers() -> None:
    given, _ = check(n=np.int64(100), alpha=np.float32(0.25), one_sided=np.bool_(True), sd=[np.float32(1.0), 2])
    assert (given.n, given.alpha, given.one_sided, given.sd) == (100, 0.25, True, (1.0, 2))
    given, _ = check(n=100.0, periods_before=2.0, periods_after=np.float64(3), autocorrelation=0.5)
    assert [type(size) for size in (given.n, given.periods_before, given.periods_after)] == [int, int, int]


def test_columns_stand_for_numbers() -> None:
    assert check(data=True, sd=None)[1] == "effect"
    assert check(data=True, clustered=True, clusters=10)[0].clusters == 10
    assert check(data=True, panel=True, estimator="ancova")[0].estimator == "ancova"
