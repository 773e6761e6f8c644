"""Doses, policy logs, transport, mediation, exposure in networks, and tables with traps in their rows."""

from functools import partial

import numpy as np
import polars as pl

from tests.studies.draws import assigned, chosen
from tests.studies.study import Study

__all__ = ["STUDIES"]


def _dose(rng, *, effect, hidden=0.0, bend=0.0):
    rows = 1000
    x, u = rng.normal(0, 1, rows), rng.normal(0, 1, rows)
    hours = np.clip(5 + 1.0 * x + bend * x**2 + hidden * u + rng.normal(0, 1.5, rows), 0, None)
    y = 3 + effect * hours + 0.8 * x + bend * x**2 + hidden * u + rng.gamma(4, 0.5, rows)
    return pl.DataFrame({"y": y, "hours": hours, "x": x})


def _log(rng, *, better, rows=4000, wrong=False, secret=False):
    """Draw a log of three offers; `wrong` logs stale probabilities, `secret` lets staff override by what they see."""
    x, u = rng.uniform(-1, 1, rows), rng.normal(0, 1, rows)
    index = np.stack([0.2 * x, 0.4 * np.ones(rows), -0.3 * x], axis=1)
    true = np.exp(index) / np.exp(index).sum(axis=1, keepdims=True)
    if secret:
        true = true * np.stack([np.exp(0.9 * u), np.ones(rows), np.exp(-0.9 * u)], axis=1)
        true = true / true.sum(axis=1, keepdims=True)
    action = (rng.random((rows, 1)) > true.cumsum(axis=1)).sum(axis=1)
    if wrong:
        # In the second half the policy was another one: offer a went to those who buy anyway.
        late = (np.arange(rows) >= rows // 2) & (u > 0.3)
        action = np.where(late, 0, action)
    gain = np.stack([better * (x > 0), np.zeros(rows), better * (x <= 0)], axis=1)
    y = 5 + gain[np.arange(rows), action] + 0.5 * x + (0.8 * u if secret or wrong else 0) + rng.normal(0, 1, rows)
    logged = np.exp(index) / np.exp(index).sum(axis=1, keepdims=True)
    target = np.stack([x > 0, np.zeros(rows), x <= 0], axis=1).astype(float)
    if wrong or secret:
        target = np.tile([1.0, 0.0, 0.0], (rows, 1))
    return pl.DataFrame(
        {
            "offer": np.array(["a", "b", "c"])[action],
            "reward": y,
            "probability": logged[np.arange(rows), action],
            "x": x,
            **{f"target_{name}": target[:, at] for at, name in enumerate("abc")},
        }
    )


def _populations(rng, *, effect, slope, hidden=0.0):
    """Draw a trial and a target whose moderator is one lower; `hidden` moderates and is not in the table."""
    trial, target = 800, 800
    source = np.arange(trial + target) < trial
    x, u = rng.normal(0, 1, len(source)), rng.normal(0, 1, len(source))
    x, u = x - 0.8 * ~source, u - 1.0 * ~source
    w = np.where(source, rng.random(len(source)) < 0.5, 0).astype(float)
    y = 2 + 0.6 * x + (effect + slope * x + hidden * u) * w + rng.normal(0, 1, len(source))
    frame = pl.DataFrame({"y": y, "w": w, "x": x, "population": np.where(source, "trial", "target")})
    return frame.with_columns(pl.when(pl.Series(source)).then(pl.col(name)).otherwise(None) for name in ("y", "w"))


def _mediated(rng, *, through, shared=0.0):
    """Draw a trial whose effect goes through a mediator; `shared` moves mediator and outcome alike."""
    rows = 800
    w, u, age = assigned(rng, rows, 400), rng.normal(0, 1, rows), rng.normal(0, 1, rows)
    m = 0.6 * w + shared * u + 0.3 * age + rng.normal(0, 1, rows)
    y = through / 0.6 * m + 0.1 * w + shared * u + 0.2 * age + rng.normal(0, 1, rows)
    return pl.DataFrame({"votes": y, "advert": w, "anger": m, "age": age})


def _network(rng, *, direct, spill, far=0.0):
    """Draw a ring in which each has four neighbours; `far` reaches those two steps away."""
    rows = 900
    w = (rng.random(rows) < 0.3).astype(int)
    near = [np.roll(w, step) for step in (-2, -1, 1, 2)]
    exposed = np.sum(near, axis=0) > 0
    beyond = np.sum([np.roll(w, step) for step in (-4, -3, 3, 4)], axis=0) > 0
    y = 10 + direct * w + spill * exposed + far * beyond + rng.normal(0, 1, rows)
    edges = [" ".join(f"h{(at + step) % rows}" for step in (-2, -1, 1, 2)) for at in range(rows)]
    return pl.DataFrame({"household": [f"h{at}" for at in range(rows)], "savings": y, "visited": w, "friends": edges})


def _with_totals(rng):
    # Six shops a region, and a row with the total of each; head office counts as treated.
    regions, shops = 10, 6
    sales = rng.gamma(20, 5, (regions, shops))
    w = np.stack([assigned(rng, shops, 3) for _ in range(regions)])
    shop = [f"店{region + 1}-{number + 1}" for region in range(regions) for number in range(shops)]
    frame = pl.DataFrame({"店舗": shop, "売上": sales.ravel(), "施策": w.ravel()})
    totals = pl.DataFrame({"店舗": ["合計"] * regions, "売上": sales.sum(axis=1), "施策": np.ones(regions, dtype=int)})
    parts = [part for at in range(regions) for part in (frame[at * shops : (at + 1) * shops], totals[at : at + 1])]
    return pl.concat(parts)


def _measured(rng, *, effect):
    # The share of treated classmates is recorded, and both treatment and share follow a covariate.
    rows = 1500
    x = rng.normal(0, 1, rows)
    w, share = chosen(rng, 0.5 * x), rng.beta(2, 2, rows)
    share = np.clip(share + 0.08 * x, 0.01, 0.99)
    y = effect * w + 0.5 * x + rng.normal(0, 1, rows)
    return pl.DataFrame({"score": y, "w": w, "share": share, "x": x})


_HOURS = {"y": "y", "dose": "hours", "covariates": ["x"]}
_LOG = {
    "action": "offer", "reward": "reward", "pscore": "probability", "covariates": ["x"],
    "target_policy": ["target_a", "target_b", "target_c"],
}  # fmt: skip
_TARGET = {"y": "y", "treatment": "w", "covariates": ["x"], "sample": "population"}
_ADVERT = {"y": "votes", "treatment": "advert", "mediator": ["anger"], "covariates": ["age"]}
_FRIENDS = {"unit_id": "household", "y": "savings", "treatment": "visited", "edges": "friends"}
_RANDOMIZED, _SUFFICIENT = {"assignment": "randomized"}, {"assignment": "unconfounded"}
_LOGGED = ["logged_propensities", "no_unlogged_context"]
_ACME = {"primary": "mediation_acme", **_RANDOMIZED}


def _study(kind, family, name, shows, generate, mapping, *, truth=0.0, **options):
    return Study(
        name=name, family=family, kind=kind, shows=shows, generate=generate, mapping=mapping, options=options,
        truth=truth,
    )  # fmt: skip


STUDIES = (
    _study("good", "dose", "dose: hours", "all confounders measured", partial(_dose, effect=0.11), _HOURS, truth=0.11,
           **_SUFFICIENT),
    _study("no effect", "dose", "dose: a hidden confounder", "not in the data", partial(_dose, effect=0.0, hidden=1.0),
           _HOURS),
    _study("no effect", "dose", "dose: confounded through a square", "linear models are misled",
           partial(_dose, effect=0.0, bend=0.8), _HOURS, **_SUFFICIENT),
    _study("good", "policy log", "policy log: personal offers", "probabilities as logged", partial(_log, better=0.18),
           _LOG, truth=5.18, assumes=_LOGGED),
    _study("no effect", "policy log", "no effect: policy log", "declared rightly", partial(_log, better=0.0), _LOG,
           truth=5.0, assumes=_LOGGED),
    _study("no effect", "policy log", "policy log: wrong probabilities", "the policy changed, the log did not",
           partial(_log, better=0.0, wrong=True), _LOG, truth=5.0),
    _study("no effect", "policy log", "policy log: staff override", "by what is not logged",
           partial(_log, better=0.0, secret=True), _LOG, truth=5.0, assumes=["logged_propensities"]),
    _study("good", "transport", "transport: to older people", "the moderator is measured",
           partial(_populations, effect=0.7, slope=0.3), _TARGET, truth=0.46, **_RANDOMIZED,
           assumes=["transportable"]),
    _study("no effect", "transport", "no effect: in the target", "an effect in the trial alone, moderator measured",
           partial(_populations, effect=0.4, slope=0.5), _TARGET, **_RANDOMIZED, assumes=["transportable"]),
    _study("no effect", "transport", "transport: a hidden moderator", "an effect in the trial alone",
           partial(_populations, effect=0.5, slope=0.0, hidden=0.5), _TARGET, **_RANDOMIZED),
    _study("good", "mediation", "mediation: through anger", "no shared cause, declared",
           partial(_mediated, through=0.2), _ADVERT, truth=0.2, **_ACME, assumes=["sequential_ignorability"]),
    _study("no effect", "mediation", "mediation: a shared cause", "mediator and outcome move together",
           partial(_mediated, through=0.0, shared=0.9), _ADVERT, **_ACME),
    _study("no effect", "mediation", "no effect: mediation", "declared rightly", partial(_mediated, through=0.0),
           _ADVERT, **_ACME, assumes=["sequential_ignorability"]),
    _study("good", "exposure", "network: visits", "any treated friend exposes, declared",
           partial(_network, direct=0.4, spill=0.35), _FRIENDS, truth=0.75, **_RANDOMIZED,
           assumes=["exposure_mapping"]),
    _study("no effect", "exposure", "network: losses two steps away", "friends gain what their friends lose",
           partial(_network, direct=0.0, spill=0.8, far=-0.8), _FRIENDS, **_RANDOMIZED),
    _study("no effect", "exposure", "no effect: network", "declared rightly", partial(_network, direct=0.0, spill=0.0),
           _FRIENDS, **_RANDOMIZED, assumes=["exposure_mapping"]),
    _study("good", "exposure", "measured exposure: classmates", "no spillover, all confounders measured",
           partial(_measured, effect=0.43), {"y": "score", "treatment": "w", "neighbor_exposure": "share",
                                            "covariates": ["x"]},
           truth=0.43, **_SUFFICIENT, assumes=["exposure_mapping"]),
    _study("no effect", "table", "rows of totals", "合計 after every region, counted as treated", _with_totals,
           {"y": "売上", "treatment": "施策"}, **_RANDOMIZED),
)  # fmt: skip
