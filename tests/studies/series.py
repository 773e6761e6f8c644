"""Interrupted series: clear ones, and drift, autocorrelation, growing variance, seasons, other events."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import autoregressive
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "interrupted series"


def _weeks(rng, *, before=60, after=30, effect=0.0, trend=0.05, persistence=0.0, ratio=1.0, bend=0.0, walk=0.0):
    """Draw a weekly series; `ratio` multiplies the sd after, `bend` curves the trend, `walk` is the sd of a drift."""
    at = np.arange(1, before + after + 1)
    errors = autoregressive(rng, len(at), persistence) * np.where(at > before, ratio, 1.0)
    y = 40 + trend * at + bend * (at / len(at)) ** 2 + walk * rng.normal(0, 1, len(at)).cumsum()
    return pl.DataFrame({"week": at, "calls": y + effect * (at > before) + errors})


def _months(rng, *, effect, seasons=3.0, months=96):
    at = np.arange(months)
    y = 100 + 0.1 * at + seasons * np.sin(2 * np.pi * at / 12) + effect * (at >= 66) + rng.normal(0, 1.2, months)
    days = (np.datetime64("2015-01") + at).astype("datetime64[D]")
    return pl.DataFrame({"month": days, "admissions": y})


def _peak(rng):
    # The law starts with the summer, and the series ends with it.
    months, start = 40, 35
    at = np.arange(months)
    y = 80 + 6 * np.sin(2 * np.pi * (at - start) / 12) + rng.normal(0, 1, months)
    days = (np.datetime64("2019-02") + at).astype("datetime64[D]")
    return pl.DataFrame({"month": days, "ice_sales": y})


def _two_series(rng, *, effect, event=0.0):
    """Draw a series and a control series; an event moves both at the time of the intervention."""
    at = np.arange(1, 101)
    after = at > 70
    common = autoregressive(rng, 100, 0.3, 0.5)
    y = 20 + 0.03 * at + common + (effect + event) * after + rng.normal(0, 0.7, 100)
    other = 15 + 0.02 * at + common + event * after + rng.normal(0, 0.7, 100)
    return pl.DataFrame({"week": at, "accidents": y, "control_region": other})


def _labels(rng):
    # Weeks are words, W1 to W16; in the order of letters W10 follows W1.
    at = np.arange(1, 17)
    return pl.DataFrame({"week": [f"W{week}" for week in at], "sales": 100 + 4.0 * at + rng.normal(0, 3, 16),
                         "campaign": (at >= 9).astype(int)})  # fmt: skip


_WEEKS = {"y": "calls", "time": "week", "intervention_time": 61}
_MONTHS = {"y": "admissions", "time": "month", "intervention_time": "2020-07-01"}
_TWO = {"y": "accidents", "time": "week", "intervention_time": 71}
_STABLE, _NO_EVENT = "stable_trend", "no_concurrent_event"


def _study(kind, name, shows, generate, mapping, *, truth=0.0, assumes=(), **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping,
        options={**({"assumes": [*assumes]} if assumes else {}), **options}, truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect, **options):
    return _study(
        "good", name, shows, partial(generate, effect=effect), mapping, truth=effect,
        **{"assumes": (_STABLE, _NO_EVENT), **options},
    )  # fmt: skip


STUDIES = (
    _good("series: 60 weeks and 30", "a clear step, declared", _weeks, _WEEKS, 2.0),
    _good("series: autocorrelated", "AR(1) 0.4, declared", partial(_weeks, persistence=0.4), _WEEKS, 3.2),
    _good("series: months with seasons", "seasons adjusted for, declared", _months, _MONTHS, 2.6, season_pairs=2),
    _good("series: with a control series", "the control does not break", _two_series,
          {**_TWO, "proxy_outcome": ["control_region"]}, 1.9, assumes=(_STABLE,)),
    _study("no effect", "no effect: series", "declared rightly", _weeks, _WEEKS, assumes=(_STABLE, _NO_EVENT)),
    _study("no effect", "series that drifts", "a random walk", partial(_weeks, walk=0.5), _WEEKS,
           assumes=(_NO_EVENT,)),
    _study("no effect", "series with a curved trend", "growth that slows, a line extrapolated",
           partial(_weeks, trend=0.0, bend=9.0), _WEEKS, assumes=(_NO_EVENT,)),
    _study("no effect", "series with strong autocorrelation", "AR(1) 0.8",
           partial(_weeks, before=40, after=20, trend=0.0, persistence=0.8), {**_WEEKS, "intervention_time": 41},
           assumes=(_STABLE, _NO_EVENT)),
    _study("no effect", "series whose variance triples", "after the intervention",
           partial(_weeks, before=70, after=12, ratio=3.0**0.5), {**_WEEKS, "intervention_time": 71},
           assumes=(_STABLE, _NO_EVENT)),
    _study("no effect", "series whose deviation triples", "after the intervention",
           partial(_weeks, before=70, after=12, ratio=3.0), {**_WEEKS, "intervention_time": 71},
           assumes=(_STABLE, _NO_EVENT)),
    _study("no effect", "series with another event", "nothing in the data shows it", partial(_weeks, effect=2.5),
           _WEEKS, assumes=(_STABLE,)),
    _study("no effect", "series with another event, a control series", "the control breaks as well",
           partial(_two_series, effect=0.0, event=1.9), {**_TWO, "proxy_outcome": ["control_region"]},
           assumes=(_STABLE,)),
    _study("no effect", "false declaration: no other event", "the control series breaks as well",
           partial(_two_series, effect=0.0, event=1.9), {**_TWO, "proxy_outcome": ["control_region"]},
           assumes=(_STABLE, _NO_EVENT)),
    _study("no effect", "series that starts at a seasonal peak", "months, no seasons asked for", _peak,
           {"y": "ice_sales", "time": "month", "intervention_time": "2022-01-01"}, assumes=(_NO_EVENT,)),
    _study("no effect", "weeks as words", "W10 sorted before W2", _labels,
           {"y": "sales", "time": "week", "treatment": "campaign"}, assumes=(_STABLE, _NO_EVENT),
           primary="interrupted_series"),
)  # fmt: skip
