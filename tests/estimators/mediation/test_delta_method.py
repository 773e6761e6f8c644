from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.inference.standard_errors import TOO_MANY, UNIDENTIFIED
from cqox.estimators.mediation import delta_method
from cqox.estimators.mediation.delta_method import Effect, Fitted, effect_gradient, effect_value
from cqox.estimators.mediation.equations import fit_equations, mediation_frame, row_moves
from tests.estimators.designs import mediated

EFFECTS: tuple[Effect, ...] = ("acme", "ade", "total")


def fitted(*, clusters: int = 0, interacted: bool = True, **settings: object) -> Fitted:
    data = mediated(n=240, mediators=2, product=0.4)
    if clusters:
        data = replace(data, clusters=(np.arange(240) % clusters,))
    plan = Plan(data, Settings(**settings))
    sample = plan.sample("y", "treatment", "mediator", "covariates")
    frame = mediation_frame(plan, sample)
    fit = fit_equations(frame, frame.products, 2, interacted=interacted)
    return Fitted(frame=frame, fit=fit, moves=row_moves(frame, fit), clusters=plan.clusters(sample),
                  settings=plan.settings, arm_codes=plan.treated(sample))  # fmt: skip


def of(shared: Fitted, effect: Effect) -> tuple[float, float, np.ndarray, str]:
    value, found, contributions = shared.estimate(
        lambda theta: effect_value(shared.fit, theta, effect), effect_gradient(shared.fit, effect)
    )
    return value, found.standard_error, contributions, found.method


@pytest.mark.parametrize("treated", [0.0, 0.5, 1.0])
def test_effects_are_those_of_the_potential_outcomes(treated: float):
    fit = fitted().fit
    a, b, c, d, m = (fit.theta[fit.at[kind]] for kind in "abcdm")

    def mean(own: float, of_mediators: float) -> float:
        at = m + a * of_mediators
        return float(c[0] * own + (b + d * own) @ at)

    assert effect_value(fit, fit.theta, "acme", treated) == pytest.approx(mean(treated, 1) - mean(treated, 0))
    assert effect_value(fit, fit.theta, "ade", treated) == pytest.approx(mean(1, treated) - mean(0, treated))
    assert effect_value(fit, fit.theta, "total", treated) == pytest.approx(mean(1, 1) - mean(0, 0))


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("treated", [0.0, 0.5, 1.0])
def test_gradients_are_derivatives(effect: Effect, treated: float):
    fit = fitted().fit
    found = effect_gradient(fit, effect, treated)
    steps = np.eye(len(fit.theta)) * 1e-5
    ends = [effect_value(fit, fit.theta + sign * steps, effect, treated) for sign in (1, -1)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-7, atol=1e-9)


def test_values_of_many_coefficients_are_those_of_each():
    fit = fitted().fit
    many = fit.theta + np.random.default_rng(1).standard_normal((5, len(fit.theta)))
    for effect in EFFECTS:
        np.testing.assert_allclose(effect_value(fit, many, effect), [effect_value(fit, row, effect) for row in many])


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_error_is_that_of_the_sum_of_the_rows_contributions(effect: Effect):
    shared = fitted(se="HC0")
    value, error, contributions, method = of(shared, effect)
    np.testing.assert_allclose(contributions, effect_gradient(shared.fit, effect) @ shared.moves * shared.fit.unit)
    assert error == pytest.approx(np.sqrt(contributions @ contributions))
    assert method == "HC0"
    assert value == pytest.approx(float(effect_value(shared.fit, shared.fit.theta, effect)) * shared.fit.unit)


def test_few_clusters_are_left_out_of_both_equations():
    shared = fitted(clusters=12)
    value, error, _, method = of(shared, "acme")
    frame, codes = shared.frame, shared.clusters.codes[0]
    without = []
    for cluster in range(12):
        kept = frame.matrix[:, codes != cluster]
        fit = fit_equations(frame, kept @ kept.T, 2, interacted=True)
        without.append(float(effect_value(fit, fit.theta, "acme")) * fit.unit)
    assert method == "CRV3"
    assert error == pytest.approx(np.sqrt(11 / 12 * np.sum((np.array(without) - value) ** 2)), rel=1e-8)
    assert list(shared.kept) == ["thetas"]


def test_the_reason_for_a_missing_jackknife_is_kept(monkeypatch: pytest.MonkeyPatch):
    shared = fitted(clusters=12)
    monkeypatch.setattr(delta_method, "JACKKNIFE_CELLS", 10)
    assert of(shared, "acme")[3] == "CRV1"
    assert shared.kept["thetas"] == TOO_MANY


def test_a_cluster_without_which_an_equation_is_not_identified_is_a_reason():
    shared = fitted(clusters=12)
    alone = replace(shared, clusters=replace(shared.clusters, codes=(shared.arm_codes.astype(np.int64),), counts=(2,)))
    of(alone, "acme")
    assert alone.kept["thetas"] == UNIDENTIFIED
