from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.binned_means import binned_means
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.outcome_study import sharp_study
from tests.estimators.designs import discontinuity


def bins_of(data: Data) -> dict[str, object]:
    plan = Plan(data, Settings())
    return binned_means(plan, sharp_study(plan))


@pytest.mark.parametrize("kind", ["evenly_spaced", "quantile_spaced"])
def test_bins_hold_every_row_within_reach_once(kind: str) -> None:
    data = discontinuity(1500, covariates=False)
    reported = bins_of(data)
    away = np.abs(data.running - data.cutoff)
    shown = away <= 3 * reported["bandwidth"]
    assert sum(row["rows"] for row in reported[kind]) == shown.sum()
    mean = sum(row["mean"] * row["rows"] for row in reported[kind]) / shown.sum()
    assert mean == pytest.approx(data.y[shown].mean())
    scores = [row["score"] for row in reported[kind]]
    assert scores == sorted(scores)
    assert 10 <= len(scores) <= 80


def test_no_bin_reaches_across_the_cutoff() -> None:
    data = discontinuity(1500, covariates=False)
    for kind in ("evenly_spaced", "quantile_spaced"):
        below = sum(row["rows"] for row in bins_of(data)[kind] if row["score"] < data.cutoff)
        reach = 3 * bins_of(data)["bandwidth"]
        assert below == ((data.running < data.cutoff) & (data.running >= data.cutoff - reach)).sum()


def test_a_score_of_few_values_has_a_bin_for_each() -> None:
    data = discontinuity(3000, covariates=False)
    data = replace(data, running=np.round(data.running, 1))
    reported = bins_of(data)
    assert reported["evenly_spaced"] == reported["quantile_spaced"]
    for row in reported["evenly_spaced"]:
        here = np.isclose(data.running, row["score"])
        assert row["mean"] == pytest.approx(data.y[here].mean())
        if row["rows"] > 1:
            assert row["standard_error"] == pytest.approx(data.y[here].std(ddof=1) / np.sqrt(here.sum()))


def test_weights_weight_the_means() -> None:
    data = discontinuity(2000, covariates=False)
    data = replace(
        data, running=np.round(data.running, 1), weights=np.random.default_rng(1).uniform(0.5, 2, data.n)
    )  # fmt: skip
    row = bins_of(data)["evenly_spaced"][0]
    here = np.isclose(data.running, row["score"])
    assert row["mean"] == pytest.approx(np.average(data.y[here], weights=data.weights[here]))


def test_the_lines_end_at_the_bandwidth_and_jump_by_the_estimate() -> None:
    data = discontinuity(1500)
    plan = Plan(data, Settings())
    study = sharp_study(plan)
    reported = binned_means(plan, study)
    below, above = reported["lines"]
    assert above["at_cutoff"] - below["at_cutoff"] == pytest.approx(study.effect(study.jump).value)
    assert (below["to"], above["to"]) == pytest.approx(
        (data.cutoff - reported["bandwidth"], data.cutoff + reported["bandwidth"])
    )


def test_means_are_net_of_the_covariates_that_are_adjusted_for() -> None:
    data = discontinuity(1500)
    noisy = replace(data, y=data.y + 20 * data.covariates[:, 0])
    assert bins_of(noisy)["net_of_covariates"] is True
    spread = np.std([row["mean"] for row in bins_of(noisy)["evenly_spaced"]])
    assert spread == pytest.approx(np.std([row["mean"] for row in bins_of(data)["evenly_spaced"]]), rel=0.02)


def test_a_fit_that_is_not_straight_is_drawn_by_points() -> None:
    data = discontinuity(1500, covariates=False)
    plan = Plan(data, Settings(rd_bandwidth="all", rd_order=3))
    for line in binned_means(plan, sharp_study(plan))["lines"]:
        side = data.running >= data.cutoff if line["side"] == "above" else data.running < data.cutoff
        fit = np.polynomial.Polynomial.fit(data.running[side], data.y[side], 3)
        for point in line["points"]:
            assert point["fit"] == pytest.approx(fit(point["score"]), rel=1e-8)
        assert (line["points"][0]["fit"], line["points"][-1]["fit"]) == (line["at_cutoff"], line["at_end"])
    straight = Plan(data, Settings(rd_order=0))
    for line in binned_means(straight, sharp_study(straight))["lines"]:
        assert "points" not in line
        assert line["at_cutoff"] == line["at_end"]
