"""A panel whose units start treatment at different times, and its estimates by name."""

from collections.abc import Mapping

import numpy as np

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import names_for, rows

__all__ = [
    "ENTRIES",
    "GROUP_TIME",
    "IMPUTED",
    "answer",
    "csdid_fit",
    "effects",
    "in_band",
    "refused",
    "staggered",
]

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


def in_band(result: Estimate, truths: Mapping[float, float]) -> bool:
    """Return whether the uniform band of an event study holds every effect, which is 0 where none is named."""
    return all(
        row["band_lower"] <= truths.get(row["event"], 0.0) <= row["band_upper"]
        for row in result.diagnostics["dynamic"]["averages"]
        if row["standard_error"] is not None
    )


def csdid_fit(data: Data, columns: Mapping[str, object], given: Mapping[str, object], **named: object):
    """csdid's effects by cohort and period, and each overall average with its error.

    Args:
        data: rows with cohorts.
        columns: columns of the frame in addition to outcome, period, cohort, covariates and weights.
        given: our options, in our words.
        named: further arguments of `ATTgt`: which column is the unit or the cluster.
    """
    import pandas as pd
    from csdid.att_gt import ATTgt

    x = {f"x{at}": column for at, column in enumerate(data.covariates.T)}
    starts = np.nan_to_num(data.cohort).astype(int)
    frame = pd.DataFrame({"y": data.y, "t": data.time_values[data.time].astype(int), "g": starts, **columns, **x})
    if data.weights is not None:
        frame["w"] = data.weights
    asked = {"not_yet_treated": "notyettreated", "never_treated": "nevertreated"}[
        str(given.get("control_group", "never_treated"))
    ]
    model = ATTgt(
        yname="y", tname="t", gname="g", data=frame, control_group=[asked],
        xformla="y ~ " + " + ".join(x) if x else None, anticipation=given.get("anticipation", 0),
        weights_name=None if data.weights is None else "w", **named,
    )  # fmt: skip
    fit = model.fit(
        est_method=given.get("did_method", "dr"), base_period=given.get("base_period", "varying"), bstrap=False
    )
    overall = {}
    for kind in ("simple", "dynamic", "group", "calendar"):
        found = fit.aggte(kind, na_rm=True).atte
        overall[kind] = float(np.ravel(found["overall_att"])[0]), float(np.ravel(found["overall_se"])[0])
    return fit.results, overall
