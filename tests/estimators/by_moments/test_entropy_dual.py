import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators.by_moments.entropy_dual import Dual
from tests.estimators.by_moments.tables_of import both, same, study, tables

NAMES = ["entropy_balancing_ate", "entropy_balancing_att"]


@pytest.mark.parametrize("weights", [False, True])
def test_the_weights_give_both_arms_the_means_of_the_target(weights: bool) -> None:
    data = study(weights=weights, missing=False)
    made = tables(data)
    frame = made.frame("xty", made.complete("y", "treatment", "covariates"))
    for of_treated in (False, True):
        dual = Dual(made, frame, treated_only=of_treated)
        arms = dual.balanced((None, None), Message("adjustment.all-rows"))
        k = len(dual.target)
        x = (data.covariates - frame.centre[1 : k + 1]) / frame.scale[1 : k + 1]
        base = np.ones(data.n) if data.weights is None else data.weights
        population = base * (data.treatment if of_treated else 1.0)
        assert dual.target == pytest.approx(population @ x / population.sum(), abs=1e-12)
        for arm, found in enumerate(arms):
            own = base * np.exp(x @ found.multipliers) * (data.treatment == arm)
            assert own @ x / own.sum() == pytest.approx(dual.target, abs=1e-10)
            y = (data.y - frame.centre[frame.column("y")]) / frame.scale[frame.column("y")]
            assert found.mean == pytest.approx(own @ y / own.sum(), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_a_start_that_leads_nowhere_costs_passes_and_no_digit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    balanced = Dual.balanced
    starts = []

    def far(self: Dual, given: object, population: object) -> object:
        starts.append(given)
        return balanced(self, (np.full(len(self.target), 3.0), None), population)  # type: ignore[arg-type]

    monkeypatch.setattr(Dual, "balanced", far)
    same(*both(name, study()))
    assert starts
