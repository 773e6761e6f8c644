"""Small studies of every design, simulated with a seed, as CSV text with the request that is asked of it."""

import functools

import numpy as np
import polars as pl

__all__ = ["STUDIES", "study"]

type Study = tuple[pl.DataFrame, dict[str, object], dict[str, object]]
"""The table, the mapping and the options."""


def _arms(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(7)
    x1, x2 = rng.normal(size=(2, rows))
    region = rng.integers(0, 4, rows)
    encouraged = rng.random(rows) < 0.5
    treated = rng.random(rows) < 1 / (1 + np.exp(-0.5 * x1 - 1.2 * encouraged + 0.6))
    between = 0.8 * treated + 0.3 * x1 + rng.normal(size=rows)
    outcome = 1.5 * treated + x1 - 0.5 * x2 + 0.6 * between + rng.normal(size=rows)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "y": outcome,
            "w": treated.astype(int),
            "z": encouraged.astype(int),
            "m": between,
            "x1": x1,
            "x2": x2,
            "region": [f"r{each}" for each in region],
            "village": [f"v{each}" for each in rng.integers(0, 25, rows)],
            "dose": treated * 1.0 + rng.normal(size=rows) ** 2,
        }
    )


def _panel(units: int = 30, periods: int = 8) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    starts = [0, 4, 6]
    rows = []
    for unit in range(units):
        level, start = rng.normal(), starts[unit % 3]
        for period in range(1, periods + 1):
            treated = bool(start) and period >= start
            rows.append(
                (f"u{unit}", period, start, int(treated), level + 0.2 * period + 2 * treated + rng.normal() / 3)
            )
    return pl.DataFrame(rows, ["unit", "time", "first", "w", "y"], orient="row")


def _states(units: int = 14, periods: int = 20) -> pl.DataFrame:
    rng = np.random.default_rng(13)
    trend = np.cumsum(rng.normal(size=periods))
    rows = []
    for unit in range(units):
        weight = rng.random()
        for period in range(periods):
            treated = unit == 0 and period >= 14
            rows.append(
                (f"s{unit}", 2000 + period, int(treated), weight * trend[period] + 3 * treated + rng.normal() / 4)
            )
    return pl.DataFrame(rows, ["state", "year", "w", "y"], orient="row")


def _score(rows: int = 900) -> pl.DataFrame:
    rng = np.random.default_rng(17)
    score = rng.normal(size=rows)
    took = rng.random(rows) < np.where(score >= 0, 0.85, 0.15)
    return pl.DataFrame(
        {"score": score, "w": took.astype(int), "y": 0.7 * score + 2 * took + rng.normal(size=rows) / 2}
    )


def _weeks(rows: int = 90) -> pl.DataFrame:
    rng = np.random.default_rng(19)
    week = np.arange(rows)
    return pl.DataFrame({"week": week, "y": 10 + 0.1 * week + 4 * (week >= 60) + rng.normal(size=rows)})


_COVARIATES = ["x1", "x2", "region"]

STUDIES: dict[str, tuple[functools.partial[pl.DataFrame], dict[str, object], dict[str, object]]] = {
    "arms": (functools.partial(_arms), {"y": "y", "treatment": "w"}, {}),
    "adjusted": (functools.partial(_arms), {"y": "y", "treatment": "w", "covariates": _COVARIATES}, {}),
    "clusters": (
        functools.partial(_arms),
        {"y": "y", "treatment": "w", "covariates": _COVARIATES, "cluster": "village"},
        {"refute": 20},
    ),
    "earlier folds": (
        functools.partial(_arms),
        {"y": "y", "treatment": "w", "covariates": _COVARIATES},
        {"folds_version": 1},
    ),
    "earlier folds of clusters": (
        functools.partial(_arms),
        {"y": "y", "treatment": "w", "instrument": "z", "covariates": ["x1", "x2"], "cluster": "village"},
        {"folds_version": 1},
    ),
    "instrument": (
        functools.partial(_arms),
        {"y": "y", "treatment": "w", "instrument": "z", "covariates": ["x1", "x2"]},
        {},
    ),
    "mediator": (
        functools.partial(_arms),
        {"y": "y", "treatment": "w", "mediator": "m", "covariates": ["x1", "x2"]},
        {},
    ),
    "dose": (functools.partial(_arms), {"y": "y", "dose": "dose", "covariates": ["x1", "x2"]}, {}),
    "panel": (functools.partial(_panel), {"y": "y", "treatment": "w", "unit_id": "unit", "time": "time"}, {}),
    "staggered": (functools.partial(_panel), {"y": "y", "unit_id": "unit", "time": "time", "cohort": "first"}, {}),
    "one treated": (functools.partial(_states), {"y": "y", "treatment": "w", "unit_id": "state", "time": "year"}, {}),
    "sharp": (functools.partial(_score), {"y": "y", "running": "score", "cutoff": 0.0}, {}),
    "fuzzy": (functools.partial(_score), {"y": "y", "treatment": "w", "running": "score", "cutoff": 0.0}, {}),
    "series": (functools.partial(_weeks), {"y": "y", "time": "week", "intervention_time": 60}, {}),
}


def study(name: str) -> Study:
    """The study of this name."""
    make, mapping, options = STUDIES[name]
    return make(), mapping, options
