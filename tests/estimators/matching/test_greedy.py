"""Greedy matching against a search through all free rows at each turn."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.matching.greedy import greedy_pairs
from cqox.estimators.matching.pairs import matched_pairs
from tests.estimators.designs import EFFECT, cross_section, rows
from tests.reference.cases import OUTSIDE, build, cases

ATT = next(entry for entry in catalog() if entry.name == "psm_att")
LALONDE = next((case for case in cases(OUTSIDE) if case.name == "lalonde_psm_replace"), None)
needs_data = pytest.mark.skipif(LALONDE is None, reason="without CQOX_REFERENCE_DIR")


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ATT, Plan(data, Settings(match_replacement=False, **settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def searched(
    scores: np.ndarray, pool: np.ndarray, ranks: np.ndarray, ratio: int, within: float
) -> list[tuple[int, int]]:
    free, pairs = set(range(len(pool))), []
    for _ in range(ratio):
        for row, score in enumerate(scores):
            away = {each: round(abs(pool[each] - score), 9) for each in free}
            best = min(free, key=lambda each: (away[each], ranks[each]), default=None)
            if best is not None and away[best] <= within + 1e-9:
                free.remove(best)
                pairs.append((row, best))
    return pairs


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("ratio", "within"), [(1, None), (1, 0.02), (3, None), (2, 0.05)])
def test_the_pairs_are_those_of_a_search_through_all_free_rows(seed: int, ratio: int, within: float | None):
    rng = np.random.default_rng(seed)
    decimals = 2 if seed % 2 else 8
    scores, pool = rng.random(30).round(decimals), rng.random(70).round(decimals)
    ranks = rng.permutation(70)
    chosen, taken = greedy_pairs(scores, pool, ranks, ratio, within)
    expected = searched(scores, pool, ranks, ratio, np.inf if within is None else within)
    assert list(zip(chosen.tolist(), taken.tolist(), strict=True)) == expected


def test_scores_that_differ_by_rounding_are_ties():
    pool = np.array([0.3 + 1e-15, 0.3, 0.3 - 1e-15])
    for first in range(3):
        ranks = np.roll(np.arange(3), first)
        assert greedy_pairs(np.array([0.3]), pool, ranks, 1, None)[1].tolist() == [first]


def test_an_empty_arm_has_no_pairs():
    chosen, taken = greedy_pairs(np.array([0.5]), np.empty(0), np.empty(0, dtype=np.intp), 2, None)
    assert (len(chosen), len(taken)) == (0, 0)
    chosen, taken = greedy_pairs(np.empty(0), np.array([0.5]), np.array([0]), 2, None)
    assert (len(chosen), len(taken)) == (0, 0)


@needs_data
def test_the_default_of_matchit_is_reproduced():
    assert LALONDE is not None
    data = build(LALONDE)
    result = answer(data)
    assert result.estimate == pytest.approx(894.3675, abs=1e-4)
    assert result.n == 614
    assert (result.diagnostics["matched_rows"], result.diagnostics["n_unique_controls"]) == (185, 185)
    # The paired error is 714.7929; clustering by pair has the factor (N-1)/(N-2), too.
    assert result.standard_error == pytest.approx(714.7928944628 * np.sqrt(369 / 368), rel=1e-9)
    assert answer(data, cluster_factor=False).standard_error == pytest.approx(
        714.7928944628 * np.sqrt(184 / 185 * 369 / 368), rel=1e-9
    )


def test_exact_columns_hold_within_every_pair_and_an_unknown_one_is_named():
    data = cross_section(400, weights=False)
    sex = (np.random.default_rng(2).random(400) < 0.5).astype(float)
    x = np.column_stack([data.covariates, sex])
    names = {**data.names, "covariates": (*"abcd", "sex=f"), "propensity_covariates": (*"abcd", "sex=f")}
    data = replace(data, covariates=x, propensity_covariates=x, names=names)
    settings = Settings(match_replacement=False, match_exact=["sex"])
    pairs = matched_pairs(Plan(data, settings), "psm")
    assert len(pairs.treated) > 50
    assert (sex[pairs.treated] == sex[pairs.control]).all()
    loose = matched_pairs(Plan(data, Settings(match_replacement=False)), "psm")
    assert (sex[loose.treated] != sex[loose.control]).any()
    wrong = run(ATT, Plan(data, Settings(match_replacement=False, match_exact=["height"])))
    assert "'height'" in wrong.reason


def test_no_row_is_in_two_pairs():
    pairs = matched_pairs(Plan(cross_section(400, weights=False), Settings(match_replacement=False)), "psm")
    assert len(set(pairs.control)) == len(pairs.control) == len(set(pairs.treated))
    assert pairs.shared == 0


def test_a_caliper_in_standard_deviations_is_one_of_the_score():
    data = cross_section(400, weights=False)
    spread = Plan(data, Settings()).propensity().e.std(ddof=1)
    same = [
        answer(data, caliper=0.2, caliper_unit="sd"),
        answer(data, caliper=0.2 * spread, caliper_unit="probability"),
    ]
    assert same[0].estimate == same[1].estimate
    assert same[0].diagnostics["unmatched_rows"] > 0
    assert "left out" in same[0].warnings[0]


def test_at_random_the_order_of_the_rows_does_not_matter():
    data = cross_section(400, weights=False)
    mixed = rows(data, np.random.default_rng(4).permutation(400))
    left, right = answer(data, match_order="random"), answer(mixed, match_order="random")
    assert left.estimate == pytest.approx(right.estimate, rel=1e-10)
    assert left.standard_error == pytest.approx(right.standard_error, rel=1e-10)


def test_the_known_effect_is_found_with_errors_that_cover_it():
    off = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((400, 1))
        t = (rng.random(400) < 0.15 + 0.1 * (x[:, 0] > 0)).astype(float)
        y = x[:, 0] + EFFECT * t + rng.standard_normal(400)
        data = replace(
            rows(cross_section(400, weights=False), np.arange(400)), y=y, treatment=t, covariates=x,
            propensity_covariates=x, names={},
        )  # fmt: skip
        result = answer(data, caliper=0.2, caliper_unit="sd")
        off.append((result.estimate - EFFECT, result.ci_lower <= EFFECT <= result.ci_upper))
    assert abs(np.mean([each for each, _ in off])) < 0.03
    assert 0.9 <= np.mean([held for _, held in off]) <= 0.99


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("psm_ate", {"match_replacement": False}, "psm_att"),
        ("nn_mahalanobis_att", {"match_replacement": False}, "options.match_replacement"),
        ("psm_att", {"match_exact": ["a"]}, "options.match_replacement"),
        ("nn_mahalanobis_att", {"match_exact": ["a"]}, "options.match_replacement"),
    ],
)
def test_what_is_not_offered_says_what_is(name: str, settings: dict[str, object], word: str):
    entry = next(entry for entry in catalog() if entry.name == name)
    result = run(entry, Plan(cross_section(200, weights=False), Settings(**settings)))
    assert result.status == "skipped"
    assert word in result.reason
