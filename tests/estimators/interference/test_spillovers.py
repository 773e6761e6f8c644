"""Interference against every assignment of small networks, stacked equations and sums over all pairs of places."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from cqox.diagnostics.primary import choose_primary
from cqox.estimators import Data, Estimate, Plan, Settings, applicable, catalog, run
from cqox.estimators.interference.exposures import network
from tests.estimators.designs import EFFECT, connected, cross_section, placed
from tests.estimators.interference.assignments import classes_of, enumerated, small
from tests.validation import Validated, half_width, record

EFFECTS = {"exposure_direct": (2, 0), "exposure_spillover": (1, 0), "exposure_total": (3, 0)}


def answer(data: Data, name: str, **settings: object) -> Estimate:
    entry = next(entry for entry in catalog() if entry.name == name)
    return run(entry, Plan(data, Settings(**settings)))


def bound(data: Data, level: tuple[int, int]) -> tuple[float, float]:
    """The Hajek contrast and the bound of its variance, by loops over all pairs of rows."""
    chances, joint = enumerated(data)
    d = classes_of(data, data.treatment)
    used = [row for row in range(data.n) if row in set(data.edges[:, 0])]
    value, residual = 0.0, {}
    for k, sign in zip(level, (1, -1), strict=True):
        w = {i: 1 / chances[k, i] for i in used if d[i] == k}
        mean = sum(w[i] * data.y[i] for i in w) / sum(w.values())
        value += sign * mean
        residual[k] = {i: (data.y[i] - mean) / sum(w.values()) for i in w}

    def part(k: int, l: int) -> float:  # noqa: E741
        total = 0.0
        for i in used:
            for j in used:
                both = joint[k, l, i, j] if i != j else (chances[k, i] if k == l else 0.0)
                a, b = residual[k].get(i, 0.0), residual[l].get(j, 0.0)
                if both > 1e-12:
                    apart = chances[k, i] * chances[l, j]
                    total += a * b * (both - apart) / both / apart
                else:
                    total += (1 if k == l else -1) * (a * a / chances[k, i] + b * b / chances[l, j]) / 2
        return total

    k, l = level  # noqa: E741
    return value, part(k, k) + part(l, l) - 2 * part(k, l)


@pytest.mark.parametrize("name", EFFECTS)
def test_estimate_and_error_are_those_of_loops_over_all_pairs(name: str):
    data = small(4)
    assignments = (np.asarray(each) for each in product((0.0, 1.0), repeat=data.n))
    z = next(z for z in assignments if np.bincount(classes_of(data, z)[:8], minlength=4).min() >= 2)
    data = replace(data, treatment=z)
    result = answer(data, name)
    value, variance = bound(data, EFFECTS[name])
    assert result.estimate == pytest.approx(value, rel=1e-10)
    assert result.standard_error == pytest.approx(np.sqrt(variance), rel=1e-8)


@pytest.mark.parametrize("name", ["exposure_spillover", "exposure_total"])
def test_rows_that_could_not_have_been_in_a_class_leave_the_error_and_are_reported(name: str):
    data = connected(150, seed=3, degree=6, share=0.35)
    settings = Settings(exposure_threshold=0.75)
    found, result = network(Plan(data, settings)), answer(data, name, exposure_threshold=0.75)
    plus, minus = EFFECTS[name]
    n, y = found.sample.n, found.sample.take(data.y)
    joint = found.chances[:, None, :, None] * found.chances[None, :, None, :]
    for place, (i, j) in enumerate(found.pairs):
        joint[:, :, i, j], joint[:, :, j, i] = found.joint[:, :, place], found.joint[:, :, place].T
    rest = {}
    for k in (plus, minus):
        own = np.flatnonzero(found.classes == k)
        w = 1 / found.chances[k, own]
        rest[k] = dict(zip(own.tolist(), (y[own] - np.average(y[own], weights=w)) / w.sum(), strict=True))

    def part(k: int, l: int) -> float:  # noqa: E741
        total = 0.0
        for i in range(n):
            for j in range(n):
                a, b = rest[k].get(i, 0.0), rest[l].get(j, 0.0)
                both = joint[k, l, i, j] if i != j else (found.chances[k, i] if k == l else 0.0)
                apart = found.chances[k, i] * found.chances[l, j]
                if apart == 0:
                    continue
                if both > 0:
                    total += a * b * (both - apart) / both / apart
                else:
                    total += (1 if k == l else -1) * (a * a / found.chances[k, i] + b * b / found.chances[l, j]) / 2
        return total

    variance = part(plus, plus) + part(minus, minus) - 2 * part(plus, minus)
    assert result.standard_error == pytest.approx(np.sqrt(variance), rel=1e-8)
    for level in (plus, minus):
        impossible = np.sum(found.chances[level] == 0)
        warned = [
            warning for warning in result.warnings if warning.startswith(f"{impossible} of {n} rows could hardly")
        ]
        assert bool(warned) == (impossible > 0)
    assert (found.chances[[plus, minus]] == 0).any()


def test_effects_of_a_network_are_found_and_a_comparison_without_it_is_wrong():
    data = connected(6000, seed=2, degree=4, share=0.25)
    for name, truth in (("exposure_direct", EFFECT), ("exposure_spillover", 1.0), ("exposure_total", EFFECT + 1.5)):
        found = answer(data, name)
        assert abs(found.estimate - truth) < 4 * found.standard_error, name
    assert answer(data, "exposure_total").estimate - answer(data, "difference_in_means").estimate > 0.8


def test_a_measured_exposure_is_weighted_by_the_models_of_treatment_and_exposure():
    data = connected(8000, seed=3, measured=True)
    for name, truth in (("exposure_direct", EFFECT), ("exposure_spillover", 1.0), ("exposure_total", EFFECT + 1.5)):
        found = answer(data, name)
        assert abs(found.estimate - truth) < 4 * found.standard_error, name
        plain = answer(replace(data, propensity_covariates=np.empty((data.n, 0))), name)
        assert plain.diagnostics["probabilities"] == "share"
    direct = answer(replace(data, propensity_covariates=np.empty((data.n, 0))), "exposure_direct")
    assert direct.estimate - EFFECT > 4 * direct.standard_error


def test_without_models_a_measured_exposure_compares_the_means_of_its_classes():
    data = replace(
        connected(600, measured=True), propensity_covariates=np.empty((600, 0)), covariates=np.empty((600, 0))
    )
    exposed, treated = data.neighbor_exposure > 0, data.treatment > 0
    one, zero = data.y[treated & exposed], data.y[~treated & ~exposed]
    found = answer(data, "exposure_total")
    assert found.estimate == pytest.approx(one.mean() - zero.mean(), rel=1e-10)
    assert found.standard_error == pytest.approx(np.sqrt(one.var() / len(one) + zero.var() / len(zero)), rel=1e-10)


def haversine(left: np.ndarray, right: np.ndarray) -> float:
    (a, b), (c, d) = np.radians(left), np.radians(right)
    h = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return float(2 * 6371.0088 * np.arcsin(np.sqrt(h)))


def test_spatial_errors_are_those_of_the_double_sum():
    data = placed(120)
    found = answer(data, "spatial_ols", conley_bandwidth=90.0)
    x = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    beta = np.linalg.lstsq(x, data.y, rcond=None)[0]
    scores = x * (data.y - x @ beta)[:, None]
    meat = np.zeros((4, 4))
    for i in range(data.n):
        for j in range(data.n):
            apart = haversine(data.location[i], data.location[j])
            meat += (apart <= 90.0) * np.outer(scores[i], scores[j])
    bread = np.linalg.inv(x.T @ x)
    variance = (bread @ meat @ bread)[3, 3] * data.n / (data.n - 4)
    assert found.estimate == pytest.approx(beta[3], rel=1e-10)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert found.se_method == "Conley"


def test_a_date_line_is_no_edge_of_the_world():
    data = placed(100)
    east = replace(data, location=data.location - [0.0, 138.0] + [0.0, 180.0])
    wrapped = np.where(east.location > 180.0, east.location - 360.0, east.location)
    left = answer(data, "spatial_ols", conley_bandwidth=80.0).standard_error
    for moved in (east, replace(east, location=wrapped)):
        assert answer(moved, "spatial_ols", conley_bandwidth=80.0).standard_error == pytest.approx(left, rel=1e-9)


def test_rows_without_a_place_are_left_out():
    data = placed(200)
    location = data.location.copy()
    location[:5, 1] = np.nan
    found = answer(replace(data, location=location), "spatial_ols")
    rest = answer(data.rows(np.arange(5, 200)), "spatial_ols")
    assert (found.n, found.estimate, found.standard_error) == (195, rest.estimate, rest.standard_error)


def test_errors_correlated_beyond_the_bandwidth_lead_to_a_warning():
    assert any("give a larger" in warning for warning in answer(placed(800, reach=150.0), "spatial_ols").warnings)
    assert not answer(placed(800), "spatial_ols").warnings


def test_a_plain_cross_section_runs_none_of_it():
    data = cross_section()
    for name in (*EFFECTS, "spatial_ols"):
        assert answer(data, name).status == "skipped"
    assert "'edges' or 'neighbor_exposure'" in answer(data, "exposure_total").reason


def test_the_order_of_a_network_changes_nothing():
    data = connected(200)
    moved = data.rows(np.random.default_rng(1).permutation(200))
    for threshold in (None, 0.5):
        for name in EFFECTS:
            left, right = (answer(each, name, exposure_threshold=threshold) for each in (data, moved))
            assert right.estimate == pytest.approx(left.estimate, rel=1e-10)
            assert right.standard_error == pytest.approx(left.standard_error, rel=1e-9)


def test_it_comes_first_where_its_roles_are_mapped_and_says_what_it_cannot_use():
    for data, wanted in ((connected(), "exposure_total"), (placed(), "spatial_ols")):
        plan = Plan(data, Settings())
        assert choose_primary(plan, applicable(catalog(), plan), None).name == wanted
    weighted = replace(connected(), weights=np.full(500, 2.0))
    assert "leave out 'weights'" in answer(weighted, "exposure_direct").reason
    alone = replace(connected(), treatment=np.zeros(500) + (np.arange(500) < 1))
    assert "at least 2 are needed" in answer(alone, "exposure_total").reason


def test_rows_whose_neighbours_are_not_known_are_counted():
    data = connected(300)
    treatment = data.treatment.copy()
    treatment[7] = np.nan
    near = len(set(data.edges[data.edges[:, 1] == 7, 0]))
    found = answer(replace(data, treatment=treatment), "exposure_direct")
    assert found.diagnostics["left_out_with_unknown_neighbours"] == near
    assert found.n == answer(data, "exposure_direct").n - near - 1


def test_rows_without_counterparts_lead_to_a_warning_where_exposure_is_measured():
    data = replace(connected(900, seed=3, measured=True), weights=None)
    exposed = data.neighbor_exposure > 0
    # One kind of units is treated alone, another exposed alone where it is not treated.
    treated, reached = (np.flatnonzero(rows)[:7] for rows in (data.treatment > 0, exposed & (data.treatment == 0)))
    for kind, of in ((treated, "treatment"), (reached, "exposure of untreated rows")):
        columns = np.column_stack([data.covariates, np.isin(np.arange(900), kind)])
        found = answer(replace(data, covariates=columns, propensity_covariates=columns), "exposure_total")
        assert any(f"7 rows have a probability of {of} within" in warning for warning in found.warnings)
    assert not any("counterparts" in warning for warning in answer(data, "exposure_total").warnings)


def test_rare_classes_lead_to_a_warning():
    found = answer(connected(400, degree=14, share=0.3), "exposure_total")
    assert any("single rows dominate" in warning for warning in found.warnings)


def judged(name: str, design: str, rows: int, truth: float, drawn: list[Estimate]) -> Validated:
    estimates = np.asarray([each.estimate for each in drawn])
    errors = np.asarray([each.standard_error for each in drawn])
    sd = float(estimates.std(ddof=1))
    return Validated(
        design=design, estimator=name, replications=len(drawn), rows=rows, truth=truth,
        bias=float(estimates.mean() - truth), sd=sd, se_ratio=float(errors.mean() / sd),
        coverage=float(np.mean([each.ci_lower <= truth <= each.ci_upper for each in drawn])),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["network", "measured", "places"])
def test_intervals_cover_the_effects(kind: str, capsys: pytest.CaptureFixture[str]):
    replications, rows = 1_000, 800
    truths = {"exposure_direct": EFFECT, "exposure_spillover": 1.0, "exposure_total": EFFECT + 1.5}
    if kind == "places":
        truths = {"spatial_ols": EFFECT}
    drawn: dict[str, list[Estimate]] = {name: [] for name in truths}
    entries = {entry.name: entry for entry in catalog()}
    for replication in range(replications):
        seed = 40_240 + replication
        data = placed(rows, seed) if kind == "places" else connected(rows, seed, measured=kind == "measured")
        plan = Plan(data, Settings())
        for name in truths:
            drawn[name].append(run(entries[name], plan))
    design = {
        "network": "Random network, independent treatments, any treated neighbour exposes",
        "measured": "Measured exposure, as good as random given covariates",
        "places": "Treatments and errors in patches of 20 km",
    }[kind]
    for name, truth in truths.items():
        found = judged(name, design, rows, truth, drawn[name])
        with capsys.disabled():
            print(f"\n{kind:9} {name:20} coverage {found.coverage:.3f} bias {found.bias:+.4f} sd {found.sd:.4f} "
                  f"se/sd {found.se_ratio:.3f}")  # fmt: skip
        record(found)
        half = half_width(found.coverage, replications)
        assert found.coverage + half >= 0.93, name
        assert abs(found.bias) <= 3 * found.sd / np.sqrt(replications) + 0.02 * found.sd, name
        if kind != "network":
            assert found.coverage - half <= 0.97, name
            assert found.se_ratio == pytest.approx(1.0, abs=0.07), name
