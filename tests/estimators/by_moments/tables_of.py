"""Tables of which only sums are asked, and the same rows in memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.by_moments.catalog import BY_MOMENTS, OF_WHOLE_PANELS
from cqox.estimators.by_moments.encoded import Encoded, StoredRows
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.moments import ArrayMoments, Column, Constant, Moments
from tests.estimators.designs import discontinuity

type Source = Callable[[Mapping[str, np.ndarray]], Moments]

ESTIMATORS = {estimator.name: estimator for estimator in catalog()}
STAGGERED = ("did_callaway_santanna", "did_imputation")
SYNTHETIC = tuple(sorted(OF_WHOLE_PANELS.difference(STAGGERED)))
OVER_TIME = ("twfe", "interrupted_series", *OF_WHOLE_PANELS)
"""Estimates of units in periods."""
OF_LOGS = ("ope_ips", "ope_snips", "ope_dm", "ope_dr")
"""Estimates of a log of actions."""
OF_POPULATIONS = ("transport_weighting", "transport_g_computation", "transport_dr")
"""Estimates of a target population from a source."""
AT_CUTOFF = ("rd_local_linear", "rd_fuzzy", "rd_density_test")
"""Estimates of rows around a cutoff."""


def study(
    n: int = 4_000,
    *,
    weights: bool = False,
    clusters: int = 0,
    missing: bool = True,
    instruments: int = 0,
    amount: bool = False,
    collinear: bool = False,
    seed: int = 1,
) -> Data:
    """Rows of a confounded study with columns of very different size, and gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    x[:, 1], x[:, 2] = x[:, 1] * 50 + 2000, x[:, 2] > 0
    group = rng.integers(0, clusters, n) if clusters else None
    z = (rng.random(n) < 0.5).astype(np.float64)
    line = 0.6 * x[:, 0] - 0.4 * x[:, 2] + (z - 0.5)
    treatment = (rng.random(n) < 1 / (1 + np.exp(-line))).astype(np.float64)
    if group is not None and clusters < 30:
        treatment = np.where(rng.random(n) < 0.9, (group % 3 == 0).astype(np.float64), treatment)
    if amount:
        treatment = line + rng.normal(size=n)
    y = 1.5 * treatment + x[:, 0] + 0.02 * x[:, 1] + 0.5 * treatment * x[:, 0] + rng.normal(size=n)
    if group is not None:
        y += rng.normal(size=clusters)[group]
    if collinear:
        x = np.column_stack([x, np.full(n, 3.0), 2 * x[:, 0] + 1])
    if missing:
        x[::91, 0], y[5::203] = np.nan, np.nan
    offered = np.column_stack([z, z * x[:, 2] + rng.normal(size=n)])[:, :instruments]
    x = np.asfortranarray(x)
    names = tuple(f"x{column}" for column in range(x.shape[1]))
    key = rng.integers(0, 2**40, n) if group is None else group * 7919
    labels = {"y": ("y",), "treatment": ("t",), "covariates": names, "propensity_covariates": names}
    if weights:
        labels["weights"] = ("w",)
    if group is not None:
        labels["cluster"] = ("g",)
    if instruments:
        labels["instrument"] = ("z0", "z1")[:instruments]
    return Data(
        n=n,
        y=y,
        treatment=treatment,
        treatment_kind="continuous" if amount else "binary",
        covariates=x,
        propensity_covariates=x,
        weights=rng.uniform(0.5, 2, n) if weights else None,
        clusters=() if group is None else (group,),
        row_key=key.astype(np.uint64),
        instruments=np.asfortranarray(offered),
        names=labels,
    )


def populations(**design: object) -> Data:
    """A study whose target has no treatment and no outcome."""
    data = study(**design)  # type: ignore[arg-type]
    line = 0.3 + 0.5 * np.nan_to_num(data.covariates[:, 0]) - 0.4 * data.covariates[:, 2]
    member = (np.random.default_rng(8).random(data.n) < 1 / (1 + np.exp(-line))).astype(np.float64)
    y, t = (np.where(member > 0, each, np.nan) for each in (data.y, data.treatment))
    return replaced(data, in_source=member, y=y, treatment=t, names={**data.names, "sample": ("s",)})


def over_time(data: Data) -> Data:
    """The same rows in two periods, some of which are unknown."""
    post = (np.random.default_rng(9).random(data.n) < 0.5).astype(float)
    post[::301] = np.nan
    y = data.y + 0.7 * np.nan_to_num(post) * data.treatment
    return replaced(data, post=post, y=y, names={**data.names, "post": ("p",)})


