"""Cutoffs: sharp and fuzzy, with manipulation, jumping covariates, steep curves, and heaps."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "cutoff"


def _vote(rng, *, rows, effect):
    share = np.clip(rng.beta(4, 4, rows), 0.02, 0.98)
    y = 0.4 + 0.6 * share + 0.5 * (share - 0.5) ** 3 + effect * (share >= 0.5) + rng.normal(0, 0.15, rows)
    return pl.DataFrame({"next_vote": y, "vote_share": share})


def _scholarship(rng, *, effect, rows=4000):
    score = rng.normal(70, 12, rows)
    above = score >= 75
    w = (rng.random(rows) < np.where(above, 0.85, 0.15)).astype(int)
    y = 2 + 0.02 * (score - 75) + effect * w + rng.normal(0, 0.5, rows)
    return pl.DataFrame({"gpa": y, "grant": w, "score": score})


def _clinic(rng, *, effect):
    rows = 6000
    weight = rng.normal(1500, 250, rows)
    age, income = rng.normal(29, 5, rows), rng.gamma(4, 8, rows)
    y = 60 + 0.01 * (weight - 1500) + 0.2 * age + effect * (weight >= 1500) + rng.normal(0, 6, rows)
    return pl.DataFrame({"survival_score": y, "birth_weight": weight, "mother_age": age, "income": income})


def _sorted(rng):
    # Able people a little below the cutoff sit the exam again until they pass.
    rows = 3000
    ability = rng.normal(0, 1, rows)
    score = 50 + 6 * ability + rng.normal(0, 6, rows)
    again = (score > 46) & (score < 50) & (ability > -0.2) & (rng.random(rows) < 0.8)
    score = np.where(again, 50 + rng.exponential(1.5, rows), score)
    return pl.DataFrame({"wage": 20 + 3 * ability + rng.normal(0, 2, rows), "score": score})


def _second_program(rng):
    # Another rule with the same cutoff moves people of one kind across it.
    rows = 3000
    age = rng.uniform(55, 75, rows)
    retired = (rng.random(rows) < np.where(age >= 65, 0.75, 0.3)).astype(float)
    y = 10 + 0.1 * age + 3.5 * retired + rng.normal(0, 2, rows)
    return pl.DataFrame({"visits": y, "age": age, "retired": retired.astype(int)})


def _curved(rng):
    rows = 1500
    x = rng.uniform(-1, 1, rows)
    return pl.DataFrame({"y": 2.5 / (1 + np.exp(-9 * x)) + rng.laplace(0, 0.4, rows), "x": x})


def _heaped(rng):
    # Poor hospitals round weights to hundreds, and the cutoff is a hundred.
    rows = 3000
    weight, poor = rng.uniform(1200, 1800, rows), rng.random(rows) < 0.3
    weight = np.where(poor, np.round(weight / 100) * 100, weight)
    y = 50 + 5 * poor + rng.normal(0, 4, rows)
    return pl.DataFrame({"complications": y, "weight": weight})


_VOTE = {"y": "next_vote", "running": "vote_share", "cutoff": 0.5}
_DECLARED = ["no_manipulation", "continuity"]


def _study(kind, name, shows, generate, mapping, *, truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect, **options):
    return _study("good", name, shows, partial(generate, effect=effect), mapping, truth=effect, **options)


STUDIES = (
    _good("cutoff: sharp, declared", "2,000 elections", partial(_vote, rows=2000), _VOTE, 0.14, assumes=_DECLARED),
    _good("cutoff: fuzzy, declared", "70% compliers", _scholarship,
          {"y": "gpa", "treatment": "grant", "running": "score", "cutoff": 75}, 0.43,
          assumes=[*_DECLARED, "exclusion", "monotonicity"]),
    _good("cutoff: sharp, supported by its tests", "6,000 rows, two covariates", _clinic,
          {"y": "survival_score", "running": "birth_weight", "cutoff": 1500, "covariates": ["mother_age", "income"]},
          3.6),
    _study("no effect", "no effect: sharp cutoff", "declared rightly", partial(_vote, rows=1000, effect=0.0), _VOTE,
           assumes=_DECLARED),
    _study("no effect", "manipulation at the cutoff", "the able pass at the second try", _sorted,
           {"y": "wage", "running": "score", "cutoff": 50}),
    _study("no effect", "covariate that jumps at the cutoff", "a second rule at the same age", _second_program,
           {"y": "visits", "running": "age", "cutoff": 65, "covariates": ["retired"]}),
    _study("no effect", "unmapped column that jumps at the cutoff", "a second rule at the same age", _second_program,
           {"y": "visits", "running": "age", "cutoff": 65}),
    _study("no effect", "steep curve at the cutoff", "a smooth function read as a jump", _curved,
           {"y": "y", "running": "x", "cutoff": 0}, assumes=_DECLARED),
    _study("no effect", "heaps at the cutoff", "rounded rows differ from the others", _heaped,
           {"y": "complications", "running": "weight", "cutoff": 1500}),
)  # fmt: skip
