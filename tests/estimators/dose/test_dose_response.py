"""Amounts of a treatment, against regressions of statsmodels, the equations written out, and truth."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, Vector, catalog, run
from tests.estimators.designs import cross_section, dosed
from tests.validation import Validated, half_width, record

BY_NAME = {entry.name: entry for entry in catalog()}


def answer(data: Data, name: str = "dose_curve", **settings: object) -> Estimate:
    return run(BY_NAME[name], Plan(data, Settings(**settings)))


def weights_of(data: Data) -> Vector:
    return np.ones(data.n) if data.weights is None else data.weights / data.weights.mean()


def with_weights(data: Data) -> Data:
    return replace(data, weights=np.random.default_rng(1).uniform(0.5, 2.0, data.n))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_average_derivative_is_a_coefficient_of_centred_terms(weighted: bool):
    sm = pytest.importorskip("statsmodels.api")
    data = with_weights(dosed()) if weighted else dosed()
    w, t = weights_of(data), data.treatment
    mean = lambda values: np.average(values, weights=w, axis=0)  # noqa: E731 - three uses on the next lines
    x = data.covariates - mean(data.covariates)
    terms = [t, t**2 - 2 * mean(t) * t, t**3 - 3 * mean(t**2) * t, *(x * t[:, None]).T, *x.T, np.ones(data.n)]
    fit = sm.WLS(data.y, np.column_stack(terms), weights=w).fit()
    found = answer(data, "dose_average_derivative")
    assert found.estimate == pytest.approx(fit.params[0], rel=1e-8)
    # By the normal equations of that outcome model nothing is left to correct.
    assert found.diagnostics["correction"] == pytest.approx(0.0, abs=1e-8)


def test_with_other_covariates_for_the_dose_it_is_the_stacked_equations():
    data = dosed(400)
    other = np.column_stack([data.covariates[:, 0], np.sin(data.covariates[:, 0])])
    data = replace(data, propensity_covariates=other, names={**data.names, "propensity_covariates": ("a", "b")})
    found = answer(data, "dose_average_derivative")
    n, t = data.n, data.treatment
    x = np.column_stack([np.ones(n), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])
    w = np.column_stack([np.ones(n), (other - other.mean(0)) / other.std(0)])
    terms = np.column_stack([x, x * t[:, None], t**2, t**3])
    slopes = np.column_stack([np.zeros_like(x), x, 2 * t, 3 * t**2])
    beta, line = (np.linalg.lstsq(a, b, rcond=None)[0] for a, b in ((terms, data.y), (w, t)))
    theta = np.concatenate([beta, line, [np.mean((t - w @ line) ** 2), 0.0]])

    def equations(theta: Vector) -> np.ndarray:
        beta, line = theta[: len(terms.T)], theta[len(terms.T) : -2]
        left, away = data.y - terms @ beta, t - w @ line
        value = slopes @ beta + away / theta[-2] * left
        return np.column_stack([terms * left[:, None], w * away[:, None], away**2 - theta[-2], value - theta[-1]])

    theta[-1] = equations(theta)[:, -1].mean()
    assert found.estimate == pytest.approx(theta[-1], rel=1e-8)
    assert abs(found.diagnostics["correction"]) > 1e-3
    steps = 1e-6 * np.maximum(np.abs(theta), 1e-2)
    slope = np.column_stack(
        [
            (equations(theta + step * unit).mean(0) - equations(theta - step * unit).mean(0)) / (2 * step)
            for step, unit in zip(steps, np.eye(len(theta)), strict=True)
        ]
    )
    moved = np.linalg.solve(slope, equations(theta).T)
    assert found.standard_error == pytest.approx(np.sqrt(np.sum(moved[-1] ** 2)) / n, rel=1e-5)


def written_out(data: Data) -> tuple[Vector, Vector]:
    """Doses and pseudo-outcomes, by sums over all pairs of rows."""
    w, t, n = weights_of(data), data.treatment, data.n
    x = np.column_stack([np.ones(n), data.covariates])
    root = np.sqrt(w)[:, None]

    def fit(a: np.ndarray, b: Vector) -> Vector:
        return np.linalg.lstsq(a * root, b * root[:, 0], rcond=None)[0]

    centre = x @ fit(x, t)
    variance = np.average((t - centre) ** 2, weights=w)
    terms = np.column_stack([x, x * t[:, None], t**2, t**3])
    beta, k = fit(terms, data.y), x.shape[1]
    likelihood = np.exp(-((t[:, None] - centre) ** 2) / (2 * variance))
    marginal = likelihood @ w / w.sum()
    mean = np.average(x, axis=0, weights=w)
    average = mean @ beta[:k] + t * (mean @ beta[k : 2 * k]) + beta[-2] * t**2 + beta[-1] * t**3
    return t, (data.y - terms @ beta) * marginal / np.diag(likelihood) + average


@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_is_local_regressions_of_pseudo_outcomes(weighted: bool):
    sm = pytest.importorskip("statsmodels.api")
    data = with_weights(dosed(700)) if weighted else dosed(700)
    found = answer(data).diagnostics
    t, pseudo = written_out(data)
    for row in found["curve"][::4]:
        u = (t - row["dose"]) / found["bandwidth"]
        kernel = weights_of(data) * np.maximum(1 - u**2, 0)
        for order, name in ((2, "local_linear"), (3, "estimate")):
            fit = sm.WLS(pseudo, np.vander(u, order, increasing=True), weights=kernel).fit()
            assert row[name] == pytest.approx(fit.params[0], abs=2e-4)


def test_errors_are_those_of_left_out_residuals_and_of_the_averaging():
    data = dosed(700)
    found = answer(data).diagnostics
    t, pseudo = written_out(data)
    x = data.covariates - data.covariates.mean(0)
    terms = np.column_stack([np.ones(data.n), t, x, x * t[:, None], t**2, t**3])
    beta = np.linalg.lstsq(terms, data.y, rcond=None)[0]
    for row in found["curve"][::4]:
        u = (t - row["dose"]) / found["bandwidth"]
        kernel = np.maximum(1 - u**2, 0)
        powers = np.vander(u, 3, increasing=True)
        inverse = np.linalg.inv(powers.T @ (powers * kernel[:, None]))
        left = pseudo - powers @ (inverse @ (powers.T @ (kernel * pseudo)))
        leverage = kernel * np.einsum("ij,jk,ik->i", powers, inverse, powers)
        moves = kernel * (powers @ inverse[0]) * left / (1 - leverage)
        moves += x @ (beta[2:4] + row["dose"] * beta[4:6]) / data.n
        assert row["standard_error"] == pytest.approx(np.sqrt(np.sum(moves**2)), rel=1e-3)


def test_the_estimate_is_the_slope_of_the_curve_between_the_quartiles():
    found = answer(dosed())
    reported = found.diagnostics
    doses, values = (np.array([row[key] for row in reported["curve"]]) for key in ("dose", "estimate"))
    low, high = np.interp([reported["from_dose"], reported["to_dose"]], doses, values)
    assert found.estimate == pytest.approx((high - low) / (reported["to_dose"] - reported["from_dose"]), rel=0.01)
    assert len(doses) <= 100


def test_errors_of_the_curve_are_those_of_a_bootstrap():
    data = dosed(800)
    found = answer(data)
    rng = np.random.default_rng(2)
    grid = np.array([row["dose"] for row in found.diagnostics["curve"]])
    drawn, slopes = [], []
    for _ in range(200):
        again = answer(data.rows(rng.integers(0, data.n, data.n)))
        rows = again.diagnostics["curve"]
        drawn.append(np.interp(grid, [row["dose"] for row in rows], [row["estimate"] for row in rows]))
        slopes.append(again.estimate)
    errors = np.array([row["standard_error"] for row in found.diagnostics["curve"]])
    ratio = errors / np.std(drawn, axis=0)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.12)
    assert np.all((ratio[2:-2] > 0.75) & (ratio[2:-2] < 1.35))
    assert found.standard_error == pytest.approx(np.std(slopes), rel=0.2)


def test_the_curve_removes_confounding_that_the_plain_means_have():
    data = dosed(8000, curve=lambda t: 0.0 * t, tied=0.6)
    rows = answer(data).diagnostics["curve"]
    assert max(abs(row["estimate"]) for row in rows) < 0.25
    plain = answer(replace(data, covariates=np.empty((data.n, 0)), propensity_covariates=np.empty((data.n, 0))))
    assert max(abs(row["estimate"]) for row in plain.diagnostics["curve"]) > 0.5
    assert any("randomised" in note for note in plain.diagnostics["notes"])


def test_a_wrong_outcome_model_is_made_good_by_the_model_of_the_dose():
    def bent(t: Vector) -> Vector:
        return 2.0 * np.abs(t)  # no cubic

    rows = answer(dosed(30_000, curve=bent, tied=0.5)).diagnostics["curve"]
    far = [row for row in rows if abs(row["dose"]) > 0.4]
    assert max(abs(row["estimate"] - bent(row["dose"])) for row in far) < 0.2


def test_a_dose_that_covariates_determine_leads_to_a_warning_or_refused():
    assert answer(dosed()).status == "ok"
    tight = answer(dosed(tied=2.0))
    assert any("The covariates explain" in warning for warning in tight.warnings)
    assert tight.diagnostics["ess_share"] < 0.5
    data = dosed()
    exact = replace(data, treatment=data.covariates[:, 0] * 3 + 1)
    refused = answer(exact, "dose_average_derivative")
    assert refused.status == "skipped"
    assert "determine the amount" in refused.reason


def test_a_dose_far_from_normal_leads_to_a_warning():
    data = dosed()
    assert any(
        "far from normal" in warning for warning in answer(replace(data, treatment=np.exp(data.treatment))).warnings
    )
    assert abs(answer(data).diagnostics["dose_skewness"]) < 0.3


def test_few_doses_have_an_average_derivative_and_no_curve():
    data = dosed()
    coarse = replace(data, treatment=np.clip(np.round(data.treatment), -2, 2))
    assert "distinct doses" in answer(coarse).reason
    assert answer(coarse, "dose_average_derivative").status == "ok"


def test_two_arms_are_refused_with_the_advice_to_map_an_amount():
    assert "map it as 'dose'" in answer(cross_section()).reason


def test_clusters_widen_errors_and_band():
    data = dosed(400)
    again = data.rows(np.repeat(np.arange(400), 5))
    clustered = replace(again, clusters=(np.repeat(np.arange(400), 5),))
    for name in ("dose_curve", "dose_average_derivative"):
        plain, grouped = answer(again, name), answer(clustered, name)
        assert grouped.standard_error == pytest.approx(np.sqrt(5 * 400 / 399) * plain.standard_error, rel=1e-6)
    rows, wider = (answer(each).diagnostics["curve"] for each in (again, clustered))
    for row, wide in zip(rows, wider, strict=True):
        assert wide["standard_error"] == pytest.approx(np.sqrt(5 * 400 / 399) * row["standard_error"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("curve", "label", "derivative"),
    [
        pytest.param(np.sin, "Confounded dose, a sine", float(np.exp(-(1 + 0.25 + 0.09) / 2)), id="sine"),
        pytest.param(lambda t: t + 0.3 * t**2, "Confounded dose, a parabola", 1.0, id="parabola"),
    ],
)
def test_intervals_and_the_band_cover_at_their_nominal_rate(
    curve: Callable[[Vector], Vector], label: str, derivative: float, capsys: pytest.CaptureFixture[str]
):
    replications, rows = 1_000, 1_000
    found: dict[str, list[tuple[float, float, bool]]] = {"dose_average_derivative": [], "dose_curve": []}
    points, bands = [], 0
    for replication in range(replications):
        plan = Plan(dosed(rows, 20_240 + replication, curve=curve), Settings())
        for name, gathered in found.items():
            each = run(BY_NAME[name], plan)
            truth = derivative
            if name == "dose_curve":
                ends = np.array([each.diagnostics["from_dose"], each.diagnostics["to_dose"]])
                truth = float(np.diff(curve(ends))[0] / np.diff(ends)[0])
                table = each.diagnostics["curve"]
                true = curve(np.array([row["dose"] for row in table]))
                inside = [
                    [
                        row[f"{band}lower"] <= value <= row[f"{band}upper"]
                        for row, value in zip(table, true, strict=True)
                    ]
                    for band in ("", "band_")
                ]
                points.append(inside[0])
                bands += all(inside[1])
            gathered.append((each.estimate - truth, each.standard_error, each.ci_lower <= truth <= each.ci_upper))
    pointwise, band = float(np.mean(points)), bands / replications
    for name, gathered in found.items():
        errors = np.array(gathered)
        bias, sd, rate = float(errors[:, 0].mean()), float(errors[:, 0].std(ddof=1)), float(errors[:, 2].mean())
        ratio = float(errors[:, 1].mean() / sd)
        note = f"points of the curve {pointwise:.3f}, uniform band {band:.3f}" if name == "dose_curve" else ""
        with capsys.disabled():
            print(f"\n{name} coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f} {note}")
        record(
            Validated(
                design=label, estimator=name, replications=replications, rows=rows,
                truth=derivative if name == "dose_average_derivative" else None, bias=bias, sd=sd, se_ratio=ratio,
                coverage=rate, note=note,
            )
        )  # fmt: skip
        half = half_width(rate, replications)
        assert rate + half >= 0.93, name
        assert rate - half <= 0.97, name
        assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd, name
        assert ratio == pytest.approx(1.0, abs=0.07), name
    for rate in (pointwise, band):
        half = half_width(rate, replications)
        assert rate + half >= 0.93
        assert rate - half <= 0.97


@pytest.mark.slow
def test_a_dose_without_support_is_called_so_every_time(capsys: pytest.CaptureFixture[str]):
    replications = 100
    fired = {
        tied: sum(
            any("The covariates explain" in warning for warning in answer(dosed(1_000, 70 + each, tied=tied)).warnings)
            for each in range(replications)
        )
        for tied in (2.0, 0.5)
    }
    with capsys.disabled():
        print(f"\nno support: {fired[2.0]} of {replications}; support: {fired[0.5]}")
    record(
        Validated(
            design="Covariates determine four fifths of the dose", estimator="dose_curve", replications=replications,
            rows=1_000,
            note=f"the warning fires in {fired[2.0]} of {replications}, and with support in {fired[0.5]}",
        )
    )  # fmt: skip
    assert fired[2.0] == replications
    assert fired[0.5] == 0
