"""Series that are interrupted, and the answers of the estimator."""

from dataclasses import replace

import numpy as np

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, series

ENTRY = next(entry for entry in catalog() if entry.name == "interrupted_series")


def bare(data: Data) -> Data:
    """The same series without covariates."""
    none = np.empty((0, 0))
    names = {role: labels for role, labels in data.names.items() if "covariates" not in role}
    return replace(data, covariates=none, propensity_covariates=none, names=names)


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ENTRY, Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(data: Data) -> str:
    result = run(ENTRY, Plan(data, Settings()))
    assert result.status == "skipped", result.estimate
    return result.reason


def design(data: Data, start: float) -> np.ndarray:
    since = data.time_values[data.time] - start
    return np.column_stack([np.ones(data.n), since, since >= 0, since * (since >= 0)])


def calendar(labels: np.ndarray) -> Data:
    """A series on these dates, with time counted from 0 otherwise."""
    data = series(60, 30, slope=0.1)
    days = labels.astype("datetime64[D]")[: len(data.time_values)]
    return replace(data, time_values=days.astype(float), time_labels=tuple(str(day) for day in days))


def seasonal(
    before: int = 60,
    after: int = 30,
    *,
    amplitude: float = 2.0,
    seed: int = 8,
    dated: bool = True,
    effect: float = EFFECT,
) -> Data:
    """A series of months with a year of two waves in it, its months known by date or numbered from 1."""
    data = series(before, after, seed, level=effect)
    month = np.arange(before + after)
    year = amplitude * (np.sin(2 * np.pi * month / 12 + 1) + 0.5 * np.cos(4 * np.pi * month / 12))
    data = replace(data, y=data.y + year[data.time])
    if not dated:
        return data
    days = (np.datetime64("2010-01") + month).astype("datetime64[D]")
    return replace(data, time_values=days.astype(float), time_labels=tuple(str(day) for day in days))
