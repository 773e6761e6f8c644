"""Assumptions on assignment, interference, missing outcomes and dependence."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.contract import Assumption, DataFinding
from cqox.contract.messages import of
from cqox.diagnostics.identification.arms import assigned, complete_outcomes, independent_units, no_interference
from cqox.estimators import Data, Json
from tests.diagnostics.identification.judging import judged
from tests.diagnostics.looking import confounded, observed, trial
from tests.diagnostics.looking import judged as judge
from tests.validation import Validated, half_width, record

ONLY = ("difference_in_means", "ols_adjustment", "aipw", "ipw_ate")


def codes(entry: Assumption) -> list[str]:
    return [of(sentence).code for sentence in entry.evidence]


def test_the_assignment_is_untested_until_it_is_declared() -> None:
    unknown = assigned(judged("aipw", "doubly_robust"), "treatment")
    assert (unknown.name, unknown.status, unknown.caps) == ("unconfounded", "untested", True)
    trial = assigned(judged("aipw", "doubly_robust", assignment="randomized"), "treatment")
    assert (trial.name, trial.status) == ("randomized", "declared")
    adjusted = assigned(judged("aipw", "doubly_robust", assignment="unconfounded"), "treatment")
    assert (adjusted.name, adjusted.status) == ("unconfounded", "declared")


def drawn(ratio: float | None, balance: float | None, role: str = "treatment") -> Assumption:
    found: dict[str, Json] = {
        "sample_ratio": {"treated": 40, "total": 100, "share": 0.4, "expected_share": 0.5, "p_value": ratio},
        "balance_tests": {role: {"variable": "w", "tests": 3, "smallest": {"name": "age", "p_value": balance}}},
    }
    return assigned(judged("aipw", "doubly_robust", diagnostics=found, assignment="randomized"), role)  # type: ignore[arg-type]


def test_a_sample_ratio_or_a_covariate_below_one_in_a_thousand_contradicts_a_draw() -> None:
    agrees = drawn(0.2, 0.3)
    assert (agrees.status, codes(agrees)) == ("declared", ["identification.sample-ratio", "identification.balance"])
    ratio = drawn(0.0004, 0.3)
    assert (ratio.status, codes(ratio)[0]) == ("contradicted", "identification.sample-ratio-mismatch")
    covariate = drawn(None, 0.0009)
    assert (covariate.status, codes(covariate)) == ("contradicted", ["identification.imbalance"])
    assert drawn(0.0006, 0.9).status == "declared"
    assert drawn(0.002, 0.002).status == "declared"
    assert drawn(None, 0.0009, "instrument").status == "contradicted"


@pytest.mark.parametrize("role", ["proxy_outcome", "proxy_treatment"])
@pytest.mark.parametrize(("p_value", "status"), [(0.009, "contradicted"), (0.01, "declared")])
def test_a_negative_control_contradicts_an_unconfounded_assignment(role: str, p_value: float, status: str) -> None:
    smallest: dict[str, Json] = {"name": "before", "role": role, "estimate": 0.5, "p_value": p_value}
    given = judged(
        "aipw", "doubly_robust", diagnostics={"negative_controls": {"smallest": smallest}}, assignment="unconfounded"
    )
    entry = assigned(given, "treatment")
    assert entry.status == status
    assert "before" in entry.evidence[0]
    assert assigned(given, "instrument").status == "declared"


def test_interference_that_cannot_be_seen_does_not_cap() -> None:
    entry = no_interference(judged("aipw", "doubly_robust"))
    assert (entry.status, entry.caps) == ("untested", False)


def test_a_spillover_contradicts_and_by_places_only_where_treatment_was_drawn() -> None:
    for by, assignment, status in (
        ("edges", "unknown", "contradicted"), ("places", "unknown", "untested"),
        ("places", "randomized", "contradicted"),
    ):  # fmt: skip
        found: dict[str, Json] = {"spillovers": {"by": by, "estimate": 0.4, "p_value": 0.009}}
        entry = no_interference(judged("aipw", "doubly_robust", diagnostics=found, assignment=assignment))
        never = ["identification.only-contradicted"] if status == "untested" else []
        assert (entry.status, codes(entry)) == (status, ["identification.spillover", *never])


def lost(p_value: float, lower: float, upper: float, reach: float = 0.1, **options: object) -> Assumption:
    """The entry for Lee's bounds that reach this much farther with their sampling error, around an estimate of 1."""
    found: dict[str, Json] = {
        "treated_rows_missing": 9, "untreated_rows_missing": 5, "treated_share_missing": 0.09,
        "untreated_share_missing": 0.05, "p_value": p_value, "observed_difference": 1.0,
        "trimming": {"lower": lower, "upper": upper, "ci_lower": lower - reach, "ci_upper": upper + reach},
    }  # fmt: skip
    return complete_outcomes(judged("difference_in_means", "regression", diagnostics={"attrition": found}, **options))