def panel(
    units: int = 400,
    periods: int = 9,
    *,
    weights: bool = False,
    clusters: int = 0,
    missing: bool = True,
    starts: tuple[int, ...] = (4, 6),
    treated: float = 0.4,
    seed: int = 2,
) -> Data:
    """Rows of units with effects of their own that start treatment at different times, and gaps.

    Args:
        units: number of units.
        periods: number of periods.
        weights: True for weights that change within units.
        clusters: number of groups of units; none where 0.
        missing: True to leave out rows and values.
        starts: periods in which units start.
        treated: share of units that start.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    unit, time = (each.ravel() for each in np.meshgrid(np.arange(units), np.arange(periods), indexing="ij"))
    if missing:
        kept = (rng.random(len(unit)) < 0.85) & ~((unit < 5) & (time > unit))
        unit, time = unit[kept], time[kept]
    n, each = len(unit), np.where(rng.random(units) < treated, rng.choice(starts, units), periods)
    treatment = (time >= each[unit]).astype(np.float64)
    effect, shock = rng.normal(size=units) * 20 + 300, rng.normal(size=periods)
    x = np.column_stack([rng.normal(size=n) + effect[unit], (rng.random(n) < 0.3).astype(float), effect[unit]])
    y = effect[unit] + shock[time] + (1.0 + 0.2 * time) * treatment + 0.3 * x[:, 1] + rng.normal(size=n)
    group = rng.integers(0, clusters, units)[unit] if clusters else None
    if group is not None:
        y += rng.normal(size=(clusters, periods))[group, time]
    if missing:
        x[::91, 0], y[5::203] = np.nan, np.nan
    labels = {"y": ("y",), "treatment": ("t",), "covariates": ("x0", "x1", "x2"), "propensity_covariates": ()}
    labels |= {"unit_id": ("u",), "time": ("when",)}
    if weights:
        labels["weights"] = ("w",)
    if group is not None:
        labels["cluster"] = ("g",)
    return Data(
        n=n,
        y=y,
        treatment=treatment,
        treatment_kind="binary",
        covariates=np.asfortranarray(x),
        propensity_covariates=np.empty((n, 0)),
        weights=rng.uniform(0.5, 2, n) if weights else None,
        clusters=() if group is None else (group,),
        unit=unit,
        time=time,
        time_values=np.arange(periods, dtype=np.float64),
        row_key=unit.astype(np.uint64),
        names=labels,
    )


def series(periods: int = 30, *, weights: bool = False, clusters: int = 0) -> Data:
    """Rows of units in periods with an intervention in all of them, and gaps."""
    data = panel(200, periods, weights=weights, clusters=clusters)
    season = np.sin(data.time * 2 * np.pi / 7)
    y = (
        data.y
        + 0.3 * data.time
        + season
        + 2.0 * (data.time >= 18)
        + np.random.default_rng(6).normal(size=periods)[data.time]
    )
    names = {role: words for role, words in data.names.items() if role != "treatment"}
    return replaced(
        data, y=y, treatment=None, treatment_kind="none", intervention_time=18.0, names=names,
        covariates=np.asfortranarray(data.covariates[:, :2]),
    )  # fmt: skip


def block(units: int = 24, periods: int = 12, *, treated: int = 1, start: int = 8, missing: bool = True) -> Data:
    """Rows of units of which some start treatment together, and gaps.

    Args:
        units: number of units.
        periods: number of periods.
        treated: number of units that start.
        start: the period in which they do.
        missing: True to leave out rows and values.
    """
    data = panel(units, periods, starts=(start,), treated=0.0, missing=False)
    rng = np.random.default_rng(7)
    loading, factor = rng.normal(size=(units, 3)), rng.normal(size=(3, periods)).cumsum(axis=1)
    status = ((data.unit < treated) & (data.time >= start)).astype(np.float64)
    y = (loading @ factor)[data.unit, data.time] + 2.0 * status + 0.2 * rng.normal(size=data.n)
    if missing:
        y[(data.unit % 10 == 9) & (data.time == data.unit % periods)] = np.nan
    key = rng.integers(0, 2**63, units).astype(np.uint64)[data.unit]
    labels = tuple(f"unit {number}" for number in range(units))
    data = replaced(data, y=y, treatment=status, row_key=key, unit_labels=labels)
    return data.rows(np.flatnonzero((data.unit % 10 != 8) | (data.time > 2))) if missing else data


def log_of_actions(
    n: int = 4_000,
    *,
    policy: str = "columns",
    actions: int = 3,
    weights: bool = False,
    clusters: int = 0,
    missing: bool = True,
    level: float = 0.0,
    size: float = 1.0,
) -> Data:
    """Rows of a log of actions with their probabilities, and gaps.

    Args:
        n: number of rows.
        policy: `columns` of every action, the probability `taken` of the logged action, or `none`.
        actions: number of actions.
        weights: True for sampling weights.
        clusters: number of groups of rows; none where 0.
        missing: True for gaps.
        level: of the first covariate.
        size: of the outcome.
    """
    rng = np.random.default_rng(11)
    data = study(n, weights=weights, clusters=clusters, missing=missing)
    x = np.asfortranarray(data.covariates + level * np.eye(1, data.covariates.shape[1]))
    inner = np.nan_to_num(data.covariates[:, 0])
    by_action = np.exp(0.4 * inner[:, None] * np.linspace(-1, 1, actions))
    by_action /= by_action.sum(axis=1, keepdims=True)
    action = (rng.random(n)[:, None] > by_action.cumsum(axis=1)).sum(axis=1).clip(0, actions - 1)
    target = rng.dirichlet(np.ones(actions), n)
    place = np.arange(n)
    chosen = {"columns": target, "taken": target[place, action][:, None], "none": np.empty((n, 0))}[policy]
    chosen, chance = np.asfortranarray(chosen), by_action[place, action]
    y = size * (data.y + 0.5 * action + 0.3 * action * inner)
    code = action.astype(np.int64)
    if missing:
        code[3::171], chance[8::151] = -1, np.nan
        if chosen.shape[1]:
            chosen[11::301] = np.nan
    words = {"action": ("a",), "pscore": ("e",), "target_policy": tuple(f"p{each}" for each in range(chosen.shape[1]))}
    names = {role: label for role, label in {**data.names, **words}.items() if role != "treatment" and label}
    return replaced(
        data, y=y, treatment=None, treatment_kind="none", covariates=x, propensity_covariates=x, pscore=chance,
        action=code, action_labels=tuple(f"arm {each}" for each in range(actions)), target_policy=chosen, names=names,
    )  # fmt: skip


def panel_for(name: str, **design: int) -> Data:
    """Rows of units in periods, for an estimate by its name."""
    return block(**design) if name in SYNTHETIC else panel(**design)


def around_cutoff(
    n: int = 4_000, *, fuzzy: bool = False, weights: bool = False, clusters: int = 0, missing: bool = True
) -> Data:
    """Rows whose outcome jumps where a score crosses its cutoff, for all or for those who comply, and gaps."""
    data, rng = discontinuity(n, fuzzy=fuzzy), np.random.default_rng(4)
    running, y, x, names = data.running.copy(), data.y.copy(), data.covariates.copy(), dict(data.names)
    treatment = None if data.treatment is None else data.treatment.copy()
    group = rng.integers(0, clusters, n) if clusters else None
    if group is not None:
        y += rng.normal(size=clusters)[group]
        names["cluster"] = ("g",)
    if weights:
        names["weights"] = ("w",)
    if missing:
        running[::97], y[5::203], x[::91, 0] = np.nan, np.nan, np.nan
        if treatment is not None:
            treatment[7::301] = np.nan
    return replaced(
        data, running=running, y=y, treatment=treatment, covariates=x, propensity_covariates=np.empty((n, 0)),
        weights=rng.uniform(0.5, 2, n) if weights else None, clusters=() if group is None else (group,), names=names,
    )  # fmt: skip


def without_covariates(data: Data) -> Data:
    """The same rows, and nothing to adjust for."""
    names = {role: words for role, words in data.names.items() if "covariates" not in role}
    empty = np.empty((data.n, 0))
    return replaced(data, covariates=empty, propensity_covariates=empty, names=names)


def columns_of(data: Data) -> dict[str, np.ndarray]:
    """The columns of the table that holds these rows."""
    columns = {"y": data.y, "key": data.row_key.astype(np.int64), "row": np.arange(data.n)}
    if data.treatment is not None:
        columns["t"] = data.treatment
    columns |= {f"x{column}": values for column, values in enumerate(data.covariates.T)}
    columns |= {f"z{column}": values for column, values in enumerate(data.instruments.T)}
    if data.weights is not None:
        columns["w"] = data.weights
    if data.post is not None:
        columns["p"] = data.post
    if data.running is not None:
        columns["r"] = data.running
    if data.action is not None:
        columns["a"] = np.where(data.action < 0, np.nan, data.action)
        columns |= {f"p{column}": values for column, values in enumerate(data.target_policy.T)}
    if data.pscore is not None:
        columns["e"] = data.pscore
    if data.in_source is not None:
        columns["s"] = data.in_source
    if data.unit is not None:
        columns["u"] = data.unit
    if data.time is not None:
        columns["when"] = data.time
    return columns | {f"g{number}": codes for number, codes in enumerate(data.clusters)}


def in_arrays(columns: Mapping[str, np.ndarray]) -> Moments:
    """The table in memory."""
    return ArrayMoments(columns=columns, block=1_000)


def encoded(data: Data, source: Source = in_arrays) -> Encoded:
    """The roles of the table that holds these rows."""
    columns = columns_of(data)
    x = tuple(Column(name) for name in columns if name.startswith("x"))
    return Encoded(
        source=source(columns),
        y=Column("y"),
        treatment=Constant(0.0) if data.treatment is None else Column("t"),
        covariates=x,
        propensity_covariates=x if data.propensity_covariates.shape[1] else (),
        instruments=tuple(Column(name) for name in columns if name.startswith("z")),
        weights=Column("w") if data.weights is not None else None,
        clusters=tuple(Column(f"g{number}") for number in range(len(data.clusters))),
        post=Column("p") if data.post is not None else None,
        unit=Column("u") if data.unit is not None else None,
        time=Column("when") if data.time is not None else None,
        running=Column("r") if data.running is not None else None,
        pscore=Column("e") if data.pscore is not None else None,
        action=Column("a") if data.action is not None else None,
        target_policy=tuple(Column(f"p{number}") for number in range(data.target_policy.shape[1])),
        in_source=Column("s") if data.in_source is not None else None,
        row_key=Column("key"),
        stored=StoredRows(number=Column("row"), read=lambda numbers, _: data.rows(numbers)),
    )


def tables(data: Data, settings: Settings | None = None, source: Source = in_arrays) -> Tables:
    """The table, with every second row or unit as its sample."""
    sample = np.arange(0, data.n, 2) if data.unit is None else np.flatnonzero(data.unit % 2 == 0)
    pilot = Plan(data.rows(sample), settings or Settings())
    return Tables(encoded(data, source), pilot)


def both(
    name: str, data: Data, settings: Settings | None = None, source: Source = in_arrays
) -> tuple[Estimate, Estimate | Exception]:
    """An estimate in memory, and by moments."""
    made = tables(data, settings, source)
    found = run_rounds(made, {name: partial(BY_MOMENTS[name], made)})[name]
    return run(ESTIMATORS[name], Plan(data, settings or Settings())), found


def numbers(value: object, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number within a value, with its place."""
    match value:
        case dict():
            for key, each in value.items():
                yield from numbers(each, f"{place}.{key}")
        case list() | tuple():
            for number, each in enumerate(value):
                yield from numbers(each, f"{place}[{number}]")
        case bool():
            return
        case int() | float():
            yield place, float(value)


