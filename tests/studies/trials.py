"""Randomised trials: small, large, unequal, clustered, blocked, with few rows, heavy tails, or no effect."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import assigned
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "trial"
_RANDOMIZED = {"assignment": "randomized"}


def _plain(rng, *, rows, treated, effect, errors, base=50.0):
    w = assigned(rng, rows, treated)
    return pl.DataFrame({"score": base + effect * w + errors(rng, rows), "treated": w})


def _normal(rng, rows, sd=8.0):
    return rng.normal(0, sd, rows)


def _gamma(rng, rows):
    return rng.gamma(4.0, 2.0, rows)


def _student(rng, rows):
    return rng.standard_t(5, rows)


def _lognormal(rng, rows):
    return np.exp(rng.normal(2, 1.6, rows))


def _pareto(rng, rows):
    return 20 * rng.pareto(1.6, rows)


def _pretest(rng, *, effect):
    rows = 60
    w, pretest, age = assigned(rng, rows, 30), rng.normal(60, 10, rows), rng.integers(19, 60, rows)
    y = 20 + 0.7 * pretest - 0.05 * age + effect * w + rng.normal(0, 6, rows)
    return pl.DataFrame({"posttest": y, "training": w, "pretest": pretest, "age": age})


def _four_covariates(rng, *, effect):
    rows = 400
    w, x = assigned(rng, rows, 200), rng.normal(size=(rows, 3))
    town = rng.choice(["north", "south", "west"], rows)
    y = x @ [0.8, -0.5, 0.3] + 0.6 * (town == "west") + effect * w + rng.laplace(0, 1, rows)
    return pl.DataFrame({"y": y, "w": w, "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "town": town})


def _four_percent(rng, *, effect):
    rows = 5000
    w, x = assigned(rng, rows, 200), rng.normal(size=(rows, 5))
    income = np.exp(rng.normal(3, 0.5, rows))
    y = 0.02 * income + x @ [0.5, 0.4, -0.3, 0.2, 0.1] + effect * w + rng.normal(0, 1, rows)
    columns = {f"x{number + 1}": x[:, number] for number in range(5)}
    return pl.DataFrame({"y": y, "letter": w, "income": income, **columns})


def _conversions(rng, *, effect):
    rows = 6000
    w = (rng.random(rows) < 0.5).astype(int)
    y = (rng.random(rows) < 0.10 + effect * w).astype(int)
    return pl.DataFrame({"visitor": np.arange(1, rows + 1), "converted": y, "page": np.where(w == 1, "new", "control")})


def _schools(rng, *, schools, effect, between, covariate=False, mapped_size=25, treated=None):
    size = rng.integers(8, 31, schools) if covariate else np.full(schools, mapped_size)
    school = np.repeat(np.arange(schools), size)
    w = assigned(rng, schools, schools // 2 if treated is None else treated)[school]
    own = rng.normal(0, 1, len(school))
    y = rng.normal(0, between, schools)[school] + effect * w + rng.normal(0, 1, len(school)) + 0.5 * covariate * own
    frame = pl.DataFrame({"grade": 10 + y, "program": w, "school": [f"S{number:02d}" for number in school]})
    return frame.with_columns(pl.Series("reading", own)) if covariate else frame


def _blocks(rng, *, effect):
    blocks, size = 20, 10
    block = np.repeat(np.arange(blocks), size)
    w = np.concatenate([assigned(rng, size, 5) for _ in range(blocks)])
    y = rng.normal(30, 3, blocks)[block] + effect * w + rng.uniform(-1.7, 1.7, blocks * size)
    return pl.DataFrame({"yield": y, "seed": w, "field": [f"field {number + 1}" for number in block]})


def _thirty_percent(rng, *, effect):
    rows = 900
    w = (rng.random(rows) < 0.3).astype(int)
    tenure = rng.exponential(4, rows)
    return pl.DataFrame({"spend": 5 + 0.1 * tenure + effect * w + rng.normal(0, 1, rows), "offer": w, "tenure": tenure})


def _random_gaps(rng, *, effect):
    rows = 800
    w = assigned(rng, rows, 400)
    y = 12 + effect * w + rng.normal(0, 1, rows)
    return pl.DataFrame({"pain": np.where(rng.random(rows) < 0.03, np.nan, y), "drug": w}).with_columns(
        pl.col("pain").fill_nan(None)
    )


def _secondary(rng, *, effect):
    rows = 500
    w = assigned(rng, rows, 250)
    visits = rng.poisson(3 + 1.5 * w)
    return pl.DataFrame({"revenue": 20 + effect * w + rng.normal(0, 1, rows), "coupon": w, "visits": visits})


def _costs(rng, *, effect):
    rows = 600
    w, age = assigned(rng, rows, 300), rng.integers(30, 80, rows)
    return pl.DataFrame(
        {"cost": 100 + 0.5 * age + effect * w + rng.laplace(0, 14, rows), "nurse_calls": w, "age_at_entry": age}
    )


def _counts(rng, *, effect):
    rows = 450
    w = assigned(rng, rows, 300)
    return pl.DataFrame({"orders": rng.poisson(3.0 + effect * w), "banner": w})


def _many_covariates(rng):
    rows = 60
    x = rng.normal(size=(rows, 12))
    y = x[:, :3].sum(axis=1) + rng.normal(0, 1, rows)
    columns = {f"x{number + 1}": x[:, number] for number in range(12)}
    return pl.DataFrame({"y": y, "w": assigned(rng, rows, 30), **columns})


_PLAIN = {"y": "score", "treatment": "treated"}
_TWELVE = {"y": "y", "treatment": "w", "covariates": [f"x{number + 1}" for number in range(12)]}
_OF_SCHOOLS = {"y": "grade", "treatment": "program"}


def _good(name, shows, generate, mapping, effect, **options):
    return Study(
        name=name, family=_FAMILY, kind="good", shows=shows, generate=partial(generate, effect=effect),
        mapping=mapping, options={**_RANDOMIZED, **options}, truth=effect,
    )  # fmt: skip


def _null(name, shows, generate, mapping, **options):
    return Study(
        name=name, family=_FAMILY, kind="no effect", shows=shows, generate=generate, mapping=mapping,
        options={**_RANDOMIZED, **options},
    )  # fmt: skip


STUDIES = (
    _good("trial of 40", "no covariates", partial(_plain, rows=40, treated=20, errors=_normal), _PLAIN, 12.0),
    _good("trial of 60", "two covariates", _pretest,
          {"y": "posttest", "treatment": "training", "covariates": ["pretest", "age"]}, 7.4),
    _good("trial of 100", "skewed outcome", partial(_plain, rows=100, treated=50, errors=_gamma), _PLAIN, 3.8),
    _good("trial of 400", "four covariates, Laplace errors", _four_covariates,
          {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "town"]}, 0.67),
    _good("trial of 5,000, 4% treated", "no covariates, errors t(5)",
          partial(_plain, rows=5000, treated=200, errors=_student), _PLAIN, 0.44),
    _good("trial of 5,000, 4% treated, six covariates", "small arm, adjusted", _four_percent,
          {"y": "y", "treatment": "letter", "covariates": ["income", "x1", "x2", "x3", "x4", "x5"]}, 0.34),
    _good("trial of a conversion rate", "outcome of 0 and 1, arms in words", _conversions,
          {"unit_id": "visitor", "y": "converted", "treatment": "page"}, 0.04),
    _good("trial of 16 schools", "clusters of 25", partial(_schools, schools=16, between=0.4),
          {**_OF_SCHOOLS, "cluster": "school"}, 1.12),
    _good("trial of 40 schools", "clusters of unequal size, a covariate",
          partial(_schools, schools=40, between=0.3, covariate=True),
          {**_OF_SCHOOLS, "cluster": "school", "covariates": ["reading"]}, 0.6),
    _good("trial in 20 blocks", "blocks of ten absorbed", _blocks,
          {"y": "yield", "treatment": "seed", "fixed_effects": ["field"]}, 0.68),
    _good("trial with 30% treated", "the share as planned", _thirty_percent,
          {"y": "spend", "treatment": "offer", "covariates": ["tenure"]}, 0.34, expected_share=0.3),
    _good("trial with gaps at random", "3% of outcomes missing in both arms", _random_gaps,
          {"y": "pain", "treatment": "drug"}, 0.36),
    _good("trial with a second outcome", "an unmapped column that treatment moves, named as such", _secondary,
          {"y": "revenue", "treatment": "coupon"}, 0.43, post_treatment=["visits"]),
    _good("trial to lower a cost", "lower is better, by at least 2", _costs,
          {"y": "cost", "treatment": "nurse_calls", "covariates": ["age_at_entry"]}, -9.8,
          better="lower", minimum_effect=2.0),
    _good("trial of counts", "Poisson, two thirds treated", _counts, {"y": "orders", "treatment": "banner"}, 0.86),
    _null("no effect: trial of 40", "small", partial(_plain, rows=40, treated=20, effect=0.0, errors=_normal), _PLAIN),
    _null("no effect: trial of 400", "four covariates", partial(_four_covariates, effect=0.0),
          {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "town"]}),
    _null("no effect: trial of a conversion rate", "large", partial(_conversions, effect=0.0),
          {"unit_id": "visitor", "y": "converted", "treatment": "page"}),
    _null("no effect: 60 rows and 12 covariates", "few rows a coefficient", _many_covariates, _TWELVE),
    _null("no effect: lognormal spend, 20 of 400 treated", "heavy tails, a small arm",
          partial(_plain, rows=400, treated=20, effect=0.0, errors=_lognormal, base=0.0), _PLAIN),
    _null("no effect: Pareto spend, 50 of 1,000 untreated", "infinite variance, few untreated",
          partial(_plain, rows=1000, treated=950, effect=0.0, errors=_pareto, base=0.0), _PLAIN),
    _null("no effect: six schools, mapped", "few clusters", partial(_schools, schools=6, effect=0.0, between=0.5),
          {**_OF_SCHOOLS, "cluster": "school"}),
    _null("no effect: six schools, unmapped", "clusters left out of the mapping",
          partial(_schools, schools=6, effect=0.0, between=0.5), _OF_SCHOOLS),
    _null("no effect: 4 of 20 schools treated", "few treated clusters",
          partial(_schools, schools=20, effect=0.0, between=0.5, treated=4), {**_OF_SCHOOLS, "cluster": "school"}),
)  # fmt: skip
