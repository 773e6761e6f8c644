"""Treatments that start at several times, or go on and off: staggered panels, feedback, and dips."""

from functools import partial

import numpy as np

from tests.studies.draws import panel_errors
from tests.studies.panels import long
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "staggered or on and off"


def _staggered(rng, *, units=90, periods=9, starts=(4, 6, 8), effect=0.0, growth=0.0, slope=0.0, dip=0.0,
               persistence=0.3):  # fmt: skip
    """Draw a rollout; `growth` adds to the effect each period, `slope` to the trend of earlier starters."""
    cohort, at = rng.choice([0, *starts], units), np.arange(1, periods + 1)
    since = np.where(cohort[:, None] > 0, at - cohort[:, None], -99)
    early = np.where(cohort > 0, periods + 1 - cohort, 0)[:, None]
    y = rng.normal(0, 2, (units, 1)) + 0.3 * at + effect * (since >= 0) + growth * np.maximum(since, 0)
    y = y + slope * early * at / periods + dip * (since == -1) + panel_errors(rng, units, periods, persistence)
    return long(y, {"first": cohort})


def _switching(rng, *, units=60, periods=16, effect=0.0, slope=0.0):
    """Draw treatment that goes on and off by chance; `slope` lets units with more of it grow faster."""
    often = rng.uniform(0.1, 0.5, units)
    on = np.zeros((units, periods), dtype=int)
    for at in range(1, periods):
        starts, stays = rng.random(units) < often * 0.5, rng.random(units) < 0.75
        on[:, at] = np.where(on[:, at - 1] == 1, stays, starts)
    y = rng.normal(5, 1, (units, 1)) + 0.1 * np.arange(periods) + effect * on
    y = y + slope * (on.cumsum(axis=1)) + panel_errors(rng, units, periods, 0.2)
    return long(y, {"promotion": on})


def _feedback(rng):
    # A shop that sold little is promoted next month; sales return by themselves.
    units, periods = 80, 14
    level, y = rng.normal(20, 1, units), np.empty((units, periods))
    on = np.zeros((units, periods), dtype=int)
    y[:, 0] = rng.normal(0, 1, units)
    for at in range(1, periods):
        y[:, at] = -0.35 * y[:, at - 1] + rng.normal(0, 1, units)
        on[:, at] = y[:, at - 1] < -0.6
    return long(y + level[:, None], {"promotion": on})


_COHORT = {"y": "y", "unit_id": "unit", "time": "period", "cohort": "first"}
_SWITCH = {"y": "y", "treatment": "promotion", "unit_id": "unit", "time": "period"}
_TRENDS = ["parallel_trends", "no_anticipation"]


def _study(kind, name, shows, generate, mapping, *, truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect, **options):
    return _study("good", name, shows, partial(generate, effect=effect), mapping, truth=effect, **options)


STUDIES = (
    _good("staggered: three starts", "declared trends", _staggered, _COHORT, 1.15, assumes=_TRENDS),
    _good("staggered: random order", "the order of the rollout randomized",
          partial(_staggered, units=60, periods=10, starts=(4, 5, 7, 9)), _COHORT, 1.15, assignment="randomized",
          assumes=["no_anticipation"]),
    _good("on and off: promotions", "declared trends, no feedback", _switching, _SWITCH, 0.85,
          assumes=["parallel_trends", "no_feedback"]),
    _study("no effect", "no effect: staggered", "trends declared rightly", _staggered, _COHORT, assumes=_TRENDS),
    _study("no effect", "no effect: on and off", "declared rightly", _switching, _SWITCH,
           assumes=["parallel_trends", "no_feedback"]),
    _study("no effect", "parting trends: staggered", "early starters grow faster", partial(_staggered, slope=0.35),
           _COHORT),
    _study("no effect", "dip before a staggered start", "earnings fall, then enrolment",
           partial(_staggered, units=150, dip=-1.2), _COHORT),
    _study("no effect", "parting trends: on and off", "units with more treatment grow faster",
           partial(_switching, slope=0.12), _SWITCH),
    _study("no effect", "feedback", "a low outcome starts treatment", _feedback, _SWITCH),
)  # fmt: skip
