"""Powers of simulated studies, analysed as the report says, and those that it promises."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from cqox.planning import power
from cqox.planning.panels import correlations

type Drawn = tuple[np.ndarray, np.ndarray]
"""Estimates and p-values of simulated studies."""


def welch(control: np.ndarray, treated: np.ndarray, *, pooled: bool = True) -> np.ndarray:
    return stats.ttest_ind(treated, control, axis=1, equal_var=pooled).pvalue


def ancova(past: np.ndarray, after: np.ndarray, treated: int) -> np.ndarray:
    """P-values of the treatment in regressions of the mean after on treatment and the mean before."""
    units = past.shape[1]
    arms = [slice(0, treated), slice(treated, None)]
    apart = [values[:, arms[0]].mean(axis=1) - values[:, arms[1]].mean(axis=1) for values in (past, after)]
    x, y = (
        np.hstack([values[:, arm] - values[:, arm].mean(axis=1, keepdims=True) for arm in arms])
        for values in (past, after)
    )
    squares, slope = (x * x).sum(axis=1), (x * y).sum(axis=1) / (x * x).sum(axis=1)
    rest = ((y - slope[:, None] * x) ** 2).sum(axis=1) / (units - 3)
    error = np.sqrt(rest * (1 / treated + 1 / (units - treated) + apart[0] ** 2 / squares))
    return 2 * stats.t.sf(np.abs(apart[1] - slope * apart[0]) / error, units - 3)


def means(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    return welch(rng.standard_normal((repeats, 30)), effect + rng.standard_normal((repeats, 15)))


def unequal(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    return welch(rng.standard_normal((repeats, 40)), effect + 3 * rng.standard_normal((repeats, 10)), pooled=False)


def rates(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    counts = rng.binomial(450, 0.1, repeats), rng.binomial(150, 0.1 + effect, repeats)
    mean = (counts[0] + counts[1]) / 600
    error = np.sqrt(mean * (1 - mean) * (1 / 450 + 1 / 150))
    return 2 * stats.norm.sf(np.abs(counts[1] / 150 - counts[0] / 450) / error)


def clusters(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    level = np.sqrt(0.2) * rng.standard_normal((repeats, 16))
    mean = level + np.sqrt(0.8 / 10) * rng.standard_normal((repeats, 16))
    return welch(mean[:, :8], effect + mean[:, 8:])


def outcomes(rng: np.random.Generator, repeats: int, effect: float, before: int) -> tuple[np.ndarray, np.ndarray]:
    """Means before and after of 24 units, the first 12 treated, with a shock in each period."""
    root = np.linalg.cholesky(correlations(7, 0.2, 0.8))
    y = rng.standard_normal((repeats, 24, 7)) @ root.T + 5 * rng.standard_normal((repeats, 1, 7))
    y[:, :12, before:] += effect
    return y[:, :, :before].mean(axis=2), y[:, :, before:].mean(axis=2)


def changes(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    past, after = outcomes(rng, repeats, effect, 3)
    change = after - past
    return welch(change[:, 12:], change[:, :12])


def given_past(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    return ancova(*outcomes(rng, repeats, effect, 3), 12)


def pairs(rng: np.random.Generator, repeats: int, effect: float) -> np.ndarray:
    difference = effect + np.sqrt(2 * (1 - 0.5)) * rng.standard_normal((repeats, 18))
    return stats.ttest_1samp(difference, 0.0, axis=1).pvalue


PERIODS = {"sd": 1, "periods_before": 3, "periods_after": 4, "autocorrelation": 0.2, "serial_correlation": 0.8}
STUDIES = {
    "means": (means, {"n": 45, "sd": 1, "ratio": 0.5}),
    "unequal variances": (unequal, {"n": 50, "sd": (1, 3), "ratio": 0.25}),
    "rates": (rates, {"n": 600, "baseline": 0.1, "ratio": 1 / 3}),
    "clusters": (clusters, {"n": 160, "sd": 1, "icc": 0.2, "cluster_size": 10}),
    "changes": (changes, {"n": 24, **PERIODS}),
    "given the past": (given_past, {"n": 24, "estimator": "ancova", **PERIODS}),
    "pairs": (pairs, {"n": 36, "sd": 1, "pair_correlation": 0.5}),
}


def rejected(study: Callable[..., np.ndarray], effect: float, *, repeats: int, seed: int) -> float:
    return float((study(np.random.default_rng(seed), repeats, effect) < 0.05).mean())


@pytest.mark.parametrize("name", STUDIES)
def test_the_detectable_effect_is_found_four_times_in_five(name: str) -> None:
    study, given = STUDIES[name]
    effect = power(**given).effect
    # Two standard errors of 4,000 studies are .0126; the normal approximation of rates and Welch's degrees add to it.
    assert rejected(study, effect, repeats=4_000, seed=0) == pytest.approx(0.8, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.5, 0.9])
@pytest.mark.parametrize("name", STUDIES)
def test_size_and_power_are_those_of_many_studies(name: str, target: float) -> None:
    study, given = STUDIES[name]
    repeats = 40_000
    assert rejected(study, 0.0, repeats=repeats, seed=1) == pytest.approx(0.05, abs=0.006)
    for better in ("higher", "lower"):
        if name == "rates" and better == "lower":
            continue
        effect = power(**given, power=target, better=better).effect
        assert rejected(study, effect, repeats=repeats, seed=2) == pytest.approx(target, abs=0.015)


def studies_of(data: np.ndarray, effect: float) -> np.ndarray:
    """P-values of the change in panels of units of which the first half is treated."""
    after = data[:, :, 4:].mean(axis=2) - data[:, :, :4].mean(axis=2)
    half = data.shape[1] // 2
    return welch(after[:, half:], after[:, :half] + effect)


@pytest.mark.slow
def test_the_noise_of_one_earlier_panel_promises_the_power_on_average() -> None:
    rng = np.random.default_rng(3)
    root = np.linalg.cholesky(correlations(12, 0.3, 0.7))
    promised, found = [], []
    for _ in range(200):
        earlier = rng.standard_normal((80, 12)) @ root.T + 3 * rng.standard_normal(12)
        cells = {"y": earlier.ravel(), "u": np.repeat(np.arange(80), 12), "t": np.tile(np.arange(12), 80)}
        report = power(cells, y="y", unit="u", time="t", periods_before=4, periods_after=4)
        promised.append(report.effect)
        data = rng.standard_normal((500, 80, 12)) @ root.T
        found.append((studies_of(data[:, :, :8], report.effect) < 0.05).mean())
    truth = power(n=80, sd=1, periods_before=4, periods_after=4, autocorrelation=0.3, serial_correlation=0.7).effect
    assert np.mean(promised) == pytest.approx(truth, rel=0.02)
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)
    # A constant correlation of the same size, with the same data, would promise too much.
    naive = power(n=80, sd=1, periods_before=4, periods_after=4, autocorrelation=0.79).effect
    assert naive < 0.75 * truth
