import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cqox.diagnostics import choose_primary
from cqox.diagnostics.primary import _PREFERENCES
from cqox.errors import InvalidRequest
from cqox.estimators import Data, Plan, Settings, catalog
from tests.estimators.designs import (
    cross_section,
    discontinuity,
    factor_panel,
    instrumented,
    panel,
    series,
    two_periods,
)


def chosen(data: Data, *, among: tuple[str, ...] | None = None, requested: str | None = None) -> tuple[str | None, str]:
    plan = Plan(data, Settings())
    applicable = [
        estimator
        for estimator in catalog()
        if (among is None or estimator.name in among) and estimator.applies(plan) is None
    ]
    primary = choose_primary(plan, applicable, requested)
    return primary.name, primary.rule


def without_covariates(data: Data) -> Data:
    nothing = np.empty((data.n, 0))
    names = {role: label for role, label in data.names.items() if "covariates" not in role}
    return replace(data, covariates=nothing, propensity_covariates=nothing, names=names)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (cross_section(200), "aipw"),
        (without_covariates(cross_section(200)), "difference_in_means"),
        (cross_section(200, continuous=True), "ols_adjustment"),
        (instrumented(300), "iv_2sls"),
        (panel(20), "did_2x2_block"),
        (factor_panel(treated=1), "synthetic_did"),
        (series(), "interrupted_series"),
        (factor_panel(treated=12), "did_2x2_block"),
        (factor_panel(periods=8, before=4, treated=1), "did_2x2_block"),
        (panel(20, staggered=True), "did_callaway_santanna"),
        (two_periods(200), "did_2x2"),
    ],
)
def test_the_design_decides_which_estimate_is_the_primary(data: Data, name: str) -> None:
    assert chosen(data)[0] == name


def test_a_known_probability_without_covariates_is_weighted_by() -> None:
    data = without_covariates(cross_section(200))
    data = replace(data, pscore=np.full(data.n, 0.5), names={**data.names, "pscore": ("p",)})
    assert chosen(data)[0] == "ipw_ate"


def test_the_outcome_has_no_say() -> None:
    data = cross_section(300)
    other = replace(data, y=np.random.default_rng(9).standard_cauchy(data.n))
    assert chosen(data) == chosen(other)


def test_the_next_of_a_design_serves_where_the_first_was_not_asked_for() -> None:
    assert chosen(cross_section(200), among=("ols_adjustment", "dml_irm_ate"))[0] == "dml_irm_ate"
    assert chosen(cross_section(200), among=("ipw_att",))[0] == "ipw_att"


def test_a_cutoff_goes_before_everything_else() -> None:
    assert chosen(discontinuity(400))[0] == "rd_local_linear"
    assert chosen(discontinuity(400, fuzzy=True))[0] == "rd_fuzzy"


def test_a_test_of_the_design_is_no_estimate_to_decide_on() -> None:
    name, rule = chosen(discontinuity(400), among=("rd_density_test",))
    assert name is None
    assert "No estimator of an effect" in rule
    with pytest.raises(InvalidRequest) as refused:
        chosen(discontinuity(400), requested="rd_density_test")
    assert "rd_density_test" not in (refused.value.choices or ())


def test_a_request_goes_before_the_rule() -> None:
    name, rule = chosen(cross_section(200), requested="lin_interacted")
    assert name == "lin_interacted"
    assert "options.primary" in rule


def test_a_requested_primary_that_does_not_apply_stays_and_is_explained() -> None:
    name, rule = chosen(cross_section(200), requested="iv_2sls")
    assert name == "iv_2sls"
    assert "does not apply" in rule
    assert "instrument" in rule


def test_a_requested_primary_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        chosen(cross_section(200), requested="magic")
    assert "aipw" in (refused.value.choices or ())


def test_no_estimator_that_applies_gives_no_primary() -> None:
    name, rule = chosen(cross_section(200), among=("iv_2sls",))
    assert name is None
    assert rule