def test_without_a_missing_outcome_the_assumption_is_supported() -> None:
    found: dict[str, Json] = {"treated_rows_missing": 0, "untreated_rows_missing": 0}
    entry = complete_outcomes(judged("aipw", "doubly_robust", diagnostics={"attrition": found}))
    assert (entry.status, codes(entry)) == ("supported", ["identification.no-outcome-missing"])
    unknown = complete_outcomes(judged("aipw", "doubly_robust"))
    assert (unknown.status, unknown.caps) == ("untested", True)


@pytest.mark.parametrize(
    ("p_value", "lower", "reach", "status"),
    [
        (0.05, 0.05, 0.1, "supported"), (0.04, 0.05, 0.1, "untested"), (0.04, 0.2, 0.1, "supported"),
        (0.009, 0.2, 0.1, "untested"),
        (0.04, -0.01, 0.1, "contradicted"), (0.05, -0.01, 0.1, "untested"), (0.04, math.inf, 0.1, "untested"),
    ],
)  # fmt: skip
def test_lee_s_bounds_decide_on_missing_outcomes(p_value: float, lower: float, reach: float, status: str) -> None:
    bound = None if math.isinf(lower) else lower
    if bound is None:
        found: dict[str, Json] = {"treated_rows_missing": 1, "untreated_rows_missing": 0, "p_value": p_value}
        entry = complete_outcomes(judged("aipw", "doubly_robust", diagnostics={"attrition": found}))
    else:
        entry = lost(p_value, bound, 1.5, reach)
    assert entry.status == status
    assert ("'supported' needs" in entry.evidence[-1]) == (status == "untested")
    if status == "contradicted":
        assert lost(p_value, lower, 1.5, assumes=["complete_outcomes"]).status == "contradicted"


def test_the_bounds_are_those_around_the_primary_in_the_direction_that_counts() -> None:
    # The primary lies .5 above the observed difference, and so do its bounds.
    found: dict[str, Json] = {
        "treated_rows_missing": 9, "untreated_rows_missing": 5, "p_value": 0.04, "observed_difference": 0.5,
        "trimming": {"lower": 0.2, "upper": 0.6, "ci_lower": 0.1, "ci_upper": 0.7},
    }  # fmt: skip
    for minimum, status in ((0.5, "supported"), (0.8, "contradicted")):
        given = judged("aipw", "doubly_robust", diagnostics={"attrition": found}, minimum_effect=minimum)
        assert complete_outcomes(given).status == status
    turned = judged(
        "aipw", "doubly_robust", diagnostics={"attrition": found}, estimate=-0.9, minimum_effect=0.8, better="lower"
    )
    assert complete_outcomes(turned).status == "contradicted"


def attrited(seed: int, n: int, shares: tuple[float, float], *, effect: float) -> Data:
    """A trial that loses these shares of both arms at random; without an effect, the low outcomes of the treated."""
    rng = np.random.default_rng(seed)
    t = (rng.permutation(n) % 2).astype(float)
    y = effect * t + rng.standard_normal(n)
    chance = np.where(t > 0, shares[1], shares[0])
    if effect == 0:
        # Of normal outcomes a logit slope of 1 loses about the share of the treated.
        chance = np.where(t > 0, 1 / (1 + np.exp(y - 1.15 * math.log(shares[1] / (1 - shares[1])))), shares[0])
    y[rng.random(n) < chance] = np.nan
    return replace(observed(np.empty((n, 0)), t), y=y)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "shares", "effect", "least", "most"),
    [
        (100, (0.10, 0.10), 0.95, 0.9, 1.0), (400, (0.05, 0.05), 0.475, 0.9, 1.0), (400, (0.1, 0.1), 0.475, 0.9, 1.0),
        (400, (0.05, 0.20), 0.0, 0.0, 0.05), (1000, (0.05, 0.20), 0.0, 0.0, 0.05), (600, (0.10, 0.30), 0.0, 0.0, 0.05),
    ],
)  # fmt: skip
def test_harmless_missingness_is_let_through_and_selective_attrition_is_not(
    n: int, shares: tuple[float, float], effect: float, least: float, most: float
) -> None:
    runs = 400
    decided = [judge(attrited(seed, n, shares, effect=effect), only=ONLY).decision.verdict for seed in range(runs)]
    go = decided.count("GO") / runs
    kind = "low outcomes of the treated" if effect == 0 else "at random"
    record(
        Validated(
            design=f"trial without {shares[0]:.0%} and {shares[1]:.0%} of the outcomes, {kind}, effect {effect:g} sd",
            estimator="complete_outcomes", replications=runs, rows=n, note=f"GO in {go:.1%}",
        )
    )  # fmt: skip
    assert least <= go <= most + half_width(0.05, runs)


