"""Running a whole judgement on simulated data, as `cqox.analysis` does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cqox import diagnostics as judge
from cqox.contract import Decision, Gate, Identification, Options
from cqox.contract.messages import Message
from cqox.diagnostics import Primary
from cqox.estimators import Data, Estimate, Json, Matrix, Plan, Settings, Vector, catalog, run
from tests.estimators.designs import names_for, row_keys
from tests.reference.cases import OUTSIDE, build, cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything that was said about some data."""

    plan: Plan
    primary: Primary
    estimates: tuple[Estimate, ...]
    diagnostics: Mapping[str, Json]
    gates: Mapping[str, Gate]
    decision: Decision
    identification: Identification | None

    def estimate(self, name: str) -> Estimate:
        return next(estimate for estimate in self.estimates if estimate.name == name)


def judged(
    data: Data,
    *,
    only: Collection[str] | None = None,
    requested: str | None = None,
    settings: Settings | None = None,
    better: str = "higher",
    minimum_effect: float = 0.0,
    **options: object,
) -> Judgement:
    """The judgement on some data by all estimators, or by some; treatment is randomized by default."""
    asked = Options(better=better, minimum_effect=minimum_effect, **{"assignment": "randomized", **options})  # type: ignore[arg-type]
    plan = Plan(data, settings or Settings())
    chosen = [estimator for estimator in catalog() if only is None or estimator.name in only]
    applicable = [estimator for estimator in chosen if estimator.applies(plan) is None]
    primary = judge.choose_primary(plan, applicable, requested, assignment=asked.assignment)
    estimates = tuple(run(estimator, plan) for estimator in chosen)
    diagnostics = judge.diagnose(plan, estimates, primary=primary, options=asked)
    gates = judge.gates(diagnostics, estimates, primary, asked)
    chosen_one = next((estimate for estimate in estimates if estimate.name == primary.name), None)
    ledger = judge.identify(plan, chosen_one, estimates, diagnostics, asked)
    decision = judge.decide(
        primary, estimates, gates, better=better, minimum_effect=minimum_effect, alpha=plan.settings.alpha,
        identification=ledger,
    )  # fmt: skip
    return Judgement(
        plan=plan,
        primary=primary,
        estimates=estimates,
        diagnostics=diagnostics,
        gates=gates,
        decision=decision,
        identification=ledger,
    )


def sentence(message: object) -> tuple[str, dict[str, object]]:
    """Code and parameters of a message, and of the messages in it, whatever its words are."""
    assert isinstance(message, Message)
    return message.code, {
        name: sentence(value) if isinstance(value, Message) else value for name, value in message.params.items()
    }


def trial(n: int = 600, seed: int = 0, *, effect: float = 1.0, p: int = 3) -> Data:
    """A randomised trial with covariates that matter to the outcome alone."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    return observed(x, (rng.permutation(n) % 2).astype(float), effect=effect, seed=seed)


def confounded(n: int = 1000, seed: int = 0, *, strength: float = 1.0, effect: float = 1.0) -> Data:
    """Treatment that leans on the first covariate this strongly."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    t = (rng.random(n) < 1 / (1 + np.exp(-strength * x[:, 0]))).astype(float)
    return observed(x, t, effect=effect, seed=seed)


def observed(x: Matrix, t: Vector, *, effect: float = 1.0, seed: int = 0) -> Data:
    """A linear outcome of these covariates and this treatment."""
    y = effect * t + 0.5 * x.sum(axis=1) + np.random.default_rng(seed + 1).standard_normal(len(t))
    return Data(
        n=len(t),
        y=y,
        treatment=t,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        row_key=row_keys(x, t, y),
        names=names_for(x),
    )


def mirrored(data: Data) -> Data:
    """The same data with the outcome's sign turned."""
    return replace(data, y=-data.y)


def reference(name: str) -> Data:
    """The data of a reference case that may not be redistributed; skips where they are not there."""
    for case in cases(Path(OUTSIDE)):
        if case.name == name:
            return build(case)
    pytest.skip(f"Not run: the reference case {name} is not in {OUTSIDE}.")
