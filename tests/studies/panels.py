"""Differences in differences of two groups: two periods and blocks, trends that part, dips, selection, few clusters."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import assigned, panel_errors
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "two groups over time"


def long(y, columns, *, first=1):
    """Return the rows of a balanced panel.

    Args:
        y: (units, periods) outcomes.
        columns: name to (units, periods) or (units,) values.
        first: number of the first period.
    """
    units, periods = y.shape
    made = {"unit": np.repeat(np.arange(1, units + 1), periods), "period": np.tile(np.arange(periods) + first, units)}
    for name, values in columns.items():
        wide = values if np.ndim(values) == 2 else np.repeat(values[:, None], periods, axis=1)
        made[name] = wide.ravel()
    return pl.DataFrame({**made, "y": y.ravel()})


def _sections(rng, *, effect, drift=0.0):
    rows = 1200
    state, after = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    y = 20 + 2 * state + 1.5 * after + (effect + drift) * state * after + rng.normal(0, 3, rows)
    return pl.DataFrame({"employment": y, "new_jersey": state, "after": after})


def _two_periods(rng, *, effect):
    people = 200
    w, level = assigned(rng, people, 80), rng.normal(10, 3, people)
    y = np.stack([level, level + 0.7 + effect * w], axis=1) + rng.laplace(0, 0.8, (people, 2))
    frame = long(y, {"group": w})
    return frame.with_columns((pl.col("period") == 2).cast(pl.Int8).alias("post"))


def _block(rng, *, units=40, treated=20, periods=10, start=6, effect=0.0, slope=0.0, persistence=0.4, sd=1.0,
           early=0.0):  # fmt: skip
    """Draw a block panel; `slope` is what the treated gain each period, `early` a jump in the period before."""
    w, at = assigned(rng, units, treated), np.arange(1, periods + 1)
    on = w[:, None] * (at >= start)
    y = rng.normal(15, 2, (units, 1)) + 0.3 * np.sin(at) + 0.2 * at + effect * on + slope * w[:, None] * at
    y = y + early * w[:, None] * (at == start - 1) + panel_errors(rng, units, periods, persistence, sd)
    return long(y, {"treated": on})


def _low_before(rng):
    # Stores with a bad last quarter get the program, and recover by themselves.
    units, periods, start = 120, 6, 5
    y = rng.normal(50, 3, (units, 1)) + panel_errors(rng, units, periods, 0.3, 4.0)
    w = (y[:, start - 2] < np.quantile(y[:, start - 2], 0.35)).astype(int)
    return long(y, {"treated": w[:, None] * (np.arange(1, periods + 1) >= start)})


def _states(rng):
    # The policy is by state, shocks are by state and year, and only persons are mapped.
    states, people, periods, start = 8, 40, 6, 4
    state = np.repeat(np.arange(states), people)
    w = assigned(rng, states, 4)[state]
    shocks = panel_errors(rng, states, periods, 0.6, 0.6)[state]
    y = rng.normal(0, 1, (len(state), 1)) + shocks + rng.normal(0, 1, (len(state), periods))
    return long(y, {"law": w[:, None] * (np.arange(1, periods + 1) >= start), "state": state + 1})


_BLOCK = {"y": "y", "treatment": "treated", "unit_id": "unit", "time": "period"}
_TRENDS = ["parallel_trends", "no_anticipation"]
_JERSEY = {"y": "employment", "treatment": "new_jersey", "post": "after"}


def _study(kind, name, shows, generate, mapping, *, truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect, **options):
    return _study("good", name, shows, partial(generate, effect=effect), mapping, truth=effect, **options)


STUDIES = (
    _good("two periods: repeated sections", "declared trends", _sections, _JERSEY, 1.65, assumes=_TRENDS),
    _good("two periods: 200 people twice", "declared trends", _two_periods,
          {"y": "y", "treatment": "group", "post": "post", "unit_id": "unit", "time": "period"}, 1.05,
          assumes=_TRENDS),
    _good("block: 40 units", "declared trends", _block, _BLOCK, 1.3, assumes=_TRENDS),
    _good("block: trends supported by eight periods before", "nothing declared, a large effect",
          partial(_block, units=120, treated=60, periods=12, start=9, persistence=0.2), _BLOCK, 2.5),
    _good("block: start of treatment randomized", "25 units of 50",
          partial(_block, units=50, treated=25, periods=8, start=5, persistence=0.6, sd=2.0), _BLOCK, 2.5,
          assignment="randomized", assumes=["no_anticipation"]),
    _study("no effect", "no effect: block", "trends declared rightly", _block, _BLOCK, assumes=_TRENDS),
    _study("no effect", "no effect: block of 8 units", "few units, autocorrelated",
           partial(_block, units=8, treated=4, periods=20, start=11, persistence=0.8), _BLOCK, assumes=_TRENDS,
           primary="did_2x2_block"),
    _study("no effect", "parting trends: two sections", "nothing before to look at",
           partial(_sections, effect=0.0, drift=1.6), _JERSEY),
    _study("no effect", "parting trends: block, two periods before", "too few to see them",
           partial(_block, units=60, treated=30, periods=6, start=3, slope=0.3), _BLOCK),
    _study("no effect", "parting trends: block, five periods before", "the test has little power",
           partial(_block, units=40, treated=20, periods=10, start=6, slope=0.15, sd=1.0), _BLOCK),
    _study("no effect", "parting trends: block, long", "plain to see",
           partial(_block, units=60, treated=30, periods=16, start=10, slope=0.2), _BLOCK),
    _study("no effect", "false declaration: trends", "plain to see",
           partial(_block, units=60, treated=30, periods=16, start=10, slope=0.2), _BLOCK, assumes=_TRENDS),
    _study("no effect", "dip before treatment", "the treated fall in the period before, and return",
           partial(_block, units=60, treated=30, periods=8, start=6, early=-1.5), _BLOCK),
    _study("no effect", "selection on a low outcome", "treated because of a bad last period", _low_before, _BLOCK),
    _study("no effect", "states unmapped", "eight states, persons taken for independent", _states,
           {**_BLOCK, "treatment": "law"}, assumes=_TRENDS),
)  # fmt: skip
