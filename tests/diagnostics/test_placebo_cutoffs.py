from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.placebo_cutoffs import placebo_cutoffs
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.outcome_study import fuzzy_study, sharp_study
from tests.estimators.designs import discontinuity


def found(data: Data) -> dict[str, object]:
    plan = Plan(data, Settings())
    return placebo_cutoffs(plan, sharp_study(plan))


def test_four_cutoffs_on_each_side_are_tested_and_adjusted_for_their_number() -> None:
    data = discontinuity(2000)
    reported = found(data)
    assert reported["tested"] == len(reported["cutoffs"]) == 8
    for row in reported["cutoffs"]:
        assert (row["cutoff"] < data.cutoff) == (row["side"] == "below")
        assert row["ci_lower"] < row["ci_upper"]
        assert row["adjusted_p_value"] >= row["p_value"]
    assert reported["adjusted_p_value"] == pytest.approx(min(1.0, 8 * reported["smallest_p_value"]))


def test_a_jump_elsewhere_is_found_where_it_is() -> None:
    data = discontinuity(3000, covariates=False)
    below = data.running[data.running < data.cutoff]
    place = np.quantile(below, 0.4)
    reported = found(replace(data, y=data.y + 2.0 * (data.running >= place)))
    worst = min(reported["cutoffs"], key=lambda row: row["p_value"])
    assert reported["adjusted_p_value"] < 1e-6
    assert worst["cutoff"] == pytest.approx(place, abs=0.01)
    assert worst["estimate"] == pytest.approx(2.0, abs=0.4)


def test_a_fuzzy_design_tests_the_outcome() -> None:
    data = discontinuity(2000, fuzzy=True)
    plan = Plan(data, Settings())
    reported = placebo_cutoffs(plan, fuzzy_study(plan))
    assert reported["tested"] == 8
    assert reported["adjusted_p_value"] > 0.001


def test_too_few_rows_say_so() -> None:
    with pytest.raises(UnusableData) as caught:
        found(discontinuity(120))
    assert caught.value.args[0].code == "diagnostics.no-placebo-cutoff"
