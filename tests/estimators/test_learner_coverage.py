"""Do intervals of groups, curves and coefficients of varying effects cover, and do their tests keep their level?

1,000 replications of 1,000 rows with seeds 20240 + replication. The effect is linear in normal covariates, so that what
each fold's model is worth is known; where it does not vary at all, tests reject one time in twenty.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.learners.effect_models import by_arms, by_scores, score_products, trainings
from cqox.estimators.nuisance.orthogonal_scores import effect_scores
from tests.estimators.designs import names_for
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED = 20_240
REPLICATIONS = 1_000
ROWS = 1_000
COVARIATES = 4
ENTRIES = {entry.name: entry for entry in catalog()}


def draw(seed: int, slope: float) -> Data:
    """A sample whose effect is 1 + slope · the last covariate."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, COVARIATES))
    t = (rng.random(ROWS) < 1 / (1 + np.exp(-(0.5 * x[:, 0] - 0.25 * x[:, 1])))).astype(float)
    y = x @ np.linspace(1, -0.5, COVARIATES) + (1 + slope * x[:, -1]) * t
    y += rng.standard_normal(ROWS) * (1 + 0.25 * np.abs(x[:, -1]))
    return Data(
        n=ROWS, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=rng.integers(0, 2**63, ROWS).astype(np.uint64), names=names_for(x),
    )  # fmt: skip


def worth(plan: Plan, name: str, slope: float) -> float:
    """The mean over the judged folds of the effect's slope on the standardised prediction."""
    frame = plan.frame("xty", plan.doubly_robust_sample())
    blocks, counts = plan.blocks(frame)
    k, folds = frame.at["x"].stop, plan.folds(0)
    training = trainings(counts, k)
    if name == "t_learner":
        models = by_arms(blocks, k, frame.column("y"), training)
    else:
        scores = effect_scores(plan, frame, plan.propensity(), 0).values
        models = by_scores(blocks.sum(axis=1)[:, :k, :k], score_products(frame, scores, folds, 5), training)
    judged = np.arange(training.first, 5)
    slopes = models[5 + judged, 0, 1:] / frame.scale[1:k]
    along = slope * slopes[:, -1] / np.linalg.norm(slopes, axis=1)
    return float(np.average(along, weights=np.bincount(folds, minlength=5)[judged]))


def fifths() -> np.ndarray:
    """(5,) means of a standard normal within its fifths."""
    from scipy import stats

    ends = stats.norm.ppf(np.linspace(0, 1, 6))
    return 5 * (stats.norm.pdf(ends[:-1]) - stats.norm.pdf(ends[1:]))


class Tally:
    """Errors and coverage of estimates by their truths."""

    def __init__(self) -> None:
        self.errors: dict[str, list[tuple[float, float, bool]]] = {}

    def add(self, key: str, found: dict[str, float], truth: float) -> None:
        inside = found["ci_lower"] <= truth <= found["ci_upper"]
        self.errors.setdefault(key, []).append((found["estimate"] - truth, found["standard_error"], inside))

    def check(self) -> None:
        for key, each in self.errors.items():
            bias, error, inside = np.asarray(each, dtype=float).mean(axis=0)
            sd = float(np.std([one for one, _, _ in each], ddof=1))
            print(f"{key:28} coverage {inside:.3f}  bias {bias:+.4f}  sd {sd:.4f}  se/sd {error / sd:.3f}")
            found = Validated(
                design="Effects that vary with a covariate", estimator=key, replications=REPLICATIONS, rows=ROWS,
                bias=float(bias), sd=sd, se_ratio=float(error / sd), coverage=float(inside),
            )  # fmt: skip
            record(found)
        for key, each in self.errors.items():
            bias, error, rate = np.asarray(each, dtype=float).mean(axis=0)
            sd = float(np.std([one for one, _, _ in each], ddof=1))
            half = half_width(rate, REPLICATIONS)
            assert rate + half >= 0.93, key
            assert rate - half <= 0.97, key
            assert abs(bias) <= 3 * sd / math.sqrt(REPLICATIONS) + 0.02 * sd, key
            assert error / sd == pytest.approx(1.0, abs=0.07), key


