"""Few treated units and their donors: synthetic controls that fit, and those that cannot."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import autoregressive
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "synthetic control"


def _cities(rng, *, donors=25, treated=1, before=30, after=8, effect=0.0, outside=0.0, noise=0.5):
    """Draw cities driven by two factors; `outside` puts the treated beyond the donors, on a trend of their own."""
    periods, units = before + after, donors + treated
    factors = np.stack([autoregressive(rng, periods, 0.7, 2.0), np.linspace(0, 4, periods)])
    loadings = rng.uniform(0, 1, (units, 2))
    loadings[:treated] = rng.uniform(0.35, 0.65, (treated, 2)) + outside
    y = 10 + loadings @ factors + rng.normal(0, noise, (units, periods))
    on = (np.arange(units) < treated)[:, None] & (np.arange(periods) >= before)
    names = [f"city {number + 1:02d}" for number in rng.permutation(units)]
    return pl.DataFrame(
        {
            "city": np.repeat(names, periods),
            "quarter": np.tile(np.arange(1, periods + 1), units),
            "rent": (y + effect * on).ravel(),
            "tax": on.ravel().astype(int),
        }
    )


_CITIES = {"y": "rent", "treatment": "tax", "unit_id": "city", "time": "quarter"}


def _study(kind, name, shows, generate, *, truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=_CITIES, options=options,
        truth=truth,
    )  # fmt: skip


STUDIES = (
    _study("good", "synthetic: one city, 25 donors", "donors that fit, declared", partial(_cities, effect=2.3),
           truth=2.3, assumes=["donor_match"]),
    _study("good", "synthetic: three cities, 30 donors", "donors that fit, declared",
           partial(_cities, treated=3, donors=30, effect=1.15), truth=1.15, assumes=["donor_match"]),
    _study("good", "synthetic: 40 donors, supported", "nothing declared, a large effect",
           partial(_cities, donors=40, before=40, effect=3.5), truth=3.5),
    _study("no effect", "no effect: synthetic control", "donors that fit, declared", _cities, assumes=["donor_match"]),
    _study("no effect", "bad donors", "the treated city is outside of them", partial(_cities, donors=15, outside=1.6)),
    _study("no effect", "few donors, few periods", "six donors, six periods before",
           partial(_cities, donors=6, before=6, after=4, noise=1.0)),
)  # fmt: skip
