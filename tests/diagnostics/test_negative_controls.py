"""Negative controls."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from cqox.diagnostics.negative_controls import negative_controls
from cqox.errors import UnusableData
from cqox.estimators import Data, Json, Plan, Settings
from tests.diagnostics.looking import judged, observed, trial
from tests.validation import Validated, half_width, record


def result_of(data: Data) -> dict[str, Json]:
    return negative_controls(Plan(data, Settings()))


def study(seed: int, *, hidden: float, n: int = 600) -> Data:
    """A treatment that follows a covariate, and a confounder that is measured by a negative-control outcome alone."""
    rng = np.random.default_rng(seed)
    x, u = rng.standard_normal((n, 1)), rng.standard_normal(n)
    t = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0] - hidden * u))).astype(float)
    data = observed(x, t, seed=seed)
    control = (x[:, 0] + u + rng.standard_normal(n))[:, None]
    return replace(data, y=data.y + u, proxy_outcome=control, names={**data.names, "proxy_outcome": ("before",)})


def test_the_effect_on_a_negative_outcome_is_that_of_a_regression() -> None:
    data = study(0, hidden=0.5)
    found = result_of(data)["controls"][0]
    design = sm.add_constant(np.column_stack([data.treatment, data.covariates]))
    peer = sm.OLS(data.proxy_outcome[:, 0], design).fit(cov_type="HC1", use_t=True)
    assert found["estimate"] == pytest.approx(peer.params[1])
    assert found["standard_error"] == pytest.approx(peer.bse[1])
    assert found["p_value"] == pytest.approx(peer.pvalues[1])


def test_the_effect_of_a_negative_exposure_is_that_given_the_treatment() -> None:
    data = trial(400)
    exposure = np.random.default_rng(5).standard_normal((400, 1)) + data.covariates[:, :1]
    found = result_of(replace(data, proxy_treatment=exposure, names={**data.names, "proxy_treatment": ("e",)}))
    design = sm.add_constant(np.column_stack([exposure, data.treatment, data.covariates]))
    peer = sm.OLS(data.y, design).fit(cov_type="HC1", use_t=True)
    assert found["smallest"]["estimate"] == pytest.approx(peer.params[1])
    assert found["smallest"]["p_value"] == pytest.approx(peer.pvalues[1])
    assert found["smallest"]["role"] == "proxy_treatment"


def test_without_a_control_there_is_nothing_to_test() -> None:
    with pytest.raises(UnusableData):
        result_of(trial(60))


def test_a_hidden_confounder_contradicts_a_declared_study() -> None:
    seen = judged(study(1, hidden=1.0), only=["aipw", "difference_in_means"], assignment="unconfounded")
    entry = seen.identification.assumptions[0]
    assert (entry.name, entry.status, seen.decision.verdict) == ("unconfounded", "contradicted", "HOLD")
    assert "'before'" in entry.evidence[0]
    assert seen.gates["design"].status == "not_applicable"
    measured = judged(study(2, hidden=0.0), only=["aipw", "difference_in_means"], assignment="unconfounded")
    assert measured.identification.assumptions[0].status == "declared"


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "least", "most"), [(0.0, 0.0, 0.01), (0.7, 0.9, 1.0)])
def test_negative_controls_contradict_what_is_confounded(hidden: float, least: float, most: float) -> None:
    runs = 1000
    caught = sum(result_of(study(seed, hidden=hidden))["smallest"]["p_value"] < 0.01 for seed in range(runs))
    record(
        Validated(
            design=f"negative-control outcome, hidden confounder with a logit slope of {hidden:g}",
            estimator="negative_controls", replications=runs, rows=600,
            note=f"contradicts `unconfounded` in {caught / runs:.1%}",
        )
    )  # fmt: skip
    assert least <= caught / runs <= most + half_width(0.01, runs)
