"""Comparisons without randomisation: confounders left out, forms misread, overlap missing, and measured ones."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import chosen
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "observational"
_SUFFICIENT = {"assignment": "unconfounded"}


def _confounded(rng, *, effect):
    rows = 1000
    age, health, income = rng.normal(45, 12, rows), rng.normal(0, 1, rows), rng.lognormal(3.4, 0.4, rows)
    w = chosen(rng, 0.03 * (age - 45) + 0.9 * health + 0.02 * (income - 30))
    y = 0.02 * age + 1.2 * health + 0.01 * income + effect * w + rng.normal(0, 1, rows)
    columns = {"age": age, "health": health, "income": income, "shoe_size": rng.normal(41, 2, rows)}
    return pl.DataFrame({"y": y, "w": w, **columns})


def _hidden(rng):
    # The confounder is not in the data at all.
    rows = 800
    u, x = rng.normal(0, 1, rows), rng.normal(0, 1, rows)
    w = chosen(rng, 1.1 * u + 0.3 * x)
    return pl.DataFrame({"wellbeing": 6 + u + 0.4 * x + rng.standard_t(6, rows), "yoga": w, "x": x})


def _reversed(rng):
    # The outcome comes first: those who already spend more are enrolled.
    rows = 1200
    spend = rng.gamma(2, 30, rows)
    w = chosen(rng, 0.03 * (spend - 60))
    return pl.DataFrame({"spend": spend + rng.normal(0, 5, rows), "member": w, "age": rng.integers(18, 80, rows)})


def _square(rng):
    rows = 1500
    x, z = rng.normal(0, 1, rows), rng.normal(0, 1, rows)
    w = chosen(rng, x**2 - 1.2 + 0.2 * z)
    return pl.DataFrame({"y": 1.2 * x**2 + 0.5 * z + rng.normal(0, 1, rows), "w": w, "x": x, "z": z})


def _product(rng):
    rows = 1500
    x = rng.normal(size=(rows, 2))
    w = chosen(rng, 1.3 * x[:, 0] * x[:, 1])
    y = 1.2 * x[:, 0] * x[:, 1] + 0.4 * x[:, 0] + rng.normal(0, 1, rows)
    return pl.DataFrame({"y": y, "w": w, "x1": x[:, 0], "x2": x[:, 1]})


def _codes(rng):
    # A region is a code of 1 to 8; the odd ones are richer and treated more often.
    rows = 1600
    region = rng.integers(1, 9, rows)
    rich = np.array([0, 2.0, -1.0, 1.6, -1.4, 1.9, -0.8, 1.5, -1.6])[region]
    w = chosen(rng, 0.8 * rich)
    return pl.DataFrame({"sales": 40 + 2 * rich + rng.normal(0, 3, rows), "visit": w, "region": region})


def _no_overlap(rng):
    # Treatment follows severity almost without exception, and the outcome bends.
    rows = 1000
    severity = rng.uniform(0, 10, rows)
    w = (severity + rng.normal(0, 0.6, rows) > 6).astype(int)
    return pl.DataFrame({"y": 0.08 * severity**2 + rng.normal(0, 1, rows), "surgery": w, "severity": severity})


def _mostly_empty(rng):
    # The score is written down later, mostly for the treated who did well.
    rows = 1200
    x, w = rng.normal(0, 1, rows), (rng.random(rows) < 0.5).astype(int)
    y = 0.5 * x + rng.normal(0, 1, rows)
    kept = rng.random(rows) < np.where((w == 1) == (y > 0), 0.12, 0.03)
    score = np.where(kept, x + rng.normal(0, 0.3, rows), np.nan)
    return pl.DataFrame({"y": y, "w": w, "score": score}).with_columns(pl.col("score").fill_nan(None))


def _strong(rng, *, effect):
    rows = 1500
    score, tenure = rng.normal(0, 1, rows), rng.exponential(3, rows)
    w = chosen(rng, 0.9 * score - 0.1 * (tenure - 3))
    y = 2.5 * score + 0.1 * tenure + effect * w + rng.normal(0, 1, rows)
    return pl.DataFrame({"y": y, "w": w, "credit_score": score, "tenure": tenure})


def _mixed(rng, *, effect):
    rows = 3000
    x = rng.normal(size=(rows, 4))
    city, smoker = rng.choice(["A", "B", "C", "D"], rows), rng.integers(0, 2, rows)
    w = chosen(rng, x @ [0.4, 0.3, -0.3, 0.2] + 0.5 * (city == "A") - 0.4 * smoker - 0.3)
    y = x @ [0.6, 0.4, 0.2, 0.0] + 0.5 * (city == "A") - 0.6 * smoker + effect * w + rng.laplace(0, 1, rows)
    columns = {f"x{number + 1}": x[:, number] for number in range(4)}
    return pl.DataFrame({"y": y, "w": w, **columns, "city": city, "smoker": smoker})


def _small(rng, *, effect):
    rows = 300
    age, grade = rng.normal(16, 1.5, rows), rng.normal(0, 1, rows)
    w = chosen(rng, 0.5 * grade + 0.2 * (age - 16))
    return pl.DataFrame({"test": 0.7 * grade + effect * w + rng.normal(0, 1, rows), "tutor": w,
                         "age": age, "grade": grade})  # fmt: skip


def _varying(rng, *, effect):
    rows = 2000
    need, size = rng.uniform(-1, 1, rows), rng.normal(0, 1, rows)
    w = chosen(rng, 0.8 * need + 0.4 * size)
    y = need + 0.5 * size + (effect + 0.3 * need) * w + rng.normal(0, 1, rows)
    return pl.DataFrame({"y": y, "w": w, "need": need, "size": size})


def _rate(rng, *, effect):
    rows = 4000
    age, female = rng.uniform(20, 70, rows), rng.integers(0, 2, rows)
    w = chosen(rng, 0.02 * (age - 45) + 0.3 * female)
    y = rng.random(rows) < 0.2 + 0.003 * (age - 45) + 0.05 * female + effect * w
    return pl.DataFrame({"quit": y.astype(int), "patch": w, "age": age, "female": female})


_BASE = {"y": "y", "treatment": "w"}
_ALL = {**_BASE, "covariates": ["age", "health", "income"]}


def _study(kind, name, shows, generate, mapping, *, truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


def _good(name, shows, generate, mapping, effect):
    return _study(
        "good", name, shows, partial(generate, effect=effect), mapping, truth=effect, **_SUFFICIENT
    )  # fmt: skip


_NULL = partial(_confounded, effect=0.0)

STUDIES = (
    _study("no effect", "confounded: nothing mapped", "three confounders in the table", _NULL, _BASE),
    _study("no effect", "confounded: one irrelevant covariate mapped", "the confounders are left out", _NULL,
           {**_BASE, "covariates": ["shoe_size"]}),
    _study("no effect", "confounded: all but one mapped", "the strongest is left out", _NULL,
           {**_BASE, "covariates": ["age", "income"]}),
    _study("no effect", "confounded: by what was not recorded", "not in the data", _hidden,
           {"y": "wellbeing", "treatment": "yoga", "covariates": ["x"]}),
    _study("no effect", "confounded: the outcome came first", "members were chosen by their spending", _reversed,
           {"y": "spend", "treatment": "member", "covariates": ["age"]}),
    _study("no effect", "confounded through a square", "linear models are misled, all confounders mapped", _square,
           {**_BASE, "covariates": ["x", "z"]}, **_SUFFICIENT),
    _study("no effect", "confounded through a product", "linear models are misled, all confounders mapped", _product,
           {**_BASE, "covariates": ["x1", "x2"]}, **_SUFFICIENT),
    _study("no effect", "confounded through codes", "a region's number taken for an amount", _codes,
           {"y": "sales", "treatment": "visit", "covariates": ["region"]}, **_SUFFICIENT),
    _study("no effect", "no overlap", "extrapolation along a line where the outcome bends", _no_overlap,
           {"y": "y", "treatment": "surgery", "covariates": ["severity"]}, **_SUFFICIENT),
    _study("no effect", "mostly empty covariate", "complete rows are a selection", _mostly_empty,
           {**_BASE, "covariates": ["score"]}, **_SUFFICIENT),
    _study("no effect", "no effect: measured confounders", "all mapped and declared", _NULL, _ALL, **_SUFFICIENT),
    _study("harmful", "harm: measured confounders", "a raw gain, a true loss", partial(_confounded, effect=-0.3), _ALL,
           truth=-0.3, **_SUFFICIENT),
    _good("measured: one strong confounder", "its exclusion would reverse the sign", _strong,
          {**_BASE, "covariates": ["credit_score", "tenure"]}, 0.32),
    _good("measured: six covariates", "amounts and words", _mixed,
          {**_BASE, "covariates": ["x1", "x2", "x3", "x4", "city", "smoker"]}, 0.28),
    _good("measured: 300 rows", "two covariates", _small,
          {"y": "test", "treatment": "tutor", "covariates": ["age", "grade"]}, 0.6),
    _good("measured: effects that vary", "with a covariate that drives treatment", _varying,
          {**_BASE, "covariates": ["need", "size"]}, 0.24),
    _good("measured: outcome of 0 and 1", "4,000 rows", _rate,
          {"y": "quit", "treatment": "patch", "covariates": ["age", "female"]}, 0.07),
)  # fmt: skip
