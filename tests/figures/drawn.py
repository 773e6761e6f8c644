"""Figures of simulated data, and estimates made up for one figure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from cqox.diagnostics import choose_primary, diagnose
from cqox.estimators import Data, Estimate, Json, Plan, Settings, catalog, run
from cqox.figures import Figure, draw
from tests.estimators import designs


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Figures, and what they were drawn from."""

    plan: Plan
    estimates: tuple[Estimate, ...]
    diagnostics: Mapping[str, Json]
    primary: str | None
    figures: Mapping[str, Figure]


def drawn(data: Data, settings: Settings | None = None, *, primary: str | None = None) -> Drawn:
    plan = Plan(data, settings or Settings())
    applicable = [entry for entry in catalog() if entry.applies(plan) is None]
    primary = choose_primary(plan, applicable, primary).name
    estimates = tuple(run(entry, plan) for entry in catalog())
    diagnostics = diagnose(plan, estimates)
    figures = draw(plan, estimates, diagnostics, primary=primary)
    return Drawn(plan=plan, estimates=estimates, diagnostics=diagnostics, primary=primary, figures=figures)


def japanese(data: Data) -> Data:
    """The same data under names such as people in Japan give them."""
    labels = tuple(f"共変量{number}：年齢" for number in range(data.covariates.shape[1]))
    named = {"y": ("売上高（円）",), "treatment": ("広告配信",), "time": ("年度",), "post": ("施策後",)}
    names = {**data.names, **named, "covariates": labels, "propensity_covariates": labels}
    return replace(data, names={role: columns for role, columns in names.items() if columns})


def many_periods(periods: int = 300, units: int = 40) -> Data:
    """A panel with more periods than a figure can distinguish."""
    rng = np.random.default_rng(9)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    status = ((unit < units // 2) & (time >= periods // 2)).astype(float)
    y = rng.standard_normal(units)[unit] + status + rng.standard_normal(len(unit))
    return Data(
        n=len(y),
        y=y,
        treatment=status,
        treatment_kind="binary",
        unit=unit,
        time=time,
        time_values=np.arange(float(periods)),
        row_key=np.arange(len(y), dtype=np.uint64),
        names={"y": ("y",), "treatment": ("t",), "time": ("day",)},
    )


DESIGNS = {
    "cross-section": lambda: designs.cross_section(),
    "wide": lambda: designs.cross_section(p=60),
    "amount": lambda: designs.cross_section(continuous=True),
    "instrument": lambda: designs.instrumented(),
    "weak instrument": lambda: designs.instrumented(strength=0.02),
    "two periods": lambda: designs.two_periods(),
    "block": lambda: designs.panel(),
    "staggered": lambda: designs.panel(periods=10, staggered=True),
    "many periods": many_periods,
    "discontinuity": lambda: designs.discontinuity(),
    "fuzzy discontinuity": lambda: designs.discontinuity(1500, fuzzy=True),
}
"""Designs by name, each made when it is asked for."""


@cache
def of_design(name: str) -> Drawn:
    """The figures of a design under Japanese names."""
    return drawn(japanese(DESIGNS[name]()))


def values(figure: Figure) -> list[dict[str, Json]]:
    """The numbers inside a figure."""
    data = figure.spec["data"]
    assert isinstance(data, dict)
    rows = data["values"]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]


def one(name: str, estimate: float | None, half: float | None = 1.0, **changes: object) -> Estimate:
    """An estimate with an interval of some half-width."""
    fields: dict[str, object] = {
        "name": name,
        "family": "regression",
        "estimand": "ATE",
        "status": "ok",
        "estimate": estimate,
        "standard_error": None if half is None else half / 1.96,
        "ci_lower": None if half is None or estimate is None else estimate - half,
        "ci_upper": None if half is None or estimate is None else estimate + half,
        "n": 100,
    }
    return Estimate(**{**fields, **changes})
