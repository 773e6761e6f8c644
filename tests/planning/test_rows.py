import numpy as np
import polars as pl
import pytest
from scipy import stats

from cqox.errors import UnusableData
from cqox.planning.rows import arms_of, facts_of_rows, outcome_of

NONE = {"treatment": None, "cluster": None, "covariates": ()}


def trial(n: int = 600, *, share: float = 0.3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    t = (rng.random(n) < share).astype(float)
    x, word = rng.standard_normal(n), rng.choice(["a", "b", "c"], n)
    y = 10 + 2 * t + x + (word == "b") + rng.standard_normal(n) * (1 + t)
    return {"y": y, "t": t, "x": x, "word": word, "noise": rng.standard_normal(n)}


def clustered(clusters: int = 60, rows: int = 12, *, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    c = np.repeat(np.arange(clusters), rows)
    z = rng.standard_normal(clusters)
    x = rng.standard_normal(len(c))
    y = 3 + 0.5 * z[c] + 0.6 * rng.standard_normal(clusters)[c] + x + rng.standard_normal(len(c))
    return {"y": y, "c": c, "t": (c % 3 == 0).astype(float), "x": x, "z": z[c]}


def test_the_standard_deviations_are_those_within_arms() -> None:
    data = trial()
    facts = facts_of_rows(data, "y", treatment="t", cluster=None, covariates=())
    arms = [data["y"][data["t"] == each] for each in (0, 1)]
    assert facts.sds == pytest.approx(tuple(arm.std(ddof=1) for arm in arms))
    assert facts.by_arm
    assert facts.baseline == pytest.approx(arms[0].mean())
    assert facts.ratio == pytest.approx(len(arms[1]) / len(arms[0]))
    assert (facts.n, facts.rate, facts.notes) == (600, False, ())


def test_the_share_that_covariates_explain_is_the_adjusted_partial_one() -> None:
    import statsmodels.api as sm

    data = trial()
    arms = sm.add_constant(data["t"])
    design = np.column_stack([arms, data["x"], data["word"] == "b", data["word"] == "c"])
    whole, arms = sm.OLS(data["y"], design).fit(), sm.OLS(data["y"], arms).fit()
    facts = facts_of_rows(data, "y", treatment="t", cluster=None, covariates=["x", "word"])
    assert facts.covariates == 3
    assert facts.r2 == pytest.approx(1 - whole.mse_resid / arms.mse_resid)


def test_noise_explains_nothing_and_repeated_and_constant_columns_count_once() -> None:
    data = trial()
    assert facts_of_rows(data, "y", treatment="t", cluster=None, covariates=["noise"]).r2 < 0.01
    data |= {"copy": 3 * data["x"], "constant": np.full(600, 7.0)}
    facts = facts_of_rows(data, "y", treatment=None, cluster=None, covariates=["x", "copy", "constant"])
    assert facts.covariates == 1


def test_an_outcome_of_zero_and_one_is_a_rate() -> None:
    data = {"y": trial()["y"] > 11, "t": trial()["t"]}
    facts = facts_of_rows(data, "y", treatment="t", cluster=None, covariates=())
    assert facts.rate
    assert facts.baseline == pytest.approx(data["y"][data["t"] == 0].mean())


def test_the_intra_cluster_correlation_is_that_of_a_mixed_model() -> None:
    import statsmodels.api as sm

    data = clustered()
    facts = facts_of_rows(data, "y", treatment="t", cluster="c", covariates=())
    # With clusters of one size the analysis of variance and restricted maximum likelihood agree.
    model = sm.MixedLM(data["y"], sm.add_constant(data["t"]), groups=data["c"]).fit(reml=True)
    between = float(np.asarray(model.cov_re)[0, 0])
    assert facts.icc == pytest.approx(between / (between + model.scale), abs=1e-4)
    assert facts.sds[0] ** 2 == pytest.approx(between + model.scale, rel=1e-4)
    assert (facts.cluster_size, facts.cluster_size_cv) == (12, 0)


def test_the_one_way_analysis_of_variance_is_that_of_scipy() -> None:
    data = clustered(20, 5)
    facts = facts_of_rows(data, "y", treatment=None, cluster="c", covariates=())
    ratio = stats.f_oneway(*(data["y"][data["c"] == each] for each in range(20))).statistic
    assert facts.icc == pytest.approx((ratio - 1) / (ratio - 1 + 5))


def test_what_covariates_explain_is_measured_at_each_level() -> None:
    data = clustered()
    facts = facts_of_rows(data, "y", treatment="t", cluster="c", covariates=["x", "z"])
    assert facts.r2 == pytest.approx(0.5, abs=0.08)
    assert facts.r2_clusters == pytest.approx(0.25 / 0.61, abs=0.2)
    assert facts.covariates == 1


def test_sizes_of_clusters_are_described() -> None:
    data = pl.DataFrame(clustered()).filter((pl.col("c") > 20) | (pl.int_range(pl.len()) % 3 == 0))
    facts = facts_of_rows(data, "y", treatment=None, cluster="c", covariates=())
    sizes = data.group_by("c").len()["len"].to_numpy()
    assert facts.cluster_size == pytest.approx(sizes.mean())
    assert facts.cluster_size_cv == pytest.approx(sizes.std() / sizes.mean())


def test_a_negative_correlation_counts_as_none() -> None:
    data = {"y": np.tile([0.0, 1.0, 2.0], 30) + np.repeat(np.arange(30), 3) * 1e-3, "c": np.repeat(np.arange(30), 3)}
    facts = facts_of_rows(data, "y", treatment=None, cluster="c", covariates=())
    assert facts.icc == 0
    assert "no more alike" in facts.notes[-1]


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    data = trial()
    data["y"][:5] = np.nan
    data["y"][5] = np.inf
    data["x"][6:8] = np.nan
    facts = facts_of_rows(data, "y", treatment="t", cluster=None, covariates=["x"])
    assert facts.n == 592
    assert facts.notes == ("8 rows without a value in every column are left out.",)


@pytest.mark.parametrize(
    ("change", "roles", "sentence", "field"),
    [
        ({"y": np.ones(600)}, {}, "does not vary", "y"),
        ({"y": np.full(600, np.nan)}, {}, "too few", "y"),
        ({"t": np.arange(600.0)}, {"treatment": "t"}, "must be of 0 and 1", "treatment"),
        ({"t": np.ones(600)}, {"treatment": "t"}, "has one arm", "treatment"),
        ({"c": np.arange(600) // 10}, {"treatment": "t", "cluster": "c"}, "varies within clusters", "cluster"),
        ({"c": np.arange(600)}, {"cluster": "c"}, "cluster of its own", "cluster"),
        ({"c": np.zeros(600)}, {"cluster": "c"}, "too few for the variance between", "cluster"),
        ({"c": np.zeros(599)}, {"cluster": "c"}, "different lengths", "data"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name(change, roles, sentence: str, field: str) -> None:
    with pytest.raises(UnusableData, match=sentence) as caught:
        facts_of_rows(trial() | change, "y", **{**NONE, **roles})
    assert caught.value.field == field


def test_as_many_covariates_as_rows_leave_nothing() -> None:
    data = {"y": np.array([0.0, 1.0, 3.0, 2.0]), **{f"x{k}": np.eye(4)[k] for k in range(4)}}
    with pytest.raises(UnusableData, match="too few for 3 covariates"):
        facts_of_rows(data, "y", treatment=None, cluster=None, covariates=["x0", "x1", "x2", "x3"])


def test_infinite_outcomes_are_missing_and_flags_are_treatments() -> None:
    assert np.isnan(outcome_of({"y": [1.0, np.inf]}, "y")[1])
    assert arms_of({"t": [True, False]}, "t").tolist() == [1.0, 0.0]
