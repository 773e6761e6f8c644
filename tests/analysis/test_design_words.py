from dataclasses import replace

import numpy as np
import pytest

from cqox.analysis.design_words import _WORDS, design_in_words
from cqox.contract.messages import Message
from cqox.diagnostics.identification.designs import DESIGNS
from cqox.estimators import Data, Plan, Settings
from tests.estimators.designs import (
    cross_section,
    discontinuity,
    factor_panel,
    instrumented,
    logged,
    panel,
    series,
    two_periods,
)


def words(design: str | None, data: Data, *, assignment: str = "unknown", adjusts: bool = False) -> Message:
    plan = Plan(data, Settings())
    return design_in_words(design, plan, plan.sample("y"), assignment=assignment, adjusts=adjusts)


def with_weeks(data: Data, first: str = "2025-01-06") -> Data:
    count = int(data.time.max()) + 1 if data.time is not None else 0
    days = np.datetime64(first, "D") + np.arange(count) * np.timedelta64(7, "D")
    return replace(
        data, time_values=days.astype(np.int64).astype(float), time_labels=tuple(str(day) for day in days),
        names={**data.names, "unit_id": ("store",), "time": ("week",)},
    )  # fmt: skip


def test_a_trial_says_its_share_and_a_comparison_does_not_call_itself_one() -> None:
    data = replace(cross_section(n=400), treatment=np.repeat([0.0, 1.0], 200))
    assert words("comparison", data, assignment="randomized") == (
        "A trial with 50% of 400 rows treated: 200 treated and 200 untreated."
    )
    found = words("comparison", data, adjusts=True)
    assert found == (
        "A comparison of 200 treated rows with 200 untreated rows (50% treated). "
        f"It is adjusted for {data.covariates.shape[1]} columns of covariates."
    )
    assert found.in_language("ja").startswith("処置ありの200行と処置なしの200行の比較である")


def test_clusters_that_are_assigned_as_wholes_are_named() -> None:
    data = replace(
        cross_section(n=400), treatment=np.repeat([0.0, 1.0], 200), clusters=(np.arange(400) // 20,),
        names={"cluster": ("school",)},
    )  # fmt: skip
    assert "within each of 20 clusters of 'school': 10 treated and 10 untreated" in words("comparison", data)
    mixed = replace(data, treatment=np.tile([0.0, 1.0], 200))
    assert "20 clusters of 'school', within which treatment varies" in words("comparison", mixed)


def test_a_panel_says_who_starts_when_and_how_long_before() -> None:
    data = with_weeks(panel(units=36, periods=24))
    assert data.unit is not None
    assert data.time is not None
    status = ((data.unit < 18) & (data.time >= 12)).astype(float)
    found = words("trends", replace(data, treatment=status))
    assert found == (
        "36 units of 'store', 18 of which start treatment at 2025-03-31: 12 weeks before it and 12 weeks from it on. "
        "18 units are never treated."
    )
    assert "18個体が2025-03-31に処置を開始する（開始前12週、開始以降12週）" in found.in_language("ja")
    later = np.where(data.unit < 6, 8, 12)
    waves = words("trends", replace(data, treatment=status * 0 + ((data.unit < 18) & (data.time >= later))))
    assert "in 2 waves from 2025-03-03 to 2025-03-31, with 8 to 12 weeks before" in waves


def test_two_arms_before_and_after_are_four_counts() -> None:
    data = two_periods()
    assert data.treatment is not None
    assert data.post is not None
    counts = [int(((data.treatment == t) & (data.post == p)).sum()) for t in (1, 0) for p in (0, 1)]
    said = words("trends", replace(data, time=None, time_values=None))
    assert said == (
        f"Two arms before and after the intervention: {counts[0]} and {counts[1]} treated rows, {counts[2]} and "
        f"{counts[3]} untreated rows."
    )


def test_a_cutoff_counts_the_rows_near_it_at_a_round_distance() -> None:
    data = replace(discontinuity(2000), running=np.linspace(0, 100, 2000), cutoff=50.0)
    data = replace(data, names={**data.names, "running": ("score",)})
    assert words("sharp_cutoff", data) == (
        "A cutoff at 50 in 'score': 1,000 rows below it and 1,000 rows from it on, 400 of them within 10 of it."
    )
    fuzzy = replace(data, treatment=np.where(data.running >= 60, 1.0, 0.0), treatment_kind="binary")
    assert "0% are treated below the cutoff and 80% from it on" in words("fuzzy_cutoff", fuzzy)


def test_a_series_says_its_length_and_its_change() -> None:
    data = series()
    values = np.arange(float(data.time.max()) + 1) if data.time is not None else np.empty(0)
    found = words("interrupted_series", replace(data, time_values=values, time_labels=None, intervention_time=70.0))
    assert found.startswith(f"A series of {len(values)} periods, of which {len(values) - 70} periods are from 70 on.")


def test_donors_and_instruments_are_counted() -> None:
    data = factor_panel()
    assert data.unit is not None
    assert "untreated units to compare with" in words("synthetic_control", with_weeks(data))
    encouraged = instrumented()
    z = (encouraged.instruments > 0).astype(float)
    found = words("instrument", replace(encouraged, instruments=z))
    assert f"{encouraged.n:,} rows" in found
    assert "with the instrument" in found


def test_a_log_names_its_most_frequent_action() -> None:
    data = logged(actions=3)
    assert data.action is not None
    share = 100 * np.bincount(data.action).max() / data.n
    assert f"among 3 actions, the most frequent of which is '{np.bincount(data.action).argmax()}'" in words(
        "policy_log", replace(data, action_labels=("0", "1", "2"))
    )
    assert f"({share:.3g}%)" in words("policy_log", data)


@pytest.mark.parametrize("design", [None, "comparison"])
def test_without_a_treatment_there_is_no_design(design: str | None) -> None:
    data = replace(cross_section(), treatment=None, treatment_kind="none")
    assert words(design, data) == f"No estimate of an effect applies to these {data.n:,} rows."


def test_every_design_of_the_ledger_has_its_words() -> None:
    assert {*_WORDS, "comparison"} == set(DESIGNS)
