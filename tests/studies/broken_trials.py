"""Trials that something spoiled: attrition, lost rows, interference, copies, bad controls, false declarations."""

import numpy as np
import polars as pl

from tests.studies.draws import assigned, chosen
from tests.studies.study import Study

__all__ = ["STUDIES"]

_FAMILY = "broken trial"
_RANDOMIZED = {"assignment": "randomized"}


def _leavers(rng):
    rows = 1000
    w = assigned(rng, rows, 500)
    y = rng.normal(20, 4, rows)
    leaves = (w == 1) & (y < 18) & (rng.random(rows) < 0.45)
    return pl.DataFrame({"weight_loss": y, "diet": w, "age": rng.integers(20, 70, rows)}).with_columns(
        pl.when(pl.Series(leaves)).then(None).otherwise(pl.col("weight_loss")).alias("weight_loss")
    )


def _recovered(rng):
    # The untreated who recovered skip the last visit; the treated come for the next dose.
    rows = 1600
    w = assigned(rng, rows, 800)
    y = rng.gamma(3, 2, rows)
    leaves = rng.random(rows) < np.where(w == 1, 0.04, np.where(y > 7, 0.35, 0.06))
    return pl.DataFrame({"recovery": np.where(leaves, np.nan, y), "dose_visits": w}).with_columns(
        pl.col("recovery").fill_nan(None)
    )


def _filtered(rng):
    # A filter of bots runs in the new version alone and removes rows.
    rows = 8000
    w = (rng.random(rows) < 0.5).astype(int)
    bot = rng.random(rows) < 0.12
    y = np.where(bot, 0.0, rng.gamma(5, 1, rows))
    return pl.DataFrame({"minutes": y, "version": w}).filter(pl.Series(~(bot & (w == 1))))


def _displaced(rng):
    # Treated drivers take trips from untreated neighbours; with all treated nothing is gained.
    groups, size = 200, 4
    rows, group = groups * size, np.repeat(np.arange(groups), size)
    w = (rng.random(rows) < 0.5).astype(int)
    others = (np.bincount(group, w)[group] - w) / (size - 1)
    y = 30 - 3.6 * (1 - w) * others + rng.normal(0, 3, rows)
    edges = [" ".join(f"d{other}" for other in range(g * size, (g + 1) * size) if other != at)
             for at, g in enumerate(group)]  # fmt: skip
    return pl.DataFrame(
        {"driver": [f"d{at}" for at in range(rows)], "trips": y, "bonus": w, "neighbours": edges, "nearby": others}
    )


def _crowded(rng):
    # Help for some crowds out what the others get, by the share of treated people in the town.
    towns, size = 40, 25
    town = np.repeat(np.arange(towns), size)
    share = rng.choice([0.2, 0.4, 0.6, 0.8], towns)[town]
    w = (rng.random(towns * size) < share).astype(int)
    y = 100 - 12 * share * (1 - w) - 6 * (1 - share) * w + rng.normal(0, 10, towns * size)
    return pl.DataFrame({"jobs": y, "coaching": w, "share_in_town": share})


def _copies(rng):
    people, copies = 60, 8
    w = assigned(rng, people, 30)
    frame = pl.DataFrame({"minutes": rng.lognormal(2, 0.5, people), "app": w, "age": rng.normal(40, 9, people)})
    return pl.concat([frame] * copies)


def _mediator(rng):
    rows = 900
    w = assigned(rng, rows, 450)
    stress = 0.9 * w + rng.normal(0, 1, rows)
    return pl.DataFrame({"output": 8 + 0.5 * w - stress + rng.normal(0, 1, rows), "monitoring": w, "stress": stress})


def _collider(rng):
    rows = 1200
    w, ability = assigned(rng, rows, 600), rng.normal(0, 1, rows)
    hours = -0.8 * w + ability + rng.normal(0, 0.5, rows)
    return pl.DataFrame({"wage": 15 + ability + rng.normal(0, 1, rows), "voucher": w, "hours": hours})


def _selected(rng):
    rows = 1500
    motivation, income = rng.normal(0, 1, rows), rng.normal(30, 8, rows)
    w = chosen(rng, 0.8 * motivation + 0.05 * (income - 30))
    y = 5 + motivation + 0.05 * income + rng.normal(0, 1, rows)
    return pl.DataFrame({"savings": y, "course": w, "motivation": motivation, "income": income})


def _null(name, shows, generate, mapping, *, kind="no effect", truth=0.0, **options):
    return Study(
        name=name, family=_FAMILY, kind=kind, shows=shows, generate=generate, mapping=mapping,
        options={**_RANDOMIZED, **options}, truth=truth,
    )  # fmt: skip


_DRIVERS = {"unit_id": "driver", "y": "trips", "treatment": "bonus"}
_COURSE = {"y": "savings", "treatment": "course"}

STUDIES = (
    _null("attrition: the disappointed leave", "18% of treated outcomes missing, none of the untreated", _leavers,
          {"y": "weight_loss", "treatment": "diet", "covariates": ["age"]}),
    _null("attrition: the recovered leave", "4% against 15% missing", _recovered,
          {"y": "recovery", "treatment": "dose_visits"}),
    _null("sample ratio mismatch", "rows removed from one arm by their outcome", _filtered,
          {"y": "minutes", "treatment": "version"}, expected_share=0.5),
    _null("interference: edges ignored by the primary", "the treated displace their neighbours", _displaced,
          {**_DRIVERS, "edges": "neighbours"}, primary="difference_in_means"),
    _null("interference: exposure ignored by the primary", "the treated displace their neighbours", _displaced,
          {**_DRIVERS, "neighbor_exposure": "nearby"}, primary="difference_in_means"),
    _null("interference: crowding out", "harm to all, less of it to the treated", _crowded,
          {"y": "jobs", "treatment": "coaching", "neighbor_exposure": "share_in_town"},
          kind="harmful", truth=None, primary="difference_in_means"),
    _null("exact duplicates", "60 people, each row eight times", _copies, {"y": "minutes", "treatment": "app"}),
    _null("bad control: the mediator", "harm through stress, which is mapped as a covariate", _mediator,
          {"y": "output", "treatment": "monitoring", "covariates": ["stress"]}, kind="harmful", truth=-0.4),
    _null("bad control: a collider", "moved by treatment and by ability", _collider,
          {"y": "wage", "treatment": "voucher", "covariates": ["hours"]}),
    _null("false declaration: randomized, covariates mapped", "the arms differ in what is mapped", _selected,
          {**_COURSE, "covariates": ["motivation", "income"]}, primary="difference_in_means"),
    _null("false declaration: randomized, nothing mapped", "the arms differ in columns left out", _selected, _COURSE),
)  # fmt: skip