def clustered(seed: int) -> Data:
    """A trial of 16 clusters of which 8 are treated, with an effect of 4.5 standard errors."""
    rng = np.random.default_rng(seed)
    t, own = (rng.permutation(16) % 2).astype(float), np.repeat(np.arange(16), 20)
    y = 4.5 * np.sqrt(0.3 / 4) * t[own] + 0.5 * rng.standard_normal(16)[own] + rng.standard_normal(320)
    return replace(observed(np.empty((320, 0)), t[own]), y=y, clusters=(own,))


def sized(n: int, treated: int, p: int) -> object:
    def make(seed: int) -> Data:
        rng = np.random.default_rng(seed)
        effect = 4.5 * math.sqrt(1 / treated + 1 / (n - treated))
        return observed(
            rng.standard_normal((n, p)), (rng.permutation(n) < treated).astype(float), effect=effect, seed=seed
        )

    return make


def measured(seed: int) -> Data:
    return confounded(500, seed, strength=1.2, effect=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "assignment", "share"),
    [
        ("trial of 40", "randomized", 0.5), ("trial of 100 with 3 covariates", "randomized", 0.5),
        ("trial of 1000, 40 treated, 3 covariates", "randomized", 0.04), ("16 clusters, 8 treated", "randomized", 0.5),
        ("500 rows, a measured confounder with a logit slope of 1.2", "unconfounded", None),
    ],
)  # fmt: skip
def test_good_studies_go(name: str, assignment: str, share: float | None) -> None:
    make = {
        "trial of 40": sized(40, 20, 0), "trial of 100 with 3 covariates": sized(100, 50, 3),
        "trial of 1000, 40 treated, 3 covariates": sized(1000, 40, 3), "16 clusters, 8 treated": clustered,
    }.get(name, measured)  # fmt: skip
    runs = 200
    decided = [
        judge(make(seed), only=ONLY, assignment=assignment, expected_share=share).decision.verdict  # type: ignore[operator]
        for seed in range(runs)
    ]
    go = decided.count("GO") / runs
    record(
        Validated(
            design=f"{name}, effect of about 4.5 standard errors", estimator="the verdict", replications=runs,
            rows=make(0).n, note=f"GO in {go:.1%}",  # type: ignore[operator]
        )
    )  # fmt: skip
    assert go >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["assignment", "ratio"])
def test_a_trial_that_was_not_drawn_as_planned_does_not_go(wrong: str) -> None:
    runs, decided = 200, list[str]()
    for seed in range(runs):
        if wrong == "assignment":
            seen = judge(confounded(400, seed, effect=0.0), only=ONLY)
        else:
            seen = judge(trial(2000, seed), only=ONLY, expected_share=0.55)
        decided.append(seen.decision.verdict)
    go = decided.count("GO") / runs
    what = "a logit slope of 1 on a covariate" if wrong == "assignment" else "a planned share of 55%, half are treated"
    record(
        Validated(
            design=f"declared trial with {what}", estimator="randomized", replications=runs,
            rows=400 if wrong == "assignment" else 2000, note=f"GO in {go:.1%}",
        )
    )  # fmt: skip
    assert go <= 0.05


def test_a_clear_small_trial_goes_and_a_mismatch_stops() -> None:
    assert judge(trial(100, effect=2.0), only=ONLY, expected_share=0.5).decision.verdict == "GO"
    stopped = judge(trial(600), only=ONLY, expected_share=0.7)
    assert stopped.decision.verdict == "HOLD"
    assert any("sample" in of(reason).code or "contradicted" in of(reason).code for reason in stopped.decision.reasons)


def test_rows_are_independent_where_no_cluster_and_no_copy_is_found() -> None:
    base = judged("aipw", "doubly_robust")
    unseen = independent_units(base)
    assert (unseen.status, unseen.caps, unseen.evidence) == ("untested", False, ())
    clear = independent_units(replace(base, findings=[finding("arms-differ")]))
    assert (clear.status, clear.caps, len(clear.evidence)) == ("supported", True, 1)
    for code in ("unmapped-cluster", "duplicate-rows"):
        found = independent_units(replace(base, findings=[finding(code)]))
        assert (found.status, found.caps, found.evidence) == ("untested", True, (f"Found {code}.",))
        assert found.remedy is not None


def test_dependence_that_is_accepted_or_declared_does_not_cap() -> None:
    base = judged("aipw", "doubly_robust")
    accepted = independent_units(replace(base, findings=[finding("duplicate-rows", accepted=True)]))
    assert accepted.status == "declared"
    declared = judged("aipw", "doubly_robust", assumes=["independent_units"])
    assert independent_units(replace(declared, findings=[finding("unmapped-cluster")])).status == "declared"
    one_of_two = [finding("duplicate-rows", accepted=True), finding("unmapped-cluster")]
    assert independent_units(replace(base, findings=one_of_two)).status == "untested"


def finding(code: str, *, accepted: bool = False) -> DataFinding:
    return DataFinding(code=code, severity="caps", message=f"Found {code}.", accepted=accepted)
