import numpy as np
import polars as pl
import pytest

from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.panels import contrast_variance, correlations, moments
from cqox.planning.periods import facts_of_periods

PLAN = {"treatment": None, "before": None, "after": None}


def panel(
    units: int = 200,
    periods: int = 8,
    *,
    start: int | None = 5,
    share: float = 0.3,
    lasting: float = 0.4,
    serial: float = 0.6,
    seed: int = 0,
) -> pl.DataFrame:
    """Outcomes with known correlations, effects of periods, and an effect of 2 from the start on."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(correlations(periods, lasting, serial))
    y = 5 + 2 * rng.standard_normal(periods) + 1.5 * rng.standard_normal((units, periods)) @ root.T
    treated = (np.arange(units) < share * units)[:, None] & (np.arange(periods) >= (start or 0))
    y += 2 * treated
    return pl.DataFrame({
        "unit": np.repeat([f"u{each:03}" for each in range(units)], periods),
        "time": np.tile(np.arange(2001, 2001 + periods), units),
        "y": y.ravel(), "d": treated.ravel().astype(int),
    })  # fmt: skip


def measured(data: pl.DataFrame, **roles):
    return facts_of_periods(data, "y", unit="unit", time="time", **{**PLAN, **roles})


def test_the_noise_is_that_of_the_changes_at_the_start_in_each_arm() -> None:
    data = panel()
    facts = measured(data, treatment="d")
    wide = data.pivot("time", index="unit", values="y").drop("unit").to_numpy()
    changes = wide[:, 5:].mean(axis=1) - wide[:, :5].mean(axis=1)
    assert facts.panel is not None
    assert facts.panel.by_arm is not None
    control, treated = (contrast_variance(each, 1.0) for each in facts.panel.by_arm)
    assert control == pytest.approx(changes[60:].var(ddof=1))
    assert treated == pytest.approx(changes[:60].var(ddof=1))
    assert (facts.panel.before, facts.panel.after, facts.n) == (5, 3, 200)
    assert facts.ratio == pytest.approx(60 / 140)
    assert facts.baseline == pytest.approx(wide[:, :5].mean())
    assert facts.notes == ("The noise is that of the changes of the units at the start of treatment in the data.",)


def test_fewer_periods_are_those_next_to_the_start() -> None:
    data = panel()
    facts = measured(data, treatment="d", before=2, after=1)
    wide = data.pivot("time", index="unit", values="y").drop("unit").to_numpy()
    changes = wide[:, 5] - wide[:, 3:5].mean(axis=1)
    assert contrast_variance(facts.panel.by_arm[0], 1.0) == pytest.approx(changes[60:].var(ddof=1))


def test_without_a_start_windows_of_the_planned_length_are_averaged() -> None:
    data = panel()
    facts = measured(data, before=2, after=2)
    wide = data.pivot("time", index="unit", values="y").drop("unit").to_numpy()
    windows = [wide[:, s + 2 : s + 4].mean(axis=1) - wide[:, s : s + 2].mean(axis=1) for s in range(5)]
    assert contrast_variance(facts.panel.pooled, 1.0) == pytest.approx(np.mean([w.var(ddof=1) for w in windows]))
    assert "over 5 windows" in facts.notes[0]


@pytest.mark.parametrize(("before", "after"), [(2, 2), (4, 4), (1, 6), (0, 3)])
def test_the_moments_are_the_true_ones(before: int, after: int) -> None:
    facts = measured(panel(20_000, start=None, share=0), before=before, after=after)
    truth = moments(2.25 * correlations(before + after, 0.4, 0.6), before)
    assert tuple(facts.panel.pooled) == pytest.approx(tuple(truth), abs=0.06)


def test_a_longer_plan_takes_correlations_fitted_to_the_data() -> None:
    facts = measured(panel(4000, start=None, share=0), before=10, after=6)
    truth = moments(2.25 * correlations(16, 0.4, 0.6), 10)
    assert contrast_variance(facts.panel.pooled, 1.0) == pytest.approx(contrast_variance(truth, 1.0), rel=0.1)
    assert "the plan 16" in facts.notes[0]


def test_two_periods_give_one_correlation_that_lasts() -> None:
    facts = measured(panel(4000, 2, start=None, share=0, serial=0.0), before=3, after=3)
    truth = moments(2.25 * correlations(6, 0.4), 3)
    assert tuple(facts.panel.pooled) == pytest.approx(tuple(truth), rel=0.1)


def test_shocks_of_periods_and_the_effect_itself_are_no_noise() -> None:
    data = panel()
    shocked = data.with_columns(y=pl.col("y") + 1e3 * pl.col("time") ** 2 + 50 * pl.col("d"))
    assert measured(shocked, treatment="d").panel.by_arm[0] == pytest.approx(
        measured(data, treatment="d").panel.by_arm[0], rel=1e-6
    )


def test_rows_of_a_unit_and_period_are_averaged() -> None:
    data = panel()
    twice = pl.concat([data.with_columns(y=pl.col("y") + 1), data.with_columns(y=pl.col("y") - 1)])
    facts = measured(twice, treatment="d")
    assert facts.panel.pooled == pytest.approx(measured(data, treatment="d").panel.pooled)
    assert facts.notes[0] == "3,200 rows share a unit and period with others and are averaged."


def test_a_treatment_that_is_constant_in_units_is_an_allocation() -> None:
    data = panel(start=None).with_columns(d=(pl.col("unit") < "u050").cast(int))
    facts = measured(data, treatment="d", before=3, after=3)
    assert facts.ratio == pytest.approx(1 / 3)
    assert facts.panel.by_arm is None
    with pytest.raises(InvalidRequest, match="do not show a start"):
        measured(data, treatment="d")


def test_units_that_miss_a_period_of_the_window_are_left_out_of_it() -> None:
    data = panel()
    holed = data.filter((pl.col("unit") != "u190") | (pl.col("time") != 2003))
    kept = data.filter(pl.col("unit") != "u190")
    got = measured(holed, treatment="d").panel.by_arm[0]
    assert got == pytest.approx(measured(kept, treatment="d").panel.by_arm[0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (pl.when(pl.col("unit") == "u003").then(0).otherwise(pl.col("d")).alias("d"), None),
        (
            pl.when((pl.col("unit") == "u003") & (pl.col("time") == 2006)).then(0).otherwise("d").alias("d"),
            "2 different",
        ),
        (pl.when((pl.col("unit") == "u003") & (pl.col("time") == 2008)).then(0).otherwise("d").alias("d"), "ends"),
        (pl.lit(1).alias("d"), "one arm"),
        (pl.lit(2).alias("d"), "of 0 and 1"),
        (pl.lit(3.0).alias("y"), "does not vary between the units"),
        (pl.lit(2001).alias("time"), "at least 3 units and 2 periods"),
        (pl.lit("u").alias("unit"), "at least 3 units and 2 periods"),
    ],
)
def test_panels_that_do_not_fit_are_refused_by_name(change: pl.Expr, sentence: str | None) -> None:
    data = panel().with_columns(change)
    if sentence is None:
        assert measured(data, treatment="d").ratio == pytest.approx(59 / 141)
        return
    with pytest.raises(UnusableData, match=sentence):
        measured(data, treatment="d")


def test_a_treatment_that_varies_among_rows_of_a_cell_is_refused() -> None:
    data = panel()
    with pytest.raises(UnusableData, match="varies within clusters"):
        measured(pl.concat([data, data.with_columns(d=1 - pl.col("d"))]), treatment="d")


def test_nothing_is_learnt_of_correlations_where_no_unit_is_seen_twice() -> None:
    data = panel().with_columns(unit=pl.int_range(pl.len()))
    with pytest.raises(UnusableData, match="No unit has outcomes in two periods"):
        measured(data, before=2, after=2)
