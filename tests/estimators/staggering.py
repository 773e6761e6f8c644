"""A panel whose units start treatment at different times, and its estimates by name."""

import numpy as np

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import names_for, rows

__all__ = ["ENTRIES", "GROUP_TIME", "IMPUTED", "answer", "effects", "refused", "staggered"]

ENTRIES = {entry.name: entry for entry in catalog()}
GROUP_TIME, IMPUTED = "did_callaway_santanna", "did_imputation"


def staggered(
    units: int = 240,
    seed: int = 0,
    *,
    never: bool = True,
    moving: bool = False,
    weights: str | None = None,
    dropped: float = 0.0,
    covariates: bool = True,
) -> Data:
    """Six periods from 2001; trends and starts that lean on a covariate; effects that grow. Rows in any order."""
    rng = np.random.default_rng(seed)
    first = rng.choice([0, 2003, 2004, 2006] if never else [2003, 2004, 2006], units)
    fixed = rng.standard_normal((units, 2))
    first = np.where((fixed[:, 0] > 0.3) & (first == 0) & (rng.random(units) < 0.4), 2004, first)
    unit, time = np.repeat(np.arange(units), 6), np.tile(np.arange(6), units)
    year, start = 2001 + time, first[unit]
    x = fixed[unit]
    if moving:
        x = x + np.column_stack([0.3 * time + 0.5 * rng.standard_normal(len(unit)), np.zeros(len(unit))])
    effect = np.where((start > 0) & (year >= start), 1 + 0.2 * (year - start), 0.0)
    y = 50 + 2 * rng.standard_normal(units)[unit] + 0.3 * time + 0.2 * time * fixed[unit, 0] + effect
    y = y + rng.standard_normal(len(unit))
    w = rng.uniform(0.5, 2.0, units)[unit]
    if weights == "changing":
        w = w * rng.uniform(0.8, 1.25, len(unit))
    kept = rng.permutation(np.flatnonzero(rng.random(len(unit)) >= dropped))
    x = x if covariates else np.empty((len(unit), 0))
    data = Data(
        n=len(unit), y=y, covariates=x, propensity_covariates=x, unit=unit, time=time,
        time_values=np.arange(2001.0, 2007.0), cohort=np.where(start > 0, start, np.nan),
        weights=w if weights else None, row_key=unit.astype(np.uint64), names={**names_for(x), "unit_id": ("id",)},
    )  # fmt: skip
    return rows(data, kept)


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(name: str, data: Data, **settings: object) -> str:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status == "skipped", result
    return result.reason


def effects(result: Estimate) -> dict[tuple[float, float], tuple[float, float | None]]:
    return {
        (row["cohort"], row["period"]): (row["estimate"], row["standard_error"])
        for row in result.diagnostics["group_time"]
    }