@pytest.mark.timeout(900)
def test_groups_curves_and_coefficients_cover_at_their_nominal_rate(capsys):
    tally, normal, slope = Tally(), fifths(), 0.5
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, slope), Settings())
        for name in ("t_learner", "dr_learner"):
            result = run(ENTRIES[name], plan)
            table, along = result.diagnostics["judged_by_scores"], worth(plan, name, slope)
            for place in range(5):
                tally.add(f"{name} group {place + 1}", table["groups"][place], 1 + along * normal[place])
            tally.add(f"{name} top - bottom", table["top_minus_bottom"], along * (normal[-1] - normal[0]))
            tally.add(f"{name} qini", table["qini"], along / (2 * math.sqrt(math.pi)))
        best = result.diagnostics["best_linear_predictor"]["coefficients"]
        for place, truth in ((0, 1.0), (1, 0.0), (COVARIATES, slope)):
            tally.add(f"best linear {best[place]['label']}", best[place], truth)
    with capsys.disabled():
        print()
        tally.check()


@pytest.mark.timeout(900)
def test_where_effects_do_not_vary_tests_reject_at_their_level(capsys):
    found: dict[str, int] = {}
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, 0.0), Settings())
        for name in ("t_learner", "x_learner", "dr_learner"):
            result = run(ENTRIES[name], plan)
            table = result.diagnostics["judged_by_scores"]
            for key in ("equal_groups", "top_minus_bottom", "slope", "autoc", "qini"):
                where = f"{name} {key}"
                found[where] = found.get(where, 0) + (table[key]["p_value"] < 0.05)
        rejected = result.diagnostics["best_linear_predictor"]["test"]["p_value"] < 0.05
        found["best linear predictor"] = found.get("best linear predictor", 0) + rejected
    with capsys.disabled():
        print()
        for key, count in found.items():
            print(f"{key:28} rejects {count / REPLICATIONS:.3f}")
            note = f"rejects {count / REPLICATIONS:.3f} at 5%"
            record(
                Validated(
                    design="Effects that do not vary", estimator=key, replications=REPLICATIONS, rows=ROWS, note=note
                )
            )
    for key, count in found.items():
        rate = count / REPLICATIONS
        half = half_width(rate, REPLICATIONS)
        assert rate - half <= 0.07, key
        assert rate + half >= 0.03, key


@pytest.mark.timeout(900)
@pytest.mark.parametrize("clusters", [10, 20])
def test_few_clusters_find_no_effects_that_vary_with_covariates(clusters: int, capsys):
    """Effects vary between clusters alone, which no covariate knows."""
    found: dict[str, list[bool]] = {}
    codes = np.arange(ROWS) % clusters
    for replication in range(REPLICATIONS):
        rng = np.random.default_rng(FIRST_SEED + replication)
        data = draw(FIRST_SEED + replication, 0.0)
        moved, gained = 0.5 * rng.standard_normal((2, clusters))
        keys = rng.integers(0, 2**63, clusters).astype(np.uint64)[codes]
        y = data.y + moved[codes] + gained[codes] * data.treatment
        diagnostics = run(
            ENTRIES["dr_learner"], Plan(replace(data, y=y, clusters=(codes,), row_key=keys), Settings())
        ).diagnostics
        tested = {"best linear predictor": diagnostics["best_linear_predictor"]["test"]}
        if "groups" in diagnostics["judged_by_scores"]:
            tested |= {name: diagnostics["judged_by_scores"][name] for name in ("equal_groups", "autoc", "qini")}
        for name, test in tested.items():
            if test is not None:
                found.setdefault(name, []).append(test["p_value"] < 0.05)
    with capsys.disabled():
        print()
        for name, each in found.items():
            print(f"{clusters} clusters, {name:28} rejects {np.mean(each):.3f} of {len(each)}")
            record(
                Validated(
                    design=f"Effects that vary between {clusters} clusters alone", estimator=f"dr_learner, {name}",
                    replications=len(each), rows=ROWS, note=f"rejects {np.mean(each):.3f} at 5%",
                )
            )  # fmt: skip
    for name, each in found.items():
        rate = float(np.mean(each))
        assert rate - half_width(rate, len(each)) <= 0.07, name
