"""Mediation with logit and probit models against statsmodels' fits, integrated row by row."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, stats

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.mediation.predictions import predict_outcomes
from tests.estimators.designs import mediated, rows
from tests.reference.cases import OUTSIDE, Table, build, cases

ENTRIES = {entry.name: entry for entry in catalog() if entry.family == "mediation"}
FRAMING = next((case for case in cases(OUTSIDE) if case.name == "framing_mediation"), None)
needs_data = pytest.mark.skipif(FRAMING is None, reason="without CQOX_REFERENCE_DIR")
LINKS = {"logit": sm.families.links.Logit, "probit": sm.families.links.Probit}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def binary(n: int = 300, *, mediator: bool = False) -> Data:
    data = mediated(n)
    y = (data.y > np.median(data.y)).astype(float)
    m = (data.mediators > 0.4).astype(float) if mediator else data.mediators
    return replace(data, y=y, y_kind="binary", mediators=m)


def fitted(model: str, y: np.ndarray, x: np.ndarray):
    if model == "linear":
        return sm.OLS(y, x).fit()
    return sm.GLM(y, x, sm.families.Binomial(LINKS[model]())).fit(tol=1e-13)


def integrated(data: Data, mediator_model: str, outcome_model: str, *, interacted: bool) -> dict[str, float]:
    """The effects by numerical integration over the mediator of each row."""
    t, m, one = data.treatment, data.mediators[:, 0], np.ones(data.n)

    def first(t: np.ndarray) -> np.ndarray:
        return np.column_stack([one, data.covariates, t])

    def second(t: np.ndarray, m: np.ndarray) -> np.ndarray:
        return np.column_stack([one, data.covariates, t, m, *([t * m] if interacted else [])])

    of_mediator, of_outcome = fitted(mediator_model, m, first(t)), fitted(outcome_model, data.y, second(t, m))

    def mean(treated: int, mediated_as: int) -> float:
        centre = of_mediator.predict(first(mediated_as * one))

        def outcome(m: np.ndarray) -> np.ndarray:
            return of_outcome.predict(second(treated * one, m))

        if mediator_model != "linear":
            return float(np.mean((1 - centre) * outcome(0 * one) + centre * outcome(one)))
        deviation = np.sqrt(of_mediator.scale)
        whole = integrate.quad(
            lambda z: stats.norm.pdf(z) * outcome(centre + deviation * z).mean(), -9, 9, epsabs=1e-11, limit=200
        )
        return float(whole[0])

    y = {(a, b): mean(a, b) for a in (0, 1) for b in (0, 1)}
    return {
        "acme": (y[0, 1] - y[0, 0] + y[1, 1] - y[1, 0]) / 2,
        "ade": (y[1, 0] - y[0, 0] + y[1, 1] - y[0, 1]) / 2,
        "total": y[1, 1] - y[0, 0],
        "acme_treated": y[1, 1] - y[1, 0],
        "ade_untreated": y[1, 0] - y[0, 0],
    }


@pytest.mark.parametrize(
    ("mediator_model", "outcome_model"),
    [("linear", "logit"), ("linear", "probit"), ("logit", "logit"), ("probit", "linear"), ("probit", "probit")],
)
@pytest.mark.parametrize("interacted", [False, True])
def test_effects_equal_integrals_of_statsmodels_predictions(mediator_model: str, outcome_model: str, interacted: bool):
    data = binary(mediator=mediator_model != "linear")
    models = {"mediator_model": mediator_model, "outcome_model": outcome_model, "mediation_interaction": interacted}
    expected = integrated(data, mediator_model, outcome_model, interacted=interacted)
    for effect in ("acme", "ade", "total"):
        assert answer(f"mediation_{effect}", data, **models).estimate == pytest.approx(expected[effect], rel=1e-6)
    by_arm = answer("mediation_acme", data, **models).diagnostics["acme_treated"]
    assert by_arm["estimate"] == pytest.approx(expected["acme_treated"], rel=1e-6)
    direct = answer("mediation_ade", data, **models).diagnostics["ade_untreated"]
    assert direct["estimate"] == pytest.approx(expected["ade_untreated"], rel=1e-6)


@needs_data
def test_the_framing_example_of_r_mediation_is_that_of_statsmodels():
    from statsmodels.stats.mediation import Mediation

    assert FRAMING is not None
    data = replace(build(FRAMING), y=Table(FRAMING.path).numbers("cong_mesg"), y_kind="binary")
    expected = integrated(data, "linear", "probit", interacted=False)
    result = answer("mediation_acme", data, outcome_model="probit")
    assert result.estimate == pytest.approx(expected["acme"], rel=1e-6)
    x = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    place = x.shape[1] - 1
    models = (
        sm.GLM(data.y, np.column_stack([x, data.mediators]), sm.families.Binomial(sm.families.links.Probit())),
        sm.OLS(data.mediators[:, 0], x),
    )
    np.random.seed(1)  # statsmodels draws from the global generator
    peer = Mediation(*models, (place, place), place + 1).fit(method="parametric", n_rep=400).summary()
    found = {effect: answer(f"mediation_{effect}", data, outcome_model="probit") for effect in ("acme", "ade", "total")}
    for effect, label in (("acme", "ACME (average)"), ("ade", "ADE (average)"), ("total", "Total effect")):
        row = peer.loc[label]
        width = (row["Upper CI bound"] - row["Lower CI bound"]) / (2 * 1.96)
        assert found[effect].estimate == pytest.approx(row["Estimate"], abs=5 * width / np.sqrt(400))
        assert found[effect].standard_error == pytest.approx(width, rel=0.2)


@pytest.mark.parametrize("interacted", [False, True])
def test_two_linear_models_give_the_effects_and_errors_of_linear_equations(interacted: bool):
    plan = Plan(mediated(400), Settings(mediation_interaction=interacted))
    found = predict_outcomes(plan, plan.sample("y", "treatment", "mediator", "covariates"), "linear", "linear")
    for effect in ("acme", "ade", "total"):
        linear = run(ENTRIES[f"mediation_{effect}"], plan)
        value, contributions = found.effect(effect, 0.5)
        assert value == pytest.approx(linear.estimate, rel=1e-9)
        error = np.sqrt(contributions @ contributions)
        assert error == pytest.approx(linear.diagnostics["standard_errors"]["HC0"], rel=1e-7)


@pytest.mark.parametrize(("mediator_model", "outcome_model"), [("linear", "logit"), ("probit", "probit")])
def test_the_errors_are_those_of_a_bootstrap(mediator_model: str, outcome_model: str):
    data = binary(400, mediator=mediator_model != "linear")
    models = {"mediator_model": mediator_model, "outcome_model": outcome_model}
    rng = np.random.default_rng(3)
    drawn = [
        [answer(f"mediation_{effect}", again, **models).estimate for effect in ("acme", "ade")]
        for again in (rows(data, rng.integers(0, 400, 400)) for _ in range(150))
    ]
    for effect, spread in zip(("acme", "ade"), np.std(drawn, axis=0), strict=True):
        assert answer(f"mediation_{effect}", data, **models).standard_error == pytest.approx(spread, rel=0.18)


@pytest.mark.parametrize(
    ("data", "settings", "word"),
    [
        (mediated(200), {"outcome_model": "logit"}, "options.outcome_model"),
        (mediated(200), {"mediator_model": "probit"}, "options.mediator_model"),
        (mediated(200, mediators=2), {"mediator_model": "probit"}, "one mediator"),
        (mediated(200, continuous=True), {"outcome_model": "logit"}, "two levels"),
    ],
)
def test_models_that_do_not_fit_the_data_are_refused(data: Data, settings: dict[str, object], word: str):
    result = run(ENTRIES["mediation_acme"], Plan(data, Settings(**settings)))
    assert result.status == "skipped"
    assert word in result.reason
