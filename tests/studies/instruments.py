"""Instruments and proxies: strong, weak, many, excluded or not."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import assigned
from tests.studies.study import Study

__all__ = ["STUDIES"]

_RANDOMIZED = {"assignment": "randomized"}


def _encouraged(rng, *, rows, compliers, effect, direct=0.0):
    z, kind = assigned(rng, rows, rows // 2), rng.random(rows)
    always, never = kind < 0.15, kind > 0.15 + compliers
    w = np.where(always, 1, np.where(never, 0, z))
    y = 3 + 0.7 * always - 0.4 * never + effect * w + direct * z + rng.normal(0, 1, rows)
    return pl.DataFrame({"earnings": y, "training": w, "invited": z})


def _priced(rng, *, effect, direct=0.0):
    rows = 1200
    z, u = rng.normal(size=(rows, 3)), rng.normal(0, 1, rows)
    urban = rng.integers(0, 2, rows)
    price = z @ [0.35, 0.3, 0.25] + 0.5 * u + 0.2 * urban + rng.normal(0, 0.7, rows)
    y = effect * price + 0.8 * u + 0.3 * urban + direct * z[:, 2] + rng.normal(0, 0.8, rows)
    columns = {f"shock{number + 1}": z[:, number] for number in range(3)}
    return pl.DataFrame({"demand": y, "price": price, "urban": urban, **columns})


def _weak(rng):
    rows = 500
    z, u = assigned(rng, rows, 250), rng.normal(0, 1, rows)
    d = 0.12 * z + u + rng.normal(0, 0.5, rows)
    return pl.DataFrame({"y": u + rng.normal(0, 0.5, rows), "d": d, "z": z})


def _many(rng):
    rows, number = 400, 15
    z, u = rng.normal(size=(rows, number)), rng.normal(0, 1, rows)
    d = z @ np.full(number, 0.06) + 0.8 * u + rng.normal(0, 0.6, rows)
    y = 0.9 * u + rng.normal(0, 0.6, rows)
    return pl.DataFrame({"y": y, "d": d, **{f"z{at + 1}": z[:, at] for at in range(number)}})


def _chosen_distance(rng):
    # Families who value schooling live near the college.
    rows = 1500
    u = rng.normal(0, 1, rows)
    near = (rng.normal(0, 1, rows) + 0.7 * u > 0).astype(int)
    college = (rng.normal(0, 1, rows) + 0.9 * near + 0.5 * u > 0.6).astype(int)
    return pl.DataFrame({"wage": 10 + u + rng.normal(0, 1, rows), "college": college, "near": near})


def _proxied(rng, *, rows, effect, strength=0.9, direct=0.0):
    u = rng.normal(0, 1, rows)
    w = (rng.normal(0, 1, rows) + 0.9 * u > 0).astype(int)
    exposure = strength * u + rng.normal(0, 0.7, rows)
    outcome = strength * u + rng.normal(0, 0.7, rows)
    # A direct effect makes the exposure a cause of y, which it must not be.
    y = 2 + u + effect * w + direct * exposure + rng.normal(0, 0.8, rows)
    return pl.DataFrame({"y": y, "w": w, "flu_shot_before": exposure, "injuries": outcome})


_TRAINING = {"y": "earnings", "treatment": "training", "instrument": ["invited"]}
_PRICE = {
    "y": "demand", "treatment": "price", "instrument": ["shock1", "shock2", "shock3"], "covariates": ["urban"],
}  # fmt: skip
_ONE = {"y": "y", "treatment": "d", "instrument": ["z"]}
_FIFTEEN = {"y": "y", "treatment": "d", "instrument": [f"z{at + 1}" for at in range(15)]}
_PROXIES = {"y": "y", "treatment": "w", "proxy_treatment": ["flu_shot_before"], "proxy_outcome": ["injuries"]}
_TWO_LEVELS, _AMOUNT = ["exclusion", "monotonicity"], ["exclusion"]


def _study(kind, name, shows, generate, mapping, *, family="instrument", truth=0.0, **options):
    return Study(
        name=name, family=family, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect, *, family="instrument", **options):
    return _study(
        "good", name, shows, partial(generate, effect=effect), mapping, family=family, truth=effect, **options
    )  # fmt: skip


STUDIES = (
    _good("instrument: encouragement of 2,000", "45% compliers", partial(_encouraged, rows=2000, compliers=0.45),
          _TRAINING, 0.48, **_RANDOMIZED, assumes=_TWO_LEVELS),
    _good("instrument: encouragement of 400", "70% compliers", partial(_encouraged, rows=400, compliers=0.7),
          _TRAINING, 0.78, **_RANDOMIZED, assumes=_TWO_LEVELS),
    _good("instrument: three that agree", "a continuous treatment, a covariate", _priced, _PRICE, 0.34,
          **_RANDOMIZED, assumes=_AMOUNT),
    _study("no effect", "no effect: a strong instrument", "confounded, declared rightly",
           partial(_encouraged, rows=1000, compliers=0.5, effect=0.0), _TRAINING, **_RANDOMIZED, assumes=_TWO_LEVELS),
    _study("no effect", "weak instrument", "first-stage F near 2", _weak, _ONE, **_RANDOMIZED, assumes=_AMOUNT),
    _study("no effect", "many weak instruments", "fifteen of them", _many, _FIFTEEN, **_RANDOMIZED, assumes=_AMOUNT),
    _study("no effect", "invalid instrument, just identified", "the invitation helps by itself",
           partial(_encouraged, rows=1500, compliers=0.5, effect=0.0, direct=0.3), _TRAINING, **_RANDOMIZED,
           assumes=["monotonicity"]),
    _study("no effect", "invalid instrument, over-identified", "one of three moves the outcome itself",
           partial(_priced, effect=0.0, direct=0.5), _PRICE, **_RANDOMIZED),
    _study("no effect", "false declaration: exclusion", "the instruments contradict each other",
           partial(_priced, effect=0.0, direct=0.5), _PRICE, **_RANDOMIZED, assumes=_AMOUNT),
    _study("no effect", "instrument that was chosen", "distance follows the family", _chosen_distance,
           {"y": "wage", "treatment": "college", "instrument": ["near"]}, assumes=_TWO_LEVELS),
    _good("proxies of a hidden confounder", "both strong", partial(_proxied, rows=1500), _PROXIES, 0.36,
          family="proximal", assignment="unconfounded", assumes=["proxy_exclusion"]),
    _study("no effect", "weak proxies", "hardly related to the confounder",
           partial(_proxied, rows=800, effect=0.0, strength=0.08), _PROXIES, family="proximal",
           assignment="unconfounded", assumes=["proxy_exclusion"]),
    _study("no effect", "invalid proxy", "the negative-control exposure moves the outcome",
           partial(_proxied, rows=1500, effect=0.0, direct=-0.8), _PROXIES, family="proximal",
           assignment="unconfounded"),
)  # fmt: skip
