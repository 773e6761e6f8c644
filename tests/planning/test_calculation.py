import numpy as np
import polars as pl
import pytest

from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import Plan, Settings, catalog, run
from cqox.estimators.numerics.detection import detectable_ratio
from cqox.planning import power
from tests.estimators.designs import cross_section
from tests.planning.test_periods import panel
from tests.planning.test_rows import clustered, trial

ENTRIES = {entry.name: entry for entry in catalog()}


def test_the_detectable_effect_of_data_is_that_of_the_estimate_which_a_report_has() -> None:
    data = cross_section(n=300, weights=False)
    found = run(ENTRIES["difference_in_means"], Plan(data, Settings()))
    report = power({"y": data.y, "t": data.treatment}, y="y", treatment="t")
    assert report.standard_error == pytest.approx(found.standard_error, rel=1e-9)
    degrees = found.diagnostics["degrees_of_freedom"]
    assert report.degrees_of_freedom == pytest.approx(degrees)
    assert report.effect == pytest.approx(detectable_ratio(0.05, degrees) * found.standard_error)


def test_the_detectable_effect_of_a_panel_is_that_of_a_regression_of_changes() -> None:
    import statsmodels.api as sm

    data = panel()
    report = power(data, y="y", unit="unit", time="time", treatment="d")
    wide = data.pivot("time", index="unit", values="y").drop("unit").to_numpy()
    changes = wide[:, 5:].mean(axis=1) - wide[:, :5].mean(axis=1)
    fit = sm.OLS(changes, sm.add_constant((np.arange(200) < 60).astype(float))).fit(cov_type="HC2")
    assert report.standard_error == pytest.approx(fit.bse[1])
    assert (report.n, report.treated, report.periods_before, report.periods_after) == (200, 60, 5, 3)
    ancova = power(data, y="y", unit="unit", time="time", treatment="d", estimator="ancova")
    assert ancova.effect < report.effect


@pytest.mark.parametrize("frame", [pl.DataFrame, dict])
def test_frames_and_mappings_of_arrays_are_the_same(frame) -> None:
    report = power(frame(trial()), y="y", treatment="t", covariates=["x", "word"])
    assert report == power(trial(), y="y", treatment="t", covariates=["x", "word"])
    assert report.r2 > 0.2


def test_data_give_the_size_for_an_effect_and_the_power_for_both() -> None:
    report = power(trial(), y="y", treatment="t", effect=0.3)
    assert (report.unknown, report.power) == ("n", 0.8)
    assert report.treated / report.control == pytest.approx(trial()["t"].mean() / (1 - trial()["t"].mean()), rel=0.02)
    report = power(trial(), y="y", treatment="t", effect=0.3, n=600)
    assert report.unknown == "power"
    assert report.power < 0.8


def test_numbers_replace_what_data_say() -> None:
    report = power(trial(), y="y", treatment="t", ratio=1, sd=2.0)
    assert (report.control, report.treated, report.standard_deviation) == (300, 300, 2.0)
    assert "within an arm is 2 (given)" in str(report)


def test_clusters_of_data_have_their_number_or_another() -> None:
    report = power(clustered(), y="y", cluster="c", treatment="t")
    assert (report.clusters, report.treated, report.cluster_size) == (60, 20, 12)
    fewer = power(clustered(), y="y", cluster="c", treatment="t", clusters=30)
    assert (fewer.clusters, fewer.n) == (30, 360)
    assert fewer.effect > report.effect


def test_clusters_over_time_are_the_units() -> None:
    data = panel().with_columns(group=pl.col("unit").str.slice(0, 3), d=(pl.col("unit") < "u060").cast(int))
    data = data.with_columns(d=pl.col("d") * (pl.col("time") >= 2006))
    report = power(data, y="y", cluster="group", time="time", treatment="d")
    assert (report.n, report.treated, report.assigned) == (20, 6, "unit")
    assert "1,600 rows share a unit and period" in str(report)


def test_a_rate_of_data_has_the_test_of_rates() -> None:
    data = trial() | {"y": (trial()["y"] > 11).astype(int)}
    report = power(data, y="y", treatment="t", better="lower")
    assert "chi-square" in report.method
    assert report.effect < 0
    assert power(data, y="y", treatment="t", rate_test="wald").effect != power(data, y="y", treatment="t").effect


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"y": "y"}, "y", "no data are given"),
        ({"covariates": ["x"]}, "covariates", "no data are given"),
        ({"data": trial()}, "y", "Data need y"),
        ({"data": trial(), "y": "yy"}, "y", "no column 'yy'"),
        ({"data": trial(), "y": "y", "covariates": "x"}, "covariates", "a list of column names"),
        ({"data": panel(), "y": "y", "unit": "unit"}, "time", "belong together"),
        ({"data": panel(), "y": "y", "time": "time"}, "unit", "belong together"),
        (
            {"data": panel(), "y": "y", "periods_before": 1, "periods_after": 1},
            "time",
            "need the columns unit and time",
        ),
        (
            {"data": panel(), "y": "y", "unit": "unit", "time": "time", "covariates": ["d"]},
            "covariates",
            "cannot be combined with time",
        ),
        ({"data": panel(), "y": "y", "unit": "unit", "time": "time"}, "periods_before", "do not show a start"),
        ({"data": trial(), "y": "y", "cluster": "word", "treatment": "t"}, "cluster", "varies within clusters"),
        ({"data": trial(), "y": "word"}, "y", "does not hold numbers"),
    ],
)
def test_roles_that_do_not_fit_are_refused_by_name(given, field: str, sentence: str) -> None:
    with pytest.raises((InvalidRequest, UnusableData), match=sentence) as caught:
        power(**given)
    assert caught.value.field == field


def test_the_unit_of_the_outcome_and_the_order_of_rows_do_not_matter() -> None:
    data = pl.DataFrame(trial())
    report = power(data, y="y", treatment="t", covariates=["x"])
    scaled = power(data.with_columns(y=pl.col("y") * 1e3), y="y", treatment="t", covariates=["x"])
    assert scaled.effect == pytest.approx(1e3 * report.effect)
    shuffled = power(data.sample(fraction=1, shuffle=True, seed=0), y="y", treatment="t", covariates=["x"])
    assert shuffled.effect == pytest.approx(report.effect)