def figures(estimate: Estimate) -> dict[str, float]:
    """Every number of an estimate and of its diagnostics, by its place."""
    fields = ("estimate", "standard_error", "ci_lower", "ci_upper", "p_value", "n", "n_effective")
    stated = {field: getattr(estimate, field) for field in fields}
    return dict(numbers({**stated, "diagnostics": dict(estimate.diagnostics)}))


def same(memory: Estimate, moments: Estimate | Exception) -> None:
    """Fail where an estimate by moments has another number, word or warning than the one in memory."""
    assert isinstance(moments, Estimate), moments
    ours, theirs = figures(moments), figures(memory)
    assert len(ours.keys() & theirs.keys()) > 6
    # Errors that need the leverage of every row are computed in memory only where rows are few.
    assert {place.rpartition(".")[2][:3] for place in theirs.keys() - ours.keys()} <= {"HC2", "HC3"}
    assert ours.keys() <= theirs.keys()
    for place, value in ours.items():
        assert value == pytest.approx(theirs[place], rel=1e-8, abs=1e-11), place
    assert moments.se_method == memory.se_method
    assert moments.warnings == memory.warnings
    assert moments.status == memory.status
    assert notes(moments) == notes(memory)


def notes(estimate: Estimate) -> list[object]:
    found = estimate.diagnostics.get("notes", [])
    assert isinstance(found, list)
    return [getattr(each, "code", each) for each in found]


def replaced(data: Data, **fields: object) -> Data:
    """The same rows with other fields."""
    return replace(data, **fields)  # type: ignore[arg-type]