def randomised(data: Data, *, among: tuple[str, ...] | None = None) -> tuple[str | None, str]:
    plan = Plan(data, Settings())
    applicable = [
        estimator
        for estimator in catalog()
        if (among is None or estimator.name in among) and estimator.applies(plan) is None
    ]
    primary = choose_primary(plan, applicable, None, assignment="randomized")
    return primary.name, primary.rule


def trial(treated: int, untreated: int, columns: int = 4) -> Data:
    data = cross_section(n=treated + untreated, weights=False)
    x = np.random.default_rng(0).standard_normal((data.n, columns))
    names = {role: tuple(f"x{at}" for at in range(columns)) for role in ("covariates", "propensity_covariates")}
    status = (np.arange(data.n) < treated).astype(float)
    return replace(data, covariates=x, propensity_covariates=x, treatment=status, names={**data.names, **names})


@pytest.mark.parametrize(
    ("data", "name", "why"),
    [
        (trial(100, 300), "lin_interacted", "at least 20 for each"),
        (trial(99, 300), "ols_adjustment", "fewer than 20 for each"),
        (trial(300, 99), "ols_adjustment", "fewer than 20 for each"),
        (trial(25, 300), "ols_adjustment", "fewer than 20 for each"),
        (trial(24, 300), "difference_in_means", "fewer than 5 for each"),
        (without_covariates(trial(20, 20)), "difference_in_means", "no covariates"),
    ],
)
def test_a_trial_is_analysed_by_as_many_slopes_as_its_smaller_arm_allows(data: Data, name: str, why: str) -> None:
    found, rule = randomised(data)
    assert found == name
    assert why in rule


def test_a_trials_primary_does_not_depend_on_outcomes_and_another_design_is_as_before() -> None:
    data = trial(100, 300)
    assert randomised(data) == randomised(replace(data, y=np.random.default_rng(9).standard_cauchy(data.n)))
    assert chosen(data)[0] == "aipw"
    for other in (panel(20), discontinuity(400), instrumented(300), cross_section(200, continuous=True)):
        assert randomised(other) == chosen(other)


def test_a_trial_in_blocks_absorbs_them_and_one_with_known_probabilities_weights_by_them() -> None:
    data = trial(100, 300)
    blocks = replace(data, fixed_effects=(np.arange(data.n) % 5,), names={**data.names, "fixed_effects": ("b",)})
    assert randomised(blocks)[0] == "ols_adjustment"
    given = replace(data, pscore=np.full(data.n, 0.25), names={**data.names, "pscore": ("p",)})
    assert randomised(given) == chosen(given)


def test_clusters_are_counted_instead_of_rows() -> None:
    data = trial(600, 600, columns=2)
    assert randomised(data)[0] == "lin_interacted"
    clustered = replace(data, clusters=(np.arange(data.n) // 24,), names={**data.names, "cluster": ("c",)})
    name, rule = randomised(clustered)
    assert name == "ols_adjustment"
    assert "25 rows or clusters" in rule


def test_a_trials_next_choice_serves_where_the_first_was_not_asked_for() -> None:
    assert randomised(trial(100, 300), among=("ols_adjustment", "aipw"))[0] == "ols_adjustment"
    assert randomised(trial(100, 300), among=("aipw",))[0] == "aipw"


@pytest.mark.parametrize("page", ["docs/how-to/choose-a-design.md", "docs/ja/how-to/choose-a-design.md"])
def test_the_guide_has_the_rule_row_by_row(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    known = {each.name for each in catalog()}
    cells = [line.split("|")[2] for line in text.splitlines() if re.match(r"\|.*\|$", line)]
    rows = iter([tuple(name for name in re.findall(r"`(\w+)`", cell) if name in known) for cell in cells])
    # Rows of trials stand between those of the general rule; `in` moves on to the row that it finds.
    assert [preferred for _, preferred in _PREFERENCES if preferred not in rows] == []
